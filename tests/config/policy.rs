//! What `[policy]` forbids and requires, in `check` and `build`.

use super::*;

/// A row of the policy, a bottle that breaks it, and what is said of it.
pub(super) const BREACHES: &[(&str, &str, &[&str])] = &[
    (
        NO_PASTE,
        PASTE,
        &[
            "bottle.yaml:4:13: error[BTL710] `pastebin.com` can be reached (bottlec.toml:2 forbids the host `pastebin.com`: uploads there cannot be audited)",
        ],
    ),
    (
        "[policy.forbid-hosts]\n\"*.example.com\" = \"no\"\n",
        "egress:\n  routes:\n    - host: a.b.example.com\n    - host: example.com\n    - host: example.org\n",
        &["bottle.yaml:3:13: error[BTL710] `a.b.example.com`", "bottle.yaml:4:13: error[BTL710] `example.com`"],
    ),
    // What the provider brings.
    (
        "[policy.forbid-hosts]\n\"*.anthropic.com\" = \"no\"\n",
        "name: x\nagent_provider:\n  template: claude\n  auth_token: CLAUDE_TOKEN\n",
        &["bottle.yaml:4:15: error[BTL710] `api.anthropic.com` can be reached"],
    ),
    (
        "[policy.forbid-hosts]\n\"*.anthropic.com\" = \"no\"\n",
        "name: x\n",
        &["bottle.yaml:1:1: error[BTL710] `api.anthropic.com`"],
    ),
    // What a parent has, at the parent's line.
    (
        NO_PASTE,
        "extends: base\n# file: base.yaml\negress:\n  routes:\n    - host: pastebin.com\n",
        &["base.yaml:3:13: error[BTL710]"],
    ),
    (
        "[policy.forbid-credentials]\n\"PROD_*\" = \"production is not for agents\"\n",
        "egress:\n  routes:\n    - host: a.example.com\n      auth: { scheme: Bearer, token_ref: PROD_TOKEN }\n      pipelock: { tls_passthrough: true }\n",
        &[
            "bottle.yaml:4:42: error[BTL710] egress sends `PROD_TOKEN` to `a.example.com` (bottlec.toml:2 forbids the credential `PROD_*`: production is not for agents)",
        ],
    ),
    (
        "[policy.forbid-credentials]\nCLAUDE_TOKEN = \"no\"\n",
        "agent_provider:\n  auth_token: CLAUDE_TOKEN\n",
        &["bottle.yaml:2:15: error[BTL710] egress sends `CLAUDE_TOKEN` to `api.anthropic.com`"],
    ),
    (
        "[policy.forbid-credentials]\n\"PROD_*\" = \"no\"\n",
        "env:\n  A: ${PROD_URL}\n  PROD_B: \"?\"\n  PROD_C: text\n  D: ${DEV}\n",
        &[
            "bottle.yaml:2:6: error[BTL710] the agent is given `A`, the host's `PROD_URL`",
            "bottle.yaml:3:11: error[BTL710] the agent is given `PROD_B`",
        ],
    ),
    // The token that is taken from the host's login.
    (
        "[policy.forbid-credentials]\n\"BOT_BOTTLE_*\" = \"no\"\n",
        "agent_provider:\n  template: codex\n  forward_host_credentials: true\n",
        &[
            "bottle.yaml:3:29: error[BTL710] egress sends `BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN` to `api.openai.com`",
            "to `chatgpt.com`",
        ],
    ),
    (
        "[policy.forbid]\nforward_host_credentials = \"sign in with a token of the team\"\n",
        "agent_provider:\n  template: codex\n  forward_host_credentials: true\n",
        &[
            "bottle.yaml:3:29: error[BTL710] egress signs in as the host's user (bottlec.toml:2 forbids `forward_host_credentials`: sign in with a token of the team)",
        ],
    ),
    (
        "[policy.forbid]\nkeep_authorization = \"no\"\n",
        "agent_provider: { auth_token: T }\negress:\n  routes:\n    - host: a.example.com\n      keep_authorization: true\n",
        &["bottle.yaml:5:27: error[BTL710] the agent's own `Authorization` reaches `a.example.com`"],
    ),
    // An agent that signs in inside the bottle.
    (
        "[policy.forbid]\nkeep_authorization = \"no\"\n",
        "name: x\n",
        &["reaches `api.anthropic.com`", "reaches `platform.claude.com`"],
    ),
    (
        "[policy.forbid]\ntls_passthrough = \"no\"\n",
        WARNED,
        &["bottle.yaml:5:36: error[BTL710] pipelock does not scan `a.example.com`"],
    ),
    (
        "[policy.forbid]\nssrf_ip_allowlist = \"no\"\n",
        "egress:\n  routes:\n    - host: a.example.com\n      pipelock: { ssrf_ip_allowlist: [10.20.0.0/16, 10.30.0.0/16] }\n",
        &["bottle.yaml:4:39: error[BTL710] hosts of the bottle may resolve to 10.20.0.0/16", "10.30.0.0/16"],
    ),
    (
        "[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"what the fleet runs\" }\n",
        "targets: { pipelock: \"3\" }\n",
        &[
            "bottle.yaml:1:22: error[BTL711] the bottle is for pipelock 3, not 2.3 (bottlec.toml:2 requires pipelock 2.3: what the fleet runs)",
        ],
    ),
    (
        "[policy.require-targets]\nsmolvm = { version = \"1.33\", reason = \"no\" }\n",
        "name: x\n",
        &["bottle.yaml:1:1: error[BTL711] the bottle is for smolvm 1.9, not 1.33"],
    ),
];

/// A project with a configuration and a manifest, which may have a parent behind `# file: NAME`.
fn project(config: &str, manifest: &str) -> tempfile::TempDir {
    let (manifest, parent) = manifest.split_once("# file: ").unwrap_or((manifest, "unused.txt\n"));
    let (name, parent) = parent.split_once('\n').unwrap();
    folder(&[("bottlec.toml", config), ("bottle.yaml", manifest), (name, parent)])
}

#[test]
fn a_policy_is_kept_by_check_and_build_and_no_comment_lifts_it() {
    for (config, manifest, said) in BREACHES {
        let held = project(config, manifest);
        let (code, told) = check(held.path(), &["bottle.yaml"]);
        assert_eq!(code, Some(1), "{manifest}: {told}");
        for said in *said {
            assert!(told.contains(said), "{manifest}: no {said} in {told}");
        }
        let run = bottlec(held.path(), &["build", "bottle.yaml", "-o", "out", "--hermetic"]);
        assert_eq!(run.status.code(), Some(1), "{manifest}: {}", screen(&run));
        assert!(screen(&run).contains("error[BTL71") && !held.path().join("out").exists(), "{}", screen(&run));
        // Comments on every line, and the severities that there are.
        let allowed: String = manifest
            .lines()
            .map(|line| match line.starts_with('#') {
                true => format!("{line}\n"),
                false => format!("{line}  # bottlec: allow BTL710 mine # bottlec: allow BTL711 mine\n"),
            })
            .collect();
        let held = project(config, &allowed);
        assert_eq!(check(held.path(), &["bottle.yaml"]).0, Some(1), "{allowed}");
        assert_eq!(check(held.path(), &["bottle.yaml", "--no-strict"]).0, Some(1), "{allowed}");
        // The same bottle without the policy.
        let free = project("", manifest);
        let run = bottlec(free.path(), &["build", "bottle.yaml", "-o", "out", "--hermetic"]);
        assert_eq!(run.status.code(), Some(0), "{manifest}: {}", screen(&run));
    }
}

#[test]
fn a_policy_leaves_alone_what_it_is_not_about() {
    let all = "[policy.forbid-hosts]\n\"*.example.com\" = \"x\"\n[policy.forbid-credentials]\n\"PROD_*\" = \"x\"\n[policy.forbid]\nforward_host_credentials = \"x\"\nkeep_authorization = \"x\"\ntls_passthrough = \"x\"\nssrf_ip_allowlist = \"x\"\n[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"x\" }\nsmolvm = { version = \"1.9\", reason = \"x\" }\n";
    // An agent of bottlec's own, signed in by egress, with a host that is opened.
    let manifest = "name: x\nagent_provider: { auth_token: CLAUDE_TOKEN }\nenv: { A: \"${DEV}\", PROD_NAME: literal }\negress:\n  routes:\n    - host: example.org\n      pipelock: { tls_passthrough: false }\n";
    let held = project(all, manifest);
    assert_eq!(check(held.path(), &["bottle.yaml"]).0, Some(0), "{}", check(held.path(), &["bottle.yaml"]).1);
    let run = bottlec(held.path(), &["build", "bottle.yaml", "-o", "out", "--hermetic"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    // `exec` judges the tree, wherever it is: here it comes to its own questions.
    let (_, told) = check(held.path(), &["bottle.yaml", "--isolated"]);
    assert!(!told.contains("BTL71"), "{told}");
}

#[test]
fn a_definition_of_ones_own_is_no_way_round_a_policy() {
    let own = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agents.md")).unwrap();
    let block = own.split("```yaml\n").skip(1).find(|block| block.contains("service:")).unwrap();
    let definition = block.split("```").next().unwrap();
    let project = folder(&[
        ("bottlec.toml", "[policy.forbid]\ntls_passthrough = \"x\"\n"),
        ("agents/mine.yaml", definition),
        ("bottle.yaml", "agent_provider: { template: ./agents/mine.yaml }\n"),
    ]);
    let (code, told) = check(project.path(), &["bottle.yaml"]);
    assert!(code == Some(1) && told.contains("agents/mine.yaml:") && told.contains("BTL710"), "{told}");
}
