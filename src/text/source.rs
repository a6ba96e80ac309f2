//! Input texts and the places in them that diagnostics point at.

use std::ops::Range;

use super::front_matter;

/// Names one of the texts in [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceId(pub(crate) u16);

/// A half-open range of bytes in one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The text that the range is in.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// A line and a column, both counted from 1; columns count characters, as editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// One input file.
#[derive(Debug)]
pub struct Source {
    /// The path as the user would type it, for messages.
    pub path: String,
    /// The path from the folder of the manifest that is compiled, with `/`: the name that goes
    /// into artifacts, the same on every machine.
    pub reference: String,
    /// The whole text.
    pub text: String,
}

impl Source {
    /// The folder part of [`Source::reference`], without a slash at its end; empty for the
    /// manifest's own folder.
    pub fn folder(&self) -> &str {
        self.reference.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// Where its YAML stands: all of it, or the front matter of a Markdown file. Returns `None` if that has none.
    pub(crate) fn yaml(&self) -> Option<Range<usize>> {
        front_matter::yaml(&self.path, &self.text)
    }

    /// A path that this source names, from the manifest's folder: without `.` steps and without
    /// steps that `..` undoes.
    pub fn resolve(&self, relative: &str) -> String {
        let mut steps: Vec<&str> = Vec::new();
        for step in self.folder().split('/').chain(relative.split('/')) {
            match step {
                "" | "." => {}
                ".." if steps.last().is_some_and(|last| *last != "..") => {
                    steps.pop();
                }
                step => steps.push(step),
            }
        }
        steps.join("/")
    }
}

/// All texts of one compilation, the manifest first, then its parents.
#[derive(Debug, Default)]
pub struct Sources(Vec<(Source, Lines)>);

/// Where each line of a text starts, in bytes.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Lines(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The line that a byte is in, from 0.
    fn holding(&self, byte: usize) -> usize {
        self.0.partition_point(|&start| start <= byte) - 1
    }
}

impl Sources {
    /// Adds a text and returns the name for it.
    ///
    /// # Panics
    /// At more than 65,536 texts; a chain of parents is cut long before.
    pub fn add(&mut self, source: Source) -> SourceId {
        let id = u16::try_from(self.0.len()).expect("a chain of parents is at most MAX_CHAIN long");
        let lines = Lines::of(&source.text);
        self.0.push((source, lines));
        SourceId(id)
    }

    /// The source of that name.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[usize::from(id.0)].0
    }

    /// The whole lines that a stretch of a text touches: their text, the number of the first one
    /// from 1, and the byte that it starts at.
    pub fn lines(&self, id: SourceId, start: u32, end: u32) -> (&str, usize, usize) {
        let (source, lines) = &self.0[usize::from(id.0)];
        let first = lines.holding(start as usize);
        let last = lines.holding(end as usize);
        let stop = lines.0.get(last + 1).copied().unwrap_or(source.text.len());
        (&source.text[lines.0[first]..stop], first + 1, lines.0[first])
    }

    /// Where a span starts.
    pub fn position(&self, span: Span) -> Position {
        let (source, lines) = &self.0[usize::from(span.source.0)];
        let line = lines.holding(span.start as usize);
        let before = &source.text[lines.0[line]..span.start as usize];
        Position { line: line + 1, column: before.chars().filter(|&c| c != '\u{feff}').count() + 1 }
    }

    /// The names of all texts.
    pub fn ids(&self) -> impl Iterator<Item = SourceId> + use<> {
        (0..u16::try_from(self.0.len()).unwrap_or(u16::MAX)).map(SourceId)
    }

    /// One past where a span ends.
    pub fn end_position(&self, span: Span) -> Position {
        self.position(Span { start: span.end, ..span })
    }

    /// Puts asterisks over a text that may be a secret, so that no message shows it. Places stay as
    /// they are.
    pub fn mask(&mut self, span: Span) {
        let text = &mut self.0[usize::from(span.source.0)].0.text;
        let range = span.start as usize..span.end as usize;
        let stars = "*".repeat(range.len());
        text.replace_range(range, &stars);
    }

    /// `file:line:column` as it stands in artifacts.
    pub fn reference(&self, span: Span) -> String {
        let Position { line, column } = self.position(span);
        format!("{}:{line}:{column}", self.get(span.source).reference)
    }
}
