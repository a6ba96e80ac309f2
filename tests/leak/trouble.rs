//! Runs that come to grief: outputs that are closed, full, read-only or in the way, limits of every kind,
//! signals. There is no switch in bottlec that makes it panic; what is tried here is what a user can do.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::canary::{Project, walk};
use crate::support::screen;

const MANIFEST: &str = "\
name: review
agent_provider: { template: codex, forward_host_credentials: true }
env:
  FROM_HOST: ${REVIEWER}
egress:
  routes:
    - host: git.example.com
      auth: { scheme: token, token_ref: FORGE_TOKEN }
";

const RUNS: [&[&str]; 11] = [
    &["build", "review.yaml", "-o", "new", "-v"],
    &["build", "review.yaml", "-o", "-"],
    &["build", "review.yaml", "-o", "out", "--check"],
    &["check", "review.yaml", "--format", "json"],
    &["diff", "review.yaml", "out/review", "--format", "json"],
    &["why", "out/review", "https://api.openai.com/v1/responses"],
    &["plan", "review.yaml"],
    &["exec", "out/review", "--", "true"],
    &["exec", "--print-env-names", "out/review"],
    &["allow", "--list", "out/review"],
    &["allow", "--yes", "out/review"],
];

fn project() -> Project {
    let project = Project::new(&[("review.yaml", MANIFEST)]);
    assert!(project.run(&["build", "review.yaml", "-o", "out"]).status.success());
    project.allow();
    project
}

/// Runs bottlec under what a shell says first.
fn under(project: &Project, first: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("setsid");
    command.args(["--wait", "sh", "-c", &format!("{first}; exec \"$0\" \"$@\"")]);
    project.dress(&mut command);
    let run = command.arg(env!("CARGO_BIN_EXE_bottlec")).args(arguments).output().unwrap();
    project.assert_silent(&run, &format!("{first}: {arguments:?}"));
    run
}

#[test]
fn outputs_that_are_closed_or_full_make_nothing_known() {
    let project = project();
    for first in [
        "exec >&-",
        "exec 2>&-",
        "exec >&- 2>&-",
        "exec > /dev/full",
        "exec 2> /dev/full",
        "exec > /dev/full 2> /dev/full",
        "exec <&- >&- 2>&-",
        "exec > /dev/full 2> said",
        "exec >&- 2> said",
    ] {
        for arguments in RUNS {
            under(&project, first, arguments);
        }
    }
    for arguments in RUNS {
        // Nobody reads.
        let mut child = project.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        project.assert_silent(&child.wait_with_output().unwrap(), "a pipe that nobody reads");
    }
    project.assert_clean("outputs that are closed or full");
}

/// The least memory, in kilobytes, with which bottlec comes to its first line.
fn least_memory(project: &Project) -> usize {
    let (mut too_little, mut enough) = (1000, 400_000);
    while enough - too_little > 100 {
        let middle = usize::midpoint(too_little, enough);
        match under(project, &format!("ulimit -v {middle}"), &["--version"]).status.success() {
            true => enough = middle,
            false => too_little = middle,
        }
    }
    enough
}

#[test]
fn limits_make_nothing_known_and_leave_no_core_file() {
    let project = project();
    // A launch that comes as far as to have all values.
    let launch: &[&str] = &["exec", "out/review", "--", "no-such-command"];
    let (mut starved, mut overflowed, mut cut_off) = (0, 0, 0);
    let first = least_memory(&project);
    for kilobytes in (first..first + 6000).step_by(400) {
        for arguments in [RUNS[0], RUNS[1], RUNS[2], launch] {
            let run = under(&project, &format!("ulimit -c unlimited; ulimit -v {kilobytes}"), arguments);
            starved += usize::from(screen(&run).contains("memory allocation of") || screen(&run).contains("panicked"));
        }
    }
    for (limit, amounts) in [("-n", [0, 3, 4, 5, 6]), ("-f", [0, 1, 2, 4, 8]), ("-s", [32, 64, 96, 128, 256])] {
        for amount in amounts {
            for arguments in [RUNS[0], RUNS[2], launch] {
                let _ = fs::remove_dir_all(project.path().join("new"));
                let run = under(&project, &format!("ulimit -c unlimited; ulimit {limit} {amount}"), arguments);
                overflowed += usize::from(screen(&run).contains("overflowed its stack"));
                cut_off += usize::from(
                    run.status.signal() == Some(Signal::XFSZ.as_raw()) || screen(&run).contains("too large"),
                );
            }
        }
    }
    assert!(starved > 0 && overflowed > 0 && cut_off > 0, "{starved} {overflowed} {cut_off}");
    project.assert_clean("limits");
    assert!(!walk(project.path()).iter().any(|path| path.ends_with("core")));
}

/// What is done to a project before bottlec runs.
type Damage<'d> = &'d dyn Fn(&Project);

#[test]
fn outputs_that_are_in_the_way_make_nothing_known() {
    let tree = "out/review";
    let table: [(&str, Damage); 8] = [
        ("a file in the place of the folder", &|project| {
            fs::remove_dir_all(project.path().join(tree)).unwrap();
            fs::write(project.path().join(tree), "").unwrap();
        }),
        ("a file that is not ours", &|project| {
            fs::remove_file(project.path().join(tree).join("bottle.json")).unwrap();
            fs::write(project.path().join(tree).join("compose.yaml"), "mine\n").unwrap();
        }),
        ("a link in the place of the dummy", &|project| {
            let dummy = project.path().join(tree).join("agent/home/.codex/auth.json");
            fs::remove_file(&dummy).unwrap();
            std::os::unix::fs::symlink(project.path().join(super::canary::LOGIN), dummy).unwrap();
        }),
        ("a link to the login's folder", &|project| {
            let home = project.path().join(tree).join("agent/home/.codex");
            fs::remove_dir_all(&home).unwrap();
            std::os::unix::fs::symlink(project.path().join(".codex"), home).unwrap();
        }),
        ("an edited dummy", &|project| {
            fs::write(project.path().join(tree).join("agent/home/.codex/auth.json"), "{}").unwrap();
        }),
        ("an index in conflict", &|project| {
            let index = project.path().join(tree).join("bottle.json");
            let text = fs::read_to_string(&index).unwrap();
            fs::write(index, format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")).unwrap();
        }),
        ("an index that is none", &|project| {
            fs::write(project.path().join(tree).join("bottle.json"), "{").unwrap();
        }),
        ("folders that nobody may write to", &|project| {
            for folder in [tree, "out/review/agent", "out"] {
                fs::set_permissions(project.path().join(folder), fs::Permissions::from_mode(0o555)).unwrap();
            }
        }),
    ];
    for (what, damage) in table {
        let project = project();
        let login = fs::read(project.path().join(super::canary::LOGIN)).unwrap();
        damage(&project);
        for arguments in [
            &["build", "review.yaml", "-o", "out", "-v"] as &[&str],
            &["build", "review.yaml", "-o", "out", "--check", "-v"],
            &["build", "review.yaml", "-o", "out", "--update", "-v"],
            &["exec", "out/review", "--", "true"],
            &["diff", "review.yaml", "out/review", "-v"],
        ] {
            project.run(arguments);
        }
        assert!(
            fs::read(project.path().join(super::canary::LOGIN)).unwrap() == login,
            "{what}: the login is as it was"
        );
        project.assert_clean(what);
    }
    // A hand that put the real login where the dummy belongs: nothing shows its text.
    let project = project();
    let dummy = project.path().join(tree).join("agent/home/.codex/auth.json");
    fs::copy(project.path().join(super::canary::LOGIN), &dummy).unwrap();
    for arguments in [
        &["build", "review.yaml", "-o", "out", "--check", "-v"] as &[&str],
        &["diff", "review.yaml", "out/review", "-v"],
        &["diff", "out/review", "review.yaml", "--format", "json"],
        &["diff", "out/review", "review.yaml", "--format", "markdown"],
        &["why", "out/review", "https://api.openai.com/v1/responses"],
        &["exec", "out/review", "--", "true"],
        &["build", "review.yaml", "-o", "out", "-v"],
    ] {
        project.run(arguments);
    }
    project.assert_clean("a login in the place of the dummy, which a build replaces");

    for folder in ["/proc/bottles", "/dev/null/out", "review.yaml", "/sys/out"] {
        let run = project.run(&["build", "review.yaml", "-o", folder]);
        assert_eq!(run.status.code(), Some(2), "{folder}");
    }
    project.assert_clean("folders that cannot be made");
}

#[test]
fn a_build_that_is_killed_leaves_nothing_of_the_login() {
    let project = project();
    let lock = File::open(project.path().join("out/review")).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::KILL, Signal::ABORT, Signal::HUP] {
        lock.lock().unwrap();
        let mut command = project.command(&["build", "review.yaml", "-o", "out", "-v"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        super::terminal::until("the build waits for the lock", || super::memory::naps(child.id()) > 20);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let run = child.wait_with_output().unwrap();
        assert!(run.status.signal().is_some());
        project.assert_silent(&run, "a build that is killed");
        lock.unlock().unwrap();
    }
    project.assert_clean("builds that are killed");
}
