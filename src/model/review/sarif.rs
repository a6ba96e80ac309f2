//! Reviews as SARIF 2.1.0, with each change at the line that causes it.

use super::{Graded, Place, Review};
use crate::text::diagnostic::located::{self, Located};
use crate::text::diagnostic::sarif;
use crate::text::source::Position;
use crate::text::visible;

/// The changes and findings of all bottles as one SARIF log. Accepted changes are suppressed.
pub fn render(reviews: &[Review]) -> String {
    let mut all = Vec::new();
    let mut accepted = Vec::new();
    for review in reviews {
        for graded in &review.changes {
            all.push(located(&review.name, graded));
            accepted.push(graded.accepted.as_ref().map(|accepted| accepted.reason.clone()));
        }
        for finding in &review.findings {
            all.push(finding.clone());
            accepted.push(None);
        }
    }
    visible::json(&sarif::render_with(&all, |number| accepted[number].clone())).into_owned()
}

fn located(name: &str, graded: &Graded) -> Located {
    let Graded { change, place, file, decided, accepted: _ } = graded;
    // Code scanning ignores results without a location, and those at a location that no longer exists.
    let (was, place) = if change.is_gone { (place.as_ref(), None) } else { (None, place.clone()) };
    let place = place.unwrap_or_else(|| Place { file: file.clone(), line: 1, column: 1 });
    let was = was.map(|was| format!("; it was at {}:{}", was.file, was.line)).unwrap_or_default();
    let position = Position { line: place.line, column: place.column };
    let by = decided.as_ref().map(|decided| format!(" ({decided})")).unwrap_or_default();
    Located {
        place: Some(located::Place { file: place.file, start: position, end: position }),
        code: change.code,
        severity: change.code.severity(),
        message: format!("{name}: {}{by}{was}", change.message),
        help: None,
        related: Vec::new(),
        fix: None,
    }
}
