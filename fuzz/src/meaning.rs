//! A compiled tree read by the parsers of its readers: it must mean what the bottle says, no more and no less.

use std::collections::{BTreeMap, BTreeSet};

use bottlec::compile::tree::Tree;
use bottlec::compile::{compile, link};
use bottlec::link::egress::Egress;
use bottlec::link::environment::Environment;
use bottlec::manifest::bottle::Bottle;
use bottlec::model::Model;
use bottlec::provider::ImageChoice;
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use bottlec::text::diagnostic::Findings;
use bottlec::text::source::{Source, Sources};
use bottlec::value::artifact::INDEX;
use bottlec::value::variable::TokenRef;
use bottlec::{text::yaml, value::digest};
use serde_json::{Value, json};

const BOTH: [Backend; 2] = [Backend::Docker, Backend::Smolmachines];

/// Checks the tree that a bottle compiled to; `turn` chooses what it is compared with.
pub fn holds(mut bottle: Bottle, sources: &Sources, tree: &Tree, turn: usize) {
    let files: BTreeMap<&str, &str> = tree.artifacts.iter().map(|file| (file.path.as_str(), &*file.content)).collect();
    let host = HostFacts::hermetic();
    {
        let linked = link(&bottle, &host, &BOTH, &mut Findings::default()).expect("it was linked before");
        let environment = Environment::of(&bottle, &linked.plan, bottle.subnet.address(2));
        hosts(&bottle, &linked.egress, &linked.plan.egress_routes.iter().map(|route| route.host.as_str()).collect());
        routes(files["egress/routes.yaml"], &linked.egress);
        pipelock(files["pipelock/pipelock.yaml"], &linked.egress, &bottle);
        compose(files["compose.yaml"], &environment, &linked.egress, &bottle);
        smolfile(files["Smolfile"], &bottle, &linked.plan);
        env_files(files["agent/agent.env"], files["egress/egress.env"], &environment, &linked.egress);
    }
    listing(&files);
    for (path, text) in &files {
        // The raw form of an env file has no escapes.
        if *path != "agent/agent.env" {
            assert_eq!(text.chars().find(|&c| (c.is_control() && c != '\n') || is_unseen(c)), None, "{path}");
        }
        assert!(path.split('/').all(|step| ![".", "..", ""].contains(&step)), "{path} leaves the folder");
    }
    Model::of_tree(tree).unwrap_or_else(|problem| panic!("the tree has no model: {problem}"));

    // Each comparison costs as much as all that was checked so far.
    match turn % 3 {
        0 => assert!(same(tree, &compiled(&bottle, sources, &BOTH), |_| true), "two builds differ"),
        1 => {
            for backend in BOTH {
                let one = compiled(&bottle, sources, &[backend]);
                assert!(one.artifacts.iter().all(|file| files.contains_key(file.path.as_str())), "one writes more");
            }
        }
        _ => {
            rename_tokens(&mut bottle);
            let other = compiled(&bottle, sources, &BOTH);
            // The fingerprint of the slots follows the names, and a label of compose.yaml follows that.
            let has_fingerprint = |path: &str| ["egress/routes.yaml", "compose.yaml"].contains(&path);
            assert!(
                same(tree, &other, |path| path != INDEX && !has_fingerprint(path)),
                "a file besides the index has the name of a token"
            );
            for text in other.artifacts.iter().filter(|file| has_fingerprint(&file.path)).map(|file| &file.content) {
                assert!(!text.contains("ANOTHER_NAME_"), "the name of a token is where its fingerprint should be");
            }
        }
    }
}

/// Gives every token another name.
fn rename_tokens(bottle: &mut Bottle) {
    let mut names = BTreeMap::new();
    let mut rename = |token: &mut TokenRef| {
        let number = names.len();
        let other = || TokenRef::parse(&format!("ANOTHER_NAME_{number}")).expect("a name of letters");
        *token = names.entry(token.clone()).or_insert_with(other).clone();
    };
    bottle.routes.iter_mut().filter_map(|route| route.auth.as_mut()).for_each(|auth| rename(&mut auth.value.token_ref));
    bottle.settings.auth_token.iter_mut().for_each(|token| rename(&mut token.value));
}

fn compiled(bottle: &Bottle, sources: &Sources, backends: &[Backend]) -> Tree {
    let mut findings = Findings::default();
    let tree = compile(bottle, sources, &HostFacts::hermetic(), backends, &mut findings).expect("it reads back");
    tree.expect("it compiled before")
}

fn same(one: &Tree, other: &Tree, counts: impl Fn(&str) -> bool) -> bool {
    let texts = |tree: &Tree| {
        let texts = tree.artifacts.iter().filter(|file| counts(&file.path));
        texts.map(|file| (file.path.clone(), file.content.clone(), file.private)).collect::<Vec<_>>()
    };
    texts(one) == texts(other)
}

/// What a reviewer would not see, though it is text.
fn is_unseen(c: char) -> bool {
    "\u{ad}\u{a0}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{feff}".contains(c)
}

/// The hosts are those of the provider and of the manifest, each once.
fn hosts(bottle: &Bottle, egress: &Egress, provider: &BTreeSet<&str>) {
    let merged: Vec<&str> = egress.routes.iter().map(|route| route.host.as_str()).collect();
    let meant: BTreeSet<&str> =
        bottle.routes.iter().map(|route| route.host.value.as_str()).chain(provider.iter().copied()).collect();
    assert_eq!(merged.len(), meant.len());
    assert_eq!(merged.into_iter().collect::<BTreeSet<_>>(), meant);
}

/// YAML by two readers, which must agree.
fn read(text: &str) -> Value {
    let one: Value = serde_yaml::from_str(text).expect("YAML");
    let mut sources = Sources::default();
    let id = sources.add(Source { path: String::new(), reference: String::new(), text: text.to_owned() });
    let mut findings = Findings::default();
    let other = yaml::read(text, id, 0, &mut findings).expect("YAML").to_json();
    assert!(!findings.has_errors() && one == other, "two readers of YAML differ: {one} {other}");
    one
}

fn routes(text: &str, egress: &Egress) {
    let meant = egress.routes.iter().map(|route| {
        let mut entry = serde_json::Map::from_iter([("host".to_owned(), json!(route.host.as_str()))]);
        if !route.path_allowlist.is_any() {
            let paths: Vec<&str> = route.path_allowlist.values().iter().map(|path| path.as_str()).collect();
            entry.insert("path_allowlist".to_owned(), json!(paths));
        }
        if let Some((auth, slot)) = &route.auth {
            let form = serde_json::to_value(&auth.injection).expect("texts");
            let keys = form.as_object().expect("a form").iter();
            entry.extend(keys.map(|(key, text)| (format!("auth_{key}"), text.clone())));
            entry.insert("token_env".to_owned(), json!(slot.to_string()));
        } else if route.keep_authorization {
            entry.insert("keep_authorization".to_owned(), json!(true));
        }
        if !route.tls_passthrough {
            entry.insert("opened".to_owned(), json!(true));
        }
        Value::Object(entry)
    });
    let mut file = json!({ "routes": meant.collect::<Vec<_>>() });
    if let Some(binding) = egress.binding() {
        file["slots"] = json!(binding.as_str());
    }
    assert_eq!(read(text), file);
}

fn pipelock(text: &str, egress: &Egress, bottle: &Bottle) {
    let file = read(text);
    let listed = |value: &Value| -> BTreeSet<String> {
        let items: Vec<String> = serde_json::from_value(value.clone()).expect("a list of texts");
        let set: BTreeSet<String> = items.iter().cloned().collect();
        assert_eq!(set.len(), items.len(), "an entry stands twice");
        set
    };
    let hosts = |all: bool| {
        let routes = egress.routes.iter().filter(|route| all || route.tls_passthrough);
        routes.map(|route| route.host.to_string()).collect::<BTreeSet<_>>()
    };
    assert_eq!(listed(&file["api_allowlist"]), hosts(true));
    assert_eq!(listed(&file["tls_interception"]["passthrough_domains"]), hosts(false));
    let ranges: BTreeSet<String> =
        egress.routes.iter().flat_map(|route| &route.ssrf_ip_allowlist).map(ToString::to_string).collect();
    assert_eq!(listed(&file["ssrf"]["ip_allowlist"]), ranges);
    assert_eq!((&file["mode"], &file["enforce"]), (&json!("strict"), &json!(true)));
    assert_eq!(file["default_agent_identity"], format!("bottle/{}", bottle.name.as_str()));
}

/// What compose makes of a text: `$$` is a dollar, `${NAME:-default}` the default while nobody sets the variable.
fn interpolated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            after
        } else {
            let (inside, after) = after.strip_prefix('{').and_then(|after| after.split_once('}')).expect("a variable");
            let default = inside.split_once(":-").or_else(|| inside.split_once('-'));
            let (name, default) = default.expect("a default");
            assert!(name.starts_with("BOTTLE_"), "compose would take {name} from its environment");
            out.push_str(default);
            after
        };
    }
    out + rest
}

fn compose(text: &str, environment: &Environment, egress: &Egress, bottle: &Bottle) {
    let file = read(text);
    let each = |value: &Value| -> BTreeMap<String, Option<String>> {
        let entries: BTreeMap<String, Option<String>> = serde_json::from_value(value.clone()).expect("texts");
        entries.into_iter().map(|(name, value)| (name, value.as_deref().map(interpolated))).collect()
    };
    let literal = environment.literal.iter().map(|(name, value)| (name.to_string(), Some(value.clone())));
    let agent = &file["services"]["agent"];
    for name in &environment.bound_at_launch {
        assert_eq!(agent["environment"][name.as_str()], format!("${{BOTTLE_ENV_{name}-}}"));
    }
    let bound = environment.bound_at_launch.iter().map(|name| (name.to_string(), Some(String::new())));
    assert_eq!(each(&agent["environment"]), literal.chain(bound).collect());
    let mut slots: BTreeMap<String, Option<String>> =
        egress.slots.keys().map(|slot| (slot.to_string(), None)).collect();
    if !slots.is_empty() {
        slots.insert("EGRESS_SLOTS".to_owned(), None);
    }
    assert_eq!(each(file["services"]["egress"].get("environment").unwrap_or(&json!({}))), slots);
    let own = format!("bottle-{}-agent", bottle.name.as_str());
    let image = interpolated(agent["image"].as_str().expect("a text"));
    match bottle.settings.image.as_ref().map(|image| &image.value) {
        Some(ImageChoice::Reference(reference)) => {
            assert_eq!(image, *reference);
            assert!(agent.get("build").is_none());
        }
        Some(ImageChoice::Dockerfile(path)) => {
            let part = |key: &str| interpolated(agent["build"][key].as_str().expect("a text"));
            assert_eq!(format!("{}/{}", part("context"), part("dockerfile")), format!("../../{path}"));
            assert_eq!(image, format!("{own}:latest"));
        }
        Some(ImageChoice::Archive(_)) => panic!("compose starts no archive"),
        None => {
            assert!(image.strip_prefix(&format!("{own}:")).is_some_and(|tag| tag.len() == 12), "{image}");
            assert_eq!(agent["build"]["context"], "./image");
        }
    }
    let address = agent["networks"]["inside"]["ipv4_address"].as_str().expect("an address");
    assert_eq!(interpolated(address), bottle.subnet.address(3).to_string());
    let names: BTreeSet<&str> = file["services"].as_object().expect("services").keys().map(String::as_str).collect();
    let meant = ["agent", "egress", "machine-egress", "pipelock", "pipelock-ca", "prepare", "volumes"];
    assert_eq!(names, BTreeSet::from(meant));
    everywhere(&file, &mut |text| drop(interpolated(text)));
}

fn everywhere(value: &Value, check: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => check(text),
        Value::Array(items) => items.iter().for_each(|item| everywhere(item, check)),
        Value::Object(entries) => entries.iter().for_each(|(key, item)| {
            check(key);
            everywhere(item, check);
        }),
        _ => {}
    }
}

fn smolfile(text: &str, bottle: &Bottle, plan: &bottlec::provider::plan::AgentProvisionPlan) {
    let machine = smolfile::parse(text).expect("a Smolfile");
    let environment = Environment::of(bottle, plan, bottle.subnet.address(130));
    let read: BTreeMap<&str, &str> = machine
        .env
        .iter()
        // smolvm trims each item and splits it at the first `=`.
        .map(|item| item.trim().split_once('=').expect("a value, since a bare name would copy the host's"))
        .collect();
    let meant: BTreeMap<&str, &str> =
        environment.literal.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(read, meant);
    assert_eq!(machine.env.len(), meant.len());
    let bound: Vec<&str> = environment.bound_at_launch.iter().map(|name| name.as_str()).collect();
    assert_eq!(machine.secrets.keys().map(String::as_str).collect::<Vec<_>>(), bound);
    for (name, source) in &machine.secrets {
        assert_eq!(serde_json::to_value(source).expect("JSON")["from_env"], json!(format!("BOTTLE_ENV_{name}")));
    }
    let network = machine.network.expect("a network");
    assert_eq!(network.allow_cidrs, [format!("{}/32", bottle.subnet.address(130))]);
    assert_eq!(network.allow_hosts, ["host.smolvm.internal"]);
    assert_eq!(machine.volumes, ["./agent:/bottle:ro"]);
    assert!(machine.image.expect("an image").starts_with("./") || bottle.settings.image.is_some());
}

/// As `docker run --env-file` reads it: each line raw to its end.
fn env_files(agent: &str, slots: &str, environment: &Environment, egress: &Egress) {
    let lines = |text: &str| -> BTreeMap<String, Option<String>> {
        let lines = text.strip_suffix('\n').expect("an end of the last line").split('\n');
        let lines: Vec<&str> = lines.filter(|line| !line.starts_with('#')).collect();
        let entry = |line: &&str| match line.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => ((*line).to_owned(), None),
        };
        let read: BTreeMap<_, _> = lines.iter().map(entry).collect();
        assert_eq!(read.len(), lines.len(), "a variable stands twice");
        read
    };
    let literal = environment.literal.iter().map(|(name, value)| (name.to_string(), Some(value.clone())));
    assert_eq!(lines(agent), literal.collect());
    assert!(!agent.contains(['\r', '\0']));
    let binding = egress.binding().map(|_| "EGRESS_SLOTS".to_owned());
    let meant = egress.slots.keys().map(ToString::to_string).chain(binding).map(|name| (name, None));
    assert_eq!(lines(slots), meant.collect());
}

/// The index lists every other file with its hash.
fn listing(files: &BTreeMap<&str, &str>) {
    let index: Value = serde_json::from_str(files[INDEX]).expect("JSON");
    let listed: BTreeMap<&str, &str> = index["files"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| (file["path"].as_str().expect("a path"), file["sha256"].as_str().expect("a hash")))
        .collect();
    assert_eq!(listed.len() + 1, files.len());
    for (path, hash) in listed {
        assert_eq!(hash, digest::hash(files[path].as_bytes()), "{path}");
    }
}
