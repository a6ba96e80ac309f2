//! `bottlec.toml`: where it is found, what is wrong with one, which of file and flags wins, and its schema.

mod comparison;
mod golden;
mod policy;

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
        (
            "[policy.forbid-hosts]\n\"a.*.b\" = \"x\"\n",
            "2:1: error[BTL010] a wildcard is only allowed as the first label",
        ),
        ("[policy.forbid-hosts]\n\"*\" = \"x\"\n", "2:1: error[BTL010] a wildcard is only allowed as the first label"),
        ("[policy.forbid-hosts]\n\"https://a.b\" = \"x\"\n", "2:1: error[BTL010] a host must not have a scheme"),
        ("[policy.forbid-hosts]\n\"a.b\" = \" \"\n", "2:9: error[BTL010] the reason is empty"),
        ("[policy.forbid-hosts]\n\"a.b\" = true\n", "2:9: error[BTL010] expected a string, found a boolean"),
        ("[policy.forbid-credentials]\n\"A*B\" = \"x\"\n", "2:1: error[BTL010] a wildcard is only allowed at the end"),
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

#[test]
fn the_schema_judges_as_bottlec_does() {
    let schema: serde_json::Value = serde_json::from_str(schema::TEXT).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect();
    assert!(blocks.len() > 1);
    for block in blocks.iter().copied().chain(policy::BREACHES.iter().map(|(config, ..)| *config)) {
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
