//! Reviews for a terminal: graded changes, followed by text diffs.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};

use crate::model::review::{Graded, Presence, Review, Text};
use crate::text::diagnostic::{Grade, concise};
use crate::text::visible;
use crate::text::wrap::wrap;

/// The column in which messages start.
const INDENT: usize = 18;

/// The narrowest column that messages are broken for.
const NARROWEST: usize = 30;

/// The reviews, one after the other. On a terminal of some width, messages are broken to it.
pub(super) fn render(reviews: &[Review], width: Option<usize>) -> String {
    reviews.iter().map(|review| one(review, width)).collect::<Vec<_>>().join("\n")
}

/// A text that starts at the column of messages, and goes on there.
fn hanging(text: &str, width: Option<usize>) -> String {
    let text = visible::line(text);
    let lines = width.map(|width| wrap(&text, width.saturating_sub(INDENT).max(NARROWEST)));
    lines.map_or_else(|| text.into_owned(), |lines| lines.join(&format!("\n{:INDENT$}", "")))
}

fn one(review: &Review, width: Option<usize>) -> String {
    let Review { name, shown, presence, changes, reachable: _, restarts, texts, findings } = review;
    let mut text = String::new();
    let what = match presence {
        Presence::Added => "new, ",
        Presence::Kept => "",
        Presence::Removed => "removed, ",
    };
    let grade = review.grade().map_or("nothing to review", Grade::as_str);
    let _ = writeln!(
        text,
        "{bold}{}{bold:#} ({}): {what}{grade}",
        visible::line(name),
        visible::line(shown),
        bold = Style::new().bold()
    );
    if !changes.is_empty() {
        text.push('\n');
        changes.iter().for_each(|graded| change(&mut text, graded, width));
    }
    if !findings.is_empty() {
        let _ = write!(text, "\n{}", concise::render(findings));
    }
    if !restarts.is_empty() {
        text.push_str("\nFor a running bottle:\n");
        for step in restarts {
            let _ = writeln!(text, "  {:17} {}", step.as_str(), step.says());
        }
    }
    for Text { path: _, diff, is_fixed: _ } in texts {
        text.push('\n');
        diff.split_inclusive('\n').for_each(|line| colored(&mut text, line));
    }
    text
}

fn change(text: &mut String, graded: &Graded, width: Option<usize>) {
    let Graded { change, place, file: _, decided, accepted } = graded;
    let grade = change.grade();
    let style = match grade {
        _ if accepted.is_some() => Style::new().dimmed(),
        Grade::Critical => AnsiColor::Red.on_default().bold(),
        Grade::High => AnsiColor::Red.on_default(),
        Grade::Medium => AnsiColor::Yellow.on_default(),
        Grade::Low => AnsiColor::Green.on_default(),
        Grade::Info => Style::new(),
    };
    let word = grade.as_str();
    let _ = writeln!(text, "{style}{word:8}{style:#}  {}  {}", change.code.as_str(), hanging(&change.message, width));
    let place = place.as_ref().map(|place| format!("{}:{}:{}", place.file, place.line, place.column));
    let from: Vec<String> = place.into_iter().chain(decided.clone()).collect();
    if !from.is_empty() {
        let _ = writeln!(text, "{:INDENT$}{}", "", hanging(&from.join(", "), width));
    }
    if let Some(accepted) = accepted {
        let words = format!("accepted until {}: {}", accepted.until, accepted.reason);
        let _ = writeln!(text, "{:INDENT$}{}", "", hanging(&words, width));
    }
}

fn colored(text: &mut String, line: &str) {
    let style = match line.as_bytes().first() {
        Some(b'+') => AnsiColor::Green.on_default(),
        Some(b'-') => AnsiColor::Red.on_default(),
        Some(b'@') => AnsiColor::Cyan.on_default(),
        _ => Style::new(),
    };
    let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
    let _ = write!(text, "{style}{line}{style:#}{end}");
}
