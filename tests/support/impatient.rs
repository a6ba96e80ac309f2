//! Runs of bottlec that may wait for nothing and take no great memory.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Starts bottlec in a folder, which is its `HOME` too, with an address space of 2 GB.
pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Child {
    Command::new("sh")
        .args(["-c", "ulimit -v 2000000; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_bottlec")])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for its end, half a minute at the most.
pub(crate) fn end(child: Child, what: &str) -> Output {
    let pid = Pid::from_child(&child);
    let (sender, done) = channel();
    std::thread::spawn(move || sender.send(child.wait_with_output().unwrap()));
    done.recv_timeout(Duration::from_secs(30)).unwrap_or_else(|_| {
        let _ = kill_process(pid, Signal::KILL);
        panic!("{what} waits");
    })
}

/// Runs it, with nothing on its stdin.
pub(crate) fn at_once(folder: &Path, arguments: &[&str]) -> Output {
    end(start(folder, arguments), &format!("{arguments:?}"))
}
