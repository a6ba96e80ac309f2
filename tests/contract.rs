//! What holds of every definition in every way to sign in, with nothing listed here: a new definition is under it from
//! its first day.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::{compile_text, model, skipped};
use bottlec::model::{Request, Verdict, judge};
use bottlec::provider::definition::{self, Agent, Route, Service, SignIn};
use bottlec::provider::{ALL, Provider, SERVICES};
use bottlec::text::render;

/// A way to sign in: the provider, the manifest's lines for it, and what the definition says of it.
struct Mode {
    provider: &'static Provider,
    settings: String,
    sign_in: &'static SignIn,
}

fn modes() -> Vec<Mode> {
    let mut modes = Vec::new();
    for provider in &ALL {
        for (key, sign_in) in provider.get().sign_in.all() {
            let setting = match key {
                "auth_token" => ", auth_token: HOST_TOKEN",
                "forward_host_credentials" => ", forward_host_credentials: true",
                "in_bottle" => "",
                other => panic!("how does a manifest ask for `{other}`?"),
            };
            let settings = format!("agent_provider: {{ template: {}{setting} }}\n", provider.name());
            modes.push(Mode { provider, settings, sign_in });
        }
    }
    modes
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn service(agent: &Agent) -> &'static Service {
    SERVICES.iter().find(|service| service.name() == agent.service).expect("a service of the registry").get()
}

fn routes(mode: &Mode) -> impl Iterator<Item = &'static Route> {
    mode.provider.get().routes.iter().chain(&mode.sign_in.routes)
}

/// The names of the files of a folder, without their ending.
fn definitions(folder: &str) -> BTreeSet<String> {
    let files = fs::read_dir(root().join("templates").join(folder)).unwrap();
    files.map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_file_is_in_the_registry() {
    let names: BTreeSet<_> = ALL.iter().map(|provider| provider.name().to_owned()).collect();
    assert_eq!(definitions("agents"), names);
    let names: BTreeSet<_> = SERVICES.iter().map(|service| service.name().to_owned()).collect();
    assert_eq!(definitions("services"), names);
}

#[test]
fn schemas_are_made_from_the_types_and_every_definition_is_valid() {
    let kinds = [
        ("agent", definition::schema::<Agent>(), ALL.iter().map(Provider::text).collect::<Vec<_>>()),
        ("service", definition::schema::<Service>(), SERVICES.iter().map(|service| service.text()).collect()),
    ];
    for (kind, made, texts) in kinds {
        let path = root().join(format!("schema/{kind}.schema.json"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &made).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), made, "run: UPDATE=1 cargo test --test quick contract");
        let validator = jsonschema::validator_for(&serde_json::from_str(&made).unwrap()).unwrap();
        for text in texts {
            let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
            let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{kind}: {wrong:?}");
        }
    }
}

#[test]
fn a_definition_names_what_is_there() {
    for mode in modes() {
        let agent = mode.provider.get();
        let service = service(agent);
        for name in routes(&mode).map(|route| &route.to).chain(mode.sign_in.closed_hosts.keys()) {
            assert!(service.hosts.contains_key(name), "{}: {name}", mode.settings);
        }
        // Egress signs exactly where the manifest asks for it.
        let inside = std::ptr::eq(mode.sign_in, &raw const agent.sign_in.in_bottle);
        assert_eq!(mode.sign_in.credential.is_none(), inside, "{}", mode.settings);
        assert!(!inside || mode.sign_in.placeholders.is_empty(), "{}", mode.settings);
        let first = agent.first_settings.as_str();
        assert!(compile_text(first).tree.is_some(), "{first}");
    }
}

#[test]
fn every_sign_in_compiles_with_its_files_and_its_placeholders() {
    for mode in modes() {
        let compiled = compile_text(&mode.settings);
        assert!(compiled.tree.is_some(), "{}: {:?}", mode.settings, compiled.messages);
        for (path, file) in &mode.provider.get().files {
            let text = compiled.file(&format!("agent/home/{}", path.as_str()));
            match file.format {
                definition::Format::Json => assert!(serde_json::from_str::<serde_json::Value>(text).is_ok()),
                definition::Format::Toml => assert!(toml::from_str::<toml::Table>(text).is_ok()),
            }
        }
        let variables = compiled.file("agent/agent.env");
        for (name, text) in mode.provider.get().environment.iter().chain(&mode.sign_in.placeholders) {
            let line = format!("{name}={}", text.as_str());
            assert!(variables.lines().any(|known| known == line), "{}: {line}", mode.settings);
        }
        // No host variable's name crosses to the agent.
        assert!(!variables.contains("HOST_TOKEN"), "{}", mode.settings);
    }
}

#[test]
fn each_of_its_own_hosts_is_allowed_on_its_own_paths() {
    for mode in modes() {
        let model = model(&mode.settings);
        let service = service(mode.provider.get());
        for route in routes(&mode) {
            let host = service.hosts[&route.to].as_str();
            for path in route.paths.iter().chain(&route.essential) {
                let request = Request::new(host, "POST", path.as_str());
                let verdict = judge(&model.reach.routes, &request, |_| true);
                assert!(matches!(verdict, Verdict::Allowed { .. }), "{}: {host}{path}", mode.settings);
            }
        }
        for name in mode.sign_in.closed_hosts.keys() {
            let request = Request::new(service.hosts[name].as_str(), "POST", "/");
            let verdict = judge(&model.reach.routes, &request, |_| true);
            assert!(matches!(verdict, Verdict::Refused(_)), "{}: {name}", mode.settings);
        }
    }
}

#[test]
fn what_would_displace_the_credential_is_refused_beside_it() {
    for mode in modes() {
        let agent = mode.provider.get();
        for name in agent.displacing.keys() {
            let compiled = compile_text(&format!("{}env: {{ {name}: x }}\n", mode.settings));
            let refused = compiled.tree.is_none();
            assert_eq!(refused, mode.sign_in.credential.is_some(), "{}: {name} {:?}", mode.settings, compiled.codes);
        }
        // A variable with a credential of the agent is one that displaces.
        let known = agent.credential_variables.iter().all(|name| agent.displacing.contains_key(name));
        assert!(known, "{}", mode.settings);
    }
}

#[test]
fn every_agent_has_a_golden_or_is_told_to_have_none() {
    let goldens = fs::read_dir(root().join("golden")).unwrap();
    let indexes = goldens.flat_map(|golden| {
        let trees = fs::read_dir(golden.unwrap().path().join("out")).into_iter().flatten();
        trees.filter_map(|tree| fs::read_to_string(tree.unwrap().path().join("bottle.json")).ok()).collect::<Vec<_>>()
    });
    let indexes: Vec<serde_json::Value> = indexes.map(|text| serde_json::from_str(&text).unwrap()).collect();
    let turns = fs::read_to_string(root().join("tests/real/test_turn.py")).unwrap();
    for provider in &ALL {
        let name = provider.name();
        let is_of_it = |index: &serde_json::Value| index.to_string().contains(&format!("\"provider\":\"{name}\""));
        if !indexes.iter().any(is_of_it) {
            skipped(&format!("no golden is of the agent `{name}`"));
        }
        if !turns.contains(&format!("\"{name}\": [")) {
            skipped(&format!("the real client `{name}` takes no turn in tests/real/test_turn.py"));
        }
    }
}

#[test]
fn a_definition_can_run_nothing_and_write_nowhere_else() {
    let text = ALL[0].text();
    let refused = |from: &str, to: &str, says: &str| {
        assert!(text.contains(from), "{from}");
        let error = definition::read::<Agent>(&text.replace(from, to)).expect_err(to);
        assert!(error.contains(says), "{error}");
    };
    for path in ["../x", "/etc/x", "a/../../x", "a//b", "a b"] {
        refused(".claude.json:", &format!("{path:?}:"), "is not a path below the agent's home");
    }
    refused("{{ workspace }}", "{{ shell }}", "unknown placeholder");
    refused("service: anthropic", "service: anthropic\nrun: [sh]", "unknown field `run`");
    refused("format: json", "format: sh", "unknown variant `sh`");
    refused("IS_SANDBOX", "IS-SANDBOX", "");
}

#[test]
fn toml_is_written_in_tables_and_read_back() {
    let data: render::Data =
        serde_json::from_str(r#"{"a b": "x\"\u202e", "list": [1, "two"], "t": {"u": {"v": true}}, "e": {}}"#).unwrap();
    let text = data.toml("x.toml").unwrap();
    assert!(text.contains("\"a b\" = \"x\\\"\\u202E\"\nlist = [1, \"two\"]\n\n[t.u]\nv = true\n\n[e]\n"), "{text}");
    let data: render::Data = serde_json::from_str(r#"{"list": [{"a": 1}]}"#).unwrap();
    assert!(data.toml("x.toml").is_err());
}
