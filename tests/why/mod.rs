//! What `why` says, word for word: each case has its golden text here. `UPDATE=1 cargo test --test quick why`
//! rewrites them.

use std::fs;
use std::path::Path;

use crate::support::{bottlec, folder, screen};
use serde_json::Value;

const MANIFEST: &str = "\
extends: base.yaml
agent_provider:
  template: codex
  forward_host_credentials: true
";

const BASE: &str = "\
egress:
  routes:
    - host: api.github.com
      path_allowlist: [/repos/me, /user]
      auth: { scheme: Bearer, token_ref: GH_TOKEN }
      pipelock: { tls_passthrough: true }
    - host: gitea.example
      pipelock: { ssrf_ip_allowlist: [10.1.2.3/32] }
    - host: own.example
      keep_authorization: true
      pipelock: { tls_passthrough: true }
    - host: header.example
      auth: { header: X-Example-Key, prefix: 'Key=', token_ref: EXAMPLE_KEY }
      pipelock: { tls_passthrough: true }
    - host: query.example
      auth: { query: key, token_ref: EXAMPLE_KEY }
      pipelock: { tls_passthrough: true }
    - host: chatgpt.com
      path_allowlist: [/backend-api]
";

/// The golden text's name, the exit code, and what is asked.
const CASES: [(&str, i32, &[&str]); 26] = [
    ("signed", 0, &["https://api.github.com/repos/me/x?ref=main"]),
    ("signed-in-a-header", 0, &["https://header.example/v1", "-H", "X-Example-Key: mine"]),
    ("signed-in-the-query", 0, &["https://query.example/v1?key=mine"]),
    ("provider-narrowed", 0, &["https://chatgpt.com/backend-api/codex/responses", "-X", "POST"]),
    ("provider-own-path", 0, &["https://api.openai.com/v1/models"]),
    ("provider-other-path", 1, &["https://api.openai.com/v1/files", "-X", "POST"]),
    ("scanned-with-range", 0, &["https://gitea.example/a"]),
    ("own-authorization", 0, &["https://own.example/", "-H", "Authorization: Bearer mine"]),
    ("upper-case", 0, &["https://API.GitHub.com/user"]),
    ("path", 1, &["https://api.github.com/repos/other"]),
    ("path-of-provider", 1, &["https://chatgpt.com/auth/login"]),
    ("path-that-climbs", 1, &["https://api.github.com/repos/me/%2e%2e/other"]),
    ("path-with-escapes", 1, &["https://api.github.com/repos/a%20b/c"]),
    ("host", 1, &["https://docs.example.com/guide/start.html"]),
    ("host-root", 1, &["https://docs.example.com"]),
    ("host-beyond-ascii", 1, &["https://bücher.example/a"]),
    ("address", 1, &["https://[::1]/"]),
    ("port", 1, &["https://api.github.com:8443/user"]),
    ("plain-http", 1, &["http://api.github.com/user"]),
    ("method", 1, &["https://api.github.com/user", "--method", "TRACE"]),
    ("other-host-header", 1, &["https://api.github.com/user", "-H", "Host: evil.example"]),
    ("git-push", 1, &["https://gitea.example/me/x.git/git-receive-pack", "-X", "POST"]),
    ("header", 1, &["https://api.github.com/user", "-H", "X-A: b\rX-C: d"]),
    ("connection-names-a-header", 1, &["https://api.github.com/user", "-H", "Connection: authorization"]),
    ("transfer-coding", 1, &["https://api.github.com/user", "-X", "POST", "-H", "Transfer-Encoding: gzip"]),
    ("upgrade", 1, &["https://api.github.com/user", "-H", "Upgrade: h2c"]),
];

#[test]
fn every_question_gets_its_words() {
    let folder = folder(&[("review.yaml", MANIFEST), ("base.yaml", BASE)]);
    let build = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--hermetic"]);
    assert!(build.status.success(), "{}", screen(&build));
    let mut different = Vec::new();
    for (name, code, asked) in CASES {
        let arguments = |bottle| [&["why", bottle, "--color", "never"], asked].concat();
        let run = bottlec(folder.path(), &arguments("review.yaml"));
        assert_eq!(run.status.code(), Some(code), "{name}: {}", screen(&run));
        let said = String::from_utf8(run.stdout).unwrap();
        // The tree says the same as the manifest that it was built from.
        let of_tree = bottlec(folder.path(), &arguments("out/review"));
        assert_eq!(String::from_utf8(of_tree.stdout).unwrap(), said, "{name}");
        // And so does the other format.
        let json = bottlec(folder.path(), &[&arguments("review.yaml")[..], &["--format", "json"]].concat());
        assert_eq!(json.status.code(), Some(code), "{name}");
        let json: Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["verdict"], if code == 0 { "allowed" } else { "refused" }, "{name}");
        for step in json["hops"].as_array().unwrap().iter().flat_map(|hop| hop["steps"].as_array().unwrap()) {
            assert!(said.contains(step["message"].as_str().unwrap()), "{name}: {step}");
        }

        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/why/{name}.txt"));
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            different.push(format!("{name}:\n{said}"));
        }
    }
    assert!(different.is_empty(), "UPDATE=1 accepts:\n{}", different.join("\n"));
}

#[test]
fn what_it_proposes_is_what_diff_finds() {
    let folder = folder(&[("old.yaml", "name: x\n")]);
    let url = "https://docs.example.com/guide/start.html";
    let json = bottlec(folder.path(), &["why", "old.yaml", url, "--format", "json"]);
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    let edited = format!("name: x\n{}", json["edit"]["yaml"].as_str().unwrap());
    fs::write(folder.path().join("new.yaml"), edited).unwrap();
    assert_eq!(bottlec(folder.path(), &["why", "new.yaml", url]).status.code(), Some(0));
    let diff = bottlec(folder.path(), &["diff", "old.yaml", "new.yaml", "--format", "json"]);
    let diff: Value = serde_json::from_slice(&diff.stdout).unwrap();
    let messages = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|change| change["message"].clone()).collect()
    };
    assert_eq!(messages(&diff["bottles"][0]["changes"]), messages(&json["edit"]["opens"]));
    assert_eq!(messages(&json["edit"]["opens"]).len(), 1);
}

#[test]
fn a_tree_is_asked_what_it_says_now() {
    let folder = folder(&[("review.yaml", "egress:\n  routes:\n    - host: a.example\n")]);
    assert!(bottlec(folder.path(), &["build", "review.yaml", "-o", "out"]).status.success());
    let routes = folder.path().join("out/review/egress/routes.yaml");
    let text = fs::read_to_string(&routes).unwrap();
    fs::write(&routes, text + "  - host: \"b.example\"\n").unwrap();
    // Egress has it, pipelock has not.
    let run = bottlec(folder.path(), &["why", "out/review", "https://b.example/"]);
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8(run.stdout.clone()).unwrap();
    assert!(said.contains("refused by pipelock, rule allowlist"), "{said}");
    assert!(
        screen(&run).contains("`egress/routes.yaml` is not what a build of this release writes"),
        "{}",
        screen(&run)
    );
}

#[test]
fn what_is_no_question_is_said_so() {
    let folder = folder(&[("a.yaml", "name: a\n"), ("broken.yaml", "naem: a\n")]);
    for (arguments, expected) in [
        (&["a.yaml", ""] as &[&str], "must have a host"),
        (&["a.yaml", "ftp://api.github.com/"], "unsupported scheme"),
        (&["a.yaml", "https://me@api.github.com/"], "must not contain a user name"),
        (&["a.yaml", "https:///x"], "must have a host"),
        (&["a.yaml", "https://a.example:99999/"], "is not a valid port"),
        (&["a.yaml", "https://a.example/", "-H", "no colon"], "is not a valid header"),
        (&["broken.yaml", "https://a.example/"], "unknown key"),
        (&["missing.yaml", "https://a.example/"], "cannot read missing.yaml"),
        (&[".", "https://a.example/"], "no bottle in ."),
    ] {
        let run = bottlec(folder.path(), &[&["why"], arguments].concat());
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(screen(&run).contains(expected), "{arguments:?}: {}", screen(&run));
    }
}

/// A type that is read from a file takes what a build writes, and nothing else.
#[test]
fn what_is_out_of_form_in_a_tree_is_refused() {
    let manifest = "name: x\negress:\n  routes:\n    - host: a.example\n      path_allowlist: [/v1]\n      \
                    auth: { scheme: Bearer, token_ref: A_TOKEN }\n      pipelock: { tls_passthrough: true }\n";
    let folder = folder(&[("x.yaml", manifest)]);
    assert!(bottlec(folder.path(), &["build", "x.yaml", "-o", "out"]).status.success());
    for (file, from, to, expected) in [
        ("egress/routes.yaml", "a.example", "A.example", "`A.example` must be written `a.example`"),
        ("egress/routes.yaml", "a.example", "a.example.", "`a.example.` must be written `a.example`"),
        ("egress/routes.yaml", "\"/v1\"", "\"v1\"", "with `/`"),
        ("egress/routes.yaml", "EGRESS_TOKEN_0", "EGRESS_TOKEN_00", "`EGRESS_TOKEN_00` is not a slot"),
        ("bottle.json", "\"EGRESS_TOKEN_0\"", "\"EGRESS_TOKEN_00\"", "bottle.json"),
        ("bottle.json", "\"A_TOKEN\"", "\"A TOKEN\"", "bottle.json"),
        ("bottle.json", "\"a.example\"", "\"A.example\"", "bottle.json"),
        ("bottle.json", "\"name\": \"x\"", "\"name\": \"X\"", "bottle.json"),
    ] {
        let path = folder.path().join("out/x").join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let run = bottlec(folder.path(), &["why", "out/x", "https://a.example/v1"]);
        assert_eq!(run.status.code(), Some(2), "{to}: {}", screen(&run));
        assert!(screen(&run).contains(expected), "{to}: {}", screen(&run));
        if file == "bottle.json" {
            let run = bottlec(folder.path(), &["exec", "out/x", "--print-env-names"]);
            assert_ne!(run.status.code(), Some(0), "{to}: {}", screen(&run));
        }
        fs::write(&path, text).unwrap();
    }
}
