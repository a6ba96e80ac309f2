//! Reviews as Markdown, for the summary of a workflow or a comment on a pull request.

use std::fmt::Write as _;

use super::{Fate, Graded, Review, Text};
use crate::text::diagnostic::Grade;
use crate::text::visible;

/// The most lines of one file's difference: a summary has room for a mebibyte.
const LINES: usize = 200;

/// The reviews under one heading.
pub fn render(reviews: &[Review]) -> String {
    let mut text = String::from("## What the change lets the agents do\n\n");
    if reviews.is_empty() {
        text.push_str("Nothing differs.\n");
    }
    reviews.iter().for_each(|review| one(&mut text, review));
    text
}

fn one(text: &mut String, review: &Review) {
    let Review { name, shown, fate, changes, restarts, texts, findings } = review;
    let what = match fate {
        Fate::Added => "new, ",
        Fate::Kept => "",
        Fate::Removed => "gone, ",
    };
    let grade = review.grade().map_or("nothing to review", Grade::as_str);
    let _ = writeln!(text, "### {}: {what}{grade}\n\n{}\n", escaped(name), code(shown));
    if !changes.is_empty() {
        text.push_str("| Grade | Rule | What changes | Where |\n| --- | --- | --- | --- |\n");
        changes.iter().for_each(|graded| row(text, graded));
        text.push('\n');
    }
    for finding in findings {
        let place = finding.place.as_ref().map(|place| format!("{}:{}: ", place.file, place.start.line));
        let place = place.unwrap_or_default();
        let _ = writeln!(text, "- {} {}{}", finding.code.as_str(), escaped(&place), escaped(&finding.message));
    }
    if !findings.is_empty() {
        text.push('\n');
    }
    if !restarts.is_empty() {
        text.push_str("For a bottle that runs:\n\n");
        for step in restarts {
            let _ = writeln!(text, "- {}: {}", step.as_str(), step.says());
        }
        text.push('\n');
    }
    for Text { path, diff } in texts {
        let fence = fence(diff);
        let mut lines = diff.split_inclusive('\n');
        let shown: String = lines.by_ref().take(LINES).collect();
        let left = lines.count();
        let more = if left == 0 { String::new() } else { format!("… {left} more lines\n") };
        let _ = writeln!(
            text,
            "<details><summary>{}</summary>\n\n{fence}diff\n{shown}{more}{fence}\n\n</details>\n",
            html(path)
        );
    }
}

fn row(text: &mut String, graded: &Graded) {
    let Graded { change, place, file: _, decided, accepted } = graded;
    let grade = change.grade();
    let mark = match grade {
        _ if accepted.is_some() => "⚪",
        Grade::Critical => "🟣",
        Grade::High => "🔴",
        Grade::Medium => "🟠",
        Grade::Low => "🟢",
        Grade::Info => "🔵",
    };
    let place = place.as_ref().map(|place| code(&format!("{}:{}", place.file, place.line)));
    let from: Vec<String> = place.into_iter().chain(decided.as_deref().map(escaped)).collect();
    let note = accepted
        .as_ref()
        .map(|accepted| format!("<br>accepted until {}: {}", accepted.until, escaped(&accepted.reason)))
        .unwrap_or_default();
    let _ = writeln!(
        text,
        "| {mark} {} | {} | {}{note} | {} |",
        grade.as_str(),
        change.code.as_str(),
        spans(&change.message),
        from.join("<br>"),
    );
}

/// A message: what stands between backticks stays code.
fn spans(message: &str) -> String {
    let pieces: Vec<&str> = message.split('`').collect();
    // Backticks that do not pair are text like any other.
    if pieces.len().is_multiple_of(2) {
        return escaped(message);
    }
    let piece = |(index, piece): (usize, &&str)| if index % 2 == 1 { code(piece) } else { escaped(piece) };
    pieces.iter().enumerate().map(piece).collect()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", inert(text))
}

/// The text with nothing in it that Markdown or HTML would read. What forges look for in the finished
/// page, outside of code, gets an invisible space: `@` would tell somebody, `#` would lead to an issue.
fn escaped(text: &str) -> String {
    inert(text).replace('@', "@&#8203;").replace("\\#", "\\#&#8203;")
}

/// The same for code, where only Markdown and HTML look.
fn inert(text: &str) -> String {
    let mut out = String::new();
    for char in visible::lines(text).chars() {
        match char {
            '\n' | '\t' => out.push(' '),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '|' => out.push_str("&#124;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '#' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(char);
            }
            char => out.push(char),
        }
    }
    // Both become links by themselves.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// The text for the inside of an HTML block, where Markdown does not look.
fn html(text: &str) -> String {
    visible::lines(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(['\n', '\t'], " ")
}

/// More backticks than any line of the text has in a row.
fn fence(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}
