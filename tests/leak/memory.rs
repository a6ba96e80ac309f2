//! Memory: what is no longer needed is overwritten, and no core file shows the rest. The memory of a run
//! that waits is read through `/proc`, which takes the rights of root. What is looked for are whole values:
//! a few bytes of one may be left where the processor's registers were saved.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::canary::{Canaries, LATER, Project, walk};
use super::terminal::{Session, until};
use crate::support::skipped;

const MANIFEST: &str = "\
name: review
agent_provider: { template: codex, forward_host_credentials: true }
env:
  FIRST: ?Which ticket
  SECOND: ?And another
";

/// All that a process can write to: its heap, its stacks, its variables.
fn memory(process: u32) -> Option<Vec<u8>> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).ok()?;
    let mut file = File::open(format!("/proc/{process}/mem")).ok()?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|rights| rights.starts_with("rw"))) {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        file.seek(SeekFrom::Start(start)).ok()?;
        // A part of it may be no memory.
        let _ = file.by_ref().take(end - start).read_to_end(&mut all);
    }
    Some(all)
}

/// A login whose access token is of another kind of canary than everything else.
fn login() -> (Canaries, Canaries, String) {
    let (token, rest) = (Canaries::new(), Canaries::new());
    let mut file = rest.login();
    file["tokens"]["access_token"] = json!(token.token(&token.claims(LATER)));
    (token, rest, file.to_string())
}

/// How often a process has given the processor away: a build that waits for a lock asks for it again
/// and again, with a nap in between.
pub(crate) fn naps(process: u32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let of_task = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        count.map_or(0, |count| count.trim().parse().unwrap())
    };
    tasks.map(|task| of_task(task.unwrap())).max().unwrap_or(0)
}

/// A build that has compiled and waits for its turn to write, since somebody holds the lock.
fn waiting_build(project: &Project) -> (Child, File) {
    let lock = File::open(project.path().join("out/review")).unwrap();
    lock.lock().unwrap();
    let mut command = std::process::Command::new("setsid");
    command.args(["sh", "-c", "ulimit -c unlimited; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bottlec")]);
    project.dress(&mut command);
    let child =
        command.args(["build", "review.yaml", "-o", "out"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap();
    until("the build waits for the lock", || naps(child.id()) > 20);
    (child, lock)
}

fn built(login: &str) -> Project {
    let project = Project::new(&[("review.yaml", MANIFEST)]);
    project.sign_in(login.as_bytes());
    assert!(project.run(&["build", "review.yaml", "-o", "out"]).status.success());
    project.allow();
    project
}

#[test]
fn a_build_has_nothing_of_the_login_left_when_it_writes() {
    let (token, rest, login) = login();
    let project = built(&login);
    let (child, lock) = waiting_build(&project);
    let Some(memory) = memory(child.id()) else { return skipped("the memory of a process cannot be read") };
    assert!(project.canaries.count(&memory) > 40, "this is its memory: the environment is in it");
    assert_eq!((token.count(&memory), rest.count(&memory)), (0, 0), "the access token, and the rest of the login");
    drop(lock);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn a_launch_has_one_copy_of_each_value_when_it_asks() {
    let (token, rest, login) = login();
    let project = built(&login);
    let mut session = Session::start(&project, &["exec", "out/review", "--", "true"]);
    session.expect("\"Which ticket\": ");
    let answers = Canaries::new();
    session.answer(&answers.next());
    session.expect("\"And another\": ");
    let Some(memory) = memory(session.child.id()) else { return skipped("the memory of a process cannot be read") };
    assert_eq!(rest.count(&memory), 0, "what of the login is not needed");
    assert_eq!(token.count(&memory), 1, "the signature of the access token is there once");
    assert_eq!(answers.count(&memory), 1, "the answer is there once");
    session.answer("");
    assert!(session.end().0.status.success());
}

#[test]
fn nothing_of_the_login_is_read_before_its_owner_agreed() {
    let (token, rest, login) = login();
    let project = built(&login);
    assert!(project.run(&["allow", "--forget", "out/review"]).status.success());
    let mut session = Session::start(&project, &["exec", "out/review", "--", "true"]);
    session.expect("[y/N]: ");
    let Some(before) = memory(session.child.id()) else { return skipped("the memory of a process cannot be read") };
    assert!(project.canaries.count(&before) > 40, "this is its memory: the environment is in it");
    assert_eq!((token.count(&before), rest.count(&before)), (0, 0), "the access token, and the rest of the login");
    session.answer("y");
    session.expect("\"Which ticket\": ");
    let after = memory(session.child.id()).unwrap();
    assert_eq!(token.count(&after), 1, "it is read after that");
    session.answer("");
    session.expect("\"And another\": ");
    session.answer("");
    assert!(session.end().0.status.success());
}

/// Core files below the project.
fn cores(project: &Project) -> usize {
    walk(project.path()).iter().filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("core")).count()
}

/// Whether a program that aborts leaves a core file in its folder here.
fn cores_are_made() -> bool {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default();
    let here = pattern.starts_with("core");
    if !here {
        skipped("core files (the kernel puts them elsewhere)");
    }
    here
}

#[test]
fn no_core_file_has_a_secret_and_the_command_is_as_always() {
    if !cores_are_made() {
        return;
    }
    let (_, _, login) = login();
    let project = built(&login);
    let abort = |child: &Child| kill_process(Pid::from_child(child), Signal::ABORT).unwrap();

    let (child, lock) = waiting_build(&project);
    abort(&child);
    assert!(!child.wait_with_output().unwrap().status.success());
    drop(lock);
    assert_eq!(cores(&project), 0, "of a build");

    let session = Session::start(&project, &["exec", "out/review", "--", "true"]);
    session.expect("\"Which ticket\": ");
    abort(&session.child);
    session.end();
    assert_eq!(cores(&project), 0, "of a launch that asks");

    // The program that is started is no business of bottlec's: the limit is the user's.
    let mut session = Session::start(&project, &["exec", "out/review", "--", "sh", "-c", "kill -ABRT $$"]);
    session.expect("\"Which ticket\": ");
    session.answer("");
    session.expect("\"And another\": ");
    session.answer("");
    session.end();
    assert_eq!(cores(&project), 1, "of the command");
}
