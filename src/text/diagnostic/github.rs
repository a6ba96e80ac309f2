//! Findings as GitHub workflow commands, which annotate a pull request.

use std::fmt::Write as _;

use super::Severity;
use super::located::Located;

/// The findings, a workflow command each.
pub fn render(findings: &[Located]) -> String {
    let mut text = String::new();
    for Located { place, code, severity, message, help, related: _, fix: _ } in findings {
        let command = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let _ = write!(text, "::{command} title=bottlec {}", code.as_str());
        if let Some(place) = place {
            let _ = write!(text, ",file={},line={}", property(&place.file), place.start.line);
            // Columns count only inside one line.
            if place.start.line == place.end.line {
                let last = (place.end.column - 1).max(place.start.column);
                let _ = write!(text, ",endLine={},col={},endColumn={last}", place.end.line, place.start.column);
            } else {
                let _ = write!(text, ",endLine={}", place.end.line);
            }
        }
        let _ = write!(text, "::{}", data(message));
        if let Some(help) = help {
            let _ = write!(text, "%0A{}", data(help));
        }
        text.push('\n');
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
