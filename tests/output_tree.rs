//! The tree on disk: what is written, what is left alone, what is refused.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{bottlec, folder, screen};

const MANIFEST: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";
const BUILD: [&str; 5] = ["build", "review.yaml", "--hermetic", "-o", "out"];
const CHECK: [&str; 6] = ["build", "review.yaml", "--hermetic", "-o", "out", "--check"];

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

/// Every path below a folder, links not followed.
fn listing(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !path.is_symlink() {
            found.extend(listing(&path).into_iter().map(|inner| format!("{name}/{inner}")));
            found.push(format!("{name}/"));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn tree_has_the_layout_of_the_specification() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    assert_eq!(
        listing(&folder.path().join("out")),
        [
            "review/",
            "review/Smolfile",
            "review/agent/",
            "review/agent/agent.env",
            "review/agent/ca/",
            "review/agent/ca/.gitignore",
            "review/agent/home/",
            "review/agent/home/.codex/",
            "review/agent/home/.codex/auth.json",
            "review/agent/home/.codex/config.toml",
            "review/bottle.json",
            "review/compose.yaml",
            "review/egress/",
            "review/egress/addon.py",
            "review/egress/egress.env",
            "review/egress/prepare.py",
            "review/egress/probe.py",
            "review/egress/routes.yaml",
            "review/image/",
            "review/image/Dockerfile",
            "review/pipelock/",
            "review/pipelock/pipelock.yaml",
        ]
    );
}

#[test]
fn backends_choose_their_files() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    let build = |backend: &str, out: &str| {
        let run = bottlec(folder.path(), &["build", "review.yaml", "--hermetic", "-o", out, "--backend", backend]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        folder.path().join(out).join("review")
    };
    let docker = build("docker", "docker");
    assert!(!docker.join("Smolfile").exists());
    assert!(fs::read_to_string(docker.join("compose.yaml")).unwrap().contains("\n  \"agent\":\n"));
    let machines = build("smolmachines", "machines");
    assert!(machines.join("Smolfile").exists());
    let compose = fs::read_to_string(machines.join("compose.yaml")).unwrap();
    assert!(compose.contains("\n  \"machine-egress\":\n") && !compose.contains("\n  \"agent\":\n"));
}

#[test]
fn private_files_are_for_their_owner_alone() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let root = folder.path().join("out/review");
    for path in ["agent/agent.env", "agent/home/.codex/auth.json", "agent/home/.codex/config.toml"] {
        assert_eq!(mode(&root.join(path)), 0o600, "{path}");
    }
    for path in ["agent", "agent/home", "agent/home/.codex"] {
        assert_eq!(mode(&root.join(path)), 0o700, "{path}");
    }
    // Rights that somebody gave are taken back.
    fs::set_permissions(root.join("agent/agent.env"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(root.join("agent/home"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    assert_eq!(mode(&root.join("agent/agent.env")), 0o600);
    assert_eq!(mode(&root.join("agent/home")), 0o700);
}

#[test]
fn a_tree_of_an_older_release_is_built_over() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let root = folder.path().join("out/review");
    // An index that lacks a key which was added since, and a file that the release wrote otherwise.
    let mut index: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(root.join("bottle.json")).unwrap()).unwrap();
    index["network"].as_object_mut().unwrap().remove("machine_egress").unwrap();
    fs::write(root.join("bottle.json"), index.to_string()).unwrap();
    fs::write(root.join("compose.yaml"), "services: {}\n").unwrap();
    let run = bottlec(folder.path(), &BUILD);
    assert!(screen(&run).contains("review: 2 written, 12 unchanged"), "{}", screen(&run));
}

#[test]
fn unchanged_files_are_not_touched_and_folders_stay() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let root = folder.path().join("out/review");
    let state = |path: &str| {
        let found = fs::metadata(root.join(path)).unwrap();
        (found.ino(), found.mtime(), found.mtime_nsec())
    };
    let paths = ["bottle.json", "compose.yaml", "egress/routes.yaml", "agent", "egress", "pipelock"];
    let before = paths.map(state);
    let run = bottlec(folder.path(), &BUILD);
    assert!(screen(&run).contains("review: 0 written, 14 unchanged in out/review"), "{}", screen(&run));
    assert_eq!(paths.map(state), before);

    fs::write(
        folder.path().join("review.yaml"),
        format!("{MANIFEST}egress: {{ routes: [ {{ host: a.example }} ] }}\n"),
    )
    .unwrap();
    let run = bottlec(folder.path(), &BUILD);
    assert!(screen(&run).contains("review: 4 written, 10 unchanged"), "{}", screen(&run));
    let after = paths.map(state);
    for (index, path) in paths.iter().enumerate() {
        let changed = after[index].0 != before[index].0;
        assert_eq!(changed, ["bottle.json", "compose.yaml", "egress/routes.yaml"].contains(path), "{path}");
    }
}

#[test]
fn an_input_with_errors_leaves_the_old_tree_as_it_is() {
    let folder = folder(&[("review.yaml", MANIFEST), ("good.yaml", "name: good\n")]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let before = listing(&folder.path().join("out"));
    fs::write(folder.path().join("review.yaml"), "name: review\nenvv: {}\n").unwrap();
    let run = bottlec(folder.path(), &["build", "good.yaml", "review.yaml", "--hermetic", "-o", "out"]);
    assert_eq!(run.status.code(), Some(1));
    fs::remove_dir_all(folder.path().join("out/good")).expect("the sound one is written");
    assert_eq!(listing(&folder.path().join("out")), before);
}

#[test]
fn files_of_an_earlier_build_go_unless_somebody_edited_them() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let root = folder.path().join("out/review");
    fs::write(root.join("notes.txt"), "mine").unwrap();
    fs::write(root.join("image/agent.tar"), "mine").unwrap();
    fs::write(root.join("agent/ca/egress.pem"), "made at launch").unwrap();
    fs::write(root.join("Smolfile"), "edited").unwrap();
    fs::write(folder.path().join("review.yaml"), "name: review\n").unwrap();
    let run = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--backend", "docker", "-v"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    // The account's file is gone with its folder; the edited file stays and is named.
    assert!(!root.join("agent/home/.codex").exists());
    assert_eq!(fs::read_to_string(root.join("Smolfile")).unwrap(), "edited");
    assert!(
        screen(&run).contains("Smolfile is no longer part of the bottle but was edited, so it was kept"),
        "{}",
        screen(&run)
    );
    for foreign in ["notes.txt", "image/agent.tar", "agent/ca/egress.pem"] {
        assert!(root.join(foreign).exists(), "{foreign}");
    }
    // It is nobody's of ours from now on.
    let again = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "--backend", "docker"]);
    assert!(screen(&again).contains("0 written"), "{}", screen(&again));
}

#[test]
fn files_that_bottlec_did_not_write_are_in_the_way() {
    for (path, content) in [("compose.yaml", "services: {}\n"), ("bottle.json", "{}"), ("agent/agent.env", "A=b\n")] {
        let folder = folder(&[("review.yaml", MANIFEST), (&format!("out/review/{path}"), content)]);
        let before = listing(&folder.path().join("out"));
        let run = bottlec(folder.path(), &BUILD);
        assert_eq!(run.status.code(), Some(2), "{path}");
        assert!(screen(&run).contains("was not written by bottlec"), "{path}: {}", screen(&run));
        assert_eq!(listing(&folder.path().join("out")), before, "{path}");
        assert_eq!(fs::read_to_string(folder.path().join("out/review").join(path)).unwrap(), content);
    }
}

#[test]
fn links_and_other_things_in_the_way_are_refused_and_not_followed() {
    for place in [
        "out/review",
        "out/review/agent",
        "out/review/agent/home",
        "out/review/compose.yaml",
        "out/review/agent/agent.env",
        "out/review/agent/ca",
    ] {
        let folder = folder(&[("review.yaml", MANIFEST), ("elsewhere/kept", "kept")]);
        let link = folder.path().join(place);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(folder.path().join("elsewhere"), &link).unwrap();
        let run = bottlec(folder.path(), &BUILD);
        assert_eq!(run.status.code(), Some(2), "{place}: {}", screen(&run));
        assert!(
            screen(&run).contains("exists and is not a") && screen(&run).contains(place),
            "{place}: {}",
            screen(&run)
        );
        assert_eq!(listing(&folder.path().join("elsewhere")), ["kept"], "{place}");
        assert_eq!(bottlec(folder.path(), &CHECK).status.code(), Some(2), "{place}");
    }
    let folder = folder(&[("review.yaml", MANIFEST), ("out/review/compose.yaml/file", "")]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(2));
}

#[test]
fn a_build_that_was_cut_off_is_mended_by_the_next() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    let root = folder.path().join("out/review");
    // As a kill leaves it in a first build: some files, a half-written one, the pending index.
    fs::rename(root.join("bottle.json"), root.join(".bottle.json.pending")).unwrap();
    fs::write(root.join("egress/.routes.yaml.bottlec-new"), "half").unwrap();
    fs::remove_file(root.join("pipelock/pipelock.yaml")).unwrap();
    assert_eq!(bottlec(folder.path(), &CHECK).status.code(), Some(1));
    // Even when the manifest is another one by then.
    fs::write(folder.path().join("review.yaml"), "name: review\n").unwrap();
    let run = bottlec(folder.path(), &BUILD);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    assert_eq!(bottlec(folder.path(), &CHECK).status.code(), Some(0));
    let left = listing(&root);
    assert!(
        !left.iter().any(|path| path.contains(".bottlec-new") || path.contains("pending") || path.contains(".codex")),
        "{left:?}"
    );
}

#[test]
fn check_shows_differences_and_writes_nothing() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    let run = bottlec(folder.path(), &CHECK);
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8(run.stdout).unwrap().contains("missing out/review/bottle.json"));
    assert!(!folder.path().join("out").exists());

    assert_eq!(bottlec(folder.path(), &BUILD).status.code(), Some(0));
    assert_eq!(bottlec(folder.path(), &CHECK).status.code(), Some(0));
    let routes = folder.path().join("out/review/egress/routes.yaml");
    let edited = fs::read_to_string(&routes).unwrap().replace("chatgpt.com", "evil.example");
    fs::write(&routes, &edited).unwrap();
    let run = bottlec(folder.path(), &CHECK);
    assert_eq!(run.status.code(), Some(1));
    let stdout = String::from_utf8(run.stdout).unwrap();
    assert!(stdout.contains("-  - host: \"evil.example\"\n+  - host: \"chatgpt.com\"\n"), "{stdout}");
    assert_eq!(fs::read_to_string(&routes).unwrap(), edited);
}

#[test]
fn dash_prints_the_tree_and_writes_nothing() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    let run = bottlec(folder.path(), &["build", "review.yaml", "--hermetic", "-o", "-"]);
    assert_eq!(run.status.code(), Some(0));
    let stdout = String::from_utf8(run.stdout).unwrap();
    assert!(stdout.contains("# path: review/agent/home/.codex/auth.json mode: 0600\n{\n"), "{stdout}");
    assert_eq!(listing(folder.path()), [".git/", "review.yaml"]);
}

#[test]
fn two_bottles_of_one_build_share_neither_name_nor_network() {
    let folder = folder(&[
        ("a.yaml", "name: one\n"),
        ("b.yaml", "name: one\n"),
        ("c.yaml", "name: c\nnetwork: { subnet: 10.1.1.0/24 }\n"),
        ("d.yaml", "name: d\nnetwork: { subnet: 10.1.1.0/24 }\n"),
    ]);
    for (first, second, words) in
        [("a.yaml", "b.yaml", "both named `one`"), ("c.yaml", "d.yaml", "both use the network 10.1.1.0/24")]
    {
        let run = bottlec(folder.path(), &["build", first, second, "-o", "out"]);
        assert_eq!(run.status.code(), Some(1));
        assert!(screen(&run).contains(words), "{}", screen(&run));
        assert!(!folder.path().join("out").exists());
    }
    assert_eq!(bottlec(folder.path(), &["build", "a.yaml", "c.yaml", "-o", "out"]).status.code(), Some(0));
}

#[test]
fn an_option_without_effect_is_reported() {
    let folder = folder(&[("plain.yaml", "name: plain\n")]);
    let run = bottlec(folder.path(), &["build", "plain.yaml", "-o", "out", "--host-credentials", "nowhere"]);
    assert_eq!(run.status.code(), Some(0));
    assert!(screen(&run).contains("--host-credentials has no effect"), "{}", screen(&run));
}

#[test]
fn usage_and_input_errors_exit_with_2() {
    let folder = folder(&[("review.yaml", MANIFEST)]);
    for arguments in [
        &["build", "review.yaml"] as &[&str],
        &["build", "-o", "out"],
        &["build", "missing.yaml", "-o", "out"],
        &["build", ".git", "-o", "out"],
        &["build", "-", "-o", "out"],
        &["build", "review.yaml", "-o", "out", "--backend", "podman"],
        &["build", "review.yaml", "-o", "out", "--hermetic", "--host-credentials", "x"],
        &["build", "review.yaml", "--hermetic", "-o", "review.yaml"],
        &["unknown"],
    ] {
        let run = bottlec(folder.path(), arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?} {}", screen(&run));
        assert!(!run.stderr.is_empty(), "{arguments:?}");
    }
}
