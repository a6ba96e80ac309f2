//! Which trees are started: those that one build wrote, whole and for use.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Bottle, MANIFEST, VALUES};
use crate::support::screen;

#[test]
fn a_tree_that_is_not_what_one_build_wrote_is_not_started() {
    let remove = |path: PathBuf| fs::remove_file(path).unwrap();
    let edit = |path: PathBuf| fs::write(&path, fs::read_to_string(&path).unwrap() + "\n").unwrap();
    type Change<'c> = &'c dyn Fn(&Path);
    let replaced = |key: &'static str, value: serde_json::Value| {
        move |tree: &Path| {
            let path = tree.join("bottle.json");
            let mut index: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            *index.pointer_mut(key).unwrap() = value.clone();
            fs::write(path, index.to_string()).unwrap();
        }
    };
    let renamed = |from: &'static str, to: &'static str| {
        move |tree: &Path| {
            let path = tree.join("bottle.json");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from));
            fs::write(path, text.replace(from, to)).unwrap();
        }
    };
    let table: [(&str, Change, i32, &[&str]); 24] = [
        ("no folder", &|tree| fs::remove_dir_all(tree).unwrap(), 2, &["build it first: bottlec build MANIFEST -o out"]),
        ("no index", &|tree| remove(tree.join("bottle.json")), 2, &["no bottle in out/review", "bottlec build"]),
        ("no JSON", &|tree| fs::write(tree.join("bottle.json"), "{").unwrap(), 1, &["is malformed", "bottlec build"]),
        ("another format", &replaced("/format", 2.into()), 1, &["format 2", "bottlec build MANIFEST -o out"]),
        (
            "another release",
            &replaced("/stamp/bottlec", "0.0.1".into()),
            1,
            &["was built by another release of bottlec", "build"],
        ),
        ("no manifest", &replaced("/manifest", serde_json::Value::Null), 1, &["has a manifest that does not compile"]),
        ("a name that steers programs", &replaced("/slots/0/slot", "LD_PRELOAD".into()), 1, &["is malformed"]),
        ("no name", &renamed("FROM_HOST", "A=B"), 1, &["is malformed"]),
        ("a slot for the agent", &renamed("FROM_HOST", "EGRESS_TOKEN_0"), 1, &["is malformed"]),
        ("a token in a name's place", &renamed("FORGE_TOKEN", "ghp_0123456789"), 1, &["is malformed"]),
        (
            "a cut-off build",
            &|tree| fs::write(tree.join(".bottle.json.pending"), "{}").unwrap(),
            1,
            &["was interrupted"],
        ),
        (
            "a cut-off first build",
            &|tree| fs::rename(tree.join("bottle.json"), tree.join(".bottle.json.pending")).unwrap(),
            1,
            &["was interrupted"],
        ),
        (
            "an edit",
            &|tree| edit(tree.join("compose.yaml")),
            1,
            &["\n       compose.yaml was changed\n", "bottlec build"],
        ),
        (
            "several",
            &|tree| {
                edit(tree.join("Smolfile"));
                edit(tree.join("egress/routes.yaml"));
                remove(tree.join("pipelock/pipelock.yaml"));
            },
            1,
            &["Smolfile was changed\n", "egress/routes.yaml was changed\n", "pipelock/pipelock.yaml is missing\n"],
        ),
        (
            "a missing folder",
            &|tree| fs::remove_dir_all(tree.join("egress")).unwrap(),
            1,
            &["egress/egress.env is missing"],
        ),
        (
            "a link to the same text",
            &|tree| {
                fs::rename(tree.join("compose.yaml"), tree.join("elsewhere")).unwrap();
                symlink("elsewhere", tree.join("compose.yaml")).unwrap();
            },
            1,
            &["compose.yaml is not a regular file, or is behind a link"],
        ),
        (
            "a linked folder",
            &|tree| {
                fs::rename(tree.join("egress"), tree.join("elsewhere")).unwrap();
                symlink("elsewhere", tree.join("egress")).unwrap();
            },
            1,
            &[
                "egress/egress.env is not a regular file, or is behind a link",
                "egress/routes.yaml is not a regular file",
            ],
        ),
        (
            "a linked index",
            &|tree| {
                fs::rename(tree.join("bottle.json"), tree.join("elsewhere")).unwrap();
                symlink("elsewhere", tree.join("bottle.json")).unwrap();
            },
            1,
            &["bottle.json is not a regular file"],
        ),
        (
            "a folder for a file",
            &|tree| {
                remove(tree.join("compose.yaml"));
                fs::create_dir(tree.join("compose.yaml")).unwrap();
            },
            1,
            &["compose.yaml is not a regular file"],
        ),
        (
            "a FIFO for a file",
            &|tree| {
                remove(tree.join("compose.yaml"));
                assert!(Command::new("mkfifo").arg(tree.join("compose.yaml")).status().unwrap().success());
            },
            1,
            &["compose.yaml is not a regular file"],
        ),
        ("a path to elsewhere", &replaced("/files/0/path", "../../review.yaml".into()), 1, &["review.yaml is outside"]),
        ("an absolute path", &replaced("/files/0/path", "/etc/passwd".into()), 1, &["/etc/passwd is outside"]),
        ("escapes", &replaced("/files/0/path", "\u{1b}[2J".into()), 1, &["\\u{1b}[2J is missing"]),
        ("files of others", &|tree| fs::write(tree.join("agent/ca/egress.pem"), "made at launch").unwrap(), 0, &[]),
    ];
    for (what, change, code, words) in table {
        let bottle = Bottle::new(MANIFEST);
        change(&bottle.tree());
        for arguments in [&["--", "touch", "../../started"] as &[&str], &["--print-env-names"]] {
            let run = bottle.exec(&VALUES, arguments);
            assert_eq!(run.status.code(), Some(code), "{what} {}", screen(&run));
            assert!(words.iter().all(|words| screen(&run).contains(words)), "{what} {}", screen(&run));
            assert!(code == 0 || run.stdout.is_empty() && !bottle.path().join("started").exists(), "{what}");
        }
    }
}

/// Every hash fits, and egress would send a token to another host than the index says, or another token.
#[test]
fn tokens_go_where_the_index_says_or_nowhere() {
    let edit = |tree: &Path, from: &str, to: &str| {
        let file = tree.join("egress/routes.yaml");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains(from));
        fs::write(&file, text.replace(from, to)).unwrap();
        let mut index: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(tree.join("bottle.json")).unwrap()).unwrap();
        for file in index["files"].as_array_mut().unwrap() {
            let content = fs::read(tree.join(file["path"].as_str().unwrap())).unwrap();
            file["sha256"] = bottlec::value::digest::hash(&content).into();
        }
        fs::write(tree.join("bottle.json"), index.to_string()).unwrap();
    };
    let replace = |tree: &Path, pointer: &str, value: &str| {
        let mut index: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(tree.join("bottle.json")).unwrap()).unwrap();
        *index.pointer_mut(pointer).unwrap() = value.into();
        fs::write(tree.join("bottle.json"), index.to_string()).unwrap();
    };
    type Change<'c> = &'c dyn Fn(&Path);
    let changes: [Change; 6] = [
        &|tree| replace(tree, "/slots/0/token_ref", "API_TOKEN"),
        &|tree| replace(tree, "/routes/2/host", "other.example.com"),
        &|tree| edit(tree, "git.example.com", "other.example.com"),
        &|tree| edit(tree, "EGRESS_TOKEN_1", "EGRESS_TOKEN_0"),
        &|tree| edit(tree, "EGRESS_TOKEN_1", "EGRESS_TOKEN_7"),
        &|tree| edit(tree, "slots: \"", "#"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let bottle = Bottle::new(MANIFEST);
        change(&bottle.tree());
        let said = bottle.refused(&VALUES, 1);
        assert!(said.contains("is not what a build of this release writes"), "{number}: {said}");
    }
}

#[test]
fn a_tree_is_not_started_while_a_build_writes_it() {
    let bottle = Bottle::new(MANIFEST);
    let lock = fs::File::open(bottle.tree()).unwrap();
    lock.lock().unwrap();
    assert!(bottle.refused(&VALUES, 1).contains("a build is writing to out/review"));
    lock.unlock().unwrap();
    lock.lock_shared().unwrap();
    assert_eq!(bottle.exec(&VALUES, &["--", "true"]).status.code(), Some(0), "other launches keep nobody out");
}

#[test]
fn a_hermetic_tree_is_for_comparison() {
    let manifest = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";
    let bottle = Bottle::build(manifest, &["--hermetic"]);
    let said = bottle.refused(&[], 1);
    assert!(said.contains("was built with --hermetic and cannot sign in") && said.contains("rebuild it without"));
    assert_eq!(said.matches("error").count(), 1, "{said}");
}
