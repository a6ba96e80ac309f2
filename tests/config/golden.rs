//! `build --check` and `build --update` without arguments: the project's bottles and its folder of trees.

use super::*;

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
        screen(&update).contains("golden/two, which contains files that no build wrote: remove it"),
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
        (&linked, &["build", "--update"], 2, "`golden` passes through the symbolic link link; links are not followed"),
    ] {
        let run = bottlec(project.path(), arguments);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {}", screen(&run));
        assert!(screen(&run).contains(words), "{arguments:?}: {}", screen(&run));
    }
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}
