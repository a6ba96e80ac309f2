//! System calls that fail, full disks, and folders that may not be written to.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use super::{Scene, Snapshot, all, trace};
use crate::support::{programs, screen, skipped};

/// Calls that touch files. What comes before the manifest is the loader's.
const CALLS: [&str; 15] = [
    "openat",
    "read",
    "write",
    "close",
    "statx",
    "newfstatat",
    "fstat",
    "mkdir",
    "mkdirat",
    "renameat",
    "renameat2",
    "unlinkat",
    "fchmod",
    "flock",
    "lseek",
];

/// The build with each of the calls failing once: it ends with 0 and the new tree, or with 2 and a path,
/// and then with a tree that is known for what it is.
fn failing(scene: &Scene, error: &str, every: usize, chosen: impl Fn(&trace::Call) -> bool) {
    for strace in programs("BOTTLEC_STRACE_BINS") {
        let calls = trace::calls(&strace, scene);
        let chosen: Vec<_> = calls
            .iter()
            .filter(|call| call.is_work && CALLS.contains(&call.name.as_str()) && (all() || chosen(call)))
            .collect();
        let mut points = 0;
        for call in chosen.iter().step_by(if all() { 1 } else { every }) {
            let what = format!("{error} from {} {}", call.number, call.line);
            let run = trace::fail(&strace, scene, call, error);
            let said = screen(&run);
            let is_new = Snapshot::of(&scene.out()).files() == scene.new.files();
            match run.status.code() {
                Some(0) => assert!(is_new, "{what}: {said}"),
                Some(2) => assert!(said.contains("out") || said.contains(".yaml"), "{what}: {said}"),
                code => panic!("{what}: {code:?} {said}"),
            }
            if error == "EINTR" && call.changes() && !call.line.starts_with("mkdir(") {
                assert_eq!(run.status.code(), Some(0), "{what}: {said}");
            }
            scene.judge(&what);
            points += 1;
        }
        eprintln!("{}: {error} at {points} points", scene.name);
        assert!(points > 3);
    }
}

#[test]
fn an_input_output_error_leaves_a_tree_that_is_known() {
    failing(&Scene::changed(), "EIO", 2, trace::Call::changes);
    failing(&Scene::removing(), "EIO", 1, trace::Call::changes);
    if all() {
        failing(&Scene::first(), "EIO", 1, |_| true);
        failing(&Scene::batch(), "EIO", 1, |_| true);
    }
}

#[test]
fn a_disk_that_is_full_at_any_file_leaves_a_tree_that_is_known() {
    let takes_space =
        |call: &trace::Call| call.changes() && ["openat", "write", "mkdirat"].contains(&call.name.as_str());
    failing(&Scene::first(), "ENOSPC", 6, takes_space);
    if all() {
        failing(&Scene::changed(), "ENOSPC", 1, takes_space);
    }
}

#[test]
fn an_interrupted_call_is_made_again() {
    failing(&Scene::changed(), "EINTR", 1, |call| call.changes() || call.name == "flock");
    if all() {
        failing(&Scene::first(), "EINTR", 1, |_| true);
    }
}

/// A shell that limits what the build may write, then keeps what it left where the limit is not.
fn limited(scene: &Scene, before: &str, after: &str) -> std::process::Output {
    scene.reset();
    Command::new("unshare")
        .args(["--mount", "sh", "-c", &format!("{before}\n\"$@\"\ncode=$?\n{after}\nexit $code"), "sh"])
        .arg(env!("CARGO_BIN_EXE_bottlec"))
        .args(&scene.build)
        .current_dir(scene.folder.path())
        .env("HOME", scene.folder.path())
        .output()
        .unwrap()
}

#[test]
fn a_small_disk_that_fills_up_leaves_a_tree_that_is_known() {
    let scene = Scene::changed();
    let is_able = Command::new("unshare")
        .args(["--mount", "sh", "-c", "mount -t tmpfs none /mnt"])
        .output()
        .is_ok_and(|run| run.status.success());
    if !is_able {
        return skipped("this user may not mount a file system");
    }
    let mut codes = Vec::new();
    // In pages: from less than the old tree to more than the new one with a temporary file.
    for pages in (18..40).step_by(if all() { 1 } else { 3 }) {
        let before = format!(
            "mkdir disk && mount -t tmpfs -o size={}k none disk && cp -a out disk/ && mkdir -p out && mount --bind disk/out out || exit 77",
            pages * 4
        );
        let run = limited(&scene, &before, "cp -a out kept; umount out disk; rm -r out disk; mv kept out");
        if run.status.code() == Some(77) {
            // The old tree does not fit.
            scene.reset();
            let _ = fs::remove_dir_all(scene.folder.path().join("disk"));
            continue;
        }
        codes.push(run.status.code().unwrap());
        let full = screen(&run);
        assert!(
            run.status.code() == Some(0) || full.contains("out/review/") && full.contains("No space left"),
            "{full}"
        );
        scene.judge(&format!("a disk of {pages} pages"));
    }
    assert!(codes.contains(&2) && codes.contains(&0), "{codes:?}");
}

#[test]
fn a_file_that_may_grow_no_further_is_never_seen_in_half() {
    let scene = Scene::first();
    // Half of the larger files: what was written of one is short, and then fails.
    let run = limited(&scene, "trap '' XFSZ; ulimit -f 5", ":");
    if run.status.code() == Some(1) && screen(&run).contains("unshare") {
        return skipped("this user may not have a mount namespace");
    }
    assert_eq!(run.status.code(), Some(2), "{}", screen(&run));
    assert!(screen(&run).contains("cannot write out/review/"), "{}", screen(&run));
    scene.judge("a limit on the size of files");
}

/// Runs bottlec as somebody whom permissions hold for.
fn as_nobody(folder: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    if rustix::process::getuid().is_root() {
        command.uid(65534).gid(65534);
    }
    command.output().unwrap()
}

fn give(path: &Path) {
    if rustix::process::getuid().is_root() {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    for entry in fs::read_dir(path).into_iter().flatten() {
        give(&entry.unwrap().path());
    }
}

#[test]
fn what_may_not_be_written_or_read_is_named_and_the_tree_is_known() {
    let scene = Scene::changed();
    if Command::new(env!("CARGO_BIN_EXE_bottlec")).uid(65534).arg("--version").output().is_err() {
        return skipped("another user may not run the program here");
    }
    let cases = [
        ("out", 0o555, 0, ""),
        ("out/review", 0o555, 2, "cannot write out/review/.bottle.json.pending"),
        ("out/review", 0o000, 2, "cannot open out/review"),
        ("out/review/agent", 0o500, 2, "cannot write out/review/agent/agent.env"),
        ("out/review/egress", 0o555, 2, "cannot write out/review/egress/routes.yaml"),
        ("out/review/egress", 0o000, 2, "out/review/egress"),
        ("out/review/bottle.json", 0o000, 2, "cannot read out/review/bottle.json"),
        // One that is ours and is replaced anyway.
        ("out/review/egress/routes.yaml", 0o000, 0, ""),
        ("out/review/egress/routes.yaml", 0o444, 0, ""),
    ];
    for (path, mode, code, words) in cases {
        scene.reset();
        give(scene.folder.path());
        let place = scene.folder.path().join(path);
        let usual = fs::metadata(&place).unwrap().permissions();
        fs::set_permissions(&place, fs::Permissions::from_mode(mode)).unwrap();
        let run = as_nobody(scene.folder.path(), &scene.build);
        assert_eq!(run.status.code(), Some(code), "{path} {mode:o}: {}", screen(&run));
        assert!(screen(&run).contains(words), "{path} {mode:o}: {}", screen(&run));
        if !place.is_file() || code != 0 {
            fs::set_permissions(&place, usual).unwrap();
        }
        scene.judge(&format!("{path} with {mode:o}"));
    }
}
