//! Builds under strace: which system calls they make, and builds in which one of them fails or is the last.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use super::Scene;

/// One system call of a build.
pub(crate) struct Call {
    /// Its name.
    pub(crate) name: String,
    /// The line that strace prints of it.
    pub(crate) line: String,
    /// The how manieth of its name it is, from 1.
    pub(crate) number: usize,
    /// Whether the build had begun to read its manifest.
    pub(crate) is_work: bool,
}

impl Call {
    /// Whether it changes what is on disk.
    pub(crate) fn changes(&self) -> bool {
        match self.name.as_str() {
            "openat" | "open" => self.line.contains("O_CREAT"),
            "write" => !self.line.starts_with("write(1,") && !self.line.starts_with("write(2,"),
            name => {
                ["mkdir", "rename", "unlink", "rmdir", "chmod", "fchmod"].iter().any(|change| name.starts_with(change))
            }
        }
    }
}

fn strace(program: &Path, scene: &Scene, options: &[&str], log: &Path) -> Output {
    Command::new(program)
        .args(["-qq", "-s", "0", "-o"])
        .arg(log)
        .args(options)
        .arg(env!("CARGO_BIN_EXE_bottlec"))
        .args(&scene.build)
        .current_dir(scene.folder.path())
        .env_clear()
        .env("HOME", scene.folder.path())
        .output()
        .unwrap()
}

/// The system calls of the whole build.
pub(crate) fn calls(program: &Path, scene: &Scene) -> Vec<Call> {
    scene.reset();
    let log = tempfile::NamedTempFile::new().unwrap();
    let run = strace(program, scene, &[], log.path());
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let mut seen = std::collections::BTreeMap::new();
    let mut is_work = false;
    let text = fs::read_to_string(log.path()).unwrap();
    let calls = text.lines().filter_map(|line| {
        let name = line.split_once('(')?.0;
        let number = seen.entry(name.to_owned()).or_insert(0);
        *number += 1;
        is_work |= line.contains("review.yaml") && name != "execve";
        Some(Call { name: name.to_owned(), line: line.to_owned(), number: *number, is_work })
    });
    calls.collect()
}

/// A build that is killed before a call; whether it came that far.
pub(crate) fn kill(program: &Path, scene: &Scene, call: &Call) -> bool {
    scene.reset();
    let inject = format!("inject={}:signal=KILL:when={}", call.name, call.number);
    let run = strace(program, scene, &["-e", &format!("trace={}", call.name), "-e", &inject], Path::new("/dev/null"));
    run.status.code().is_none()
}

/// A build in which a call fails.
pub(crate) fn fail(program: &Path, scene: &Scene, call: &Call, error: &str) -> Output {
    scene.reset();
    let inject = format!("inject={}:error={error}:when={}", call.name, call.number);
    strace(program, scene, &["-e", &format!("trace={}", call.name), "-e", &inject], Path::new("/dev/null"))
}
