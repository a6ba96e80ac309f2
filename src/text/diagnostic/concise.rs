//! One line a finding: `file:line:column: severity[code] message (remedy)`.

use std::fmt::Write as _;

use super::located::Located;
use crate::text::visible;

/// The findings, a line each.
pub fn render(findings: &[Located]) -> String {
    let mut text = String::new();
    for Located { place, code, severity, message, help, related: _, fix: _ } in findings {
        if let Some(place) = place {
            let _ =
                write!(text, "{}:{}:{}: ", visible::line(place.file.as_str()), place.start.line, place.start.column);
        }
        let _ = write!(text, "{}[{}] {message}", severity.as_str(), code.as_str());
        if let Some(help) = help {
            let _ = write!(text, " ({help})");
        }
        text.push('\n');
    }
    text
}
