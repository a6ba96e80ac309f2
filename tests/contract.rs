//! What holds of every definition in every way to sign in, with nothing listed here: a new definition is under it from
//! its first day.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::support::agents::{self, TOKEN, Way};
use crate::support::{compile_text, compile_way, skipped};
use bottlec::model::{Model, Request, Verdict, judge};
use bottlec::provider::definition::{self, Agent, Route, Service};
use bottlec::provider::{ALL, Definition, SERVICES};
use bottlec::text::render;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn routes(way: &Way) -> impl Iterator<Item = &Route> {
    way.provider.agent().routes.iter().chain(&way.sign_in().routes)
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
        ("agent", definition::schema::<Agent>(), definition::schema_for_validator::<Agent>(), texts(&ALL)),
        ("service", definition::schema::<Service>(), definition::schema_for_validator::<Service>(), texts(&SERVICES)),
    ];
    for (kind, made, for_validator, texts) in kinds {
        for (name, made) in [(kind.to_owned(), &made), (format!("{kind}-validator"), &for_validator)] {
            let path = root().join(format!("schema/{name}.schema.json"));
            if std::env::var_os("UPDATE").is_some() {
                fs::write(&path, made).unwrap();
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), *made, "run: UPDATE=1 cargo test --test quick contract");
        }
        let validator = jsonschema::validator_for(&serde_json::from_str(&made).unwrap()).unwrap();
        let own = agents::all().into_iter().filter_map(|way| way.file).map(|(_, text)| text);
        for text in texts.into_iter().chain(own.filter(|_| kind == "agent")) {
            let value: serde_json::Value = serde_yaml::from_str(&text).unwrap();
            let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{kind}: {wrong:?}");
        }
    }
}

fn texts<T: definition::Read>(definitions: &[Definition<T>]) -> Vec<String> {
    definitions.iter().map(|definition| definition.text().to_owned()).collect()
}

#[test]
fn an_agent_of_bottlec_says_how_it_was_measured_and_how_to_begin() {
    for built_in in &ALL {
        let agent = built_in.get();
        assert!(!agent.measured.is_empty(), "{}", built_in.name());
        let first = agent.first_settings.as_str();
        assert!(first.contains(built_in.name()) && compile_text(first).tree.is_some(), "{first}");
        // A variable with a credential of the agent is one that displaces.
        let known = agent.credential_variables.iter().all(|name| agent.displacing.contains_key(name));
        assert!(known, "{}", built_in.name());
    }
}

#[test]
fn every_sign_in_compiles_with_its_files_and_its_placeholders() {
    for way in agents::all() {
        let compiled = compile_way(&way, "");
        assert!(compiled.tree.is_some(), "{}: {:?}", way.settings, compiled.messages);
        let agent = way.provider.agent();
        for (path, file) in &agent.files {
            let text = compiled.file(&format!("agent/home/{}", path.as_str()));
            match file.format {
                definition::Format::Json => assert!(serde_json::from_str::<serde_json::Value>(text).is_ok()),
                definition::Format::Toml => assert!(toml::from_str::<toml::Table>(text).is_ok()),
            }
        }
        let variables = compiled.file("agent/agent.env");
        for (name, text) in agent.environment.iter().chain(&way.sign_in().placeholders) {
            let line = format!("{}={}", name.value, text.value.as_str());
            assert!(variables.lines().any(|known| known == line), "{}: {line}", way.settings);
        }
        // No host variable's name crosses to the agent.
        assert!(!variables.contains(TOKEN), "{}", way.settings);
    }
}

#[test]
fn each_of_its_own_hosts_is_allowed_on_its_own_paths() {
    for way in agents::all() {
        let model = Model::of_tree(&compile_way(&way, "").tree.unwrap()).unwrap();
        let service = way.provider.agent().service.get();
        for route in routes(&way) {
            let host = service.hosts[&route.to.value].as_str();
            for path in route.paths.iter().chain(&route.essential) {
                let request = Request::new(host, "POST", path.as_str());
                let verdict = judge(&model.reach.routes, &request, |_| true);
                assert!(matches!(verdict, Verdict::Allowed { .. }), "{}: {host}{path}", way.settings);
            }
        }
        for name in way.sign_in().closed_hosts.keys() {
            let request = Request::new(service.hosts[name].as_str(), "POST", "/");
            let verdict = judge(&model.reach.routes, &request, |_| true);
            assert!(matches!(verdict, Verdict::Refused(_)), "{}: {name}", way.settings);
        }
    }
}

#[test]
fn what_would_displace_the_credential_is_refused_beside_it() {
    for way in agents::all() {
        for name in way.provider.agent().displacing.keys() {
            let compiled = compile_way(&way, &format!("env: {{ {name}: x }}\n"));
            let refused = compiled.tree.is_none();
            assert_eq!(refused, way.sign_in().credential.is_some(), "{}: {name} {:?}", way.settings, compiled.codes);
        }
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
    refused("service: anthropic", "service: anthropic\nrun: [sh]", "unknown key `run` in an agent's definition");
    refused("format: json", "format: sh", "`sh` is not one of `json`, `toml`");
    refused("IS_SANDBOX", "IS-SANDBOX", "`IS-SANDBOX` is not a valid variable name");
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
