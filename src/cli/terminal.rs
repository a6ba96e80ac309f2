//! Questions on the terminal (`/dev/tty`), answered without echo. stdin and stdout belong to the program
//! that is started.

use std::fs::File;
use std::io::{self, Read as _, Write as _};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::value::secret::Secret;

const INTERRUPT: u8 = 0x03;
const END: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const KILL_LINE: u8 = 0x15;
const DELETE: u8 = 0x7f;

/// The maximum length of an answer, in bytes. Allocated up front: a growing buffer leaves copies in memory.
const MAX_ANSWER: usize = 64 * 1024;

/// The terminal of this process.
pub(crate) struct Terminal(File);

/// Why there is no answer.
pub(crate) enum Unanswered {
    /// The user pressed ^C or ^D.
    Interrupted,
    /// Reading from or writing to the terminal failed.
    Failed(io::Error),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Unanswered::Failed(error)
    }
}

impl Terminal {
    /// The terminal, if this process has one.
    pub(crate) fn open() -> Option<Self> {
        let file = File::options().read(true).write(true).open("/dev/tty").ok()?;
        tcgetattr(&file).is_ok().then_some(Terminal(file))
    }

    /// Asks until the answer is text.
    pub(crate) fn ask(&self, question: &str) -> Result<Secret, Unanswered> {
        let mut terminal = &self.0;
        loop {
            // Echo is turned off and pending input is discarded before the question appears, so that
            // no answer is echoed, however fast it is typed.
            let silent = Silent::begin(terminal)?;
            write!(terminal, "{question}: ")?;
            let answer = read_line(terminal);
            drop(silent);
            writeln!(terminal)?;
            match answer? {
                Some(answer) => return Ok(answer),
                None => writeln!(terminal, "Please enter a single line of text.")?,
            }
        }
    }

    /// Asks until the answer is yes or no, and prints how it was understood. Input typed before the question
    /// appears is discarded.
    pub(crate) fn confirm(&self, question: &str) -> Result<bool, Unanswered> {
        let mut terminal = &self.0;
        loop {
            let silent = Silent::begin(terminal)?;
            write!(terminal, "{question}: ")?;
            let answer = read_line(terminal);
            drop(silent);
            let understood = answer.as_ref().ok().and_then(|answer| meaning(answer.as_ref()?.expose()));
            let word = understood.map_or("", |yes| if yes { "yes" } else { "no" });
            writeln!(terminal, "{word}")?;
            match (answer, understood) {
                (Err(unanswered), _) => return Err(unanswered),
                (Ok(_), Some(yes)) => return Ok(yes),
                (Ok(_), None) => writeln!(terminal, "Please answer y or n.")?,
            }
        }
    }
}

/// The meaning of an answer to a `[y/N]` question. Returns `None` if it is neither yes nor no.
fn meaning(answer: &[u8]) -> Option<bool> {
    match answer.trim_ascii().to_ascii_lowercase().as_slice() {
        b"y" | b"yes" => Some(true),
        b"" | b"n" | b"no" => Some(false),
        _ => None,
    }
}

/// Reads a line. Returns `None` if it is not text.
fn read_line(mut terminal: &File) -> Result<Option<Secret>, Unanswered> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    let mut is_text = true;
    let mut byte = Zeroizing::new([0]);
    loop {
        match terminal.read(&mut *byte) {
            Ok(0) => return Err(Unanswered::Interrupted),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        }
        match byte[0] {
            b'\n' | b'\r' => break,
            INTERRUPT => return Err(Unanswered::Interrupted),
            END if line.is_empty() => return Err(Unanswered::Interrupted),
            KILL_LINE => {
                line.clear();
                is_text = true;
            }
            BACKSPACE | DELETE => {
                // A character may be several bytes long.
                while line.pop().is_some_and(|byte: u8| byte & 0b1100_0000 == 0b1000_0000) {}
            }
            // An arrow key, for example, which would be in the answer unseen.
            control if control.is_ascii_control() && control != b'\t' => is_text = false,
            _ if line.len() == MAX_ANSWER => is_text = false,
            other => line.push(other),
        }
    }
    is_text &= std::str::from_utf8(&line).is_ok();
    Ok(is_text.then(|| Secret::new(std::mem::take(&mut *line))))
}

/// While this is alive, the terminal neither echoes nor sends signals, and delivers each key at once
/// (canonical mode truncates a line to 4095 bytes).
struct Silent<'t> {
    terminal: &'t File,
    before: Termios,
}

impl Silent<'_> {
    fn begin(terminal: &File) -> io::Result<Silent<'_>> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG;
        silent.special_codes[SpecialCodeIndex::VMIN] = 1;
        silent.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Silent { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // The error cannot be reported from here, and nothing else can be done.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}
