//! `build --check` says what moved since a tree was built, and `build --update` writes over it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{bottlec, folder, screen, stdout};
use serde_json::Value;
use tempfile::TempDir;

const MANIFEST: &str = "extends: base\nenv: { A: a }\n";
const BASE: &str = "env: { B: b }\n";
const BUILD: [&str; 4] = ["build", "review.yaml", "-o", "out"];
const CHECK: [&str; 5] = ["build", "review.yaml", "-o", "out", "--check"];
const UPDATE: [&str; 5] = ["build", "review.yaml", "-o", "out", "--update"];

/// A project with a tree that was built a moment ago.
fn built() -> TempDir {
    let folder = folder(&[("review.yaml", MANIFEST), ("base.yaml", BASE)]);
    let run = bottlec(folder.path(), &BUILD);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    assert_eq!(bottlec(folder.path(), &CHECK).status.code(), Some(0));
    folder
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn edit_index(tree: &Path, edit: &dyn Fn(&mut Value)) {
    let mut index = serde_json::from_str(&read(&tree.join("bottle.json"))).unwrap();
    edit(&mut index);
    fs::write(tree.join("bottle.json"), serde_json::to_string_pretty(&index).unwrap()).unwrap();
}

/// A text as git leaves it when its line with this word differs on both sides.
fn conflicted(text: &str, word: &str, theirs: &str) -> String {
    let line = |line: &str| match line.contains(word) {
        false => line.to_owned(),
        true => format!("<<<<<<< HEAD\n{line}||||||| 0123456\nbase\n=======\n{theirs}\n>>>>>>> main\n"),
    };
    text.split_inclusive('\n').map(line).collect()
}

#[test]
fn check_says_what_moved() {
    const MANIFEST_MOVED: &str = "review: the manifest changed since the tree was built";
    const OPTIONS: &str = "review: the manifest, bottlec and the files are unchanged";
    type Change = &'static dyn Fn(&Path, &Path);
    let cases: &[(&str, Change, &[&str], &[&str])] = &[
        ("the manifest", &|_, project| append(&project.join("review.yaml"), "# why\n"), &CHECK, &[MANIFEST_MOVED]),
        ("a parent", &|_, project| append(&project.join("base.yaml"), "name: base\n"), &CHECK, &[MANIFEST_MOVED]),
        (
            "bottlec",
            &|tree, _| edit_index(tree, &|index| index["stamp"]["bottlec"] = "0.0.1\u{1b}[2J".into()),
            &CHECK,
            &[concat!(
                r"review: the tree was built by another bottlec: 0.0.1\u{1b}[2J; this one is ",
                env!("CARGO_PKG_VERSION")
            )],
        ),
        (
            "files",
            &|tree, _| {
                append(&tree.join("compose.yaml"), "# mine\n");
                append(&tree.join("agent/agent.env"), "MINE=1\n");
                fs::remove_file(tree.join("Smolfile")).unwrap();
            },
            &CHECK,
            &[
                "review: agent/agent.env was edited by hand",
                "review: compose.yaml was edited by hand",
                "review: Smolfile was removed by hand",
            ],
        ),
        (
            "a file of an earlier build that is no longer in the plan",
            &|tree, _| append(&tree.join("Smolfile"), "# mine\n"),
            &["build", "review.yaml", "-o", "out", "--check", "--backend", "docker"],
            &["review: Smolfile was edited by hand"],
        ),
        (
            "the index itself",
            &|tree, _| edit_index(tree, &|index| index["command"] = Value::Array(vec!["sh".into()])),
            &CHECK,
            &["review: bottle.json was edited by hand"],
        ),
        (
            "manifest and file",
            &|tree, project| {
                append(&project.join("review.yaml"), "# why\n");
                append(&tree.join("compose.yaml"), "# mine\n");
            },
            &CHECK,
            &[MANIFEST_MOVED, "review: compose.yaml was edited by hand"],
        ),
        ("options", &|_, _| {}, &["build", "review.yaml", "-o", "out", "--check", "--backend", "docker"], &[OPTIONS]),
        (
            "a merge",
            &|tree, _| {
                for (path, word) in [("compose.yaml", "services:"), ("egress/routes.yaml", "routes:")] {
                    let text = conflicted(&read(&tree.join(path)), word, "theirs");
                    fs::write(tree.join(path), text).unwrap();
                }
            },
            &CHECK,
            &[
                "review: compose.yaml contains git conflict markers",
                "review: egress/routes.yaml contains git conflict markers",
            ],
        ),
        (
            "a merge of the index",
            &|tree, _| {
                let index =
                    conflicted(&read(&tree.join("bottle.json")), "\"manifest\": \"", "      \"manifest\": \"x\"");
                fs::write(tree.join("bottle.json"), index).unwrap();
                append(&tree.join("compose.yaml"), "# of one side\n");
            },
            &CHECK,
            &["review: bottle.json contains git conflict markers"],
        ),
        (
            "permissions",
            &|tree, _| fs::set_permissions(tree.join("agent/agent.env"), fs::Permissions::from_mode(0o644)).unwrap(),
            &CHECK,
            &["review: agent/agent.env does not have the permissions that a build sets (git does not store them)"],
        ),
        (
            "no tree",
            &|tree, _| fs::remove_dir_all(tree).unwrap(),
            &CHECK,
            &["review: the bottle has not been built here"],
        ),
        (
            "no index",
            &|tree, _| fs::remove_file(tree.join("bottle.json")).unwrap(),
            &CHECK,
            &["review: bottle.json is missing, so the cause is unknown"],
        ),
        (
            "another index",
            &|tree, _| fs::write(tree.join("bottle.json"), "{}").unwrap(),
            &CHECK,
            &["review: bottle.json was not written by bottlec"],
        ),
        (
            "an unfinished build",
            &|tree, _| fs::rename(tree.join("bottle.json"), tree.join(".bottle.json.pending")).unwrap(),
            &CHECK,
            &["review: a previous build was interrupted"],
        ),
    ];
    for (what, change, arguments, expected) in cases {
        let project = built();
        change(&project.path().join("out/review"), project.path());
        let run = bottlec(project.path(), arguments);
        assert_eq!(run.status.code(), Some(1), "{what}: {}", screen(&run));
        let text = screen(&run);
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with("review: ")).collect();
        assert_eq!(told.len(), expected.len(), "{what}: {told:?}");
        for (told, expected) in told.iter().zip(*expected) {
            assert!(told.starts_with(expected), "{what}: {told}");
        }
        assert!(text.contains("to update it: bottlec build review.yaml -o out --update"), "{what}: {text}");
    }
}

fn append(path: &Path, text: &str) {
    fs::write(path, read(path) + text).unwrap();
}

#[test]
fn another_account_is_told_by_the_options() {
    let folder = folder(&[(
        "review.yaml",
        "agent_provider: { template: codex, forward_host_credentials: true }\nname: review\n",
    )]);
    assert_eq!(bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--hermetic"]).status.code(), Some(0));
    // An account that is not the made-up one, as another build would have left it.
    let tree = folder.path().join("out/review");
    append(&tree.join("agent/home/.codex/auth.json"), "\n");
    edit_index(&tree, &|index| {
        let hash = bottlec::value::digest::hash(&fs::read(tree.join("agent/home/.codex/auth.json")).unwrap());
        let files = index["files"].as_array_mut().unwrap();
        files.iter_mut().find(|file| file["path"] == "agent/home/.codex/auth.json").unwrap()["sha256"] = hash.into();
    });
    let run = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--hermetic", "--check"]);
    assert!(screen(&run).contains("for another account, with other options (--backend, --hermetic)"));
    assert!(!screen(&run).contains("by hand"), "{}", screen(&run));
}

#[test]
fn what_lies_on_disk_does_not_steer_the_terminal() {
    let project = built();
    append(&project.path().join("out/review/compose.yaml"), "# \u{1b}[2J\u{202e}\u{200b}end\n");
    let run = bottlec(project.path(), &CHECK);
    assert!(stdout(&run).contains(r"-# \u{1b}[2J\u{202e}\u{200b}end"), "{}", stdout(&run));
    assert!(!stdout(&run).contains(['\u{1b}', '\u{202e}', '\u{200b}']));
}

#[test]
fn a_clean_check_says_so_in_a_line() {
    let project = built();
    let run = bottlec(project.path(), &CHECK);
    assert_eq!((run.status.code(), screen(&run).as_str()), (Some(0), "no differences in 1 bottle\n"));
    let run = bottlec(project.path(), &[&CHECK[..], &["--quiet"]].concat());
    assert_eq!((run.status.code(), screen(&run).as_str()), (Some(0), ""));
}

#[test]
fn update_writes_over_edits_and_conflicts_and_nothing_else() {
    let project = built();
    let tree = project.path().join("out/review");
    let good = read(&tree.join("compose.yaml"));
    fs::write(tree.join("compose.yaml"), conflicted(&good, "services:", "theirs")).unwrap();
    append(&tree.join("egress/routes.yaml"), "# mine\n");
    let index = conflicted(&read(&tree.join("bottle.json")), "\"manifest\": \"", "    \"manifest\": \"x\"");
    fs::write(tree.join("bottle.json"), &index).unwrap();
    fs::write(tree.join("notes.txt"), "mine").unwrap();

    // Without the option nothing is touched, and it is named.
    let run = bottlec(project.path(), &BUILD);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("bottle.json contains git conflict markers"), "{}", screen(&run));
    assert!(screen(&run).contains("--update"), "{}", screen(&run));
    assert_eq!(read(&tree.join("bottle.json")), index);
    assert_ne!(read(&tree.join("compose.yaml")), good);

    let run = bottlec(project.path(), &UPDATE);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    assert!(screen(&run).contains("review: 3 written"), "{}", screen(&run));
    assert_eq!(read(&tree.join("compose.yaml")), good);
    assert_eq!(read(&tree.join("notes.txt")), "mine");
    let check = bottlec(project.path(), &CHECK);
    assert_eq!((check.status.code(), stdout(&check).as_str()), (Some(1), "foreign out/review/notes.txt\n"));
    assert!(
        screen(&check).contains("review: notes.txt is in the bottle's folder but is not part of the build: remove it")
    );
    fs::remove_file(tree.join("notes.txt")).unwrap();
    assert_eq!(bottlec(project.path(), &CHECK).status.code(), Some(0));
    let again = bottlec(project.path(), &UPDATE);
    assert!(screen(&again).contains("review: 0 written"), "{}", screen(&again));
}

#[test]
fn files_that_one_side_of_a_merge_lists_are_of_the_tree() {
    let project = built();
    let tree = project.path().join("out/review");
    let ours = read(&tree.join("bottle.json"));
    let run = bottlec(project.path(), &["build", "review.yaml", "-o", "other", "--backend", "docker"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    let theirs = read(&project.path().join("other/review/bottle.json"));
    let merge = |ours: &str| format!("<<<<<<< HEAD\n{ours}||||||| 0123456\n{{}}\n=======\n{theirs}>>>>>>> main\n");
    fs::write(tree.join("bottle.json"), merge(&ours)).unwrap();
    let update: Vec<&str> = UPDATE.into_iter().chain(["--backend", "docker"]).collect();
    let run = bottlec(project.path(), &update);
    assert!(screen(&run).contains("1 removed"), "{}", screen(&run));
    assert!(!tree.join("Smolfile").exists());

    // What neither side lists is not, whatever it says of itself.
    fs::write(tree.join("bottle.json"), merge(&theirs)).unwrap();
    fs::write(tree.join("Smolfile"), "# Generated by bottlec. Do not edit.\n").unwrap();
    let run = bottlec(project.path(), &UPDATE);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("Smolfile exists and was not written by bottlec"), "{}", screen(&run));
}

#[test]
fn without_a_readable_list_a_files_first_line_says_whose_it_is() {
    let broken = "{\n<<<<<<< HEAD\n  \"format\": 1,\n=======\n  \"format\"\n>>>>>>> main\n";
    let project = built();
    let tree = project.path().join("out/review");
    fs::write(tree.join("bottle.json"), broken).unwrap();
    append(&tree.join("compose.yaml"), "# mine\n");
    let run = bottlec(project.path(), &UPDATE);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    assert_eq!(bottlec(project.path(), &CHECK).status.code(), Some(0));

    // One that does not say so may be somebody else's.
    fs::write(tree.join("bottle.json"), broken).unwrap();
    fs::write(tree.join("compose.yaml"), "services: {}\n").unwrap();
    let run = bottlec(project.path(), &UPDATE);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("compose.yaml exists and was not written by bottlec"), "{}", screen(&run));
    assert_eq!(read(&tree.join("compose.yaml")), "services: {}\n");
}

#[test]
fn update_takes_nothing_that_is_not_of_the_tree() {
    for (what, path, content) in [
        ("a file without an index", "compose.yaml", "services: {}\n"),
        ("an index of somebody else", "bottle.json", "{}"),
        ("a generated file without an index", "compose.yaml", "# Generated by bottlec. Do not edit.\n"),
    ] {
        let folder = folder(&[("review.yaml", "name: review\n"), (&format!("out/review/{path}"), content)]);
        let run = bottlec(folder.path(), &UPDATE);
        assert_eq!(run.status.code(), Some(2), "{what}");
        assert!(screen(&run).contains("was not written by bottlec"), "{what}: {}", screen(&run));
        assert_eq!(read(&folder.path().join("out/review").join(path)), content, "{what}");
    }
    let project = built();
    let tree = project.path().join("out/review");
    fs::write(project.path().join("elsewhere"), "kept").unwrap();
    fs::remove_file(tree.join("compose.yaml")).unwrap();
    symlink(project.path().join("elsewhere"), tree.join("compose.yaml")).unwrap();
    let run = bottlec(project.path(), &UPDATE);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("links are not followed"), "{}", screen(&run));
    assert_eq!(read(&project.path().join("elsewhere")), "kept");
}

#[test]
fn update_excludes_what_writes_nothing() {
    let folder = folder(&[("review.yaml", "name: review\n")]);
    for arguments in [&["--update", "--check", "-o", "out"] as &[&str], &["--update", "-o", "-"]] {
        let all: Vec<&str> = ["build", "review.yaml"].iter().chain(arguments).copied().collect();
        let run = bottlec(folder.path(), &all);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}");
        assert!(screen(&run).contains("--update"), "{}", screen(&run));
    }
}

/// git keeps no permissions, and a tree for comparison holds nobody's account.
#[test]
fn permissions_do_not_count_in_a_tree_for_comparison() {
    let folder = folder(&[("review.yaml", "name: review\n")]);
    let build = ["build", "review.yaml", "-o", "out", "--hermetic"];
    assert!(bottlec(folder.path(), &build).status.success());
    let file = folder.path().join("out/review/agent/agent.env");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let check = bottlec(folder.path(), &[&build[..], &["--check"]].concat());
    assert_eq!(check.status.code(), Some(0), "{}", screen(&check));
    let check = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--check"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8(check.stdout).unwrap().contains("agent.env is 0644, must be 0600"));
}
