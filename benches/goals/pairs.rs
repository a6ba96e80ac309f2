//! Two things measured in turn, so that whatever else the machine does happens to both.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// The middle of many measurements.
#[derive(Clone, Copy)]
pub(crate) struct Quartiles {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

impl Quartiles {
    pub(crate) fn of(mut values: Vec<f64>) -> Quartiles {
        values.sort_by(f64::total_cmp);
        let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
        Quartiles { low: at(1), median: at(2), high: at(3) }
    }
}

/// The ratios of the first to the second. Which one begins changes from pair to pair.
pub(crate) fn ratios(
    count: usize,
    mut first: impl FnMut() -> Duration,
    mut second: impl FnMut() -> Duration,
) -> Quartiles {
    for _ in 0..count / 10 {
        first();
        second();
    }
    let pair = |number: usize| {
        let (one, other) = if number.is_multiple_of(2) {
            let one = first();
            (one, second())
        } else {
            let other = second();
            (first(), other)
        };
        one.as_secs_f64() / other.as_secs_f64()
    };
    Quartiles::of((0..count).map(pair).collect())
}

/// How long a program takes from its start to its end, less what it waited for a processor that other programs had. It
/// says nothing.
pub(crate) fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let it = WaitId::Pid(Pid::from_child(&child));
    waitid(it, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).expect("it is ours");
    let took = start.elapsed();
    // It has ended, and the kernel keeps its numbers until it is asked how.
    let waited = waited(child.id());
    let status = child.wait().expect("it is ours");
    assert!(status.success(), "{command:?}: {status}");
    took.saturating_sub(waited)
}

/// How long a process was ready and had no processor; nothing where the kernel does not say it.
fn waited(process: u32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{process}/schedstat")).unwrap_or_default();
    Duration::from_nanos(text.split(' ').nth(1).and_then(|nanos| nanos.parse().ok()).unwrap_or_default())
}
