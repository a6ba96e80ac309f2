//! Diagnostics for people: the source line, the place underlined, what is wrong and how to mend it.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::text::diagnostic::{Diagnostic, Severity};
use crate::text::source::Sources;
use crate::text::visible::{self, is_hidden};

/// What stands for a character of a manifest's line that must not be shown.
const MARK: char = '\u{fffd}';

/// One diagnostic as a block of lines without a line break at its end.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message).id(diagnostic.code.as_str()));
    let mut shown = Vec::new();
    for label in &diagnostic.labels {
        if shown.contains(&label.span.source) {
            continue;
        }
        shown.push(label.span.source);
        // Only the lines that are shown: a large text with many findings would take long.
        let here = diagnostic.labels.iter().filter(|other| other.span.source == label.span.source);
        let start = here.clone().map(|label| label.span.start).min().unwrap_or_default();
        let end = here.map(|label| label.span.end).max().unwrap_or_default();
        let (text, line, offset) = sources.lines(label.span.source, start, end);
        let path = visible::line(sources.get(label.span.source).path.as_str());
        let mut snippet = Snippet::source(text).line_start(line).path(path);
        for (index, label) in
            diagnostic.labels.iter().enumerate().filter(|(_, other)| other.span.source == label.span.source)
        {
            let kind = if index == 0 { AnnotationKind::Primary } else { AnnotationKind::Context };
            let range = label.span.start as usize - offset..label.span.end as usize - offset;
            snippet = snippet.annotation(kind.span(range).label(label.text.as_str()));
        }
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    // The renderer marks C0 and what turns text around, a character for a character so that columns stay. The rest
    // of what steers or hides comes from a manifest's line as it is.
    renderer.render(&[group]).replace(|c| is_hidden(c) && c != MARK, &MARK.to_string())
}
