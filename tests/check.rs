//! `check`: what it takes, what it prints in each format, and how it exits.

use crate::support;
use std::path::Path;
use std::process::Command;

use crate::support::{bottlec, folder, screen, stdout, with_stdin};
use bottlec::compile::rules;
use serde_json::{Value, json};

const WARNED: &str =
    "name: warned\negress:\n  routes:\n    - host: files.example.com\n      pipelock: { tls_passthrough: true }\n";
const WRONG: &str = "name: wrong\nagent_provider:\n  template: cluade\negress:\n  routes:\n    - host: a.example.com\n    - host: A.example.com\n";

#[test]
fn a_clean_manifest_is_said_to_be_clean_and_prints_no_finding() {
    let folder = folder(&[("clean.yaml", "name: clean\n")]);
    let run = bottlec(folder.path(), &["check", "clean.yaml"]);
    assert_eq!(
        (run.status.code(), stdout(&run).as_str(), screen(&run).as_str()),
        (Some(0), "", "no problems in 1 bottle\n")
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is written");
}

#[test]
fn errors_exit_with_1_and_warnings_only_when_strict() {
    let folder = folder(&[("warned.yaml", WARNED), ("wrong.yaml", WRONG)]);
    for (arguments, code, words) in [
        (&["check", "warned.yaml"] as &[&str], 0, "warning[BTL601]"),
        (&["check", "warned.yaml", "--strict"], 1, "error[BTL601]"),
        (&["check", "wrong.yaml"], 1, "error[BTL104]"),
        (&["check", "wrong.yaml", "--exit-zero"], 0, "error[BTL104]"),
        (&["check", "warned.yaml", "wrong.yaml"], 1, "warning[BTL601]"),
    ] {
        let run = bottlec(folder.path(), arguments);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}");
        assert!(stdout(&run).contains(words), "{arguments:?} {}", stdout(&run));
    }
    let quiet = bottlec(folder.path(), &["check", "-q", "warned.yaml", "wrong.yaml"]);
    assert!(!stdout(&quiet).contains("BTL601") && stdout(&quiet).contains("BTL104"));
    let summary = bottlec(folder.path(), &["check", "warned.yaml", "wrong.yaml"]);
    assert_eq!(screen(&summary), "2 errors, 1 warning\n");
}

#[test]
fn folders_are_searched_for_bottles() {
    let folder = folder(&[
        ("all/bottle.yaml", "nme: a\n"),
        ("all/deep/review.bottle.yml", "nme: b\n"),
        ("all/notes/dev.md", "---\nnme: c\negress: {}\n---\n"),
        ("all/notes/readme.md", "# no bottle\n"),
        ("all/other.yaml", "nme: d\n"),
        ("all/.hidden/bottle.yaml", "nme: e\n"),
        ("empty/file.txt", ""),
    ]);
    let run = bottlec(folder.path(), &["check", "all", "--format", "concise"]);
    let files: Vec<String> = stdout(&run).lines().map(|line| line.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(files, ["all/bottle.yaml", "all/deep/review.bottle.yml", "all/notes/dev.md"]);
    let named = bottlec(folder.path(), &["check", "all/other.yaml", "all", "all/bottle.yaml", "--format", "concise"]);
    assert_eq!(stdout(&named).lines().count(), 4, "a file is judged once: {}", stdout(&named));
    let empty = bottlec(folder.path(), &["check", "empty", "all/bottle.yaml"]);
    assert_eq!(empty.status.code(), Some(2));
    assert!(stdout(&empty).contains("BTL101"), "an empty folder hides nothing");
    assert!(screen(&empty).contains("no bottle found"));
}

#[test]
fn stdin_is_judged_under_the_name_that_it_is_given() {
    let folder = folder(&[("bottles/base.yaml", "agent_provider: { template: codex }\n")]);
    let run = with_stdin(folder.path(), &["check", "-"], "name: x\nnme: y\n");
    assert_eq!(run.status.code(), Some(1));
    assert!(stdout(&run).contains("--> stdin.yaml:2:1"), "{}", stdout(&run));
    let text = "extends: base\nagent_provider: { auth_token: T }\n";
    let run =
        with_stdin(folder.path(), &["check", "-", "--stdin-filename", "bottles/new.yaml", "--format", "concise"], text);
    assert!(stdout(&run).starts_with("bottles/new.yaml:2:31: error[BTL301]"), "{}{}", stdout(&run), screen(&run));
    assert_eq!(bottlec(folder.path(), &["check", "bottles/base.yaml", "--stdin-filename", "x"]).status.code(), Some(2));
}

#[test]
fn one_broken_file_does_not_hide_the_others() {
    let folder = folder(&[("good.yaml", "name: good\n"), ("wrong.yaml", WRONG), ("syntax.yaml", "a: [\n")]);
    let run = bottlec(
        folder.path(),
        &["check", "missing.yaml", "syntax.yaml", ".git/nothing", "wrong.yaml", "good.yaml", "--format", "concise"],
    );
    assert_eq!(run.status.code(), Some(2), "a file that cannot be read is worse than findings");
    assert!(screen(&run).contains("cannot read missing.yaml"), "{}", screen(&run));
    assert!(stdout(&run).contains("BTL001") && stdout(&run).contains("BTL104"), "{}", stdout(&run));
}

#[test]
fn what_a_shared_parent_does_wrong_is_said_once() {
    let folder = folder(&[
        ("a.yaml", "extends: base\n"),
        ("b.yaml", "extends: base\n"),
        ("base.yaml", "env: { HTTPS_PROXY: x }\n"),
    ]);
    let run = bottlec(folder.path(), &["check", "a.yaml", "b.yaml", "base.yaml", "--format", "concise"]);
    assert_eq!(stdout(&run).lines().count(), 1, "{}", stdout(&run));
    assert!(stdout(&run).starts_with("base.yaml:1:8: error[BTL211]"));
}

#[test]
fn check_reads_nothing_of_the_host() {
    let folder = folder(&[
        ("asks.yaml", "name: asks\nagent_provider: { template: codex, forward_host_credentials: true }\n"),
        ("kept/auth.json", "{}"),
    ]);
    let run = bottlec(folder.path(), &["check", "asks.yaml"]);
    assert_eq!(run.status.code(), Some(0), "{}", stdout(&run));
    for strace in support::programs("BOTTLEC_STRACE_BINS") {
        let traced = Command::new(&strace)
            .args([
                "-f",
                "-o",
                "calls",
                "-e",
                "trace=%file,%network",
                env!("CARGO_BIN_EXE_bottlec"),
                "check",
                "asks.yaml",
            ])
            .current_dir(folder.path())
            .env("CODEX_HOME", folder.path().join("kept"))
            .status()
            .unwrap();
        assert!(traced.success());
        let calls = std::fs::read_to_string(folder.path().join("calls")).unwrap();
        assert!(calls.contains("asks.yaml") && !calls.contains("kept") && !calls.contains("socket("), "{calls}");
    }
}

#[test]
fn json_has_its_documented_shape() {
    let folder = folder(&[("wrong.yaml", WRONG)]);
    let run = bottlec(folder.path(), &["check", "wrong.yaml", "--format", "json"]);
    let said: Value = serde_json::from_slice(&run.stdout).unwrap();
    let known =
        bottlec::provider::names(|_| true).iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    assert_eq!(
        said,
        json!({
            "version": 1,
            "findings": [
                {
                    "code": "BTL104",
                    "severity": "error",
                    "message": format!("`cluade` is not one of {known}"),
                    "help": "did you mean `claude`?",
                    "file": "wrong.yaml",
                    "start": { "line": 3, "column": 13 },
                    "end": { "line": 3, "column": 19 },
                    "related": [],
                },
                {
                    "code": "BTL204",
                    "severity": "error",
                    "message": "two routes for `a.example.com`",
                    "help": "merge the two into one route",
                    "file": "wrong.yaml",
                    "start": { "line": 7, "column": 13 },
                    "end": { "line": 7, "column": 26 },
                    "related": [{ "file": "wrong.yaml", "start": { "line": 6, "column": 13 }, "end": { "line": 6, "column": 26 }, "message": "first" }],
                },
            ],
        })
    );
    let run = with_stdin(folder.path(), &["check", "-", "--format", "json"], "nmae: x\n");
    let said: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        said["findings"][0]["fix"],
        json!({
            "title": "rename `nmae` to `name`",
            "safety": "safe",
            "edits": [{ "file": "stdin.yaml", "start": { "line": 1, "column": 1 }, "end": { "line": 1, "column": 5 }, "text": "name" }],
        })
    );
    let clean = bottlec(folder.path(), &["check", "wrong.yaml", "--format", "json", "--color", "always"]);
    assert!(!stdout(&clean).contains('\u{1b}'), "no colour in a machine's format");
}

#[test]
fn concise_and_github_are_a_line_each() {
    let folder = folder(&[("a,b.yaml", "name: x\nenv:\n  \"A%\": x\n")]);
    let run = bottlec(folder.path(), &["check", "a,b.yaml", "--format", "concise"]);
    assert_eq!(
        stdout(&run),
        "a,b.yaml:3:3: error[BTL209] `A%` is not a valid variable name (use letters, digits and `_`; the first character must not be a digit)\n"
    );
    let run = bottlec(folder.path(), &["check", "a,b.yaml", "--format", "github"]);
    assert_eq!(
        stdout(&run),
        "::error title=bottlec BTL209,file=a%2Cb.yaml,line=3,endLine=3,col=3,endColumn=6::`A%25` is not a valid variable name%0Ause letters, digits and `_`; the first character must not be a digit\n"
    );
}

/// The official schema of SARIF 2.1.0, as the crate `serde-sarif` carries it.
fn sarif_schema() -> Value {
    let version = Command::new("rustc").arg("-vV").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Packages of other platforms need not have been downloaded.
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let package =
        metadata["packages"].as_array().unwrap().iter().find(|package| package["name"] == "serde-sarif").unwrap();
    let schema = Path::new(package["manifest_path"].as_str().unwrap()).parent().unwrap().join("src/schema.json");
    // One pattern of it (the run's language) has a stray bracket, which only JavaScript reads.
    let text = std::fs::read_to_string(schema).unwrap().replace("{2}]?$", "{2}$");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn sarif_is_valid_and_carries_the_help_of_its_rules() {
    let validator = jsonschema::validator_for(&sarif_schema()).unwrap();
    assert!(!validator.is_valid(&json!({ "version": "2.1.0", "runs": [{}] })), "the schema can say no");
    let folder = folder(&[("clean.yaml", "name: clean\n"), ("wr ong ä.yaml", WRONG), ("warned.yaml", WARNED)]);
    for files in [&["clean.yaml"] as &[&str], &["wr ong ä.yaml", "warned.yaml"]] {
        let run = bottlec(folder.path(), &[&["check", "--format", "sarif"], files].concat());
        let log: Value = serde_json::from_slice(&run.stdout).unwrap();
        let errors: Vec<String> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
        let run = &log["runs"][0];
        let results = run["results"].as_array().unwrap();
        assert_eq!(results.len(), if files.len() == 1 { 0 } else { 3 });
        for result in results {
            let rule = &run["tool"]["driver"]["rules"][usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
            assert_eq!(rule["id"], result["ruleId"]);
            let page = rules::find(rule["id"].as_str().unwrap()).unwrap().page();
            assert_eq!(rule["shortDescription"], json!({ "text": page.title() }));
            assert_eq!(rule["fullDescription"], json!({ "text": page.what() }));
            assert_eq!(rule["help"], json!({ "text": page.text(), "markdown": page.text() }));
        }
        if let Some(first) = results.first() {
            assert_eq!(first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "wr%20ong%20%C3%A4.yaml");
            assert_eq!(
                first["locations"][0]["physicalLocation"]["region"],
                json!({ "startLine": 3, "startColumn": 13, "endLine": 3, "endColumn": 19 })
            );
            assert_eq!(results[1]["relatedLocations"][0]["message"]["text"], "first");
            assert!(first.get("fixes").is_none());
            assert_eq!(
                results[2]["fixes"],
                json!([{
                    "description": { "text": "remove `tls_passthrough`" },
                    "artifactChanges": [{
                        "artifactLocation": { "uri": "warned.yaml" },
                        "replacements": [{
                            "deletedRegion": { "startLine": 5, "startColumn": 1, "endLine": 6, "endColumn": 1 },
                            "insertedContent": { "text": "" },
                        }],
                    }],
                    "properties": { "safety": "unsafe" },
                }])
            );
        }
    }
}

#[test]
fn an_allow_silences_one_warning_on_its_line() {
    let with = |comment: &str| WARNED.replace(" }\n", &format!(" }}{comment}\n"));
    for (comment, codes) in [
        ("  # bottlec: allow BTL601 public archives", &[] as &[&str]),
        ("  # bottlec: allow btl601 public archives", &[]),
        ("  # bottlec: allow BTL601", &["BTL702"]),
        ("  # bottlec: allow BTL402 another rule", &["BTL601", "BTL701"]),
        ("  # bottlec: allow BTL203 an error", &["BTL601", "BTL701"]),
        ("  # bottlec: allow BTL999 no rule", &["BTL601", "BTL701"]),
        ("  # bottlec: ignore BTL601 x", &["BTL601", "BTL701"]),
        ("\n# bottlec: allow BTL601 the next line", &["BTL601", "BTL701"]),
        ("\nenv:\n  A: \"# bottlec: allow BTL601 in a text\"", &["BTL601"]),
        ("\nenv:\n  A: |\n    # bottlec: allow BTL601 in a block", &["BTL210", "BTL601"]),
    ] {
        let folder = folder(&[("warned.yaml", &with(comment))]);
        let run = bottlec(folder.path(), &["check", "warned.yaml", "--format", "json"]);
        let said: Value = serde_json::from_slice(&run.stdout).unwrap();
        let mut found: Vec<&str> =
            said["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, codes, "{comment}");
    }
    // Only `check` lints, so `build` does not call the comment idle.
    let folder = folder(&[("warned.yaml", &with("  # bottlec: allow BTL601 public archives"))]);
    let run = bottlec(folder.path(), &["build", "warned.yaml", "-o", "out"]);
    assert!(!screen(&run).contains("BTL"), "{}", screen(&run));
}

#[test]
fn a_finding_is_one_line_whatever_it_repeats() {
    let said = "x\\nb.yaml:1:1: error[BTL999] made up\\e[31m\\u202e";
    for manifest in [
        format!("egress:\n  routes:\n    - host: \"https://{said}\"\n"),
        format!("egress:\n  routes:\n    - host: \"{}/path\"\n", said.replace(':', "")),
        format!("extends: \"{said}\"\n"),
        format!("\"{said}\": x\n"),
        format!("egress:\n  routes:\n    - host: a.example\n      path_allowlist: [\"{said}\"]\n"),
    ] {
        let folder = folder(&[("a.yaml", manifest.as_str())]);
        for format in ["concise", "github"] {
            let run = bottlec(folder.path(), &["check", "--format", format, "a.yaml"]);
            assert_eq!(stdout(&run).lines().count(), 1, "{}", stdout(&run));
            assert!(!stdout(&run).trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{}", stdout(&run));
        }
        let human = stdout(&bottlec(folder.path(), &["check", "a.yaml"]));
        let words = human.lines().filter(|line| line.contains("made up") && !line.contains("made up\\e"));
        assert!(words.clone().all(|line| line.contains("x\\nb.yaml")), "{human}");
    }
    // What a line of a manifest holds is shown, and no terminal obeys it.
    for text in ["name: \u{9b}31m\n", "a: \u{1b}[31m\n", "a: \u{202e}x\n"] {
        let run = with_stdin(folder(&[]).path(), &["check", "-"], text);
        let odd = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(run.status.code() == Some(1) && !stdout(&run).contains(odd), "{:?}", stdout(&run));
    }
    // So is one in a file with such a name.
    let folder = folder(&[("a\nb\u{1b}[31m.yaml", "name: x\nnme: x\n")]);
    let run = bottlec(folder.path(), &["check", "--format", "concise", "a\nb\u{1b}[31m.yaml"]);
    assert_eq!(stdout(&run).lines().count(), 1, "{}", stdout(&run));
    let human = stdout(&bottlec(folder.path(), &["check", "a\nb\u{1b}[31m.yaml"]));
    assert!(human.contains("--> a\\nb\\u{1b}[31m.yaml:2:1"), "{human}");
}
