//! `bottlec.toml`: where it is found, what is wrong with one, and what it does to `check`, `build` and `diff --rev`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::repository::{Repository, git};
use crate::support::{bottlec, contents_below, folder, screen, skipped, stdout, with_stdin};
use bottlec::config::schema;
use bottlec::config::{HostPattern, NamePattern};
use bottlec::value::host::Host;

/// A route that BTL601 warns of.
const WARNED: &str =
    "name: warned\negress:\n  routes:\n    - host: a.example.com\n      pipelock: { tls_passthrough: true }\n";
const PASTE: &str = "name: paste\negress:\n  routes:\n    - host: pastebin.com\n";
const NO_PASTE: &str = "[policy.forbid-hosts]\n\"pastebin.com\" = \"uploads there cannot be audited\"\n";

/// The findings of `check`, one a line.
fn check(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let run = bottlec(folder, &[&["check", "--format", "concise"], arguments].concat());
    (run.status.code(), stdout(&run) + &screen(&run))
}

#[test]
fn what_is_wrong_is_told_at_its_place_with_the_remedy() {
    for (text, said) in [
        ("[check]\nstrikt = true\n", "2:1: error[BTL010] unknown key `strikt` in `check` (did you mean `strict`?)"),
        ("colour = 1\n", "1:1: error[BTL010] unknown key `colour` in bottlec.toml (valid keys are "),
        ("bottles = \"a.yaml\"\n", "1:11: error[BTL010] expected a list, found a string (write a list: `[\"…\"]`)"),
        ("check = true\n", "1:9: error[BTL010] expected a table, found a boolean (write a table: "),
        ("golden = 1\n", "1:10: error[BTL010] expected a string, found a number (put the value in double quotes)"),
        ("[check]\nstrict = \"yes\"\n", "2:10: error[BTL010] expected `true` or `false`, found a string ("),
        ("[review]\nfail-on = \"hi\"\n", "2:11: error[BTL010] `hi` is not one of `info`, "),
        ("[review]\nfail-on = \"hihg\"\n", "(did you mean `high`?)"),
        ("[check\n", "1:7: error[BTL010] not valid TOML: "),
        ("golden = \"a\"\ngolden = \"b\"\n", "2:1: error[BTL010] not valid TOML: duplicate key"),
        ("golden = \"../a\"\n", "1:10: error[BTL010] `golden` must not leave the folder of bottlec.toml ("),
        ("golden = \"/a\"\n", "1:10: error[BTL010] `golden` must not leave"),
        ("golden = \" \"\n", "1:10: error[BTL010] `golden` must not be empty"),
        ("bottles = [\"a/../../b.yaml\"]\n", "1:12: error[BTL010] a pattern must not leave"),
        ("bottles = [\"a[.yaml\"]\n", "1:12: error[BTL010] `a[.yaml` is not a pattern: "),
        ("bottles = [\".hidden/*.yaml\"]\n", "1:12: error[BTL010] `.hidden` is not searched"),
        ("[check.severity]\nBTL602 = \"loud\"\n", "2:10: error[BTL010] `loud` is not one of `off`, "),
        (
            "[check.severity]\nBTL6O1 = \"off\"\n",
            "2:1: error[BTL010] there is no rule `BTL6O1` (did you mean `BTL601`?)",
        ),
        ("[check.severity]\nBTL203 = \"off\"\n", "2:1: error[BTL010] BTL203 is an error, which cannot be lowered"),
        ("[check.severity]\nBTL710 = \"warning\"\n", "2:1: error[BTL010] BTL710 is an error, which cannot be lowered"),
        ("[check.severity]\nBTL811 = \"off\"\n", "2:1: error[BTL010] BTL811 grades a change"),
        ("[policy.forbid-hosts]\n\"a.*.b\" = \"x\"\n", "2:1: error[BTL010] a wildcard stands for a whole name"),
        ("[policy.forbid-hosts]\n\"*\" = \"x\"\n", "2:1: error[BTL010] a wildcard stands for a whole name"),
        ("[policy.forbid-hosts]\n\"https://a.b\" = \"x\"\n", "2:1: error[BTL010] a host must not have a scheme"),
        ("[policy.forbid-hosts]\n\"a.b\" = \" \"\n", "2:9: error[BTL010] the reason is empty"),
        ("[policy.forbid-hosts]\n\"a.b\" = true\n", "2:9: error[BTL010] expected a string, found a boolean"),
        ("[policy.forbid-credentials]\n\"A*B\" = \"x\"\n", "2:1: error[BTL010] a wildcard stands at the end"),
        ("[policy.forbid-credentials]\n\"1A\" = \"x\"\n", "2:1: error[BTL010] `1A` is not a valid variable name"),
        (
            "[policy.forbid]\ntls_passthru = \"x\"\n",
            "2:1: error[BTL010] unknown key `tls_passthru` in `forbid` (did you mean",
        ),
        (
            "[policy.require-targets]\npipelock = { version = \"2.3\" }\n",
            "2:1: error[BTL010] the key `reason` is missing",
        ),
        ("[policy.require-targets]\npipelock = { version = \"9\", reason = \"x\" }\n", "`9` is not one of `2.3`, `3`"),
    ] {
        let project = folder(&[("bottlec.toml", text), ("bottle.yaml", "name: team\n")]);
        let (code, told) = check(project.path(), &[]);
        assert_eq!(code, Some(1), "{text}: {told}");
        assert!(told.lines().any(|line| line.starts_with("bottlec.toml:") && line.contains(said)), "{text}: {told}");
        // Nothing is written under a configuration that nobody can read.
        let run = bottlec(project.path(), &["build", "bottle.yaml", "-o", "out", "--hermetic"]);
        assert_eq!(run.status.code(), Some(1), "{text}: {}", screen(&run));
        assert!(screen(&run).contains("[BTL010]") && !project.path().join("out").exists(), "{}", screen(&run));
        let run = bottlec(project.path(), &["check", "--isolated"]);
        assert_eq!(run.status.code(), Some(0), "{text}: {}", screen(&run));
    }
    let project =
        folder(&[("bottlec.toml", "a = 1\nb = 2\n"), ("x.bottle.yaml", "name: x\n"), ("z.bottle.yaml", "nme: z\n")]);
    let (_, told) = check(project.path(), &[]);
    assert_eq!(told.matches("BTL").count(), 3, "all of it, once, beside what is wrong with bottles: {told}");
    fs::write(project.path().join("bottlec.toml"), [0xff]).unwrap();
    assert!(check(project.path(), &[]).1.contains("bottlec.toml:1:1: error[BTL010] the file is not UTF-8 text"));
    fs::remove_file(project.path().join("bottlec.toml")).unwrap();
    fs::create_dir(project.path().join("bottlec.toml")).unwrap();
    let (code, told) = check(project.path(), &[]);
    assert!(code == Some(2) && told.contains("cannot read bottlec.toml"), "{told}");
}

#[test]
fn the_closest_one_upwards_counts_and_none_of_a_stranger() {
    let strict = "[check]\nstrict = true\n";
    let project = folder(&[
        ("project/.git/HEAD", ""),
        ("project/deep/er/a.bottle.yaml", WARNED),
        ("project/team/a.bottle.yaml", WARNED),
        ("project/team/bottlec.toml", strict),
        ("bottlec.toml", strict),
    ]);
    // Above git's top level.
    let root = project.path().join("project");
    assert_eq!(check(&root, &["deep/er/a.bottle.yaml"]).0, Some(0));
    assert_eq!(check(&root, &["team/a.bottle.yaml"]).0, Some(1));
    assert_eq!(check(&root.join("deep"), &["../team/a.bottle.yaml"]).0, Some(1), "by the manifest, not by the shell");
    assert_eq!(check(&root, &["."]).0, Some(1), "each by its own");
    fs::write(root.join("bottlec.toml"), strict).unwrap();
    assert_eq!(check(&root, &["deep/er/a.bottle.yaml"]).0, Some(1));
    fs::write(root.join("team/bottlec.toml"), "").unwrap();
    assert_eq!(check(&root, &["team/a.bottle.yaml"]).0, Some(0), "they are not merged");
    let run = with_stdin(&root, &["check", "-", "--stdin-filename", "deep/a.yaml"], WARNED);
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));

    // Without git, up to a folder that is anybody's.
    let temporary = tempfile::tempdir().unwrap();
    let shared = temporary.path().join("shared");
    fs::create_dir_all(shared.join("mine/deep")).unwrap();
    fs::write(shared.join("mine/deep/a.bottle.yaml"), WARNED).unwrap();
    fs::write(shared.join("bottlec.toml"), strict).unwrap();
    for (mode, code) in [(0o755, Some(1)), (0o1777, Some(0))] {
        fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(check(&shared.join("mine"), &["deep/a.bottle.yaml"]).0, code, "{mode:o}");
    }
    fs::rename(shared.join("bottlec.toml"), shared.join("mine/bottlec.toml")).unwrap();
    assert_eq!(check(&shared.join("mine/deep"), &["a.bottle.yaml"]).0, Some(1));
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    for (text, flags, code) in [
        ("", &[] as &[&str], 0),
        ("[check]\nstrict = true\n", &[], 1),
        ("[check]\nstrict = true\n", &["--no-strict"], 0),
        ("[check]\nstrict = true\n", &["--isolated"], 0),
        ("[check]\nstrict = false\n", &["--strict"], 1),
        ("[check.severity]\nBTL601 = \"error\"\n", &[], 1),
        ("[check.severity]\nBTL601 = \"error\"\n", &["--no-strict"], 1),
        ("[check.severity]\nBTL601 = \"off\"\n", &[], 0),
        ("[check.severity]\nBTL601 = \"off\"\n", &["--strict"], 0),
        ("[check.severity]\nBTL601 = \"warning\"\n", &[], 0),
        ("[check]\nstrict = true\n[check.severity]\nBTL601 = \"off\"\n", &[], 0),
    ] {
        let project = folder(&[("bottlec.toml", text), ("a.bottle.yaml", WARNED)]);
        let (is, told) = check(project.path(), flags);
        assert_eq!(is, Some(code), "{text} {flags:?}: {told}");
        assert_eq!(told.contains("BTL601"), !text.contains("off"), "{text} {flags:?}: {told}");
    }
    // A comment allows what the file made an error.
    let allowed = WARNED.replace("true }\n", "true }  # bottlec: allow BTL601 archives\n");
    let project = folder(&[("bottlec.toml", "[check.severity]\nBTL601 = \"error\"\n"), ("a.bottle.yaml", &allowed)]);
    assert_eq!(check(project.path(), &["--strict"]).0, Some(0));
    // `build` reports what the file says, too.
    let wide = "name: a\nenv: { A: \"${DEPLOY_TOKEN}\" }\negress: { routes: [{ host: a.example.com, path_allowlist: [/a, /a/b] }] }\n";
    let project = folder(&[("bottlec.toml", "[check.severity]\nBTL217 = \"error\"\n"), ("a.bottle.yaml", wide)]);
    let run = bottlec(project.path(), &["build", "a.bottle.yaml", "-o", "out", "--hermetic"]);
    assert!(run.status.code() == Some(1) && screen(&run).contains("error[BTL217]"), "{}", screen(&run));
}

#[test]
fn what_a_pattern_matches_is_a_bottle() {
    let project = folder(&[
        ("bottlec.toml", "bottles = [\"agents/*.yaml\", \"deep/**/b?.yml\"]\ngolden = \"golden\"\n"),
        ("agents/one.yaml", "nme: x\n"),
        ("agents/below/two.yaml", "nme: x\n"),
        ("agents/three.yml", "nme: x\n"),
        ("deep/b1.yml", "nme: x\n"),
        ("deep/er/b2.yml", "nme: x\n"),
        ("deep/er/c.yml", "nme: x\n"),
        ("inner/bottlec.toml", "bottles = [\"*.txt\", \"golden/**\"]\n"),
        ("inner/agents/one.yaml", "nme: x\n"),
        ("inner/bottle.txt", "nme: x\n"),
        ("inner/golden/a/compose.yaml", "nme: x\n"),
    ]);
    for (from, arguments, paths) in [
        (
            "",
            &["."] as &[&str],
            "agents/one.yaml deep/b1.yml deep/er/b2.yml inner/bottle.txt inner/golden/a/compose.yaml",
        ),
        ("", &["deep"], "deep/b1.yml deep/er/b2.yml"),
        ("deep/er", &[], "b2.yml"),
        ("inner", &[], "bottle.txt golden/a/compose.yaml"),
    ] {
        let (_, told) = check(&project.path().join(from), arguments);
        let mut found: Vec<&str> = told.lines().filter_map(|line| line.split_once(':')).map(|(path, _)| path).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), paths, "{from} {arguments:?}: {told}");
    }
    fs::write(project.path().join("inner/bottlec.toml"), "bottles = [\"**/*.yaml\"]\ngolden = \"golden\"\n").unwrap();
    let (_, told) = check(&project.path().join("inner"), &[]);
    assert!(
        told.contains("agents/one.yaml") && !told.contains("compose.yaml"),
        "no file of a tree is a bottle: {told}"
    );
    for (path, is_named) in [("inner/new.yaml", true), ("new.yaml", false)] {
        let run = bottlec(project.path(), &["init", path]);
        assert_eq!(screen(&run).contains("do not look for this name"), !is_named, "{path}: {}", screen(&run));
        fs::remove_file(project.path().join(path)).unwrap();
    }
    let (code, told) = check(&project.path().join("inner"), &["--isolated"]);
    assert!(code == Some(2) && told.contains("no bottle found"), "{told}");
}

#[test]
fn patterns_of_hosts_and_names_mean_what_the_page_says() {
    let host = |text: &str| Host::parse(text).unwrap();
    let hosts = |text: &str| HostPattern::parse(text).unwrap();
    for (pattern, name, is_meant) in [
        ("example.com", "example.com", true),
        ("example.com", "a.example.com", false),
        ("*.example.com", "example.com", true),
        ("*.example.com", "a.b.example.com", true),
        ("*.example.com", "notexample.com", false),
        ("*.Example.com.", "a.example.com", true),
    ] {
        assert_eq!(hosts(pattern).matches(&host(name)), is_meant, "{pattern} {name}");
    }
    let names = |text: &str| NamePattern::parse(text).unwrap();
    for (pattern, name, is_meant) in [
        ("PROD", "PROD", true),
        ("PROD", "PRODX", false),
        ("PROD_*", "PROD_A", true),
        ("PROD_*", "prod_A", false),
        ("*", "A", true),
    ] {
        assert_eq!(names(pattern).matches(name), is_meant, "{pattern} {name}");
    }
    for (wide, narrow) in [("*.example.com", "a.example.com"), ("*.example.com", "*.a.example.com"), ("a.b", "a.b")] {
        assert!(hosts(wide).covers(&hosts(narrow)));
        assert_eq!(hosts(narrow).covers(&hosts(wide)), wide == narrow, "{wide} {narrow}");
    }
    for (wide, narrow) in [("PROD_*", "PROD_A"), ("PROD_*", "PROD_A*"), ("*", "A"), ("A", "A")] {
        assert!(names(wide).covers(&names(narrow)));
        assert_eq!(names(narrow).covers(&names(wide)), wide == narrow, "{wide} {narrow}");
    }
}

/// A row of the policy, a bottle that breaks it, and what is said of it.
const BREACHES: &[(&str, &str, &[&str])] = &[
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

#[test]
fn build_without_arguments_is_about_every_bottle_of_the_project() {
    let project = folder(&[
        ("bottlec.toml", "bottles = [\"agents/*.yaml\"]\ngolden = \"trees/golden\"\n"),
        ("agents/one.yaml", "agent_provider: { template: codex, forward_host_credentials: true }\n"),
        ("two.bottle.yaml", "name: two\n"),
        ("inner/bottlec.toml", "golden = \"golden\"\n"),
        ("inner/three.bottle.yaml", "name: three\n"),
    ]);
    let update = bottlec(project.path(), &["build", "--update"]);
    assert_eq!(update.status.code(), Some(0), "{}", screen(&update));
    let built: Vec<String> = fs::read_dir(project.path().join("trees/golden"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(built.len() == 2 && ["one", "two"].iter().all(|name| built.iter().any(|it| it == name)), "{built:?}");
    assert!(!project.path().join("inner/golden").exists(), "a project inside has bottles of its own");
    for folder in [".", "agents"] {
        let clean = bottlec(&project.path().join(folder), &["build", "--check"]);
        assert_eq!(clean.status.code(), Some(0), "{}", screen(&clean));
    }
    let hermetic = bottlec(project.path(), &["build", "--check", "--hermetic"]);
    assert_eq!(hermetic.status.code(), Some(0), "as the hook calls it: {}", screen(&hermetic));
    let named = bottlec(project.path(), &["build", "two.bottle.yaml", "--check"]);
    assert_eq!(named.status.code(), Some(0), "one of them: {}", screen(&named));

    fs::write(project.path().join("two.bottle.yaml"), "name: two\nenv: { A: b }\n").unwrap();
    for (folder, shown) in [(".", "trees/golden/two"), ("agents", "../trees/golden/two")] {
        let stale = bottlec(&project.path().join(folder), &["build", "--check"]);
        assert_eq!(stale.status.code(), Some(1), "{}", screen(&stale));
        assert!(screen(&stale).contains("to update it: bottlec build --update\n"), "{}", screen(&stale));
        assert!(stdout(&stale).contains(&format!("{shown}/agent/agent.env")), "{}", stdout(&stale));
    }
    // What the message says mends it.
    assert_eq!(bottlec(&project.path().join("agents"), &["build", "--update"]).status.code(), Some(0));
    assert_eq!(bottlec(project.path(), &["build", "--check"]).status.code(), Some(0));
}

#[test]
fn a_tree_that_no_bottle_writes_any_more_is_told_and_removed() {
    let project = folder(&[
        ("bottlec.toml", "golden = \"golden\"\n"),
        ("one.bottle.yaml", "name: one\n"),
        ("two.bottle.yaml", "name: two\n"),
        ("golden/README.md", "mine\n"),
        ("golden/notes/a.txt", "mine\n"),
    ]);
    let bottlec = |arguments: &[&str]| bottlec(project.path(), arguments);
    assert_eq!(bottlec(&["build", "--update"]).status.code(), Some(0));
    fs::remove_file(project.path().join("two.bottle.yaml")).unwrap();
    let check = bottlec(&["build", "--check"]);
    assert_eq!((check.status.code(), stdout(&check).as_str()), (Some(1), "orphan  golden/two\n"));
    assert!(screen(&check).contains("to update it: bottlec build --update"), "{}", screen(&check));
    // A bottle that cannot be read may be the one.
    fs::write(project.path().join("two.bottle.yaml"), "name: [\n").unwrap();
    let check = bottlec(&["build", "--check"]);
    assert!(check.status.code() == Some(1) && !stdout(&check).contains("orphan"), "{}", stdout(&check));
    fs::remove_file(project.path().join("two.bottle.yaml")).unwrap();

    // One that holds something of somebody's is left.
    let tree = project.path().join("golden/two");
    fs::write(tree.join("notes.txt"), "mine").unwrap();
    let before = contents_below(&tree);
    let update = bottlec(&["build", "--update"]);
    assert_eq!(update.status.code(), Some(1), "{}", screen(&update));
    assert!(
        screen(&update).contains("golden/two, which holds more than a build wrote: remove it"),
        "{}",
        screen(&update)
    );
    assert_eq!(contents_below(&tree), before);
    fs::remove_file(tree.join("notes.txt")).unwrap();
    let edited = fs::read_to_string(tree.join("compose.yaml")).unwrap();
    fs::write(tree.join("compose.yaml"), format!("{edited}# mine\n")).unwrap();
    assert_eq!(bottlec(&["build", "--update"]).status.code(), Some(1));
    fs::write(tree.join("compose.yaml"), edited).unwrap();

    let update = bottlec(&["build", "--update"]);
    assert!(update.status.code() == Some(0) && !tree.exists(), "{}", screen(&update));
    assert_eq!(bottlec(&["build", "--check"]).status.code(), Some(0));
    assert!(project.path().join("golden/README.md").exists() && project.path().join("golden/notes/a.txt").exists());
}

#[test]
fn build_without_arguments_says_what_to_write() {
    let empty = folder(&[("one.bottle.yaml", "name: one\n")]);
    let open = folder(&[("one.bottle.yaml", "name: one\n"), ("bottlec.toml", "")]);
    let golden = folder(&[("one.bottle.yaml", "name: one\n"), ("bottlec.toml", "golden = \"golden\"\n")]);
    let broken = folder(&[("one.bottle.yaml", "name: one\n"), ("bottlec.toml", "a = 1\n")]);
    let elsewhere = tempfile::tempdir().unwrap();
    let linked = folder(&[("one.bottle.yaml", "name: one\n"), ("bottlec.toml", "golden = \"link/golden\"\n")]);
    symlink(elsewhere.path(), linked.path().join("link")).unwrap();
    for (project, arguments, code, words) in [
        (
            &empty,
            &["build", "--check"] as &[&str],
            2,
            "no bottlec.toml found for this folder: write `golden = \"golden\"`",
        ),
        (&empty, &["build", "one.bottle.yaml", "--update"], 2, "no bottlec.toml found"),
        (&open, &["build", "--check"], 2, "bottlec.toml has no `golden`: write `golden = \"golden\"` in it"),
        (&golden, &["build", "--check", "--isolated"], 2, "no bottlec.toml found"),
        (&golden, &["build", "--update", "--host-credentials", "x"], 2, "committed trees are hermetic"),
        (&golden, &["build", "--update", "-o", "out"], 2, "-o needs the manifests as well"),
        (&golden, &["build"], 2, "required arguments"),
        (&golden, &["build", "one.bottle.yaml"], 2, "--output <DIR>"),
        (&broken, &["build", "--check"], 1, "[BTL010]"),
        (&linked, &["build", "--update"], 2, "`golden` leads over the link link: links are not followed"),
    ] {
        let run = bottlec(project.path(), arguments);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {}", screen(&run));
        assert!(screen(&run).contains(words), "{arguments:?}: {}", screen(&run));
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn a_project_ends_at_its_configuration() {
    let child = "extends: ../shared/base.yaml\n";
    let project = folder(&[
        ("shared/base.yaml", "env: { A: b }\n"),
        ("team/a.bottle.yaml", child),
        ("team/deep/b.bottle.yaml", "extends: ../c.yaml\n"),
        ("team/c.yaml", "env: { A: b }\n"),
    ]);
    assert_eq!(check(project.path(), &["."]).0, Some(0));
    fs::write(project.path().join("team/bottlec.toml"), "").unwrap();
    let (code, told) = check(project.path(), &["team/a.bottle.yaml"]);
    assert!(code == Some(1) && told.contains("is outside the project"), "{told}");
    assert_eq!(check(project.path(), &["team/deep/b.bottle.yaml"]).0, Some(0));
    // Without git it is what makes a project of folders.
    fs::remove_dir(project.path().join(".git")).unwrap();
    fs::rename(project.path().join("team/bottlec.toml"), project.path().join("bottlec.toml")).unwrap();
    assert_eq!(check(project.path(), &["team/a.bottle.yaml"]).0, Some(0));
    fs::remove_file(project.path().join("bottlec.toml")).unwrap();
    assert_eq!(check(project.path(), &["team/a.bottle.yaml"]).0, Some(1));
}

/// Files of the base and of the change, the arguments behind `diff --rev main`, the exit code, and what is said.
struct Case {
    what: &'static str,
    base: &'static [(&'static str, &'static str)],
    change: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
    says_not: &'static [&'static str],
}

const CASE: Case = Case { what: "", base: &[], change: &[], arguments: &[], code: 0, says: &[], says_not: &[] };

/// A text that removes the file.
const GONE: &str = "\0";

const TEAM: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n";
const NEW_HOST: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: new.example.com\n";
const TEAM_PASTES: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: pastebin.com\n";
const ACCEPTED: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: new.example.com  # bottlec: accept BTL811 until 2999-12-31 ok\n";

#[test]
fn a_change_is_held_to_the_configurations_of_both_sides() {
    let mut wrong = Vec::new();
    for Case { what, base, change, arguments, code, says, says_not } in [
        Case {
            what: "the base forbids it, and the change lifts that",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", ""), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &[
                "critical  BTL862  `pastebin.com` can be reached; main:bottlec.toml:2 forbids the host `pastebin.com`: uploads there cannot be audited",
                "team.bottle.yaml:5:13",
                "high      BTL861  the policy no longer forbids the host `pastebin.com`: uploads there cannot be audited",
                "main:bottlec.toml:2:1",
            ],
            ..CASE
        },
        Case {
            what: "the change forbids what it does",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["critical  BTL862  `pastebin.com` can be reached; bottlec.toml:2 forbids"],
            says_not: &["BTL861"],
        },
        Case {
            what: "a comment accepts nothing of it",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[(
                "team.bottle.yaml",
                "name: team\negress:\n  routes:\n    - host: pastebin.com  # bottlec: accept BTL811 until 2999-12-31 ok # bottlec: accept BTL862 until 2999-12-31 ok\n",
            )],
            arguments: &["--fail-on", "info", "--accept-from", "head"],
            code: 1,
            says: &["team (team.bottle.yaml): critical", "BTL862 cannot be accepted"],
            ..CASE
        },
        Case {
            what: "never is never",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "never"],
            code: 0,
            says: &["BTL862"],
            ..CASE
        },
        Case {
            what: "a closer configuration takes the place of the base's",
            base: &[("bottlec.toml", NO_PASTE), ("deep/team.bottle.yaml", TEAM)],
            change: &[("deep/bottlec.toml", ""), ("deep/team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["BTL862", "BTL861  the policy no longer forbids", "deep/bottlec.toml (deep/bottlec.toml): high"],
            ..CASE
        },
        Case {
            what: "the bottle moves to where another one counts",
            base: &[("strict/bottlec.toml", NO_PASTE), ("strict/team.bottle.yaml", TEAM), ("free/bottlec.toml", "")],
            change: &[("strict/team.bottle.yaml", GONE), ("free/team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["BTL862"],
            ..CASE
        },
        Case {
            what: "the pattern that the change removes still finds its bottle",
            base: &[("bottlec.toml", "bottles = [\"agents/*.yaml\"]\n"), ("agents/team.yaml", TEAM)],
            change: &[("bottlec.toml", ""), ("agents/team.yaml", NEW_HOST)],
            arguments: &["--fail-on", "high"],
            code: 1,
            says: &["BTL811  `new.example.com`", "BTL861  files that match `agents/*.yaml` are no longer bottles"],
            ..CASE
        },
        Case {
            what: "the pattern that the change adds finds its bottle on both sides",
            base: &[("agents/team.yaml", TEAM)],
            change: &[("bottlec.toml", "bottles = [\"agents/*.yaml\"]\n"), ("agents/team.yaml", NEW_HOST)],
            arguments: &["--fail-on", "high"],
            code: 1,
            says: &["team (agents/team.yaml): high", "BTL811  `new.example.com`"],
            says_not: &["new, high", "BTL861"],
        },
        Case {
            what: "everything of a configuration that is removed",
            base: &[
                (
                    "bottlec.toml",
                    "bottles = [\"*.txt\"]\ngolden = \"golden\"\n[check]\nstrict = true\n[check.severity]\nBTL601 = \"error\"\n[review]\nfail-on = \"medium\"\n[policy.forbid-credentials]\n\"PROD_*\" = \"x\"\n[policy.forbid]\ntls_passthrough = \"x\"\n[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"x\" }\n",
                ),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("bottlec.toml", GONE)],
            code: 1,
            says: &[
                "bottlec.toml (bottlec.toml): removed, high",
                "files that match `*.txt` are no longer bottles",
                "the trees in `golden` are no longer compared",
                "warnings of `check` no longer fail",
                "BTL601 no longer fails",
                "a change of grade medium no longer fails: `fail-on` is high",
                "the policy no longer forbids the credential `PROD_*`: x",
                "the policy no longer forbids `tls_passthrough`: x",
                "the policy no longer requires pipelock 2.3: x",
            ],
            ..CASE
        },
        Case {
            what: "looser entries",
            base: &[
                (
                    "bottlec.toml",
                    "golden = \"golden\"\n[policy.forbid-hosts]\n\"*.a.example\" = \"x\"\n\"b.example\" = \"x\"\n[policy.require-targets]\npipelock = { version = \"3\", reason = \"x\" }\n",
                ),
                ("team.bottle.yaml", "name: team\ntargets: { pipelock: \"3\" }\n"),
            ],
            change: &[(
                "bottlec.toml",
                "golden = \"other\"\n[check.severity]\nBTL601 = \"off\"\n[review]\nfail-on = \"critical\"\naccept-from = \"head\"\n[policy.forbid-hosts]\n\"a.example\" = \"x\"\n\"*.b.example\" = \"another reason\"\n[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"x\" }\n",
            )],
            code: 1,
            says: &[
                "no longer forbids the host `*.a.example`",
                "no longer requires pipelock 3",
                "the trees in `golden` are no longer compared, but those in `other`",
                "BTL601 is no longer reported",
                "a change of grade high no longer fails: `fail-on` is critical",
                "a change can accept itself: `accept-from` is head",
            ],
            says_not: &["forbids the host `b.example`", "another reason`"],
            ..CASE
        },
        Case {
            what: "a stricter configuration is no change to review",
            base: &[("bottlec.toml", "[policy.forbid-hosts]\n\"a.example\" = \"x\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[(
                "bottlec.toml",
                "golden = \"golden\"\n[check]\nstrict = true\n[review]\nfail-on = \"low\"\n[policy.forbid-hosts]\n\"*.a.example\" = \"y\"\n",
            )],
            code: 0,
            says: &["no differences in 1 bottle"],
            ..CASE
        },
        Case {
            what: "fail-on: the stricter side's",
            base: &[("bottlec.toml", "[review]\nfail-on = \"high\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=high", "fails=true", "grade=high"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "fail-on: what the change adds does not count beside what nobody said",
            base: &[("bottlec.toml", ""), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\nfail-on = \"never\"\n"), ("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=high"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "fail-on: on both sides, and the flag wins",
            base: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", NEW_HOST)],
            code: 0,
            says: &["fail-on=critical", "accept-from=base"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "fail-on: the flag",
            base: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=medium"],
            arguments: &["--format", "verdict", "--gate", "--fail-on", "medium"],
            ..CASE
        },
        Case {
            what: "without a configuration, a gate and no gate",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["fail-on=high", "accept-from=base", "grade=high"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "no gate",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["fail-on=any", "accept-from=head", "grade=none"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "accept-from: base if either side says so",
            base: &[("bottlec.toml", "[review]\naccept-from = \"base\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\naccept-from = \"head\"\n"), ("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["accept-from=base", "grade=high"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "accept-from: head if both do",
            base: &[
                ("bottlec.toml", "[review]\naccept-from = \"head\"\nfail-on = \"high\"\n"),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 0,
            says: &["accept-from=head", "grade=none"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "a weaker configuration that was accepted before",
            base: &[
                ("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 agreed\n[check]\nstrict = true\n"),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 agreed\n")],
            code: 0,
            says: &["accepted until 2999-12-31: agreed"],
            arguments: &["--gate"],
            ..CASE
        },
        Case {
            what: "a weaker configuration that accepts itself",
            base: &[("bottlec.toml", "[check]\nstrict = true\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 mine\n")],
            code: 1,
            says: &["BTL861"],
            says_not: &["accepted until"],
            arguments: &["--gate"],
        },
        Case {
            what: "the base's cannot be used",
            base: &[("bottlec.toml", "a = 1\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &[
                "bottlec.toml at main cannot be used, so only that of now counts: main:bottlec.toml:1:1: error[BTL010]",
                "BTL862",
            ],
            ..CASE
        },
        Case {
            what: "the new one cannot be used",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "a = 1\n")],
            arguments: &["--fail-on", "never"],
            code: 2,
            says: &["error[BTL010]", "bottlec.toml cannot be used"],
            ..CASE
        },
        Case {
            what: "none of it counts",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "a = 1\n"), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--isolated", "--fail-on", "critical"],
            code: 0,
            says: &["BTL811"],
            says_not: &["BTL86"],
        },
    ] {
        let Some(repository) = Repository::new() else { return skipped("there is no git") };
        repository.commit(base);
        for (path, text) in change {
            match *text {
                GONE => fs::remove_file(repository.path(path)).unwrap(),
                text => repository.write(path, text),
            }
        }
        git(repository.root(), &["add", "--all"]);
        let run = bottlec(repository.root(), &[&["diff", "--rev", "main"], arguments].concat());
        let told = stdout(&run) + &screen(&run);
        let lacks: Vec<&&str> = says.iter().filter(|words| !told.contains(**words)).collect();
        let has: Vec<&&str> = says_not.iter().filter(|words| told.contains(**words)).collect();
        if run.status.code() != Some(code) || !lacks.is_empty() || !has.is_empty() {
            wrong.push(format!("{what}: {:?}, lacks {lacks:?}, has {has:?}: {told}", run.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_tree_that_comes_without_its_manifest_is_held_to_the_policy_too() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.commit(&[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)]);
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let build = ["build", "team.bottle.yaml", "-o", "golden", "--hermetic", "--isolated"];
    assert!(bottlec(repository.root(), &build).status.success());
    let diff = || {
        git(repository.root(), &["add", "--all"]);
        stdout(&bottlec(repository.root(), &["diff", "--rev", "main", "--fail-on", "critical"]))
    };
    assert_eq!(diff().matches("BTL862").count(), 1, "the tree repeats its manifest: {}", diff());
    repository.write("team.bottle.yaml", TEAM);
    let told = diff();
    assert!(told.contains("team (golden/team): new, critical") && told.matches("BTL862").count() == 1, "{told}");
}

#[test]
fn a_link_leads_nowhere() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "a secret of the host\n").unwrap();
    repository.write("team.bottle.yaml", TEAM);
    symlink(outside.path().join("secret"), repository.path("bottlec.toml")).unwrap();
    let (code, told) = check(repository.root(), &[]);
    assert!(code == Some(2) && told.contains("bottlec.toml is a symbolic link"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    repository.commit(&[]);
    fs::remove_file(repository.path("bottlec.toml")).unwrap();
    repository.write("bottlec.toml", NO_PASTE);
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let run = bottlec(repository.root(), &["diff", "--rev", "main", "--fail-on", "critical"]);
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
    assert!(screen(&run).contains("cannot be used, so only that of now counts") && stdout(&run).contains("BTL862"));
}

#[test]
fn every_format_has_what_the_configuration_no_longer_asks_for() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.commit(&[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)]);
    repository.write("bottlec.toml", "# <img src=x>\n");
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let diff = |format: &str| stdout(&bottlec(repository.root(), &["diff", "--rev", "main", "--format", format]));
    let report: serde_json::Value = serde_json::from_str(&diff("json")).unwrap();
    let codes = |bottle: usize| -> Vec<&str> {
        let changes = report["bottles"][bottle]["changes"].as_array().unwrap();
        changes.iter().map(|change| change["code"].as_str().unwrap()).collect()
    };
    assert_eq!((&report["bottles"][0]["path"], codes(0)), (&"bottlec.toml".into(), vec!["BTL861"]));
    assert_eq!(codes(1), ["BTL862", "BTL811"]);
    assert_eq!(report["bottles"][1]["changes"][0]["line"], 5);
    let sarif: serde_sarif::sarif::Sarif = serde_json::from_str(&diff("sarif")).unwrap();
    let results = sarif.runs[0].results.as_ref().unwrap();
    assert_eq!(results.iter().filter(|result| result.rule_id.as_deref() == Some("BTL861")).count(), 1);
    let page = diff("markdown");
    assert!(page.contains("### bottlec.toml: high") && page.contains("| BTL862 |"), "{page}");
}

#[test]
fn the_schema_judges_as_bottlec_does() {
    let schema: serde_json::Value = serde_json::from_str(schema::TEXT).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect();
    assert!(blocks.len() > 1);
    for block in blocks.iter().copied().chain(BREACHES.iter().map(|(config, ..)| *config)) {
        let value: serde_json::Value = toml::from_str(block).unwrap();
        assert!(validator.is_valid(&value), "{block}");
        let project = folder(&[("bottlec.toml", block), ("bottle.yaml", "nme: x\n")]);
        assert!(!check(project.path(), &["bottle.yaml"]).1.contains("BTL010"), "{block}");
    }
    for block in [
        "a = 1",
        "bottles = \"a\"",
        "golden = \"/a\"",
        "[check.severity]\nB = \"off\"",
        "[policy.forbid-hosts]\n\"a.*\" = \"x\"",
        "[policy.forbid-hosts]\n\"a.b\" = \" \"",
        "[policy.forbid-credentials]\n\"a-b\" = \"x\"",
        "[policy.forbid]\nx = \"x\"",
        "[policy.require-targets]\npipelock = \"3\"",
    ] {
        let value: serde_json::Value = toml::from_str(block).unwrap();
        assert!(!validator.is_valid(&value), "{block}");
    }
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert!(jsonschema::meta::is_valid(&schema));
    let run = bottlec(tempfile::tempdir().unwrap().path(), &["schema", "--config"]);
    assert_eq!(stdout(&run), schema::TEXT);
    // Every key is told on the page.
    let mut keys = Vec::new();
    fn below(schema: &serde_json::Value, keys: &mut Vec<String>) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            assert!(
                key["description"].as_str().is_some_and(|text| !text.contains('\n')) || key["enum"].is_array(),
                "{name}"
            );
            keys.push(name.clone());
            below(key, keys);
        }
    }
    below(&schema, &mut keys);
    assert!(keys.len() > 15, "{keys:?}");
    for key in keys {
        assert!(page.contains(&format!("`{key}`")), "{key}");
    }
}
