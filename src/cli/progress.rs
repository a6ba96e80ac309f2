//! The progress line of a long run.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::Screen;
use super::messages::Messages;

/// A shorter run shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);
/// The interval at which the line is redrawn.
pub(super) const INTERVAL: Duration = Duration::from_millis(100);

/// The progress line. It is erased on drop.
pub(super) struct Progress {
    /// Whether the line may be shown.
    pub(super) is_seen: bool,
    what: &'static str,
    total: usize,
    done: usize,
    start: Instant,
    /// When the line was last drawn.
    drawn: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    /// The progress over `total` bottles. It is shown on a terminal only, and not with `--quiet`.
    pub(super) fn new(screen: &Screen, what: &'static str, total: usize) -> Self {
        let is_seen = total > 1 && !screen.quiet && std::io::stderr().is_terminal();
        Progress { is_seen, what, total, done: 0, start: Instant::now(), drawn: None, is_shown: false }
    }

    /// Counts one more bottle.
    pub(super) fn advance(&mut self) {
        self.done += 1;
        self.draw();
    }

    /// Redraws the line if it is due.
    pub(super) fn draw(&mut self) {
        if !self.is_seen || self.done == self.total {
            return;
        }
        let taken = self.start.elapsed();
        if taken < PATIENCE || self.drawn.is_some_and(|drawn| drawn.elapsed() < INTERVAL) {
            return;
        }
        let _ = write!(std::io::stderr(), "\r\x1b[K{}", line(self.what, self.done, self.total, taken));
        self.drawn = Some(Instant::now());
        self.is_shown = true;
    }

    /// Erases the line and prints messages.
    pub(super) fn print(&mut self, messages: Messages) -> Result<()> {
        if messages.is_empty() {
            return Ok(());
        }
        self.wipe();
        messages.print()
    }

    fn wipe(&mut self) {
        if std::mem::take(&mut self.is_shown) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[allow(clippy::cast_precision_loss, reason = "an estimate")]
fn line(what: &str, done: usize, total: usize, taken: Duration) -> String {
    let rate = done as f64 / taken.as_secs_f64();
    if done == 0 {
        return format!("{what} {done} of {total}");
    }
    let left = (total - done) as f64 / rate;
    let shown = if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") };
    format!("{what} {done} of {total}, {shown} a second, {left:.0} s left")
}
