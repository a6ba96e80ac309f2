//! Reviews as Markdown, for the summary of a workflow or a comment on a pull request.

use std::fmt::Write as _;

use super::{Graded, Presence, Review, Text, picture};
use crate::text::diagnostic::Grade;
use crate::text::visible;

/// The maximum number of diff lines per file: a workflow summary is limited to 1 MiB.
const LINES: usize = 200;

/// The reviews under one heading.
pub fn render(reviews: &[Review]) -> String {
    let mut text = String::from("## What the change allows the agents to do\n\n");
    if reviews.is_empty() {
        text.push_str("No differences.\n");
    }
    reviews.iter().for_each(|review| one(&mut text, review));
    text
}

fn one(text: &mut String, review: &Review) {
    let Review { name, shown, presence, changes, reachable: _, restarts, texts, findings } = review;
    let what = match presence {
        Presence::Added => "new, ",
        Presence::Kept => "",
        Presence::Removed => "removed, ",
    };
    let grade = review.grade().map_or("nothing to review", Grade::as_str);
    let _ = writeln!(text, "### {}: {what}{grade}\n\n{}\n", escaped(name), code(shown));
    if let Some(picture) = picture::draw(review) {
        let _ = writeln!(text, "```mermaid\n{}```\n\n{}\n", picture.chart, picture.legend);
    }
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
        text.push_str("For a running bottle:\n\n");
        for step in restarts {
            let _ = writeln!(text, "- {}: {}", step.as_str(), step.says());
        }
        text.push('\n');
    }
    let fixed: Vec<String> = texts.iter().filter(|file| file.is_fixed).map(|file| code(&file.path)).collect();
    if !fixed.is_empty() {
        let _ = writeln!(text, "The same in every bottle, so not shown: {}\n", fixed.join(", "));
    }
    for Text { path, diff, is_fixed: _ } in texts.iter().filter(|file| !file.is_fixed) {
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

/// A message in Markdown: text between backticks stays code.
fn spans(message: &str) -> String {
    let pieces: Vec<&str> = message.split('`').collect();
    // Unpaired backticks are ordinary text.
    if pieces.len().is_multiple_of(2) {
        return escaped(message);
    }
    let piece = |(index, piece): (usize, &&str)| if index % 2 == 1 { code(piece) } else { escaped(piece) };
    pieces.iter().enumerate().map(piece).collect()
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", inert(text))
}

/// Escapes everything that Markdown or HTML would interpret. Outside of code, forges also look for mentions (`@`)
/// and issue references (`#`) in the rendered page; an invisible space disables these.
fn escaped(text: &str) -> String {
    inert(text).replace('@', "@&#8203;").replace("\\#", "\\#&#8203;")
}

/// The same for code, which only Markdown and HTML interpret.
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
    // Both would be turned into links.
    out.replace("://", "&#58;//").replace("www.", "www&#46;")
}

/// Escapes text inside an HTML block, which Markdown does not interpret.
fn html(text: &str) -> String {
    visible::lines(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace(['\n', '\t'], " ")
}

/// A fence with more backticks than any run in the text.
fn fence(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}
