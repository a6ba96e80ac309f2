//! Trees that were edited after they were built: what is told of them, and which are refused.

use std::fs;
use std::path::{Path, PathBuf};

use bottlec::value::digest::hash;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bottlec, diff, drift, folder, judged, report, screen, stdout};

const MANIFEST: &str = "\
name: review
agent_provider:
  template: claude
egress:
  routes:
    - host: api.example.com
      auth: { scheme: Bearer, token_ref: API_TOKEN }
      pipelock: { tls_passthrough: true }
    - host: docs.example.com
";

/// A manifest, what it compiles to in `old/review`, and a copy in `new/review` in which one text, which
/// stands there once or starts a text that does, is another.
pub(super) fn edited(file: &str, from: &str, to: &str) -> TempDir {
    let project = built();
    let path = project.path().join("new/review").join(file);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
    project
}

/// The same with nothing edited.
fn built() -> TempDir {
    let project = folder(&[("review.yaml", MANIFEST)]);
    for out in ["old", "new"] {
        let run = bottlec(project.path(), &["build", "review.yaml", "--hermetic", "-o", out]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }
    project
}

const COMPOSE: &str = "compose.yaml";
const PIPELOCK: &str = "pipelock/pipelock.yaml";
const PROXY: &str = "      \"HTTPS_PROXY\":";

#[test]
fn an_edit_is_told_for_what_it_does() {
    // Name, file, the text and what is put in its place, grade, codes, restarts.
    let table = [
        (
            "no-capability-dropped",
            COMPOSE,
            "    cap_drop:\n      - \"ALL\"\n",
            "",
            "critical",
            "803 804 825",
            "recreate-agent",
        ),
        (
            "capability-added",
            COMPOSE,
            "    cap_drop:",
            "    cap_add: [SYS_ADMIN]\n    cap_drop:",
            "critical",
            "803 804 825",
            "recreate-agent",
        ),
        (
            "docker-socket-mounted",
            COMPOSE,
            "    volumes:\n",
            "    volumes:\n      - { type: bind, source: /var/run/docker.sock, target: /var/run/docker.sock }\n",
            "critical",
            "803 804 825",
            "recreate-agent",
        ),
        ("network-opened", COMPOSE, "internal: true", "internal: false", "critical", "803 804", "recreate-bottle"),
        (
            "token-in-the-agents-environment",
            COMPOSE,
            PROXY,
            "      EGRESS_TOKEN_0:\n      \"HTTPS_PROXY\":",
            "critical",
            "802 803 804",
            "recreate-agent",
        ),
        (
            "token-in-a-text-of-the-agent",
            COMPOSE,
            PROXY,
            "      COPY: x${EGRESS_TOKEN_0}\n      \"HTTPS_PROXY\":",
            "critical",
            "803 804 841",
            "recreate-agent",
        ),
        (
            "service-added",
            COMPOSE,
            "\nnetworks:",
            "\n  helper:\n    image: registry.example/helper\n    cap_drop: [ALL]\n\nnetworks:",
            "critical",
            "803x2 804 841",
            "",
        ),
        (
            "agent-on-another-network",
            COMPOSE,
            "    networks:\n",
            "    networks:\n      outside: {}\n",
            "critical",
            "803 804 825",
            "recreate-agent",
        ),
        ("image-edited", COMPOSE, "pipelock:2.3.0", "pipelock:2.2.0", "critical", "804 823", "restart-pipelock"),
        (
            "working-folder-edited",
            COMPOSE,
            "working_dir: \"/workspace\"",
            "working_dir: \"/bottle\"",
            "critical",
            "804 825",
            "recreate-agent",
        ),
        (
            "nothing-enforced",
            PIPELOCK,
            "enforce: true",
            "enforce: false",
            "critical",
            "803x2 804 825",
            "restart-pipelock recreate-egress",
        ),
        (
            "no-scan-for-secrets",
            PIPELOCK,
            "  include_defaults: true",
            "  include_defaults: false",
            "critical",
            "803 804 816 825",
            "restart-pipelock recreate-egress",
        ),
        (
            "private-addresses-allowed",
            PIPELOCK,
            "internal:\n  - \"0.0.0.0/8\"\n",
            "internal:\n",
            "critical",
            "803x2 804 825",
            "restart-pipelock recreate-egress",
        ),
        (
            "domain-trusted",
            PIPELOCK,
            "trusted_domains: []",
            "trusted_domains: [docs.example.com]",
            "critical",
            "803x2 804 825",
            "restart-pipelock recreate-egress",
        ),
        (
            "host-passed-on-unopened",
            PIPELOCK,
            "  passthrough_domains:\n",
            "  passthrough_domains:\n    - docs.example.com\n",
            "critical",
            "803 804 812",
            "restart-pipelock recreate-egress",
        ),
        (
            "host-in-egress-alone",
            "egress/routes.yaml",
            "routes:\n",
            "routes:\n  - host: elsewhere.example\n",
            "critical",
            "803 804",
            "reload-egress",
        ),
        (
            "host-in-pipelock-alone",
            PIPELOCK,
            "api_allowlist:\n",
            "api_allowlist:\n  - elsewhere.example\n",
            "critical",
            "803 804",
            "restart-pipelock recreate-egress",
        ),
        (
            "token-for-another-host",
            "egress/routes.yaml",
            "  - host: \"docs.example.com\"",
            "  - host: \"docs.example.com\"\n    auth_scheme: Bearer\n    token_env: EGRESS_TOKEN_0",
            "critical",
            "801 803x2 804",
            "recreate-egress",
        ),
        (
            "image-writable",
            COMPOSE,
            "    read_only: true\n",
            "    read_only: false\n",
            "critical",
            "803 804",
            "recreate-agent",
        ),
        (
            "host-in-the-agents-network",
            COMPOSE,
            "inhibit_ipv4\": \"true\"",
            "inhibit_ipv4\": \"false\"",
            "critical",
            "803 804",
            "recreate-bottle",
        ),
        (
            "volume-prepared-elsewhere",
            COMPOSE,
            "target: \"/agent-ca\"",
            "target: \"/pipelock-ca\"",
            "critical",
            "803 804",
            "",
        ),
        (
            "egress-elsewhere",
            COMPOSE,
            "\"machine\":\n        ipv4_address: \"",
            "\"machine\":\n        ipv4_address: \"9",
            "critical",
            "803 804",
            "recreate-egress",
        ),
        ("addon-edited", "egress/addon.py", "import", "import os\nimport", "critical", "803x2 804", "recreate-egress"),
        ("microvm-reaches-all", "Smolfile", "/32\"", "/32\", \"0.0.0.0/0\"", "critical", "803 804", "recreate-agent"),
        (
            "home-edited",
            "agent/home/.claude.json",
            "{",
            "{ \"mcpServers\": {},",
            "critical",
            "804 841",
            "recreate-agent",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, file, from, to, grade, codes, restarts) in table {
        let project = edited(file, from, to);
        let found = judged(report(project.path(), "old/review", "new/review").as_ref());
        if (found.0.as_str(), found.1.as_str(), found.2.as_str()) != (grade, codes, restarts) {
            wrong.push(format!("{name}: {found:?}"));
        }
        let run = diff(project.path(), &["old/review", "new/review"]);
        assert_eq!(run.status.code(), Some(1), "{name}: {}", screen(&run));
        wrong.extend(drift(&words(name), &stdout(&run)));

        // Which of the two was edited makes no difference.
        let back = report(project.path(), "new/review", "old/review").unwrap();
        assert_eq!(back["grade"], "critical", "{name}: {back}");
    }
    assert!(wrong.is_empty(), "UPDATE=1 accepts words:\n{}", wrong.join("\n"));
}

fn words(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/diff/trees/{name}.txt"))
}

#[test]
fn a_file_that_cannot_be_read_is_told_and_hides_no_other() {
    let conflict = "<<<<<<< ours\nroutes:\n=======\n>>>>>>> theirs\n";
    for (file, from, to, says) in [
        ("egress/routes.yaml", "routes:\n", conflict, "`egress/routes.yaml` contains git conflict markers"),
        (PIPELOCK, "enforce:", "new_key: 1\nenforce:", "unknown field `new_key`"),
        (COMPOSE, "    cap_drop:", "    privileged: true\n    cap_drop:", "unknown field `privileged`"),
        (COMPOSE, "    cap_drop:", "    devices: [/dev/kvm]\n    cap_drop:", "unknown field `devices`"),
        ("egress/routes.yaml", "EGRESS_TOKEN_0", "EGRESS_TOKEN_7", "`egress/routes.yaml` is not what a build"),
        ("egress/routes.yaml", "routes:", "more: 1\nroutes:", "unknown field `more`"),
        ("Smolfile", "net = true", "net = true\ngpu = true", "unknown field `gpu`"),
    ] {
        let project = edited(file, from, to);
        fs::write(project.path().join("new/review/.env"), "").unwrap();
        let run = diff(project.path(), &["old/review", "new/review"]);
        assert_eq!(run.status.code(), Some(1), "{file} {to}: {}", screen(&run));
        let said = stdout(&run);
        assert!(said.contains("critical  BTL804  `") && said.contains(says), "{file}: {said}");
        assert!(said.contains("critical  BTL851  `.env`"), "{file}: {said}");
        assert!(!said.contains("expected one of"), "{said}");
    }
    for missing in ["egress/addon.py", "compose.yaml"] {
        let project = built();
        fs::remove_file(project.path().join("new/review").join(missing)).unwrap();
        let run = diff(project.path(), &["old/review", "new/review"]);
        assert_eq!(run.status.code(), Some(1), "{missing}");
        assert!(stdout(&run).contains(&format!("critical  BTL804  `{missing}` is missing")), "{}", stdout(&run));
    }
}

#[test]
fn a_tree_without_an_index_is_an_error_that_says_why() {
    for (from, to, says) in [
        ("{\n", "<<<<<<< ours\n{\n=======\n>>>>>>> theirs\n", "git conflict markers"),
        ("{\n", "{ ,\n", "bottle.json in new/review is malformed"),
    ] {
        let project = edited("bottle.json", from, to);
        let run = diff(project.path(), &["old/review", "new/review"]);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(2), ""), "{to}");
        assert!(screen(&run).contains(says), "{}", screen(&run));
        assert!(screen(&run).len() < 300, "{}", screen(&run));
    }
    let project = built();
    fs::remove_file(project.path().join("new/review/bottle.json")).unwrap();
    let run = diff(project.path(), &["old/review", "new/review"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("no bottle in new/review"), "{}", screen(&run));
}

#[test]
fn a_name_of_a_file_says_nothing_of_its_own() {
    for (format, _) in super::FORMATS {
        let project = built();
        let name = "\u{1b}[31mred\n@team <b>\u{202e}";
        fs::write(project.path().join("new/review").join(name), "").unwrap();
        let run = diff(project.path(), &["old/review", "new/review", "--format", format]);
        assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
        let said = stdout(&run);
        assert!(said.contains("BTL851"), "{said}");
        assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && !said.contains("red\n@team"), "{said}");
        assert!(format != "markdown" || (!said.contains("<b>") && !said.contains(" @team")), "{said}");
    }
}

#[test]
fn a_manifest_and_its_tree_are_the_same() {
    let project = built();
    for arguments in [
        ["review.yaml", "new/review"],
        ["new/review", "review.yaml"],
        ["new/review/bottle.json", "review.yaml"],
        ["old/review", "new/review"],
    ] {
        let run = diff(project.path(), &arguments);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(0), ""), "{arguments:?}: {}", screen(&run));
    }
    fs::write(project.path().join("review.yaml"), MANIFEST.replace("docs.", "docs2.")).unwrap();
    let found = judged(report(project.path(), "old/review", "review.yaml").as_ref());
    assert_eq!(found.1, "811 831");
}

#[test]
fn a_made_up_account_against_a_real_one_says_nothing() {
    let manifest = "name: codex\nagent_provider:\n  template: codex\n  forward_host_credentials: true\n";
    let project = folder(&[("codex.yaml", manifest), ("login.json", &login().to_string())]);
    for arguments in [["--hermetic", "-o", "golden"].as_slice(), &["--host-credentials", "login.json", "-o", "real"]] {
        let run = bottlec(project.path(), &[&["build", "codex.yaml"], arguments].concat());
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }
    let home = |out: &str| fs::read(project.path().join(out).join("codex/agent/home/.codex/auth.json")).unwrap();
    assert_ne!(home("golden"), home("real"));
    for (old, new) in [("golden/codex", "real/codex"), ("real/codex", "golden/codex"), ("real/codex", "codex.yaml")] {
        let run = diff(project.path(), &[old, new]);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(0), ""), "{old} {new}");
    }
    // Nor does the account get out when the login is no longer forwarded.
    fs::write(project.path().join("codex.yaml"), "name: codex\nagent_provider:\n  template: codex\n").unwrap();
    for format in ["text", "json", "sarif", "markdown"] {
        let said = stdout(&diff(project.path(), &["real/codex", "codex.yaml", "--format", format]));
        assert!(said.contains("auth.json") && !said.contains(ACCOUNT), "{said}");
    }
}

const ACCOUNT: &str = "0a1b2c3d-1111-4222-8333-444455556666";

/// A login that lasts until 2100.
fn login() -> serde_json::Value {
    use base64::Engine as _;
    let encode = |value: serde_json::Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "exp": 4_102_531_200_i64,
        "https://api.openai.com/auth": { "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro" },
    });
    let token = format!("{}.{}.{}", encode(json!({ "alg": "RS256" })), encode(claims), encode(json!("signature")));
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": { "id_token": token, "access_token": token, "refresh_token": "rt_x", "account_id": ACCOUNT },
        "last_refresh": "2026-11-20T10:11:12Z",
    })
}

/// compose merges these without being told to.
#[test]
fn a_file_that_compose_reads_unasked_is_told() {
    for name in ["compose.override.yaml", "docker-compose.override.yml", ".env"] {
        let folder = built();
        fs::write(folder.path().join("new/review").join(name), "services: {}\n").unwrap();
        let run = bottlec(folder.path(), &["diff", "old/review", "new/review", "--color", "never"]);
        assert_eq!(run.status.code(), Some(1), "{name}");
        let said = String::from_utf8(run.stdout).unwrap();
        let told = format!("critical  BTL851  `{name}` is in the bottle's folder but is not part of the build");
        assert!(said.contains(&told), "{said}");
    }
}

/// An index that was forged along with a file must not tell what the file's addresses mean.
#[test]
fn a_forged_index_hides_nothing() {
    let folder = built();
    let tree = folder.path().join("new/review");
    let read = |path: &str| fs::read_to_string(tree.join(path)).unwrap();
    let (index, machine) = (read("bottle.json"), read("Smolfile"));
    let value: Value = serde_json::from_str(&index).unwrap();
    let address = value["network"]["machine_egress"].as_str().unwrap();
    let elsewhere = machine.replace(&format!("{address}/32"), "203.0.113.9/32");
    assert_ne!(elsewhere, machine);
    let forged = index.replace(address, "203.0.113.9").replace(&hash(machine.as_bytes()), &hash(elsewhere.as_bytes()));
    fs::write(tree.join("Smolfile"), elsewhere).unwrap();
    fs::write(tree.join("bottle.json"), forged).unwrap();
    let said = stdout(&diff(folder.path(), &["old/review", "new/review"]));
    assert!(said.contains("critical  BTL803  guard no longer holds: a microVM reaches egress alone"), "{said}");
    // The hashes fit, and prove nothing.
    assert!(said.contains("critical  BTL804  `Smolfile` is not what a build of this release writes"), "{said}");
    assert!(said.contains("`bottle.json` is not what a build of this release writes: `network`"), "{said}");
}
