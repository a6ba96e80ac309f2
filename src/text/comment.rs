//! Comments to bottlec: `# bottlec: WORDS`, anywhere in a manifest but in a scalar, and on lines of their own in a
//! project's configuration.

use crate::text::source::{Source, SourceId, Sources, Span};
use crate::text::yaml;

/// What starts a comment to bottlec.
const MARK: &str = "# bottlec:";

/// A comment to bottlec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// From its `#` to the end of the line, or to the next one on it.
    pub span: Span,
    /// Its line, from 1.
    pub line: usize,
    /// Whether nothing else is on the line.
    pub is_alone: bool,
    /// What it says, from its first word on.
    pub words: String,
}

impl Comment {
    /// Its first word: what it asks for.
    pub fn verb(&self) -> &str {
        self.words.split_whitespace().next().unwrap_or_default()
    }
}

/// The comments to bottlec in one text.
pub fn comments(sources: &Sources, id: SourceId) -> Vec<Comment> {
    let Source { path, text, .. } = sources.get(id);
    if !text.contains(MARK) {
        return Vec::new();
    }
    let is_toml = path.ends_with(".toml");
    let quoted = if is_toml { Vec::new() } else { yaml::scalar_ranges(text) };
    let in_scalar = |at: usize| quoted.iter().any(|range| range.contains(&at));
    let found = text.match_indices(MARK).filter(|(at, _)| !in_scalar(*at));
    found
        .map(|(start, _)| {
            let end = text[start..].find(['\n', '\r']).map_or(text.len(), |length| start + length);
            // Another one on the same line.
            let end = text[start + MARK.len()..end].find(MARK).map_or(end, |length| start + MARK.len() + length);
            let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
            let span = Span { source: id, start: place(start), end: place(start + text[start..end].trim_end().len()) };
            let before = text[..start].rsplit('\n').next().unwrap_or_default();
            Comment {
                span,
                line: sources.position(span).line,
                is_alone: before.trim().is_empty(),
                words: text[start + MARK.len()..end].trim().to_owned(),
            }
        })
        .filter(|comment: &Comment| !is_toml || comment.is_alone)
        .collect()
}
