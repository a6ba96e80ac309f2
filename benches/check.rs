//! How long `bottlec check` of a 60-line manifest takes, against a program that reads the file and exits:
//! this one, started with `--floor`. Both are whole processes, started in turn.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The most that the median of the ratios may be.
const GOAL: f64 = 1.6;
const PAIRS: usize = 500;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, path] = arguments.as_slice()
        && flag == "--floor"
    {
        let bytes = std::fs::read(path).expect("the manifest can be read");
        std::process::exit(i32::from(bytes.is_empty()));
    }
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/sixty-lines.yaml");
    let time = |program: &str, argument: &str| -> Duration {
        let start = Instant::now();
        let status =
            Command::new(program).arg(argument).arg(&manifest).stdout(Stdio::null()).status().expect("it starts");
        assert!(status.success(), "{program} {argument}");
        start.elapsed()
    };
    let floor = || time(&arguments[0], "--floor");
    let check = || time(env!("CARGO_BIN_EXE_bottlec"), "check");
    for _ in 0..50 {
        floor();
        check();
    }
    let mut ratios: Vec<f64> =
        (0..PAIRS).map(|_| floor().as_secs_f64()).map(|floor| check().as_secs_f64() / floor).collect();
    ratios.sort_by(f64::total_cmp);
    let [low, median, high] = [PAIRS / 4, PAIRS / 2, PAIRS * 3 / 4].map(|index| ratios[index]);
    println!(
        "check of a 60-line manifest: {median:.2} times the floor (middle half {low:.2} to {high:.2}), goal {GOAL}"
    );
    std::process::exit(i32::from(median > GOAL));
}
