//! bottlec on a terminal, as far as it must wait for an answer.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::canary::Project;

/// A run that may ask.
pub(crate) struct Session {
    keyboard: File,
    /// Held open: without it the terminal hangs up while bottlec has it closed.
    _terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
    pub(crate) child: Child,
}

impl Session {
    /// Starts bottlec with a terminal of its own and without a limit to core files.
    pub(crate) fn start(project: &Project, arguments: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = File::options().read(true).write(true).open(name).unwrap();
        let mut command = Command::new("setsid");
        project.dress(&mut command);
        command.args(["--ctty", "sh", "-c", "ulimit -c unlimited; exec \"$0\" \"$@\" < /dev/null"]);
        command
            .arg(env!("CARGO_BIN_EXE_bottlec"))
            .args(arguments)
            .stdin(Stdio::from(OwnedFd::from(terminal.try_clone().unwrap())));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (keyboard, shown) = (File::from(master), Arc::new(Mutex::new(Vec::new())));
        let (mut screen, into) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                into.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Session { keyboard, _terminal: terminal, shown, child }
    }

    /// Waits until the terminal shows this, so that bottlec waits for an answer.
    pub(crate) fn expect(&self, text: &str) {
        until(&format!("{text:?} is shown"), || String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text));
    }

    pub(crate) fn answer(&mut self, text: &str) {
        self.keyboard.write_all(format!("{text}\n").as_bytes()).unwrap();
    }

    /// Waits for the end: what the pipes got, and what the terminal showed.
    pub(crate) fn end(mut self) -> (Output, Vec<u8>) {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        self.child.stdout.take().unwrap().read_to_end(&mut stdout).unwrap();
        self.child.stderr.take().unwrap().read_to_end(&mut stderr).unwrap();
        let run = Output { status: self.child.wait().unwrap(), stdout, stderr };
        std::thread::sleep(Duration::from_millis(30));
        let shown = self.shown.lock().unwrap().clone();
        (run, shown)
    }
}

/// A test that fails leaves nobody behind who waits for an answer.
impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(60), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
