//! A row of the table: the work, its goal and what was measured.

use std::fmt::Write as _;

use crate::pairs::Quartiles;
use crate::programs::profile;

/// What a number counts.
#[derive(Clone, Copy)]
pub(crate) enum Unit {
    /// So many times the other side of the pair.
    Times,
    PerSecond,
    MiB,
    /// The exponent of a power.
    Exponent,
}

impl Unit {
    fn format(self, value: f64) -> String {
        match self {
            Unit::Times if value >= 20.0 => format!("{value:.0} ×"),
            Unit::Times => format!("{value:.2} ×"),
            Unit::PerSecond => format!("{} a second", thousands(value)),
            Unit::MiB => format!("{value:.1} MiB"),
            Unit::Exponent => format!("{value:.2}"),
        }
    }
}

/// `12,345`.
pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[derive(Clone, Copy)]
pub(crate) enum Goal {
    AtMost(f64, Unit),
    AtLeast(f64, Unit),
}

pub(crate) struct Measured {
    /// What is judged.
    pub(crate) value: f64,
    /// The middle half of what the value is the median of.
    pub(crate) middle: Option<(f64, f64)>,
    /// What else was seen.
    pub(crate) note: String,
}

impl From<Quartiles> for Measured {
    fn from(Quartiles { low, median, high }: Quartiles) -> Self {
        Measured { value: median, middle: Some((low, high)), note: String::new() }
    }
}

pub(crate) struct Row {
    /// What `--only` calls it.
    pub(crate) name: &'static str,
    pub(crate) work: &'static str,
    pub(crate) goal: Goal,
    /// Or why it could not be measured.
    pub(crate) measured: Result<Measured, String>,
}

impl Row {
    pub(crate) fn is_missed(&self) -> bool {
        match (&self.measured, self.goal) {
            (Ok(measured), Goal::AtMost(bound, _)) => measured.value > bound,
            (Ok(measured), Goal::AtLeast(bound, _)) => measured.value < bound,
            (Err(_), _) => false,
        }
    }
}

/// The rows as a table of Markdown, with the machine that they were measured on.
pub(crate) fn table(rows: &[Row]) -> String {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let today = jiff::Timestamp::now().to_string();
    let mut text = format!(
        "| work | goal | measured ({}, {cores} cores, profile `{}`) | middle half | |\n|---|---|---|---|---|\n",
        &today[..10],
        profile()
    );
    for row in rows {
        let (word, bound, unit) = match row.goal {
            Goal::AtMost(bound, unit) => ("at most", bound, unit),
            Goal::AtLeast(bound, unit) => ("at least", bound, unit),
        };
        let goal = format!("{word} {}", unit.format(bound));
        let line = match &row.measured {
            Ok(Measured { value, middle, note }) => {
                let middle = middle.map_or(String::new(), |(low, high)| {
                    format!("{} to {}", unit.format(low).trim_end_matches(" a second"), unit.format(high))
                });
                let missed = if row.is_missed() { "**missed**" } else { "" };
                let and = if missed.is_empty() || note.is_empty() { "" } else { "; " };
                format!("{} | {middle} | {missed}{and}{note}", unit.format(*value))
            }
            Err(why) => format!("not measured | | {why}"),
        };
        let _ = writeln!(text, "| {} | {goal} | {line} |", row.work);
    }
    text
}
