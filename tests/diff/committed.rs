//! Compiled trees in a repository: what `diff --rev` tells of them, and what only their manifest has to say.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{diff, stdout};
use crate::support::repository::{Repository, git};
use crate::support::{bottlec, screen, skipped};

const MANIFEST: &str = "name: dev\negress: { routes: [ { host: docs.example.com } ] }\n";
const WIDER: &str = "name: dev\negress: { routes: [ { host: docs.example.com }, { host: added.example.com } ] }\n";

/// A repository with a manifest and its tree; nothing, and a line about it, without git.
fn repository() -> Option<Repository> {
    let repository = Repository::new();
    if repository.is_none() {
        skipped("there is no git");
    }
    let repository = repository?;
    repository.write("dev.bottle.yaml", MANIFEST);
    build(&repository, "dev.bottle.yaml", "golden");
    repository.commit(&[]);
    Some(repository)
}

fn build(repository: &Repository, manifest: &str, out: &str) {
    let run = bottlec(repository.root(), &["build", manifest, "--hermetic", "-o", out]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
}

/// A path, its grade and `CODE message` of each change.
type Told = (String, String, Vec<String>);

/// What is reported against HEAD, and the exit code.
fn since(repository: &Repository, more: &[&str]) -> (Vec<Told>, Option<i32>) {
    let run = diff(repository.root(), &[&["--rev", "HEAD", "--format", "json"], more].concat());
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", screen(&run)));
    let told = report["bottles"].as_array().unwrap().iter().map(|bottle| {
        let changes = bottle["changes"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or("none").to_owned();
        let changes = changes.map(|change| format!("{} {}", text(&change["code"]), text(&change["message"])));
        (text(&bottle["path"]), text(&bottle["grade"]), changes.collect())
    });
    (told.collect(), run.status.code())
}

#[test]
fn a_tree_that_follows_its_manifest_says_nothing_twice() {
    let Some(repository) = repository() else { return };
    repository.write("dev.bottle.yaml", WIDER);
    let (stale, _) = since(&repository, &[]);
    build(&repository, "dev.bottle.yaml", "golden");
    let (told, code) = since(&repository, &[]);
    assert_eq!((told.len(), code), (1, Some(1)), "{told:?}");
    assert_eq!((told[0].0.as_str(), told[0].1.as_str()), ("dev.bottle.yaml", "high"));
    assert_eq!(told, stale);

    // What the manifest does not say is told.
    repository.write("other.yaml", &WIDER.replace("added", "third"));
    build(&repository, "other.yaml", "golden");
    let (told, _) = since(&repository, &[]);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(
        told[1],
        (
            "golden/dev".to_owned(),
            "high".to_owned(),
            vec!["BTL811 `third.example.com` can be reached, any path".to_owned()]
        )
    );
    // An edit beside it takes the manifest's word from nothing.
    build(&repository, "dev.bottle.yaml", "golden");
    repository.write("golden/dev/.env", "");
    let (told, _) = since(&repository, &[]);
    assert_eq!(told[1].2.len(), 2, "{told:?}");
    assert_eq!((told[1].1.as_str(), &told[1].2[0][..6]), ("critical", "BTL851"));
}

#[test]
fn trees_come_and_go() {
    let Some(repository) = repository() else { return };
    let (told, code) = since(&repository, &[]);
    assert_eq!((told.len(), code), (0, Some(0)));

    fs::remove_dir_all(repository.path("golden")).unwrap();
    let (told, code) = since(&repository, &["--fail-on", "high"]);
    assert_eq!((told[0].0.as_str(), told[0].1.as_str(), code), ("golden/dev", "high", Some(1)));
    assert_eq!(told[0].2[0], "BTL852 the compiled tree was removed");

    build(&repository, "dev.bottle.yaml", "moved");
    let (told, _) = since(&repository, &[]);
    let paths: Vec<&str> = told.iter().map(|(path, ..)| path.as_str()).collect();
    assert_eq!(paths, ["golden/dev", "moved/dev"]);
    let (told, _) = since(&repository, &["moved"]);
    assert_eq!(told.len(), 1, "below the path alone: {told:?}");

    // Without its index nothing starts it; the rest of it is no tree.
    git(repository.root(), &["checkout", "--quiet", "--", "."]);
    fs::remove_dir_all(repository.path("moved")).unwrap();
    fs::remove_file(repository.path("golden/dev/bottle.json")).unwrap();
    let (told, _) = since(&repository, &[]);
    assert_eq!((told.len(), told[0].2[0].as_str()), (1, "BTL852 the compiled tree was removed"));
}

#[test]
fn what_is_made_at_run_time_may_lie_there_and_may_not_be_committed() {
    for path in ["agent/ca/egress.pem", "agent/ca/bundle.pem", "image/agent.tar"] {
        let Some(repository) = repository() else { return };
        repository.write(&format!("golden/dev/{path}"), "made here\n");
        let (told, code) = since(&repository, &[]);
        assert_eq!((told.len(), code), (0, Some(0)), "{path}: {told:?}");
        git(repository.root(), &["add", "--force", "golden"]);
        let (told, code) = since(&repository, &[]);
        let message = format!("BTL851 `{path}` is in the bottle's folder but is not part of the build");
        assert_eq!((told[0].1.as_str(), told[0].2.as_slice(), code), ("critical", &[message][..], Some(1)));
        // It is not made again, but it was there before.
        repository.commit(&[]);
        assert_eq!(since(&repository, &[]).1, Some(0));
        repository.write(&format!("golden/dev/{path}"), "another one\n");
        assert_eq!(since(&repository, &[]).0[0].1, "critical");
    }
}

#[test]
fn what_git_ignores_is_no_part_of_the_change() {
    let Some(repository) = repository() else { return };
    repository.commit(&[(".gitignore", "/out/\n.env\n")]);
    build(&repository, "dev.bottle.yaml", "out");
    repository.write("golden/dev/.env", "");
    assert_eq!(since(&repository, &[]), (Vec::new(), Some(0)));
}

#[test]
fn an_edit_that_was_there_is_told_again_when_its_text_changes() {
    let Some(repository) = repository() else { return };
    let path = "golden/dev/compose.yaml";
    let text = fs::read_to_string(repository.path(path)).unwrap();
    repository.commit(&[(path, &text.replace("pipelock:2.3.0", "pipelock:2.2.0")), ("golden/dev/.env", "A=1\n")]);
    assert_eq!(since(&repository, &[]), (Vec::new(), Some(0)));
    // Beside what changed, what did not is no news.
    repository.write("golden/dev/.env", "A=2\n");
    let (told, _) = since(&repository, &[]);
    assert_eq!(told[0].2, ["BTL851 `.env` is in the bottle's folder but is not part of the build"]);
    repository.write("golden/dev/.env", "A=1\n");
    repository.write(path, &text.replace("pipelock:2.3.0", "pipelock:2.1.0"));
    let (told, _) = since(&repository, &[]);
    assert_eq!(told[0].1, "critical", "{told:?}");
    assert!(told[0].2.iter().all(|change| !change.contains(".env")), "{told:?}");

    // Put right again, it is less than before.
    repository.write(path, &text);
    fs::remove_file(repository.path("golden/dev/.env")).unwrap();
    let (told, _) = since(&repository, &[]);
    assert!(told[0].2.iter().filter(|change| change.starts_with("BTL831")).count() >= 2, "{told:?}");
    assert!(!told[0].2.iter().any(|change| change.starts_with("BTL80") || change.starts_with("BTL85")), "{told:?}");
}

/// What a tree of another release must say is not known: an edit of it is told by the files that changed.
#[test]
fn a_tree_of_another_release_is_told_by_what_changed() {
    let Some(repository) = repository() else { return };
    let path = "golden/dev/bottle.json";
    let text = fs::read_to_string(repository.path(path)).unwrap();
    let old = text.replacen(&format!("\"bottlec\": \"{}\"", env!("CARGO_PKG_VERSION")), "\"bottlec\": \"0.0.1\"", 1);
    assert_ne!(old, text);
    repository.commit(&[(path, &old)]);
    let addon = fs::read_to_string(repository.path("golden/dev/egress/addon.py")).unwrap();
    repository.write("golden/dev/egress/addon.py", &(addon.clone() + "import os\n"));
    repository.write("golden/dev/agent/home/.profile", "x\n");
    let (told, code) = since(&repository, &[]);
    assert_eq!((told[0].1.as_str(), code), ("critical", Some(1)));
    for file in ["`egress/addon.py`", "`agent/home/.profile`"] {
        assert!(told[0].2.iter().any(|change| change.contains(file)), "{told:?}");
    }
    assert!(!told[0].2.iter().any(|change| change.contains("`compose.yaml`")), "{told:?}");

    // Built again by this one.
    repository.write("golden/dev/egress/addon.py", &addon);
    fs::remove_file(repository.path("golden/dev/agent/home/.profile")).unwrap();
    repository.write(path, &text);
    let (told, _) = since(&repository, &[]);
    assert!(told.iter().all(|(_, grade, _)| grade == "low"), "{told:?}");
}

#[test]
fn a_link_in_the_place_of_a_tree_is_a_tree_that_is_gone() {
    let Some(repository) = repository() else { return };
    fs::rename(repository.path("golden"), repository.path("../elsewhere")).unwrap();
    symlink("../elsewhere", repository.path("golden")).unwrap();
    let (told, code) = since(&repository, &[]);
    assert_eq!((told[0].1.as_str(), code), ("high", Some(1)), "{told:?}");
}

#[test]
fn acceptances_of_the_change_itself_count_where_they_are_asked_for() {
    let accepted = "egress:\n  routes:\n    - host: docs.example.com\n    - host: added.example.com  # bottlec: accept BTL811 until 2026-12-31 it is meant\n";
    let Some(repository) = repository() else { return };
    repository.write("dev.bottle.yaml", &format!("name: dev\n{accepted}"));
    let code = |more: &[&str]| since(&repository, &[&["--fail-on", "high"], more].concat()).1;
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--accept-from", "head"]), Some(0));
    assert_eq!(code(&["--accept-from", "base"]), Some(1));

    // A comment that was there does not count for another host on its line, nor for another line like it.
    repository.commit(&[]);
    for (from, to) in [
        ("added", "other"),
        ("- host: docs", "- host: x.example  # bottlec: accept BTL811 until 2026-12-31 it is meant\n    - host: docs"),
    ] {
        repository.write("dev.bottle.yaml", &format!("name: dev\n{}", accepted.replace(from, to)));
        assert_eq!(code(&[]), Some(0), "{to}");
        assert_eq!(code(&["--accept-from", "base"]), Some(1), "{to}");
    }

    // Alone on a line it is for what no line asks for, and was agreed to before.
    let alone = "# bottlec: accept BTL811 until 2026-12-31 a login in the bottle\n";
    let token = "agent_provider: { template: claude, auth_token: T }\n";
    repository.commit(&[("dev.bottle.yaml", &format!("name: dev\n{alone}{token}"))]);
    repository.write("dev.bottle.yaml", &format!("name: dev\n{alone}"));
    let told = |more: &[&str]| {
        let run = diff(repository.root(), &[&["--rev", "HEAD"], more].concat());
        stdout(&run).contains("accepted until 2026-12-31")
    };
    assert!(told(&["--accept-from", "base"]) && told(&[]));
    repository.commit(&[("dev.bottle.yaml", &format!("name: dev\n{token}"))]);
    repository.write("dev.bottle.yaml", &format!("name: dev\n{alone}"));
    assert!(!told(&["--accept-from", "base"]) && told(&[]));

    // In a file that is as it was, the comment on the line was agreed to: what changed is elsewhere.
    let dockerfile = "name: dev\nagent_provider:\n  dockerfile: Dockerfile  # bottlec: accept BTL823 until 2026-12-31 built each week\n";
    repository.commit(&[("dev.bottle.yaml", dockerfile), ("Dockerfile", "FROM a\n")]);
    repository.write("Dockerfile", "FROM b\n");
    assert!(told(&["--accept-from", "base"]));
    let run = diff(repository.root(), &["dev.bottle.yaml", "dev.bottle.yaml", "--accept-from", "base"]);
    assert_eq!(run.status.code(), Some(2), "there is no base without --rev");
}
