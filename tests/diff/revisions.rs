//! `diff --rev` on repositories that each test makes.

use std::collections::BTreeMap;
use std::fs;
use std::process::Output;

use serde_json::Value;

use super::{diff, stdout};
use crate::support::repository::{Repository, git};
use crate::support::{screen, skipped};

/// A repository with one commit; nothing, and a line about it, without git.
fn repository(files: &[(&str, &str)]) -> Option<Repository> {
    let repository = Repository::new();
    match &repository {
        Some(repository) => drop(repository.commit(files)),
        None => skipped("there is no git"),
    }
    repository
}

/// What became of each bottle that is reported, and the run.
fn since(repository: &Repository, paths: &[&str]) -> (BTreeMap<String, (String, Value)>, Output) {
    let run = diff(repository.root(), &[&["--rev", "HEAD", "--format", "json"], paths].concat());
    let report: Value = serde_json::from_slice(&run.stdout).unwrap_or_default();
    let bottles = report["bottles"].as_array().cloned().unwrap_or_default();
    let told = bottles.iter().map(|bottle| {
        let text = |key: &str| bottle[key].as_str().unwrap().to_owned();
        (text("path"), (text("presence"), bottle["grade"].clone()))
    });
    (told.collect(), run)
}

#[test]
fn a_manifest_that_bot_bottle_reads_too_is_compared() {
    let path = ".bot-bottle/bottles/dev.md";
    let text = |host: &str| {
        format!(
            "---\nsupervise: true\ngit: {{ user: {{ name: A }} }}\negress: {{ routes: [{{ host: {host} }}] }}\n---\n"
        )
    };
    let Some(repository) = repository(&[(path, &text("a.example"))]) else { return };
    fs::write(repository.root().join(path), text("b.example")).unwrap();
    let (told, run) = since(&repository, &[]);
    assert_eq!(told.get(path), Some(&("kept".to_owned(), "high".into())), "{}", screen(&run));
    assert!(!screen(&run).contains("did not compile"), "{}", screen(&run));
}

#[test]
fn of_two_hundred_bottles_the_touched_ones_and_those_that_extend_them_are_told() {
    let name = |number: usize| format!("bottles/team-{}/b{number:03}.bottle.yaml", number % 7);
    let mut files: Vec<(String, String)> = (0..200)
        .map(|number| {
            let parent = if number % 90 == 7 { "extends: ../shared.yaml\n" } else { "" };
            (name(number), format!("name: b{number:03}\n{parent}env: {{ OWN: \"{number}\" }}\n"))
        })
        .collect();
    files.push(("bottles/shared.yaml".into(), "egress: { routes: [ { host: old.example } ] }\n".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let Some(repository) = repository(&files) else { return };
    assert_eq!(diff(repository.root(), &["--rev", "HEAD"]).status.code(), Some(0));

    repository.write("bottles/shared.yaml", "egress: { routes: [ { host: new.example } ] }\n");
    repository.write(&name(50), "name: b050\negress: { routes: [ { host: a.example } ] }\n");
    // Its bytes alone: a comment, and time stamps of others.
    repository.write(&name(51), "# a word\nname: b051\nenv: { OWN: \"51\" }\n");
    let (told, run) = since(&repository, &[]);
    let expected: BTreeMap<String, (String, Value)> =
        [7, 50, 97, 187].map(|number| (name(number), ("kept".to_owned(), "high".into()))).into();
    assert_eq!(told, expected, "{}", screen(&run));
    let run = diff(repository.root(), &["--rev", "HEAD"]);
    assert!(screen(&run).contains("4 of 200 bottles changed, highest grade: high"), "{}", screen(&run));

    // Below a folder, and one by its name.
    let (told, _) = since(&repository, &["bottles/team-1"]);
    assert_eq!(told.into_keys().collect::<Vec<_>>(), [name(50)]);
    let (told, _) = since(&repository, &[&name(97)]);
    assert_eq!(told.into_keys().collect::<Vec<_>>(), [name(97)]);
}

#[test]
fn bottles_come_and_go() {
    let Some(repository) = repository(&[
        ("gone.bottle.yaml", "egress: { routes: [ { host: a.example } ] }\n"),
        ("renamed.bottle.yaml", "name: same\n"),
        ("broken.bottle.yaml", "naem: x\n"),
        ("breaks.bottle.yaml", "name: breaks\n"),
    ]) else {
        return;
    };
    fs::remove_file(repository.path("gone.bottle.yaml")).unwrap();
    fs::rename(repository.path("renamed.bottle.yaml"), repository.path("other.bottle.yaml")).unwrap();
    repository.write(
        "new.bottle.yaml",
        "egress: { routes: [ { host: a.example, auth: { scheme: token, token_ref: T } } ] }\n",
    );
    repository.write("broken.bottle.yaml", "name: mended\n");
    let (told, run) = since(&repository, &[]);
    let fates: Vec<(&str, &str, Option<&str>)> =
        told.iter().map(|(path, (presence, grade))| (path.as_str(), presence.as_str(), grade.as_str())).collect();
    assert_eq!(
        fates,
        [
            ("broken.bottle.yaml", "added", Some("high")),
            ("gone.bottle.yaml", "removed", Some("high")),
            ("new.bottle.yaml", "added", Some("critical")),
            ("other.bottle.yaml", "added", Some("high")),
            ("renamed.bottle.yaml", "removed", Some("high")),
        ]
    );
    assert!(screen(&run).contains("broken.bottle.yaml did not compile at HEAD"), "{}", screen(&run));

    // One that is broken now does not hide the others, and is no pass.
    repository.write("breaks.bottle.yaml", "naem: breaks\n");
    let (told, run) = since(&repository, &["--fail-on", "critical"]);
    assert_eq!((run.status.code(), told.len()), (Some(2), 5));
    assert!(screen(&run).contains("breaks.bottle.yaml does not compile"), "{}", screen(&run));
}

#[test]
fn the_text_of_a_dockerfile_counts() {
    let manifest = "agent_provider: { template: claude, dockerfile: docker/Dockerfile }\n";
    let Some(repository) = repository(&[("a.bottle.yaml", manifest), ("docker/Dockerfile", "FROM node:22\n")]) else {
        return;
    };
    repository.write("docker/Dockerfile", "FROM node:24\n");
    let (told, run) = since(&repository, &[]);
    assert_eq!(told["a.bottle.yaml"].1, "medium", "{}", stdout(&run));
    assert!(stdout(&run).contains("\"rebuild-image\""), "{}", stdout(&run));
}

#[test]
fn what_a_sparse_checkout_leaves_out_is_not_gone() {
    let Some(repository) = repository(&[("a/a.bottle.yaml", "name: a\n"), ("b/b.bottle.yaml", "name: b\n")]) else {
        return;
    };
    git(repository.root(), &["sparse-checkout", "set", "--cone", "a"]);
    assert!(!repository.path("b/b.bottle.yaml").exists());
    let (told, run) = since(&repository, &[]);
    assert!(told.is_empty() && run.status.success(), "{told:?} {}", screen(&run));
}

#[test]
fn a_revision_that_is_none_is_an_error_that_says_why() {
    let Some(repository) = repository(&[("a.bottle.yaml", "name: a\n")]) else { return };
    for (base, says) in [("nowhere", "fetch-depth: 0"), ("--output=x", "fetch-depth: 0"), ("", "is not a revision")] {
        let run = diff(repository.root(), &[&format!("--rev={base}")]);
        assert_eq!(run.status.code(), Some(2), "{base}");
        assert!(screen(&run).contains(says), "{base}: {}", screen(&run));
    }
}
