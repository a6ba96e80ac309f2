//! A finding with its places as lines and columns, free of the texts: what machine formats show.

use serde::Serialize;

use super::{Code, Diagnostic, Edit, Fix, Severity};
use crate::text::source::{Position, Sources, Span};

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
    fn of(span: Span, sources: &Sources) -> Self {
        Place {
            file: sources.get(span.source).path.replace('\\', "/"),
            start: sources.position(span),
            end: sources.end_position(span),
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

/// A stretch of a file and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Replacement {
    /// What goes.
    #[serde(flatten)]
    pub place: Place,
    /// What comes.
    pub text: String,
}

/// What would mend a finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Remedy {
    /// What it does.
    pub title: String,
    /// `safe` or `unsafe`.
    pub safety: &'static str,
    /// In the order of the text.
    pub edits: Vec<Replacement>,
}

impl Remedy {
    fn of(fix: &Fix, sources: &Sources) -> Self {
        let Fix { title, safety, edits } = fix;
        let replacement =
            |Edit { span, text }: &Edit| Replacement { place: Place::of(*span, sources), text: text.clone() };
        Remedy { title: title.clone(), safety: safety.as_str(), edits: edits.iter().map(replacement).collect() }
    }
}

/// A finding with its places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Located {
    /// Where; `None` for a finding about no manifest.
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
    /// The edits that would mend it.
    pub fix: Option<Remedy>,
}

impl Located {
    /// The finding with its places looked up.
    pub fn of(diagnostic: &Diagnostic, sources: &Sources) -> Self {
        let Diagnostic { code, severity, message, labels, help, fix } = diagnostic;
        let mut places = labels.iter().map(|label| (Place::of(label.span, sources), label.text.clone()));
        Located {
            place: places.next().map(|(place, _)| place),
            code: *code,
            severity: *severity,
            message: message.clone(),
            help: help.clone(),
            related: places.map(|(place, message)| Related { place, message }).collect(),
            fix: fix.as_ref().map(|fix| Remedy::of(fix, sources)),
        }
    }
}
