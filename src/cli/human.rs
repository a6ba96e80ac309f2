//! Diagnostics for people: the source line, the place underlined, what is wrong and how to mend it.

use std::os::fd::AsFd;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use rustix::termios::{isatty, tcgetwinsize};

use crate::text::diagnostic::{Diagnostic, Problem, Severity};
use crate::text::source::Sources;
use crate::text::visible::{self, is_hidden};
use crate::text::wrap::wrap;

/// What stands for a character of a manifest's line that must not be shown.
const MARK: char = '\u{fffd}';

/// The narrowest terminal that lines are broken for.
const NARROWEST: usize = 30;

/// How findings are drawn.
pub struct Look {
    renderer: Renderer,
    /// The width of the terminal, if it is one: elsewhere a line may be as long as it likes.
    width: Option<usize>,
}

impl Look {
    /// Without colours and of any width.
    pub fn plain() -> Look {
        Look { renderer: Renderer::plain(), width: None }
    }

    /// As it suits a stream; colours are for whoever writes there to take out.
    pub fn on(stream: impl AsFd) -> Look {
        let width = width(stream);
        let renderer = Renderer::styled();
        Look { renderer: width.map_or(renderer.clone(), |width| renderer.term_width(width)), width }
    }

    /// What is printed of a problem that has no place in a text.
    pub fn problem(&self, level: &Level<'static>, Problem { message, help, .. }: &Problem) -> String {
        let (message, help) = (self.broken(message, "warning: ".len()), self.broken(help, " = help: ".len()));
        let group = Group::with_title(level.clone().primary_title(message)).element(Level::HELP.message(help));
        self.renderer.render(&[group])
    }

    /// A text in lines of the width that `taken` characters before it leave.
    fn broken(&self, text: &str, taken: usize) -> String {
        let Some(width) = self.width else { return text.to_owned() };
        let lines = text.split('\n').flat_map(|line| wrap(line, width.saturating_sub(taken).max(NARROWEST)));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// The width of a terminal.
pub(super) fn width(stream: impl AsFd) -> Option<usize> {
    let size = isatty(&stream).then(|| tcgetwinsize(&stream).ok()).flatten()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

/// One diagnostic as a block of lines without a line break at its end.
pub fn render(diagnostic: &Diagnostic, sources: &Sources, look: &Look) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let taken = diagnostic.severity.as_str().len() + diagnostic.code.as_str().len() + "[]: ".len();
    let title = look.broken(&diagnostic.message, taken);
    let mut group = Group::with_title(level.primary_title(title).id(diagnostic.code.as_str()));
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
        group = group.element(Level::HELP.message(look.broken(help, "12345 = help: ".len())));
    }
    // The renderer marks C0 and what turns text around, a character for a character so that columns stay. The rest
    // of what steers or hides comes from a manifest's line as it is.
    look.renderer.render(&[group]).replace(|c| is_hidden(c) && c != MARK, &MARK.to_string())
}
