//! `bottlec.toml`: what holds for every bottle of a project. The keys, their types and their documentation; the JSON
//! Schema is made from these types. Where the file is looked for is the business of the edge.

mod compare;
mod file;
mod pattern;
pub mod policy;
pub mod schema;

use std::collections::BTreeMap;
use std::path::Path;

pub use compare::{ACCEPT_FROM, FAIL_ON, Weakening, weakenings};
pub use file::{Broken, read};
pub use pattern::{FilePattern, HostPattern, NamePattern};

use schemars::JsonSchema;
use serde::Deserialize;

use crate::text::accept::AcceptFrom;
use crate::text::diagnostic::{Code, Findings, Grade, Severity};

/// A configuration that has been checked.
#[derive(Debug)]
pub struct Config {
    /// Its path, as the user would type it.
    pub shown: String,
    /// Its text.
    pub text: String,
    /// Patterns of files that are bottles too.
    pub bottles: Vec<Written<FilePattern>>,
    /// The folder of the committed trees.
    pub golden: Option<Written<String>>,
    /// Whether warnings of `check` are errors.
    pub strict: Option<Written<bool>>,
    /// What becomes of warnings.
    pub severity: BTreeMap<Code, Written<Level>>,
    /// From which grade on a change fails.
    pub fail_on: Option<Written<FailOn>>,
    /// Whose acceptances count.
    pub accept_from: Option<Written<AcceptFrom>>,
    /// What no bottle may do.
    pub policy: Vec<policy::Rule>,
}

/// A value and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<T> {
    /// The value.
    pub value: T,
    /// The line, from 1.
    pub line: usize,
}

/// What becomes of a warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is not reported.
    Off,
    /// It is reported.
    Warning,
    /// It fails.
    Error,
}

/// From which grade on a change fails: the strictest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailOn {
    /// Any graded change.
    Info,
    /// The agent can do less.
    Low,
    /// The agent can do more, where it could do something before.
    Medium,
    /// The agent can reach something new, or somebody looks away.
    High,
    /// A credential or a wall is at stake.
    Critical,
    /// No change fails.
    Never,
}

impl FailOn {
    /// Every value.
    pub const ALL: [FailOn; 6] =
        [FailOn::Info, FailOn::Low, FailOn::Medium, FailOn::High, FailOn::Critical, FailOn::Never];

    /// The grade, unless it is `never`.
    pub fn grade(self) -> Option<Grade> {
        match self {
            FailOn::Info => Some(Grade::Info),
            FailOn::Low => Some(Grade::Low),
            FailOn::Medium => Some(Grade::Medium),
            FailOn::High => Some(Grade::High),
            FailOn::Critical => Some(Grade::Critical),
            FailOn::Never => None,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        self.grade().map_or("never", Grade::as_str)
    }

    /// Whether a change of this grade fails.
    pub fn is_reached(self, grade: Option<Grade>) -> bool {
        self.grade().zip(grade).is_some_and(|(from, grade)| grade >= from)
    }
}

impl Config {
    /// Whether its patterns make a file a bottle, by the file's path from its folder. Nothing in a compiled tree is a bottle.
    pub fn names(&self, path: &Path) -> bool {
        let is_golden = self.golden.as_ref().is_some_and(|golden| path.starts_with(&golden.value));
        !is_golden && self.bottles.iter().any(|pattern| pattern.value.matches(path))
    }

    /// Gives warnings the severity that the project gives them. Comments have had their say before.
    pub fn weigh(&self, findings: &mut Findings) {
        if self.severity.is_empty() {
            return;
        }
        let level = |code: &Code| self.severity.get(code).map_or(Level::Warning, |level| level.value);
        findings.reweigh(|diagnostic| match level(&diagnostic.code) {
            Level::Off => None,
            Level::Warning => Some(Severity::Warning),
            Level::Error => Some(Severity::Error),
        });
    }

    /// Whether warnings of `check` are errors.
    pub fn is_strict(&self) -> bool {
        self.strict.as_ref().is_some_and(|strict| strict.value)
    }
}
