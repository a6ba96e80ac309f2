//! The committed schemas: made from the types, complete for editors, and as strict as bottlec itself.
//! `UPDATE=1 cargo test --test quick schema` rewrites them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bottlec::config;
use bottlec::manifest::schema;
use bottlec::text::diagnostic::Findings;
use bottlec::text::source::{Source, Sources};
use bottlec::text::yaml;
use bottlec::value::credential::{Parameter, Prefix};
use bottlec::value::header::HeaderName;
use bottlec::value::host::Host;
use bottlec::value::name::BottleName;
use bottlec::value::network::Subnet;
use bottlec::value::path_prefix::PathPrefix;
use bottlec::value::variable::{TokenRef, VariableName};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::compile_text;

#[test]
fn committed_schemas_are_made_from_the_types() {
    for (name, made) in [
        ("bottle", schema::generate()),
        ("validator", schema::generate_for_validator()),
        ("bottlec", config::schema::generate()),
        ("bottlec-validator", config::schema::generate_for_validator()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("schema/{name}.schema.json"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap();
        assert!(
            committed == made,
            "{} is not what the types say; run: UPDATE=1 cargo test --test quick schema",
            path.display()
        );
    }
}

/// Every key of the schema with its path.
fn keys<'s>(schema: &'s Value, path: &str, found: &mut Vec<(String, &'s Value)>) {
    for (name, key) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}/{name}");
        found.push((path.clone(), key));
        keys(key, &path, found);
        keys(&key["items"], &path, found);
    }
}

#[test]
fn every_key_is_described_with_an_example_that_fits() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let mut found = Vec::new();
    keys(&schema, "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    for (path, key) in found {
        assert!(key["description"].as_str().is_some_and(|text| text.len() > 15 && !text.contains('\n')), "{path}");
        let validator = jsonschema::validator_for(key).unwrap();
        let examples = key["examples"].as_array().unwrap_or_else(|| panic!("{path} has no example"));
        for example in examples.iter().chain(key.get("default")) {
            assert!(validator.is_valid(example), "{path} {example}");
        }
        // What is left out means something, or there is no default to tell.
        let no_default = [
            "name",
            "extends",
            "auth",
            "auth_token",
            "forward_host_credentials",
            "dockerfile",
            "image",
            "subnet",
            "host",
            "scheme",
            "token_ref",
            "username",
            "header",
            "prefix",
            "query",
            "path_allowlist",
        ];
        let name = path.rsplit('/').next().unwrap();
        assert_eq!(key.get("default").is_none(), no_default.contains(&name), "{path}");
    }
}

/// Every part of a schema that has a word.
fn with_word<'s>(schema: &'s Value, word: &str, found: &mut Vec<&'s Value>) {
    if schema.get(word).is_some() {
        found.push(schema);
    }
    let inner = schema.as_object().map(|parts| parts.values().collect::<Vec<_>>());
    for part in inner.into_iter().flatten().chain(schema.as_array().into_iter().flatten()) {
        with_word(part, word, found);
    }
}

#[test]
fn an_editor_says_of_a_pattern_what_check_says() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let mut patterns = Vec::new();
    with_word(&schema, "pattern", &mut patterns);
    let mut words: Vec<&str> =
        patterns.iter().map(|part| part["patternErrorMessage"].as_str().unwrap_or_else(|| panic!("{part}"))).collect();
    let route = |rest: &str| format!("egress:\n  routes:\n    - host: a.example\n      {rest}\n");
    // Each misses one pattern, in a way that has no words of its own.
    for manifest in [
        "name: Bad_Name\n".to_owned(),
        "env: { 1x: a }\n".to_owned(),
        "agent_provider: { template: ./mine.txt }\n".to_owned(),
        "agent_provider: { auth_token: a b }\n".to_owned(),
        "network: { subnet: here }\n".to_owned(),
        "egress: { routes: [{ host: a_b }] }\n".to_owned(),
        route("path_allowlist: [/a b]"),
        route("auth: { scheme: Bearer, token_ref: a b }"),
        route("auth: { scheme: Basic, token_ref: T, username: \"a:b\" }"),
        route("auth: { header: a b, token_ref: T }"),
        route("auth: { header: a, prefix: \" b\", token_ref: T }"),
        route("auth: { query: a b, token_ref: T }"),
    ] {
        let compiled = compile_text(&manifest);
        let said = words.iter().position(|words| compiled.messages.iter().any(|message| message.contains(words)));
        words.remove(said.unwrap_or_else(|| panic!("{manifest} {:?}", compiled.messages)));
    }
    assert!(words.is_empty(), "no manifest above misses these: {words:?}");
}

#[test]
fn every_word_of_a_choice_is_described_apart() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let mut choices = Vec::new();
    with_word(&schema, "enum", &mut choices);
    assert!(choices.len() >= 4);
    for choice in choices {
        let texts: BTreeSet<&str> =
            choice["enumDescriptions"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert_eq!(Some(texts.len()), choice["enum"].as_array().map(Vec::len), "{choice}");
        assert!(texts.iter().all(|text| text.len() > 5 && !text.contains('\n')), "{choice}");
    }
    // What editors read is no work for the validator.
    let validator = schema::generate_for_validator();
    assert!(!validator.contains("patternErrorMessage") && !validator.contains("enumDescriptions"));
}

#[test]
fn schema_is_draft_07_and_stands_alone() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert!(!schema::TEXT.contains("\"$ref\"") && !schema::TEXT.contains("\"format\""));
    assert!(jsonschema::meta::is_valid(&schema));
}

/// Validators of the published schema, each for the key of one type.
struct Published {
    name: jsonschema::Validator,
    variable: jsonschema::Validator,
    token_ref: jsonschema::Validator,
    header: jsonschema::Validator,
    prefix: jsonschema::Validator,
    query: jsonschema::Validator,
    host: jsonschema::Validator,
    path: jsonschema::Validator,
    subnet: jsonschema::Validator,
}

fn published() -> Published {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let part = |pointer: &str| jsonschema::validator_for(schema.pointer(pointer).unwrap()).unwrap();
    let route = "/properties/egress/properties/routes/items/properties";
    Published {
        name: part("/properties/name"),
        variable: part("/properties/env/propertyNames"),
        token_ref: part(&format!("{route}/auth/properties/token_ref")),
        header: part(&format!("{route}/auth/properties/header")),
        prefix: part(&format!("{route}/auth/properties/prefix")),
        query: part(&format!("{route}/auth/properties/query")),
        host: part(&format!("{route}/host")),
        path: part(&format!("{route}/path_allowlist/items")),
        subnet: part("/properties/network/properties/subnet"),
    }
}

/// What bottlec takes, editors take: the types that parse values accept nothing that the published
/// patterns refuse, so the compiled validator can do without the patterns.
#[test]
fn types_are_as_strict_as_the_published_patterns() {
    let texts = prop_oneof![
        "[a-zA-Z0-9_./:$-]{0,12}",
        "[a-z0-9-]{1,64}(\\.[a-z0-9-]{1,8}){0,3}\\.?",
        "/[a-z%;.!$&'()*+,/:=@_~ -]{0,10}",
        "(10|172|192)\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,2}/[0-9]{1,2}",
        any::<String>(),
    ];
    let published = published();
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(5000));
    runner
        .run(&texts, |text| {
            let value = Value::from(text.as_str());
            prop_assert!(BottleName::parse(&text).is_err() || published.name.is_valid(&value));
            prop_assert!(VariableName::parse(&text).is_err() || published.variable.is_valid(&value));
            prop_assert!(TokenRef::parse(&text).is_err() || published.token_ref.is_valid(&value));
            prop_assert!(HeaderName::parse(&text).is_err() || published.header.is_valid(&value));
            prop_assert!(Prefix::parse(&text).is_err() || published.prefix.is_valid(&value));
            prop_assert!(Parameter::parse(&text).is_err() || published.query.is_valid(&value));
            prop_assert!(Host::parse(&text).is_err() || published.host.is_valid(&value));
            prop_assert!(PathPrefix::parse(&text).is_err() || published.path.is_valid(&value));
            prop_assert!(Subnet::parse(&text).is_err() || published.subnet.is_valid(&value));
            Ok(())
        })
        .unwrap();
}

/// The broken manifests that are YAML, with what `check` says of them.
fn broken() -> Vec<(String, Value, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let said = fs::read_to_string(path.with_extension("txt")).unwrap();
            // What the reader of YAML refuses never meets a schema.
            let is_about_yaml = path.file_name().unwrap().to_string_lossy().starts_with("yaml-");
            // What is wrong with an agent's definition is for its own schema.
            let is_about_definition = said.contains("--> agents/");
            if !said.contains("[BTL00") && !is_about_yaml && !is_about_definition {
                let text = fs::read_to_string(&path).unwrap();
                let mut sources = Sources::default();
                let id = sources.add(Source { path: String::new(), reference: String::new(), text: text.clone() });
                let tree = yaml::read(&text, id, 0, &mut Findings::default()).unwrap();
                found.push((path.display().to_string(), tree.to_json(), said));
            }
        }
    }
    assert!(found.len() > 100);
    found
}

#[test]
fn the_published_schema_refuses_what_a_schema_can() {
    let schema: Value = serde_json::from_str(schema::TEXT).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for (path, manifest, said) in broken() {
        let own: Vec<&str> = said.split("BTL10").skip(1).collect();
        if !own.is_empty() {
            assert!(!validator.is_valid(&manifest), "{path}: bottlec refuses it by the schema, editors do not");
        }
        if !said.contains("error[") {
            assert!(validator.is_valid(&manifest), "{path}: warnings are beyond a schema");
        }
    }
}
