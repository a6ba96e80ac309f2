//! Where a manifest takes a text, and where in the files the text lands.

use bottlec::target::Backend;
use serde_json::Value;

use crate::support::texts::read_yaml;
use crate::support::{BOTH, Compiled};

/// A place, the way to it and the ways out.
pub(crate) struct Place {
    /// As the schema has it.
    pub(crate) path: &'static str,
    /// A manifest with `@` for the scalar, at the end of a line or as a key.
    pub(crate) manifest: &'static str,
    /// A text that is taken; empty where none is.
    pub(crate) honest: &'static str,
    /// How a text is written there.
    pub(crate) written: fn(&str) -> String,
    /// What it means there.
    pub(crate) means: fn(&str) -> String,
    /// Where it lands: the file, and what its reader reads. Takes the text as it is written, too.
    pub(crate) lands: fn(&Compiled, &str) -> Vec<(&'static str, String)>,
    /// The backends that can express it.
    pub(crate) backends: &'static [Backend],
    /// Whether its values decide which keys there are.
    pub(crate) is_choice: bool,
    /// The file that must lie beside the manifest for the text to be taken.
    pub(crate) beside: Option<fn(&str) -> String>,
}

impl Place {
    /// The text in another reader's view of the manifest; nothing if no text stands there.
    pub(crate) fn find(&self, manifest: &Value) -> Option<String> {
        let mut at = manifest;
        for step in self.path.split('.') {
            let (name, is_list) = step.strip_suffix("[]").map_or((step, false), |name| (name, true));
            at = match name {
                "*" => at.as_object()?.values().next()?,
                "{}" => return at.as_object()?.keys().next().cloned(),
                name => at.get(name)?,
            };
            if is_list {
                at = at.get(0)?;
            }
        }
        at.as_str().map(str::to_owned)
    }
}

fn same(text: &str) -> String {
    text.to_owned()
}

fn nowhere(_: &Compiled, _: &str) -> Vec<(&'static str, String)> {
    Vec::new()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

fn routes(compiled: &Compiled) -> Value {
    read_yaml(compiled.file("egress/routes.yaml"))["routes"].as_array().unwrap().last().unwrap().clone()
}

fn index(compiled: &Compiled) -> Value {
    serde_json::from_str(compiled.file("bottle.json")).unwrap()
}

fn index_route(compiled: &Compiled) -> Value {
    index(compiled)["routes"].as_array().unwrap().last().unwrap().clone()
}

fn agent(compiled: &Compiled) -> Value {
    read_yaml(compiled.file("compose.yaml"))["services"]["agent"].clone()
}

/// What compose makes of a text while nobody sets a variable of ours.
pub(crate) fn interpolated(value: &Value) -> String {
    let text = text(value);
    let (mut out, mut rest) = (String::new(), text.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = match after.strip_prefix('$') {
            Some(after) => {
                out.push('$');
                after
            }
            None => {
                let (variable, after) = after.strip_prefix('{').unwrap().split_once('}').unwrap();
                out.push_str(variable.strip_prefix("BOTTLE_").unwrap().split_once(":-").unwrap().1);
                after
            }
        };
    }
    out + rest
}

/// A variable's name, and its text if it has one before launch.
type Variable = (String, Option<String>);

/// The agent's variables in each of the files, as their readers take them.
fn variables(compiled: &Compiled) -> Vec<(&'static str, Vec<Variable>)> {
    let lines =
        compiled.file("agent/agent.env").strip_suffix('\n').unwrap().split('\n').filter(|line| !line.starts_with('#'));
    let split = |line: &str| match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
        None => (line.to_owned(), None),
    };
    let machine = smolfile::parse(compiled.file("Smolfile")).unwrap();
    let secrets = machine.secrets.keys().map(|name| (name.clone(), None));
    let environment = agent(compiled)["environment"].as_object().unwrap().clone();
    let environment = environment.iter().map(|(name, value)| match value {
        Value::Null => (name.clone(), None),
        value => (name.clone(), Some(interpolated(value))),
    });
    vec![
        ("agent/agent.env", lines.map(split).collect()),
        ("Smolfile", machine.env.iter().map(|item| split(item.trim())).chain(secrets).collect()),
        ("compose.yaml", environment.collect()),
    ]
}

/// The variable that bottlec and the provider do not set.
fn own_variable(compiled: &Compiled) -> Vec<(&'static str, Variable)> {
    let decided = index(compiled)["provenance"]["manifest"].as_object().unwrap().clone();
    let own: Vec<String> = decided.keys().filter_map(|key| key.strip_prefix("/env/").map(str::to_owned)).collect();
    let [own] = own.as_slice() else { panic!("{own:?}") };
    let find = |(file, all): (&'static str, Vec<Variable>)| {
        let found: Vec<_> = all.into_iter().filter(|(name, _)| name == own).collect();
        assert_eq!(found.len(), 1, "{file}");
        (file, found[0].clone())
    };
    let mut found: Vec<_> = variables(compiled).into_iter().map(find).collect();
    found.push(("bottle.json", (own.clone(), found[0].1.1.clone())));
    found
}

/// A key that no mapping of fixed keys has.
const fn unknown(path: &'static str, manifest: &'static str) -> Place {
    Place { path, manifest, honest: "", ..PLACE }
}

const PLACE: Place = Place {
    path: "",
    manifest: "",
    honest: "",
    written: same,
    means: same,
    lands: nowhere,
    backends: &BOTH,
    is_choice: false,
    beside: None,
};

fn slot_name(compiled: &Compiled) -> Vec<(&'static str, String)> {
    let slots = index(compiled)["slots"].as_array().unwrap().clone();
    let [slot] = slots.as_slice() else { panic!("{slots:?}") };
    vec![("bottle.json", text(&slot["token_ref"]))]
}

/// A path without the steps that say nothing.
fn resolved(path: &str) -> String {
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/').filter(|step| !step.is_empty() && *step != ".") {
        match step {
            ".." if steps.last().is_some_and(|last| *last != "..") => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps.join("/")
}

fn parent(name: &str) -> String {
    let is_path = name.contains('/') || [".yaml", ".yml", ".md"].iter().any(|end| name.ends_with(end));
    if is_path { resolved(name) } else { format!("{name}.yaml") }
}

fn subnet(compiled: &Compiled) -> Vec<(&'static str, String)> {
    let first = |address: String| format!("{}.0/24", address.rsplit_once('.').unwrap().0);
    let machine = smolfile::parse(compiled.file("Smolfile")).unwrap();
    vec![
        ("bottle.json", text(&index(compiled)["network"]["subnet"])),
        ("compose.yaml", first(text(&agent(compiled)["networks"]["inside"]["ipv4_address"]))),
        ("Smolfile", first(machine.network.unwrap().allow_cidrs[0].clone())),
    ]
}

/// Every place; what the schema has is compared with this.
pub(crate) static PLACES: [Place; 29] = [
    Place {
        path: "name",
        manifest: "name: @\n",
        honest: "review",
        lands: |compiled, _| {
            let pipelock = read_yaml(compiled.file("pipelock/pipelock.yaml"));
            let image = interpolated(&agent(compiled)["image"]);
            vec![
                ("the folder", compiled.tree.as_ref().unwrap().name.as_str().to_owned()),
                ("bottle.json", text(&index(compiled)["name"])),
                (
                    "pipelock.yaml",
                    text(&pipelock["default_agent_identity"]).strip_prefix("bottle/").unwrap().to_owned(),
                ),
                // The tag follows the Dockerfile.
                ("compose.yaml", image.strip_prefix("bottle-").unwrap().rsplit_once("-agent:").unwrap().0.to_owned()),
            ]
        },
        ..PLACE
    },
    Place {
        path: "extends",
        manifest: "extends: @\n",
        honest: "parent",
        means: |text| format!("{}:2:3", parent(text)),
        lands: |compiled, _| vec![("bottle.json", text(&index(compiled)["provenance"]["places"]["/env/PARENT"]))],
        beside: Some(parent),
        ..PLACE
    },
    Place {
        path: "agent_provider.template",
        manifest: "agent_provider:\n  template: @\n",
        honest: "claude",
        lands: |compiled, _| vec![("bottle.json", text(&index(compiled)["provider"]))],
        is_choice: true,
        ..PLACE
    },
    Place {
        path: "agent_provider.auth_token",
        manifest: "agent_provider:\n  auth_token: @\n",
        honest: "TOKEN",
        lands: |compiled, _| slot_name(compiled),
        ..PLACE
    },
    Place {
        path: "agent_provider.dockerfile",
        manifest: "agent_provider:\n  dockerfile: @\n",
        honest: "docker/Agent",
        means: resolved,
        lands: |compiled, _| {
            let build = agent(compiled)["build"].clone();
            let path = format!("{}/{}", interpolated(&build["context"]), interpolated(&build["dockerfile"]));
            vec![("compose.yaml", path.strip_prefix("../../").unwrap().to_owned())]
        },
        beside: Some(same),
        ..PLACE
    },
    Place {
        path: "agent_provider.image",
        manifest: "agent_provider:\n  image: @\n",
        honest: "registry.example.com/agent:1",
        lands: |compiled, _| vec![("compose.yaml", interpolated(&agent(compiled)["image"]))],
        ..PLACE
    },
    // An archive is for a microVM alone.
    Place {
        path: "agent_provider.image",
        manifest: "agent_provider:\n  image: @\n",
        honest: "./agent.tar",
        means: resolved,
        lands: |compiled, written| {
            let image = smolfile::parse(compiled.file("Smolfile")).unwrap().image.unwrap();
            let is_archive = written.starts_with(['.', '/']) || written.ends_with(".tar");
            // A reference is for compose alone.
            let path = if is_archive { image.strip_prefix("../../").unwrap().to_owned() } else { resolved(written) };
            vec![("Smolfile", path)]
        },
        backends: &[Backend::Smolmachines],
        ..PLACE
    },
    Place {
        path: "network.subnet",
        manifest: "network:\n  subnet: @\n",
        honest: "10.9.8.0/24",
        lands: |compiled, _| subnet(compiled),
        ..PLACE
    },
    Place {
        path: "env.*",
        manifest: "env:\n  OWN: @\n",
        honest: "x",
        // A question is another place.
        written: |text| text.trim_start_matches('?').replace('$', "$$"),
        means: |text| text.trim_start_matches('?').to_owned(),
        lands: |compiled, _| {
            let own = own_variable(compiled).into_iter();
            own.map(|(file, (_, value))| (file, value.expect("a literal"))).collect()
        },
        ..PLACE
    },
    Place {
        path: "env.{}",
        manifest: "env:\n  @: x\n",
        honest: "OWN",
        lands: |compiled, _| own_variable(compiled).into_iter().map(|(file, (name, _))| (file, name)).collect(),
        ..PLACE
    },
    Place {
        path: "egress.routes[].host",
        manifest: "egress:\n  routes:\n    - host: @\n",
        honest: "b.example",
        means: |text| text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase(),
        lands: |compiled, written| {
            let host = written.strip_suffix('.').unwrap_or(written).to_ascii_lowercase();
            let pipelock = read_yaml(compiled.file("pipelock/pipelock.yaml"));
            let listed = pipelock["api_allowlist"].as_array().unwrap().iter().find(|listed| **listed == host.as_str());
            vec![
                ("routes.yaml", text(&routes(compiled)["host"])),
                ("bottle.json", text(&index_route(compiled)["host"])),
                ("pipelock.yaml", text(listed.unwrap())),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].path_allowlist[]",
        manifest: "egress:\n  routes:\n    - host: a.example\n      path_allowlist:\n        - @\n",
        honest: "/v2",
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["path_allowlist"][0])),
                ("bottle.json", text(&index_route(compiled)["path_allowlist"][0])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.scheme",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        token_ref: T\n        scheme: @\n",
        honest: "Bearer",
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["auth_scheme"])),
                ("bottle.json", text(&index_route(compiled)["auth"]["scheme"])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.token_ref",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        scheme: Bearer\n        token_ref: @\n",
        honest: "TOKEN",
        lands: |compiled, _| slot_name(compiled),
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.username",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        scheme: Basic\n        token_ref: T\n        username: @\n",
        honest: "git",
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["auth_username"])),
                ("bottle.json", text(&index_route(compiled)["auth"]["username"])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.header",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        token_ref: T\n        header: @\n      pipelock: { tls_passthrough: true }\n",
        honest: "x-api-key",
        means: |text| text.to_ascii_lowercase(),
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["auth_header"])),
                ("bottle.json", text(&index_route(compiled)["auth"]["header"])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.prefix",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        token_ref: T\n        header: x-a\n        prefix: @\n      pipelock: { tls_passthrough: true }\n",
        honest: "Bot ",
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["auth_prefix"])),
                ("bottle.json", text(&index_route(compiled)["auth"]["prefix"])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].auth.query",
        manifest: "egress:\n  routes:\n    - host: a.example\n      auth:\n        token_ref: T\n        query: @\n      pipelock: { tls_passthrough: true }\n",
        honest: "key",
        lands: |compiled, _| {
            vec![
                ("routes.yaml", text(&routes(compiled)["auth_query"])),
                ("bottle.json", text(&index_route(compiled)["auth"]["query"])),
            ]
        },
        ..PLACE
    },
    Place {
        path: "egress.routes[].pipelock.ssrf_ip_allowlist[]",
        manifest: "egress:\n  routes:\n    - host: a.example\n      pipelock:\n        ssrf_ip_allowlist:\n          - @\n",
        honest: "10.1.2.0/24",
        lands: |compiled, _| {
            let pipelock = read_yaml(compiled.file("pipelock/pipelock.yaml"));
            vec![
                ("pipelock.yaml", text(&pipelock["ssrf"]["ip_allowlist"][0])),
                ("bottle.json", text(&index_route(compiled)["ssrf_ip_allowlist"][0])),
            ]
        },
        ..PLACE
    },
    Place { path: "targets.pipelock", manifest: "targets:\n  pipelock: @\n", honest: "2.3", is_choice: true, ..PLACE },
    Place { path: "targets.smolvm", manifest: "targets:\n  smolvm: @\n", honest: "1.9", is_choice: true, ..PLACE },
    unknown("{}", "@: x\n"),
    unknown("agent_provider.{}", "agent_provider:\n  @: x\n"),
    unknown("network.{}", "network:\n  @: x\n"),
    unknown("egress.{}", "egress:\n  @: x\n"),
    unknown("egress.routes[].{}", "egress:\n  routes:\n    - @: x\n"),
    unknown("egress.routes[].auth.{}", "egress:\n  routes:\n    - host: a.example\n      auth:\n        @: x\n"),
    unknown(
        "egress.routes[].pipelock.{}",
        "egress:\n  routes:\n    - host: a.example\n      pipelock:\n        @: x\n",
    ),
    unknown("targets.{}", "targets:\n  @: x\n"),
];
