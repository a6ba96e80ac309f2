//! `bottle.json` says who decided each entry of the configuration files, and from what the tree was
//! made.

use crate::support;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{bottlec, compile_text, folder, screen};
use bottlec::compile::index::{Index, Provenance};
use serde_json::{Map, Value, json};

const FILES: [&str; 6] = [
    "egress/routes.yaml",
    "pipelock/pipelock.yaml",
    "agent/agent.env",
    "egress/egress.env",
    "compose.yaml",
    "Smolfile",
];

/// The golden manifests' folders with the trees that they compile to.
fn goldens() -> Vec<(PathBuf, PathBuf)> {
    support::goldens::cases().into_iter().map(|case| (case.clone(), support::goldens::tree(&case))).collect()
}

/// A file as JSON; an env file as a mapping.
fn parse(path: &str, text: &str) -> Value {
    if path.ends_with(".yaml") {
        return serde_yaml::from_str(text).unwrap();
    }
    if path.ends_with(".json") {
        return serde_json::from_str(text).unwrap();
    }
    if path == "Smolfile" {
        return toml::from_str(text).unwrap();
    }
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let variables = lines.map(|line| match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), json!(value)),
        None => (line.to_owned(), Value::Null),
    });
    Value::Object(variables.collect::<Map<_, _>>())
}

/// The pointers of everything that holds nothing else.
fn leaves(value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Array(items) if !items.is_empty() => {
            items.iter().enumerate().for_each(|(index, item)| leaves(item, &format!("{pointer}/{index}"), found));
        }
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                leaves(field, &format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        _ => found.push(pointer.to_owned()),
    }
}

/// The entries of `provenance` that `bottle.json` has for each file, with the place of the manifest that decides
/// them, if it does.
fn entries(index: &Value) -> BTreeMap<String, BTreeMap<String, Option<String>>> {
    let mut found: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    let mut add = |entries: &Value, place: Option<&Value>| {
        for entry in entries.as_array().unwrap() {
            let (file, pointer) = entry.as_str().unwrap().split_once('#').unwrap();
            let place = place.map(|place| place.as_str().unwrap().to_owned());
            let before = found.entry(file.to_owned()).or_default().insert(pointer.to_owned(), place);
            assert_eq!(before, None, "{file} {pointer} is there twice");
        }
    };
    let provenance = index["provenance"].as_object().unwrap();
    assert_eq!(provenance.keys().collect::<Vec<_>>(), ["built_in", "manifest", "places", "provider"]);
    provenance["built_in"].as_object().unwrap().values().for_each(|entries| add(entries, None));
    provenance["provider"].as_array().unwrap().iter().for_each(|by| add(&by["entries"], None));
    for (pointer, entries) in provenance["manifest"].as_object().unwrap() {
        add(entries, Some(&provenance["places"][pointer]));
    }
    found
}

fn index(bottle: &Path) -> Value {
    serde_json::from_slice(&fs::read(bottle.join("bottle.json")).unwrap()).unwrap()
}

#[test]
fn every_entry_of_a_configuration_file_is_traced_and_every_pointer_is_there() {
    for (_, bottle) in goldens() {
        let index = Index::parse(&fs::read(bottle.join("bottle.json")).unwrap()).unwrap();
        let entries = entries(&self::index(&bottle));
        let known: Vec<&str> = entries.keys().map(String::as_str).filter(|file| *file != "bottle.json").collect();
        assert_eq!(known.len(), FILES.len(), "{known:?}");
        for file in FILES {
            let parsed = parse(file, &fs::read_to_string(bottle.join(file)).unwrap());
            let mut found = Vec::new();
            leaves(&parsed, "", &mut found);
            for pointer in &found {
                assert!(index.provenance(file, pointer).is_some(), "{} {file} {pointer}", bottle.display());
            }
            for pointer in entries[file].keys() {
                assert!(parsed.pointer(pointer).is_some(), "{}: no {pointer} in {file}", bottle.display());
            }
        }
    }
}

/// The text of the manifest from a place to the end of its line, without quotes.
fn text_at(case: &Path, place: &str) -> String {
    let mut parts = place.rsplitn(3, ':');
    let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
    let (column, line) = (number(), number());
    let text = fs::read_to_string(case.join(parts.next().unwrap())).unwrap();
    let rest: String = text.lines().nth(line - 1).unwrap().chars().skip(column - 1).collect();
    rest.trim_start_matches(['"', '\'']).to_owned()
}

/// What the manifest must say where it decides an entry: the start of the text there.
fn expected(index: &Value, file: &str, pointer: &str, value: &Value) -> String {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    let word = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{file} {pointer}: {value}")).to_owned();
    let token_of = |slot: &str| {
        let slots = index["slots"].as_array().unwrap();
        word(&slots.iter().find(|entry| entry["slot"] == slot).unwrap()["token_ref"])
    };
    match (file, steps.as_slice()) {
        ("egress/routes.yaml", ["routes", _]) => word(&value["host"]),
        ("egress/routes.yaml", ["routes", _, "token_env"]) => token_of(value.as_str().unwrap()),
        ("egress/routes.yaml", ["routes", _, "keep_authorization"]) => "true".to_owned(),
        ("egress/routes.yaml", ["routes", _, "path_allowlist", _]) => word(value),
        // The wire has it in small letters.
        ("egress/routes.yaml", ["routes", _, "auth_header"]) => {
            if value == "authorization" { "Authorization" } else { "X-Example-Key" }.into()
        }
        ("egress/routes.yaml", ["routes", _, key]) if key.starts_with("auth_") => word(value),
        ("pipelock/pipelock.yaml", ["api_allowlist", _] | ["ssrf", "ip_allowlist", _]) => word(value),
        ("pipelock/pipelock.yaml", ["tls_interception", "passthrough_domains", _]) => "true".to_owned(),
        ("egress/routes.yaml", ["routes", _, "opened"]) => "false".to_owned(),
        ("pipelock/pipelock.yaml", ["default_agent_identity"]) => word(value).replace("bottle/", ""),
        ("pipelock/pipelock.yaml", ["forward_proxy", "sni_require_tls"]) => "3\"".to_owned(),
        ("egress/egress.env", [slot])
        | ("compose.yaml", ["services", "egress" | "machine-egress", "environment", slot]) => token_of(slot),
        ("agent/agent.env", [name])
        | ("compose.yaml", ["services", "agent", "environment", name])
        | ("Smolfile", ["secrets", name])
        | ("bottle.json", ["env", name]) => format!("{name}:"),
        ("Smolfile", ["env", _]) => word(value).split_once('=').unwrap().0.to_owned() + ":",
        ("compose.yaml", ["services", "pipelock" | "pipelock-ca", "image"]) => "3\"".to_owned(),
        ("compose.yaml", ["services", "agent", "image" | "build" | "read_only"]) | ("Smolfile", ["image"]) => {
            // Either is named in the one manifest that has it.
            let name = word(&index["name"]);
            if name == "own-dockerfile" { "docker/Dockerfile" } else { "registry.example.com:5000/team/agent@" }.into()
        }
        ("compose.yaml", [.., "ipv4_address"] | ["networks", _, "ipam"]) | ("Smolfile", ["network", "allow_cidrs"]) => {
            word(&index["network"]["subnet"])
        }
        ("Smolfile", ["net_backend"]) => "1.33".to_owned(),
        _ => panic!("an entry that this test knows nothing of: {file} {pointer}"),
    }
}

#[test]
fn a_place_of_the_manifest_holds_what_decides_the_entry() {
    let mut places = 0;
    for (case, bottle) in goldens() {
        let index = index(&bottle);
        for (file, entries) in entries(&index) {
            let parsed = parse(&file, &fs::read_to_string(bottle.join(&file)).unwrap());
            for (pointer, place) in entries {
                let Some(place) = place else { continue };
                let (found, expected) =
                    (text_at(&case, &place), expected(&index, &file, &pointer, parsed.pointer(&pointer).unwrap()));
                let found = found.to_ascii_lowercase();
                assert!(
                    found.starts_with(&expected.to_ascii_lowercase()),
                    "{}: {file} {pointer} is said to come from {place}, which says {found:?}, not {expected:?}",
                    case.display()
                );
                places += 1;
            }
        }
    }
    assert!(places > 100, "only {places} places were looked at");
}

const MANIFEST: &str = "\
agent_provider:
  template: codex
  forward_host_credentials: true
network: { subnet: 10.9.8.0/24 }
env: { OWN: x, ASKED: '?' }
egress:
  routes:
    - host: chatgpt.com
      path_allowlist: [/codex]
    - host: b.example
      auth: { scheme: Basic, username: robot, token_ref: B_TOKEN }
      pipelock: { tls_passthrough: true }
    - host: a.example
      auth: { scheme: token, token_ref: B_TOKEN }
      pipelock: { tls_passthrough: true, ssrf_ip_allowlist: [10.0.1.0/24] }
    - host: c.example
      pipelock: { tls_passthrough: true }
      keep_authorization: true
";

#[test]
fn each_part_of_a_file_is_traced_to_what_decides_it() {
    let compiled = compile_text(MANIFEST);
    let index = Index::parse(compiled.file("bottle.json").as_bytes()).unwrap();
    // The words, and the manifest's place behind them.
    for (file, pointer, words, place) in [
        // The provider's: the credential's line asks for it; a prefix is the manifest's own.
        ("egress/routes.yaml", "/routes/0/host", "provider codex, rule model-api", Some("bottle.yaml:3:29")),
        ("egress/routes.yaml", "/routes/1", "provider codex, rule model-api", Some("bottle.yaml:8:13")),
        ("egress/routes.yaml", "/routes/1/path_allowlist/0", "bottle.yaml:9:24", Some("bottle.yaml:9:24")),
        ("egress/routes.yaml", "/routes/1/token_env", "provider codex, rule model-api", Some("bottle.yaml:3:29")),
        ("egress/routes.yaml", "/routes/2/host", "bottle.yaml:10:13", Some("bottle.yaml:10:13")),
        ("egress/routes.yaml", "/routes/2/auth_scheme", "bottle.yaml:11:23", Some("bottle.yaml:11:23")),
        ("egress/routes.yaml", "/routes/2/auth_username", "bottle.yaml:11:40", Some("bottle.yaml:11:40")),
        ("egress/routes.yaml", "/routes/2/token_env", "bottle.yaml:11:58", Some("bottle.yaml:11:58")),
        ("egress/routes.yaml", "/routes/4/keep_authorization", "bottle.yaml:18:27", Some("bottle.yaml:18:27")),
        // Sorted in the file, another order than in the manifest.
        ("pipelock/pipelock.yaml", "/api_allowlist/0", "bottle.yaml:13:13", Some("bottle.yaml:13:13")),
        ("pipelock/pipelock.yaml", "/api_allowlist/2", "bottle.yaml:10:13", Some("bottle.yaml:10:13")),
        (
            "pipelock/pipelock.yaml",
            "/tls_interception/passthrough_domains/0",
            "bottle.yaml:15:36",
            Some("bottle.yaml:15:36"),
        ),
        ("pipelock/pipelock.yaml", "/ssrf/ip_allowlist/0", "bottle.yaml:15:62", Some("bottle.yaml:15:62")),
        ("pipelock/pipelock.yaml", "/default_agent_identity", "bottlec, rule name-of-file", None),
        ("pipelock/pipelock.yaml", "/dlp/scan_env", "bottlec, rule pipelock-hardening", None),
        // A slot is its first route's.
        ("egress/egress.env", "/EGRESS_TOKEN_0", "provider codex, rule model-api", Some("bottle.yaml:3:29")),
        ("egress/egress.env", "/EGRESS_TOKEN_1", "bottle.yaml:11:58", Some("bottle.yaml:11:58")),
        ("compose.yaml", "/services/egress/environment/EGRESS_TOKEN_1", "bottle.yaml:11:58", Some("bottle.yaml:11:58")),
        ("agent/agent.env", "/OWN", "bottle.yaml:5:8", Some("bottle.yaml:5:8")),
        ("agent/agent.env", "/HTTPS_PROXY", "bottlec, rule agent-trust", None),
        (
            "compose.yaml",
            "/services/agent/environment/CODEX_CA_CERTIFICATE",
            "provider codex, rule environment",
            Some("bottle.yaml:2:13"),
        ),
        ("compose.yaml", "/services/agent/environment/ASKED", "bottle.yaml:5:16", Some("bottle.yaml:5:16")),
        ("Smolfile", "/secrets/ASKED/from_env", "bottle.yaml:5:16", Some("bottle.yaml:5:16")),
        ("compose.yaml", "/services/agent/build/context", "provider codex, rule image", Some("bottle.yaml:2:13")),
        ("compose.yaml", "/services/agent/command/0", "provider codex, rule command", Some("bottle.yaml:2:13")),
        ("compose.yaml", "/services/pipelock/image", "bottlec, rule pinned-image", None),
        ("compose.yaml", "/services/agent/cap_drop/0", "bottlec, rule container-hardening", None),
        ("compose.yaml", "/networks/inside/ipam/config/0/subnet", "bottle.yaml:4:20", Some("bottle.yaml:4:20")),
        ("Smolfile", "/network/allow_cidrs/0", "bottle.yaml:4:20", Some("bottle.yaml:4:20")),
        ("Smolfile", "/network/allow_hosts/0", "bottlec, rule machine-hardening", None),
    ] {
        let found = index.provenance(file, pointer).unwrap();
        assert_eq!((found.to_string().as_str(), found.place()), (words, place), "{file} {pointer}");
    }
    assert_eq!(index.provenance("egress/addon.py", ""), None);
    let default = compile_text("name: x\n");
    let index = Index::parse(default.file("bottle.json").as_bytes()).unwrap();
    let subnet = index.provenance("compose.yaml", "/networks/machine/ipam").unwrap();
    assert_eq!(*subnet, Provenance::BuiltIn("subnet-from-name".into()));
    // Nothing in the manifest asks for the default agent.
    assert_eq!(index.provenance("egress/routes.yaml", "/routes/0").unwrap().place(), None);
}

#[test]
fn what_a_rule_or_a_key_decides_stands_together() {
    let compiled = compile_text("agent_provider:\n  auth_token: TOKEN\nenv: { OWN: x, ASKED: '?' }\n");
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    let provenance = &index["provenance"];
    assert_eq!(
        provenance["built_in"]["agent-trust"],
        json!(["Smolfile#/env", "agent/agent.env#", "compose.yaml#/services/agent/environment"])
    );
    let of = |rule: &str| provenance["provider"].as_array().unwrap().iter().find(|by| by["rule"] == rule).unwrap();
    assert_eq!(
        *of("placeholder"),
        json!({
            "provider": "claude",
            "rule": "placeholder",
            "asked_at": "/agent_provider/auth_token",
            "entries": [
                "Smolfile#/env/2",
                "agent/agent.env#/CLAUDE_CODE_OAUTH_TOKEN",
                "compose.yaml#/services/agent/environment/CLAUDE_CODE_OAUTH_TOKEN",
            ]
        })
    );
    assert_eq!(
        provenance["manifest"],
        json!({
            "/env/ASKED": [
                "Smolfile#/secrets/ASKED",
                "compose.yaml#/services/agent/environment/ASKED",
                "bottle.json#/env/ASKED",
            ],
            "/env/OWN": [
                "Smolfile#/env/12",
                "agent/agent.env#/OWN",
                "compose.yaml#/services/agent/environment/OWN",
            ],
        })
    );
    assert_eq!(
        provenance["places"],
        json!({
            "/agent_provider/auth_token": "bottle.yaml:2:15",
            "/env/ASKED": "bottle.yaml:3:16",
            "/env/OWN": "bottle.yaml:3:8",
        })
    );
}

/// The lines of `bottle.json` that a change of the manifest's text changes.
fn changed_lines(before: &str, after: &str) -> Vec<String> {
    let [before, after] = [before, after].map(|text| compile_text(text).file("bottle.json").to_owned());
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    assert_eq!(before.len(), after.len());
    let changed = before.iter().zip(&after).filter(|(before, after)| before != after);
    changed.map(|(_, after)| after.trim_start().split(':').next().unwrap().to_owned()).collect()
}

#[test]
fn a_comment_or_a_moved_line_changes_two_lines_of_the_index() {
    let text = MANIFEST.replace("network:", "name: bottle\nnetwork:");
    let commented = [
        format!("# Why there is this bottle.\n{text}"),
        text.replace("    - host: b.example\n", "    # Packages.\n    - host: b.example\n"),
        text.replace("egress:", "\n\negress:"),
        format!("{}name: bottle\n", text.replace("name: bottle\n", "")),
        text.replace("{ OWN: x, ASKED: '?' }", "{ ASKED: '?', OWN: x }"),
    ];
    for changed in commented {
        assert_eq!(changed_lines(&text, &changed), ["\"manifest\"", "\"places\""], "{changed}");
    }
    // Behind everything else it moves nothing.
    assert_eq!(changed_lines(&text, &format!("{text}# The end.\n")), ["\"manifest\""]);
}

#[test]
fn the_stamp_is_of_the_manifests_text_whatever_its_line_ends() {
    let stamp = |files: &[(&str, &str)]| {
        let folder = folder(files);
        let run = bottlec(folder.path(), &["build", "child.yaml", "-o", "out"]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let mut texts = String::new();
        for file in ["compose.yaml", "Smolfile", "egress/routes.yaml", "pipelock/pipelock.yaml", "image/Dockerfile"] {
            texts += &fs::read_to_string(folder.path().join("out/child").join(file)).unwrap();
        }
        assert!(!texts.contains(concat!("bottlec ", env!("CARGO_PKG_VERSION"))));
        let index = fs::read(folder.path().join("out/child/bottle.json")).unwrap();
        serde_json::from_slice::<Value>(&index).unwrap()["stamp"].clone()
    };
    let child = "extends: base\nenv: { A: a }\n";
    let base = "env: { B: b }\n";
    let plain = stamp(&[("child.yaml", child), ("base.yaml", base)]);
    assert_eq!(plain["bottlec"], env!("CARGO_PKG_VERSION"));
    let windows = |text: &str| format!("\u{feff}{}", text.replace('\n', "\r\n"));
    assert_eq!(stamp(&[("child.yaml", &windows(child)), ("base.yaml", &windows(base))]), plain);
    for (changed, files) in [
        ("the child", [("child.yaml", "extends: base\nenv: { A: b }\n"), ("base.yaml", base)]),
        ("the parent", [("child.yaml", child), ("base.yaml", "env: { B: c }\n")]),
        ("a comment", [("child.yaml", child), ("base.yaml", "env: { B: b } # why\n")]),
    ] {
        assert_ne!(stamp(&files), plain, "{changed}");
    }
}
