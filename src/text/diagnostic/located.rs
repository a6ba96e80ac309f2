//! A finding with its places as lines and columns, free of the texts: what machine formats show.

use serde::Serialize;

use super::{Code, Diagnostic, Label, Severity};
use crate::text::source::{Position, Sources};

/// A stretch of a file. The end is one past the last character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The path as it was given, with `/`.
    pub file: String,
    /// The first character.
    pub start: Position,
    /// One past the last.
    pub end: Position,
}

impl Place {
    fn of(label: &Label, sources: &Sources) -> Self {
        Place {
            file: sources.get(label.span.source).path.replace('\\', "/"),
            start: sources.position(label.span),
            end: sources.end_position(label.span),
        }
    }
}

/// Another place that has to do with a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Related {
    /// Where.
    #[serde(flatten)]
    pub place: Place,
    /// A few words about it.
    pub message: String,
}

/// A finding with its places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Located {
    /// Where; nothing for a finding about no manifest.
    pub place: Option<Place>,
    /// Which rule.
    pub code: Code,
    /// How grave.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub help: Option<String>,
    /// The other places.
    pub related: Vec<Related>,
}

impl Located {
    /// The finding with its places looked up.
    pub fn of(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let Diagnostic { code, severity, message, labels, help } = diagnostic;
        let mut places = labels.iter().map(|label| (Place::of(label, sources), label.text.clone()));
        Located {
            place: places.next().map(|(place, _)| place),
            code: *code,
            severity: *severity,
            message: message.clone(),
            help: help.clone(),
            related: places.map(|(place, message)| Related { place, message }).collect(),
        }
    }
}
