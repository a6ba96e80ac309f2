//! The GitHub Action: its steps, as `action.yml` has them, run as the runner would run them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::repository::{Repository, git};
use crate::support::skipped;
use serde_json::Value;
use tempfile::TempDir;

const OLD: &str = "name: review\negress:\n  routes:\n    - host: old.example.com\n";
const WIDER: &str = "name: review\negress:\n  routes:\n    - host: old.example.com\n    - host: added.example.com\n";
const NARROWER: &str = "name: review\negress:\n  routes:\n    - host: old.example.com\n      path_allowlist: [/v1]\n";

/// What the expressions of `action.yml` can be about.
type Context = BTreeMap<String, String>;

fn action() -> Value {
    read_yaml("action.yml")
}

fn read_yaml(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A text with its `${{ … }}` evaluated: names, and the first of several that is not empty.
fn evaluated(text: &str, context: &Context) -> String {
    let mut parts = text.split("${{");
    let mut result = parts.next().unwrap().to_owned();
    for part in parts {
        let (expression, rest) = part.split_once("}}").unwrap();
        let mut values = expression.split("||").map(|name| context.get(name.trim()).cloned().unwrap_or_default());
        result += &values.find(|value| !value.is_empty()).unwrap_or_default();
        result += rest;
    }
    result
}

/// A run of the action on a repository that the test made.
pub(crate) struct Run {
    pub(crate) passed: bool,
    pub(crate) log: String,
    pub(crate) summary: String,
    outputs: BTreeMap<String, String>,
    /// Holds the files that outputs name.
    _temporary: TempDir,
}

/// Runs the action in a repository; nothing, and a line about it, where it cannot run. The event is what
/// `github.…` gives; inputs that are not given have their defaults.
pub(crate) fn run(repository: &Repository, event: &[(&str, &str)], inputs: &[(&str, &str)]) -> Option<Run> {
    run_with(repository, event, inputs, &[])
}

fn run_with(
    repository: &Repository,
    event: &[(&str, &str)],
    inputs: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Option<Run> {
    if Command::new("bash").arg("--version").output().is_err() {
        skipped("there is no bash");
        return None;
    }
    let action = action();
    let temporary = tempfile::tempdir().unwrap();
    let [output, summary] = ["output", "summary"].map(|name| temporary.path().join(name));
    fs::write(&summary, "before\n").unwrap();
    let mut context: Context =
        event.iter().map(|(name, value)| (format!("github.{name}"), (*value).to_owned())).collect();
    for (name, input) in action["inputs"].as_object().unwrap() {
        let given = inputs.iter().find(|(given, _)| given == name).map(|(_, value)| (*value).to_owned());
        let value = given.unwrap_or_else(|| match name.as_str() {
            "bottlec" => env!("CARGO_BIN_EXE_bottlec").to_owned(),
            _ => evaluated(input["default"].as_str().unwrap(), &context),
        });
        context.insert(format!("inputs.{name}"), value);
    }
    let mut run = Run {
        passed: true,
        log: String::new(),
        summary: String::new(),
        outputs: BTreeMap::new(),
        _temporary: temporary,
    };
    for step in action["runs"]["steps"].as_array().unwrap() {
        assert_eq!(step["shell"], "bash");
        let script = run._temporary.path().join("step.sh");
        fs::write(&script, evaluated(step["run"].as_str().unwrap(), &context)).unwrap();
        fs::write(&output, "").unwrap();
        let mut command = Command::new("bash");
        command.args(["--noprofile", "--norc", "-eo", "pipefail"]).arg(&script).current_dir(repository.root());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
        command.env("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR")).env("RUNNER_TEMP", run._temporary.path());
        command.env("GITHUB_OUTPUT", &output).env("GITHUB_STEP_SUMMARY", &summary);
        for (name, value) in step["env"].as_object().unwrap() {
            command.env(name, evaluated(value.as_str().unwrap(), &context));
        }
        command.envs(variables.iter().copied());
        let ended = command.output().unwrap();
        run.log += &String::from_utf8_lossy(&ended.stdout);
        run.log += &String::from_utf8_lossy(&ended.stderr);
        for line in fs::read_to_string(&output).unwrap().lines() {
            let (name, value) = line.split_once('=').unwrap();
            context.insert(format!("steps.{}.outputs.{name}", step["id"].as_str().unwrap()), value.to_owned());
        }
        run.passed = ended.status.success();
        if !run.passed {
            break;
        }
    }
    for (name, declared) in action["outputs"].as_object().unwrap() {
        run.outputs.insert(name.clone(), evaluated(declared["value"].as_str().unwrap(), &context));
    }
    run.summary = fs::read_to_string(summary).unwrap();
    Some(run)
}

impl Run {
    pub(crate) fn output(&self, name: &str) -> &str {
        &self.outputs[name]
    }

    /// A SARIF file, read by a reader that is not ours.
    fn sarif(&self, name: &str) -> serde_sarif::sarif::Sarif {
        serde_json::from_str(&fs::read_to_string(self.output(name)).unwrap()).unwrap()
    }

    /// The lines that the runner would take for commands.
    fn commands(&self) -> Vec<&str> {
        let lines = self.log.split(['\n', '\r']);
        lines.filter(|line| line.trim_start().starts_with("::") || line.contains("##[")).collect()
    }
}

/// A repository with one bottle on `main`, and the commit; nothing, and a line about it, without git.
fn repository() -> Option<(Repository, String)> {
    let repository = Repository::new();
    if repository.is_none() {
        skipped("there is no git");
    }
    let repository = repository?;
    let base = repository.commit(&[("bottles/review.bottle.yaml", OLD), ("readme.txt", "1\n")]);
    Some((repository, base))
}

#[test]
fn a_change_fails_by_its_grade_and_is_summarized() {
    let Some((repository, base)) = repository() else { return };
    let event = [("event.pull_request.base.sha", base.as_str())];
    for (text, fail_on, passes, too_grave) in [
        (WIDER, "high", false, true),
        (WIDER, "info", false, true),
        (WIDER, "critical", true, false),
        (WIDER, "never", true, false),
        (NARROWER, "high", true, false),
        (NARROWER, "never", true, false),
    ] {
        repository.commit(&[("bottles/review.bottle.yaml", text)]);
        let Some(run) = run(&repository, &event, &[("fail-on", fail_on)]) else { return };
        let case = format!("fail-on {fail_on}: {}", run.log);
        assert_eq!(run.passed, passes, "{case}");
        assert_eq!(run.log.contains("::error title=bottlec::the change lets an agent do more"), too_grave, "{case}");
        assert!(run.summary.starts_with("before\n") && run.summary.len() > 10, "{}", run.summary);
        assert_eq!(run.summary.contains("added.example.com"), text == WIDER, "{}", run.summary);
        let changes = run.sarif("diff-sarif").runs.remove(0).results.unwrap();
        let checked = run.sarif("check-sarif").runs.remove(0);
        assert_eq!(checked.tool.driver.name, "bottlec");
        if text == WIDER {
            assert_eq!(run.output("grade"), "high", "{case}");
            assert!(!changes.is_empty());
        } else {
            assert!(
                !["critical", "high", "medium", ""].contains(&run.output("grade")),
                "{} {case}",
                run.output("grade")
            );
        }
    }
}

#[test]
fn a_base_that_does_not_compile_is_told_and_all_of_the_bottle_is_new() {
    let Some((repository, _)) = repository() else { return };
    let base = repository.commit(&[("bottles/review.bottle.yaml", "nme: x\n")]);
    repository.commit(&[("bottles/review.bottle.yaml", OLD)]);
    let Some(run) = run(&repository, &[("event.before", &base)], &[("fail-on", "never")]) else { return };
    assert!(run.passed && !run.output("grade").is_empty(), "{}", run.log);
    let [told] = run.commands()[..] else { panic!("{}", run.log) };
    assert!(told.starts_with("::notice title=bottlec::bottlec diff: "), "{told}");
    assert!(told.contains(&format!("bottles/review.bottle.yaml did not compile at {base}")), "{told}");
}

#[test]
fn a_change_does_not_accept_itself_unless_it_may() {
    let Some((repository, base)) = repository() else { return };
    let comment = "  # bottlec: accept BTL811 until 9999-12-31 it is meant\n";
    repository.commit(&[("bottles/review.bottle.yaml", &(WIDER.trim_end().to_owned() + comment))]);
    let event = [("event.pull_request.base.sha", base.as_str())];
    for (inputs, passes, grade) in [
        (&[][..], false, "high"),
        (&[("accept-from", "base")], false, "high"),
        (&[("accept-from", "head")], true, "none"),
    ] {
        let Some(run) = run(&repository, &event, inputs) else { return };
        assert_eq!((run.passed, run.output("grade")), (passes, grade), "{inputs:?} {}", run.log);
    }
    let Some(run) = run(&repository, &event, &[("accept-from", "me")]) else { return };
    assert!(!run.passed && run.log.contains("it can be base or head"), "{}", run.log);
}

#[test]
fn an_edit_of_a_committed_tree_is_told() {
    let Some((repository, _)) = repository() else { return };
    let build = Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(["build", "bottles/review.bottle.yaml", "-o", "golden", "--hermetic", "-q"])
        .current_dir(repository.root())
        .status();
    assert!(build.unwrap().success());
    let base = repository.commit(&[]);
    let event = [("event.pull_request.base.sha", base.as_str())];
    for (path, text) in [("golden/review/.env", "A=b\n"), ("golden/review/egress/certifi.py", "import os\n")] {
        repository.commit(&[(path, text)]);
        let Some(run) = run(&repository, &event, &[]) else { return };
        assert_eq!((run.passed, run.output("grade")), (false, "critical"), "{path} {}", run.log);
        assert!(run.summary.contains("BTL851"), "{}", run.summary);
        git(repository.root(), &["reset", "--quiet", "--hard", &base]);
    }
    fs::remove_dir_all(repository.path("golden")).unwrap();
    repository.commit(&[]);
    let Some(run) = run(&repository, &event, &[]) else { return };
    assert_eq!((run.passed, run.output("grade")), (false, "high"), "{}", run.log);
}

#[test]
fn a_change_without_bottles_passes() {
    let Some((repository, base)) = repository() else { return };
    repository.commit(&[("readme.txt", "2\n")]);
    let event = [("event.pull_request.base.sha", base.as_str())];
    let Some(run) = run(&repository, &event, &[("fail-on", "info")]) else { return };
    assert!(run.passed, "{}", run.log);
    assert_eq!(run.output("grade"), "none");
    assert_eq!(run.sarif("diff-sarif").runs[0].results.as_deref().unwrap_or_default().len(), 0);
    assert_eq!(run.commands(), Vec::<&str>::new());
}

#[test]
fn what_the_base_branch_got_meanwhile_is_not_blamed_on_the_change() {
    let Some((repository, base)) = repository() else { return };
    git(repository.root(), &["checkout", "--quiet", "-b", "change"]);
    repository.commit(&[("readme.txt", "2\n")]);
    git(repository.root(), &["checkout", "--quiet", "main"]);
    let grown = repository.commit(&[("bottles/other.bottle.yaml", &WIDER.replace("review", "other"))]);

    // The branch itself is checked out.
    git(repository.root(), &["checkout", "--quiet", "change"]);
    let Some(branch) = run(&repository, &[("event.pull_request.base.sha", &grown)], &[]) else { return };
    assert_eq!((branch.passed, branch.output("grade")), (true, "none"), "{}", branch.log);

    // Its merge is checked out, which is newer than the event's base.
    git(repository.root(), &["checkout", "--quiet", "--detach", "main"]);
    git(repository.root(), &["merge", "--quiet", "--no-ff", "-m", "merge", "change"]);
    let merge = [("GITHUB_REF", "refs/pull/7/merge")];
    for (event, variables, grade) in [
        ([("event.pull_request.base.sha", base.as_str())], &merge[..], "none"),
        // A base that somebody chose is the base.
        ([("event.before", base.as_str())], &merge[..], "high"),
        ([("event.pull_request.base.sha", base.as_str())], &[("GITHUB_REF", "refs/heads/main")], "high"),
    ] {
        let run = run_with(&repository, &event, &[], variables).unwrap();
        assert_eq!(run.output("grade"), grade, "{event:?} {variables:?} {}", run.log);
    }
}

#[test]
fn a_forks_pull_request_is_judged_by_the_base_as_the_runner_checks_it_out() {
    let Some((base, old)) = repository() else { return };
    let (fork, runner) = (Repository::new().unwrap(), Repository::new().unwrap());
    let fetch = |into: &Repository, from: &Repository, more: &[&str]| {
        let url = format!("file://{}", from.root().display());
        git(into.root(), &[&["fetch", "--quiet", url.as_str()], more].concat());
    };
    fetch(&fork, &base, &["main:base"]);
    git(fork.root(), &["checkout", "--quiet", "-b", "change", "base"]);
    let accepted =
        WIDER.replace("added.example.com", "added.example.com  # bottlec: accept BTL811 until 2099-01-01 mine");
    fork.commit(&[
        ("bottles/review.bottle.yaml", &accepted),
        ("bottlec.toml", "[review]\nfail-on = \"never\"\naccept-from = \"head\"\n"),
    ]);
    // The base branch goes on, and the forge merges the two.
    fetch(&base, &fork, &["change:refs/pull/7/head"]);
    let now = base.commit(&[("readme.txt", "2\n")]);
    git(base.root(), &["checkout", "--quiet", "--detach"]);
    git(base.root(), &["merge", "--quiet", "--no-ff", "-m", "merge", "refs/pull/7/head"]);
    git(base.root(), &["update-ref", "refs/pull/7/merge", "HEAD"]);
    let merge = [("GITHUB_REF", "refs/pull/7/merge")];
    for depth in [&["--depth=1"][..], &["--unshallow"]] {
        fetch(&runner, &base, &[depth, &["+refs/pull/7/merge:refs/remotes/pull/7/merge"]].concat());
        git(runner.root(), &["checkout", "--quiet", "--detach", "refs/remotes/pull/7/merge"]);
        for event in [&old, &now] {
            let Some(run) = run_with(&runner, &[("event.pull_request.base.sha", event)], &[], &merge) else { return };
            assert!(!run.passed, "{depth:?} {}", run.log);
            if depth == ["--unshallow"] {
                assert_eq!(run.output("grade"), "high", "{}", run.log);
                assert!(
                    run.summary.contains("added.example.com") && !run.log.contains("fetch-depth"),
                    "{}",
                    run.summary
                );
            } else {
                assert!(run.log.contains("fetch-depth"), "{}", run.log);
            }
        }
    }
}

#[test]
fn names_that_somebody_else_chose_do_nothing() {
    let Some((repository, base)) = repository() else { return };
    git(repository.root(), &["checkout", "--quiet", "-b", "$(touch${IFS}ran)`touch${IFS}ran`;touch${IFS}ran"]);
    let names = [
        "$(touch ran)",
        "`touch ran`",
        "a\n::error title=x::forged\n::set-output name=grade::none\n",
        "b\r::stop-commands::x",
        "--output=ran",
        "; touch ran #",
        "\"'; touch ran; '",
        "##[error]forged",
        "${{ github.token }}",
        "<img src=x onerror=x>",
    ];
    let event = [("event.pull_request.base.sha", base.as_str())];
    for name in names {
        repository.write(&format!("{name}/{name}.bottle.yaml"), WIDER);
    }
    repository.commit(&[]);
    let Some(compared) = run(&repository, &event, &[]) else { return };
    assert_eq!((compared.passed, compared.output("grade")), (false, "high"), "{}", compared.log);
    assert_eq!(compared.commands().len(), 1, "that of the grade: {}", compared.log);
    assert!(!compared.summary.contains("<img") && !compared.summary.contains("\n::"), "{}", compared.summary);
    for name in names {
        repository.write(&format!("{name}/wrong.bottle.yaml"), "name: \"x\\n::error::forged\"\nnme: x\n");
    }
    repository.commit(&[]);
    for (event, paths) in [
        ([("event.pull_request.base.sha", base.as_str())], "."),
        ([("event.before", base.as_str())], "./$(touch ran)\n\n--output=ran\na"),
        ([("event.pull_request.base.sha", "--output=ran")], "."),
        ([("event.pull_request.base.sha", "$(touch ran)\n::error::forged")], "."),
        ([("event.pull_request.base.sha", "a\r::error::forged")], "."),
    ] {
        let Some(run) = run(&repository, &event, &[("paths", paths)]) else { return };
        assert!(!run.passed, "{}", run.log);
        assert!(!repository.path("ran").exists(), "{paths:?}");
        for command in run.commands() {
            let known = ["::error title=bottlec", "::warning title=bottlec"];
            assert!(known.iter().any(|start| command.starts_with(start)), "{command:?} in {}", run.log);
        }
        assert_eq!(run.output("grade"), "", "{}", run.log);
    }
}

#[test]
fn a_summary_is_cut_before_the_runner_refuses_it() {
    let Some((repository, base)) = repository() else { return };
    let program = repository.path(".git/bottlec");
    let script = "#!/bin/sh\ncase \"$*\" in *markdown*) yes 'a line of the list' | head -n 100000 ;; esac\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let inputs = [("bottlec", program.to_str().unwrap())];
    let Some(run) = run(&repository, &[("event.pull_request.base.sha", &base)], &inputs) else { return };
    assert!(run.passed, "{}", run.log);
    assert!((900_000..1 << 20).contains(&run.summary.len()), "{}", run.summary.len());
    assert!(run.summary.contains("\na line of the list\n\n\n**The rest is left out"), "cut between lines");
    assert_eq!(run.output("check-sarif"), "", "an empty file is no log");
}

#[test]
fn without_a_base_bottles_are_checked_and_not_compared() {
    let Some((repository, _)) = repository() else { return };
    let zero = "0".repeat(40);
    for (event, words) in
        [(&[("event.before", zero.as_str())][..], "the branch is new"), (&[], "this event has no base")]
    {
        let Some(run) = run(&repository, event, &[]) else { return };
        assert!(run.passed, "{}", run.log);
        assert_eq!(run.commands(), [format!("::notice title=bottlec::bottlec compared nothing: {words}")]);
        assert_eq!((run.output("grade"), run.output("diff-sarif")), ("", ""));
        assert_eq!(run.sarif("check-sarif").runs.len(), 1);
        assert_eq!(run.summary, "before\n");
    }
}

#[test]
fn what_goes_wrong_is_an_error_on_one_line() {
    let Some((repository, base)) = repository() else { return };
    let pull = [("event.pull_request.base.sha", base.as_str())];
    let unknown = [("event.pull_request.base.sha", "1234567890123456789012345678901234567890")];
    for (event, inputs, words) in [
        (
            &unknown[..],
            &[][..],
            "::error title=bottlec::bottlec diff: bottlec: `1234567890123456789012345678901234567890` is not a revision",
        ),
        (&unknown, &[("base", "a --fail-on b")], "bottlec diff: bottlec: `a --fail-on b` is not a revision"),
        (&unknown, &[("base", "HEAD~99")], "bottlec diff: bottlec: `HEAD~99` is not a revision"),
        (&pull, &[("paths", "\n\n")], "::error title=bottlec::the input `paths` is empty"),
        (
            &pull,
            &[("paths", "missing%\nbottles")],
            "::error title=bottlec::bottlec check: bottlec: cannot read missing%25",
        ),
        (&pull, &[("fail-on", "High\n")], "::error title=bottlec::the input `fail-on` is `High%0A`"),
        (&pull, &[("fail-on", "critical high")], "the input `fail-on` is"),
        (&pull, &[("strict", "yes")], "::error title=bottlec::the input `strict` is `yes`"),
        (&pull, &[("bottlec", "./nothing")], "::error title=bottlec::there is no program `./nothing`"),
        (&pull, &[("bottlec", "readme.txt")], "::error title=bottlec::"),
    ] {
        let Some(run) = run(&repository, event, inputs) else { return };
        assert!(!run.passed, "{inputs:?} {}", run.log);
        assert!(run.log.contains(words), "{inputs:?} {}", run.log);
        assert!(["", "none"].contains(&run.output("grade")), "{inputs:?}");
        assert_eq!(run.output("grade") == "none", run.log.contains("bottlec check: "), "{inputs:?}: it was compared");
    }
}

#[test]
fn errors_in_manifests_fail_and_warnings_when_strict() {
    let Some((repository, base)) = repository() else { return };
    let event = [("event.pull_request.base.sha", base.as_str())];
    let warned = format!("{OLD}      pipelock: {{ tls_passthrough: true }}\n");
    for (text, strict, passes, words) in [
        (warned.as_str(), "false", true, "::warning title=bottlec BTL601,file="),
        (&warned, "true", false, "::error title=bottlec BTL601,file="),
        ("name: review\nnme: x\n", "false", false, "::error title=bottlec BTL101,file="),
    ] {
        repository.write("bottles/new one.bottle.yaml", text);
        let inputs = [("strict", strict), ("fail-on", "never"), ("paths", "bottles/new one.bottle.yaml\nbottles")];
        let Some(run) = run(&repository, &event, &inputs) else { return };
        assert!(run.passed == passes && run.log.contains(words), "{}", run.log);
        assert_eq!(run.log.contains("bottlec check found errors"), !passes, "{}", run.log);
        assert_eq!(run.sarif("check-sarif").runs[0].results.as_ref().map(Vec::len), Some(1), "shown though it fails");
    }
}

#[test]
fn bottlec_is_built_from_the_action_away_from_the_files_under_review() {
    let Some((repository, _)) = repository() else { return };
    let programs = tempfile::tempdir().unwrap();
    let cargo = programs.path().join("cargo");
    // It has no compiler; that the arguments are cargo's own is tried with the real one below.
    let script = "#!/bin/sh\npwd\nprintf '%s\\n' \"$@\"\nmkdir -p \"$6/bin\" && printf '#!/bin/sh\\nexit 0\\n' >\"$6/bin/bottlec\" && chmod +x \"$6/bin/bottlec\"\n";
    fs::write(&cargo, script).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.path().display(), std::env::var("PATH").unwrap());
    let Some(run) = run_with(&repository, &[], &[("bottlec", "")], &[("PATH", &path)]) else { return };
    assert!(run.passed, "{}", run.log);
    let lines: Vec<&str> = run.log.lines().collect();
    let temporary = run._temporary.path().display();
    let expected = [env!("CARGO_MANIFEST_DIR"), "install", "--locked", "--path", ".", "--root"].map(str::to_owned);
    assert_eq!(lines[..6], expected);
    assert_eq!(
        lines[6..9],
        [format!("{temporary}/bottlec-program"), "--target-dir".into(), format!("{temporary}/bottlec-build")]
    );
    let help = Command::new(env!("CARGO")).args(["install", "--help"]).output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout);
    assert!(["--locked", "--path", "--root", "--target-dir"].iter().all(|option| help.contains(option)));
}

#[test]
fn no_expression_is_a_part_of_a_script() {
    let action = action();
    let mut files: Vec<PathBuf> = Vec::new();
    for step in action["runs"]["steps"].as_array().unwrap() {
        let run = step["run"].as_str().unwrap();
        assert!(!run.contains("${{"), "{run}");
        let file = run.strip_prefix("bash \"$GITHUB_ACTION_PATH/").and_then(|rest| rest.strip_suffix('"')).unwrap();
        files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join(file));
    }
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("\nset -euo pipefail\n"), "{}", file.display());
        assert!(!text.contains("${{") && !text.contains("eval "), "{}", file.display());
    }
    files.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("action/say"));
    match Command::new("shellcheck").arg("-x").args(&files).output() {
        Ok(judged) => assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout)),
        Err(_) => skipped("there is no shellcheck"),
    }
}

#[test]
fn the_example_workflow_asks_for_little_and_names_what_there_is() {
    let action = action();
    let workflow = read_yaml("docs/examples/bottlec.yml");
    assert_eq!(
        workflow["permissions"],
        serde_json::json!({ "contents": "read", "security-events": "write" }),
        "and no job has others"
    );
    let jobs = workflow["jobs"].as_object().unwrap();
    assert!(jobs.values().all(|job| job.get("permissions").is_none()));
    let steps: Vec<&Value> = jobs.values().flat_map(|job| job["steps"].as_array().unwrap()).collect();
    assert!(steps.iter().all(|step| step.get("run").is_none()), "nothing to put an expression into");
    let uses = |name: &str| {
        steps.iter().filter(|step| step["uses"].as_str().unwrap().contains(name)).copied().collect::<Vec<_>>()
    };
    let checkout = uses("actions/checkout@");
    assert_eq!(checkout[0]["with"], serde_json::json!({ "fetch-depth": 0, "persist-credentials": false }));
    let own = uses("/bottlec@");
    for input in own[0]["with"].as_object().unwrap().keys() {
        assert!(action["inputs"].get(input).is_some(), "{input}");
    }
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples/bottlec.yml")).unwrap();
    let named: Vec<&str> = text.split("steps.bottlec.outputs.").skip(1).collect();
    assert_eq!(named.len(), 4);
    for rest in named {
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next().unwrap();
        assert!(action["outputs"].get(name).is_some(), "{name}");
    }
    let categories: Vec<&Value> = uses("upload-sarif@").iter().map(|step| &step["with"]["category"]).collect();
    assert!(categories.len() == 2 && categories[0] != categories[1], "one upload would replace the other");
}
