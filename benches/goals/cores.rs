//! Two threads against one. The one goal that needs the whole machine: what other programs take of it is looked at,
//! and a pair counts only if they took next to nothing.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::batch::{compiled, sixty_lines};
use crate::pairs::Quartiles;
use crate::row::{Goal, Row, Unit};

const BOTTLES: usize = 2_000;
const PAIRS: usize = 9;
/// How many pairs may be thrown away.
const BUSY: usize = 6;
/// What other programs may take of one processor.
const OTHERS: f64 = 0.05;

/// Compiles the bottles, and gives the time that it took.
fn run(threads: usize) -> Duration {
    let manifests: Vec<String> = (0..BOTTLES).map(sixty_lines).collect();
    let start = Instant::now();
    thread::scope(|scope| {
        for part in manifests.chunks(BOTTLES / threads) {
            scope.spawn(|| part.iter().cloned().map(compiled).sum::<usize>());
        }
    });
    start.elapsed()
}

/// What all processors worked since the machine started, and what this process did of it, in seconds.
fn work() -> (f64, f64) {
    let stat = fs::read_to_string("/proc/stat").expect("/proc");
    let mut ticks = stat.lines().next().expect("a line").split_whitespace().skip(1);
    let mut next = || ticks.next().and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default();
    let (user, nice, system, _idle, _waiting) = (next(), next(), next(), next(), next());
    let (interrupts, soft_interrupts, stolen) = (next(), next(), next());
    let all = user + nice + system + interrupts + soft_interrupts + stolen;
    let own = clock_gettime(ClockId::ProcessCPUTime);
    let own = Duration::new(own.tv_sec.cast_unsigned(), u32::try_from(own.tv_nsec).expect("less than a second"));
    (all as f64 / rustix::param::clock_ticks_per_second() as f64, own.as_secs_f64())
}

pub(crate) fn two_over_one() -> Row {
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Row {
        name: "cores",
        work: "two cores over one, in memory",
        goal: Goal::AtLeast(1.7, Unit::Times),
        measured: if cores < 2 { Err("there is one core".to_owned()) } else { on_a_quiet_machine().map(Into::into) },
    }
}

fn on_a_quiet_machine() -> Result<Quartiles, String> {
    run(2);
    let mut ratios = Vec::new();
    let mut taken = Vec::new();
    while taken.len() - ratios.len() < BUSY {
        let ((all, own), start) = (work(), Instant::now());
        let ratio = run(1).as_secs_f64() / run(2).as_secs_f64();
        let ((all_after, own_after), took) = (work(), start.elapsed().as_secs_f64());
        let others = ((all_after - all) - (own_after - own)) / took;
        taken.push(others);
        if others < OTHERS {
            ratios.push(ratio);
        }
        if ratios.len() == PAIRS {
            return Ok(Quartiles::of(ratios));
        }
    }
    let others = Quartiles::of(taken).median * 100.0;
    Err(format!("other programs took {others:.0} % of a core; {} quiet pairs of {PAIRS}", ratios.len()))
}
