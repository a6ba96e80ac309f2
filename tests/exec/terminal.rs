//! Questions: asked on the terminal, answered without echo, and only when nothing else is missing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use super::Bottle;
use super::values::assert_hidden;
use crate::support::{screen, stdout};

const MANIFEST: &str = "name: review\nenv:\n  FIRST: ?Which ticket\n  SECOND: \"?\"\n";
const PRINT: [&str; 4] = ["--", "sh", "-c", "printf '%s|%s' \"$BOTTLE_ENV_FIRST\" \"$BOTTLE_ENV_SECOND\""];

/// A terminal, and bottlec in a session of its own on it. Its stdout and stderr are pipes.
pub(super) struct Session {
    keyboard: File,
    terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
    child: Child,
}

impl Session {
    pub(super) fn start(bottle: &Bottle, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let exec = [&["exec", "out/review"], arguments].concat();
        Self::of(bottle, variables, &exec, "")
    }

    /// Any command, on a terminal on which this was typed before it began.
    pub(super) fn of(bottle: &Bottle, variables: &[(&str, &str)], arguments: &[&str], typed: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = PathBuf::from(ptsname(&master, Vec::new()).unwrap().into_string().unwrap());
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let terminal = open();
        File::from(master.try_clone().unwrap()).write_all(typed.as_bytes()).unwrap();
        let mut plain = bottle.command(&[]);
        let mut command = std::process::Command::new("setsid");
        // The terminal comes in by stdin, which then is something else: questions are not for it.
        command.args(["--ctty", "sh", "-c", "exec \"$0\" \"$@\" < /dev/null"]);
        command.arg(env!("CARGO_BIN_EXE_bottlec")).args(arguments);
        command.current_dir(bottle.path()).env_clear();
        for (name, value) in plain.envs(variables.iter().copied()).get_envs() {
            command.env(name, value.unwrap());
        }
        let child = command
            .stdin(Stdio::from(OwnedFd::from(open())))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let keyboard = File::from(master);
        let (mut screen, into) = (keyboard.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                let echoes = tcgetattr(&screen).unwrap().local_modes.contains(LocalModes::ECHO);
                let mut into = into.lock().unwrap();
                into.extend_from_slice(&bytes[..count]);
                if echoes && into.ends_with(b": ") {
                    into.extend_from_slice(b"(asked with the echo on)");
                }
            }
        });
        Session { keyboard, terminal, shown, child }
    }

    fn shown(&self) -> String {
        String::from_utf8(self.shown.lock().unwrap().clone()).unwrap()
    }

    /// Waits until the terminal shows this.
    pub(super) fn expect(&self, text: &str) {
        let start = Instant::now();
        while !self.shown().contains(text) {
            assert!(start.elapsed() < Duration::from_secs(20), "{text:?} is not shown: {:?}", self.shown());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(super) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end: what the pipes got, and what the terminal shows.
    pub(super) fn end(self) -> (Output, String) {
        let run = self.child.wait_with_output().unwrap();
        let echoes = tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(
            echoes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG),
            "the terminal is left as it was: {echoes:?}"
        );
        std::thread::sleep(Duration::from_millis(30));
        let shown = String::from_utf8(self.shown.lock().unwrap().clone()).unwrap();
        (run, shown)
    }
}

#[test]
fn answers_are_asked_for_on_the_terminal_and_not_echoed() {
    let bottle = Bottle::new(MANIFEST);
    // An answer that comes as fast as it can: the echo must be off before the question is shown.
    for _ in 0..20 {
        let mut session = Session::start(&bottle, &[], &PRINT);
        session.expect("\"Which ticket\": ");
        session.press("canary-first-0815\n");
        session.expect("SECOND (agent variable, review.yaml:4:3): ");
        session.press("canary second ü 1234\r");
        let (run, shown) = session.end();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        assert_eq!(stdout(&run), "canary-first-0815|canary second ü 1234");
        assert_eq!(
            shown,
            "bottlec: bottle review asks for FIRST (agent variable, review.yaml:3:3): \"Which ticket\": \r\n\
             bottlec: bottle review asks for SECOND (agent variable, review.yaml:4:3): \r\n"
        );
        assert_hidden(&(shown + &screen(&run)), "canary-first-0815");
        assert_eq!(screen(&run), "");
    }
    for path in crate::support::files_below(bottle.path()) {
        assert!(!String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("canary"), "{}", path.display());
    }
}

#[test]
fn an_answer_is_one_line_of_text_that_can_be_corrected() {
    let long = "x".repeat(5000);
    for (keys, answer) in [
        ("\n", ""),
        ("  blanks\tand tab \n", "  blanks\tand tab "),
        ("wrong\u{15}right\n", "right"),
        ("rightt\u{7f}\n", "right"),
        ("grü\u{8}ün\u{7f}\u{7f}üße\n", "grüße"),
        ("\u{7f}\u{7f}a\n", "a"),
        (&format!("{long}\n"), &long),
    ] {
        let bottle = Bottle::new("name: review\nenv: { FIRST: \"?Which ticket\" }\n");
        let mut session = Session::start(&bottle, &[], &PRINT);
        session.expect("\"Which ticket\": ");
        session.press(keys);
        let (run, _) = session.end();
        assert_eq!(stdout(&run), format!("{answer}|"), "{keys:?} {}", screen(&run));
    }
}

#[test]
fn an_answer_that_is_not_text_is_asked_for_again() {
    let bottle = Bottle::new("name: review\nenv: { FIRST: \"?Which ticket\" }\n");
    let mut session = Session::start(&bottle, &[], &PRINT);
    session.expect("\"Which ticket\": ");
    session.press("can\u{1b}[Dary\n");
    session.expect("Please enter a single line of text.\r\nbottlec: bottle review asks for FIRST");
    session.press("right\n");
    let (run, shown) = session.end();
    assert_eq!(stdout(&run), "right|");
    assert!(!shown.contains("can") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn giving_up_starts_nothing_and_leaves_the_terminal_as_it_was() {
    let bottle = Bottle::new(MANIFEST);
    for keys in ["\u{3}", "half\u{3}", "\u{4}"] {
        let mut session = Session::start(&bottle, &[], &["--", "touch", "../../started"]);
        session.expect("\"Which ticket\": ");
        session.press(keys);
        let (run, shown) = session.end();
        assert_eq!(run.status.code(), Some(130), "{keys:?} {}", screen(&run));
        assert!(!bottle.path().join("started").exists() && !shown.contains("half"), "{shown}");
    }
}

#[test]
fn nothing_is_asked_while_something_else_is_missing() {
    let manifest = format!("{MANIFEST}  THIRD: ${{REVIEWER}}\n");
    for (variables, arguments, code, words) in [
        (&[] as &[(&str, &str)], ["--", "true"], 1, "REVIEWER is not set"),
        (&[("REVIEWER", "a\nb")], ["--", "true"], 1, "REVIEWER must not contain a line break"),
        (&[("REVIEWER", "x")], ["--", "no-such-command"], 127, "command not found"),
        (&[("REVIEWER", "x")], ["--", "./review.yaml"], 126, "cannot be executed"),
    ] {
        let bottle = Bottle::new(&manifest);
        let (run, shown) = Session::start(&bottle, variables, &arguments).end();
        assert_eq!((run.status.code(), shown.as_str()), (Some(code), ""), "{}", screen(&run));
        assert!(screen(&run).contains(words), "{}", screen(&run));
    }
}

#[test]
fn without_a_terminal_every_question_is_told_with_its_variable() {
    let bottle = Bottle::new(MANIFEST);
    // Stdin is no terminal's stand-in.
    let mut child = bottle.command(&["exec", "out/review"]);
    let mut child =
        child.args(PRINT).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"answer\nanswer\n");
    let run = child.wait_with_output().unwrap();
    assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(1), ""));
    let said = screen(&run);
    for words in [
        "FIRST needs an answer but there is no terminal: Which ticket (review.yaml:3:3)",
        "SECOND needs an answer but there is no terminal: SECOND (review.yaml:4:3)",
        "run bottlec in a terminal",
    ] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_question_is_said_to_be_a_bottles_and_steers_no_terminal() {
    for (question, shown) in [
        ("?sudo password for root", "\"sudo password for root\": "),
        ("?a\u{202e}b\u{2066}c\u{200b}d\u{ad}", "\"a\\u{202e}b\\u{2066}c\\u{200b}d\\u{ad}\": "),
        ("?x\\\": bottlec: and now your password", "\"x\\\": bottlec: and now your password\": "),
        (&format!("?{}", "long ".repeat(2000)), "long …\": "),
    ] {
        let bottle = Bottle::new(&format!("name: review\nenv: {{ FIRST: \"{question}\" }}\n"));
        let mut session = Session::start(&bottle, &[], &PRINT);
        session.expect(shown);
        session.press("\n");
        let (run, screen_shown) = session.end();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let start = "bottlec: bottle review asks for FIRST (agent variable, review.yaml:2:8): \"";
        assert!(screen_shown.starts_with(start), "{screen_shown}");
        assert!(screen_shown.chars().all(|c| c == '\r' || c == '\n' || c == '…' || (' '..='~').contains(&c)));
        assert!(screen_shown.len() < 400, "it stays on the screen");
        // The same where there is no terminal.
        let run = bottle.exec(&[], &PRINT);
        assert!(!screen(&run).contains('\u{202e}') && !screen(&run).contains('\u{200b}'), "{}", screen(&run));
    }
}
