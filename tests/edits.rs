//! Edits of a compiled file, one entry at a time: the model has something to say of each.

use bottlec::model::{Model, changes};
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use bottlec::text::render::Data;
use bottlec::value::isolation::Files;
use serde_json::{Value, json};

use crate::support::compile_with;

const BOTTLE: &str = "\
agent_provider: { template: claude, auth_token: T }
env: { TEXT: x, ASKED: ?which }
targets: { pipelock: \"3\", smolvm: \"1.33\" }
egress:
  routes:
    - host: spliced.example
      auth: { scheme: Basic, username: u, token_ref: U }
      pipelock: { tls_passthrough: true, ssrf_ip_allowlist: [10.0.0.0/30] }
    - host: opened.example
      path_allowlist: [/v1]
";

/// The value with one entry edited, in every way: another scalar, an item more, an entry less.
fn edited(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    let mut add = |at: String, value: Value| all.push((at, value));
    match value {
        Value::Null => add(String::new(), json!("x")),
        Value::Bool(value) => add(String::new(), json!(!value)),
        Value::Number(number) if number.is_f64() => add(String::new(), json!(number.as_f64().unwrap() + 1.0)),
        Value::Number(number) => add(String::new(), json!(number.as_i64().unwrap() + 1)),
        Value::String(text) => add(String::new(), json!(format!("{text}x"))),
        Value::Array(items) => {
            let more = items.first().cloned().unwrap_or(json!("x"));
            add("/+".to_owned(), Value::Array(items.iter().cloned().chain([more]).collect()));
            for (index, item) in items.iter().enumerate() {
                for (at, item) in edited(item) {
                    let mut items = items.clone();
                    items[index] = item;
                    add(format!("/{index}{at}"), Value::Array(items));
                }
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                // Left out, it means the same.
                if ![json!(false), json!(""), json!([]), json!({}), json!(null)].contains(entry) {
                    let mut entries = entries.clone();
                    entries.remove(key);
                    add(format!("/{key}-"), Value::Object(entries));
                }
                for (at, entry) in edited(entry) {
                    let mut entries = entries.clone();
                    entries.insert(key.clone(), entry);
                    add(format!("/{key}{at}"), Value::Object(entries));
                }
            }
        }
    }
    all
}

/// Entries of which the model says nothing, and why; `*` at the end stands for any rest.
const UNSAID: [(&str, &str, &str); 8] = [
    ("compose.yaml", "/networks/inside-", "compose starts nothing in a network that is not there"),
    ("compose.yaml", "/networks/machine-", "the same"),
    ("compose.yaml", "/services/agent/command*", "the provider's, whatever it is"),
    ("compose.yaml", "/services/agent/image*", "what it is built from is told"),
    ("compose.yaml", "/services/egress/environment-", "egress signs nothing without its slots"),
    ("compose.yaml", "/services/machine-egress/environment-", "the same"),
    ("Smolfile", "/env/+", "the same variable again"),
    ("Smolfile", "/net_backend-", "as an older release has it"),
];

#[test]
fn no_entry_of_a_file_can_be_edited_without_a_word() {
    let files = [
        (Backend::Docker, "compose.yaml"),
        (Backend::Docker, "pipelock/pipelock.yaml"),
        (Backend::Docker, "egress/routes.yaml"),
        (Backend::Smolmachines, "compose.yaml"),
        (Backend::Smolmachines, "Smolfile"),
    ];
    let mut wrong = Vec::new();
    for (backend, file) in files {
        let compiled = compile_with(BOTTLE, &HostFacts::hermetic(), &[backend]);
        let artifacts = &compiled.tree.as_ref().unwrap().artifacts;
        let texts: Files = artifacts.iter().map(|file| (file.path.clone(), file.content.to_string())).collect();
        let built = Model::of(texts.clone()).unwrap();
        let is_toml = file == "Smolfile";
        let value: Value =
            if is_toml { toml::from_str(&texts[file]).unwrap() } else { serde_yaml::from_str(&texts[file]).unwrap() };
        let mut all = edited(&value);
        // What the other backend's file has as well was edited there.
        all.retain(|(at, _)| backend == Backend::Docker || file != "compose.yaml" || at.contains("machine"));
        assert!(all.len() > 20, "{file}: {}", all.len());
        for (at, value) in all {
            let text = if is_toml {
                serde_json::from_value::<Data>(value).unwrap().toml(file).unwrap()
            } else {
                serde_yaml::to_string(&value).unwrap()
            };
            let mut texts = texts.clone();
            texts.insert(file.to_owned(), text);
            let is_told = Model::of(texts).map_or(true, |edited| !changes(&built.reach, &edited.reach).is_empty());
            let is_known = UNSAID.iter().any(|(of, known, _)| {
                *of == file && known.strip_suffix('*').map_or(at == *known, |start| at.starts_with(start))
            });
            if is_told == is_known {
                wrong.push(format!("{file} {at}: {}", if is_told { "is told" } else { "is not told" }));
            }
        }
    }
    assert!(wrong.is_empty(), "{} edits: {wrong:#?}", wrong.len());
}
