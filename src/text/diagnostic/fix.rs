//! What would mend a finding: a few edits of the manifest's text.

use crate::text::source::{SourceId, Span};

/// Whether a fix can be made unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safety {
    /// The manifest means what its author meant, and no comment is lost.
    Safe,
    /// The bottle may do something else than before, what was meant is a guess, or a comment is lost.
    Unsafe,
}

impl Safety {
    /// Lower-case name, as printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Safety::Safe => "safe",
            Safety::Unsafe => "unsafe",
        }
    }
}

/// A stretch of a text and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What goes.
    pub span: Span,
    /// What comes.
    pub text: String,
}

/// What would mend a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fix {
    /// What it does, as an imperative without a full stop.
    pub title: String,
    /// Whether it can be made unseen.
    pub safety: Safety,
    /// In the order of the text, without overlaps.
    pub edits: Vec<Edit>,
}

/// A text after those of the edits that are in it.
pub fn apply(edits: &[Edit], source: SourceId, text: &str) -> String {
    let mut edited = String::with_capacity(text.len());
    let mut end = 0;
    for Edit { span, text: new } in edits.iter().filter(|edit| edit.span.source == source) {
        edited.push_str(&text[end..span.start as usize]);
        edited.push_str(new);
        end = span.end as usize;
    }
    edited.push_str(&text[end..]);
    edited
}
