//! How the time grows with the number of bottles, of routes in a bottle and of bytes in a manifest: whole processes, the
//! quickest of some runs, since what else the machine does only adds to it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::batch::OnDisk;
use crate::pairs::time;
use crate::programs::{bottlec, scratch};
use crate::row::{Goal, Measured, Row, Unit};

/// More than this in the exponent is more than linear.
pub(crate) const LIMIT: f64 = 1.15;
const COUNTS: [usize; 7] = [10, 30, 100, 300, 1_000, 3_000, 10_000];
/// To the most that a manifest may have, 1 MiB.
const BYTES: [usize; 7] = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000];

/// How one command's time grows.
pub(crate) struct Curve {
    /// What there are more and more of.
    pub(crate) of: &'static str,
    pub(crate) command: &'static str,
    /// How many, and seconds.
    pub(crate) points: Vec<(f64, f64)>,
}

impl Curve {
    /// The exponent of the power that fits the last decade best; before it, what a process costs in itself counts.
    pub(crate) fn exponent(&self) -> f64 {
        let from = self.points.last().expect("points").0 / 10.5;
        let logs = self.points.iter().filter(|(count, _)| *count >= from).map(|(x, y)| (x.ln(), y.ln()));
        let logs: Vec<(f64, f64)> = logs.collect();
        let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / logs.len() as f64;
        let (x, y) = (mean(|log| log.0), mean(|log| log.1));
        let covariance: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
        covariance / logs.iter().map(|log| (log.0 - x).powi(2)).sum::<f64>()
    }
}

/// Routes that nothing is wrong with.
fn routes(count: usize) -> String {
    let mut text = "name: routes\negress:\n  routes:\n".to_owned();
    for number in 0..count {
        let _ = writeln!(text, "    - host: api{number}.example.com\n      path_allowlist: [/v1, /v2]");
    }
    text
}

/// Variables that make the manifest as long as that.
fn bytes(length: usize) -> String {
    let mut text = "name: bytes\negress:\n  routes: [{ host: api.example.com }]\nenv:\n".to_owned();
    for number in 0.. {
        let line =
            format!("  VARIABLE_{number}: one of the values that make the manifest longer, a hundred bytes a line\n");
        if text.len() + line.len() > length {
            break;
        }
        text.push_str(&line);
    }
    text
}

fn quickest(command: &mut Command) -> f64 {
    let first = time(command).as_secs_f64();
    let more = if first > 1.0 { 3 } else { 9 };
    (0..more).map(|_| time(command).as_secs_f64()).fold(first, f64::min)
}

/// `build` that writes, `build` again, and `check`, of one manifest.
fn of_one(of: &'static str, sizes: &[usize], text: fn(usize) -> String) -> [Curve; 2] {
    let place = scratch();
    let points = |command: &dyn Fn(&Path) -> Command| {
        let point = |size: &usize| {
            let manifest = place.path().join("bottle.yaml");
            let text = text(*size);
            fs::write(&manifest, &text).expect("a manifest");
            (*size as f64, quickest(&mut command(&manifest)))
        };
        sizes.iter().map(point).collect()
    };
    let build = |manifest: &Path| {
        let mut build = bottlec();
        build.arg("build").arg(manifest).arg("-o").arg(place.path().join("out"));
        build
    };
    let check = |manifest: &Path| {
        let mut check = bottlec();
        check.arg("check").arg(manifest);
        check
    };
    [Curve { of, command: "build", points: points(&build) }, Curve { of, command: "check", points: points(&check) }]
}

pub(crate) fn measure(disk: &OnDisk) -> Vec<Curve> {
    let point = |count: &usize| (*count as f64, quickest(&mut disk.build_again(*count)));
    let bottles = Curve { of: "bottles", command: "build", points: COUNTS.iter().map(point).collect() };
    let point = |count: &usize| (*count as f64, quickest(&mut disk.check(*count)));
    let checked = Curve { of: "bottles", command: "check", points: COUNTS.iter().map(point).collect() };
    let mut curves = vec![bottles, checked];
    curves.extend(of_one("routes", &COUNTS, routes));
    curves.extend(of_one("bytes", &BYTES, bytes));
    curves
}

pub(crate) fn row(curves: &[Curve]) -> Row {
    let exponents: Vec<(String, f64)> =
        curves.iter().map(|curve| (format!("{} in {}", curve.command, curve.of), curve.exponent())).collect();
    let note: Vec<String> = exponents.iter().map(|(what, exponent)| format!("`{what}` {exponent:.2}")).collect();
    Row {
        name: "growth",
        work: "growth: the largest exponent, over the last decade to 10,000 bottles, 10,000 routes and 1 MB (1 is linear)",
        goal: Goal::AtMost(LIMIT, Unit::Exponent),
        measured: Ok(Measured {
            value: exponents.iter().map(|(_, exponent)| *exponent).fold(0.0, f64::max),
            middle: None,
            note: note.join(", "),
        }),
    }
}
