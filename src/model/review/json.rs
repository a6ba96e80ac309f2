//! Reviews as JSON. The format is documented in `docs/formats.md`; keys may be added without a new version but
//! are never changed.

use serde::Serialize;

use super::{Accepted, Graded, Place, Presence, Review, Text};
use crate::model::{Change, Direction, Restart};
use crate::text::diagnostic::Grade;
use crate::text::diagnostic::json::{Finding, finding};
use crate::text::visible;

/// The version of this format.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'r> {
    version: u32,
    /// The highest grade among changes that are not accepted.
    grade: Option<Grade>,
    bottles: Vec<Bottle<'r>>,
}

#[derive(Serialize)]
struct Bottle<'r> {
    name: &'r str,
    path: &'r str,
    presence: Presence,
    grade: Option<Grade>,
    changes: Vec<Entry<'r>>,
    restarts: Vec<Step>,
    files: Vec<File<'r>>,
    findings: Vec<Finding<'r>>,
}

/// One change.
#[derive(Serialize)]
pub(crate) struct Entry<'r> {
    grade: Grade,
    code: &'static str,
    direction: &'static str,
    message: &'r str,
    #[serde(flatten)]
    place: Option<&'r Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decided_by: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accepted: Option<&'r Accepted>,
}

#[derive(Serialize)]
struct Step {
    step: &'static str,
    message: &'static str,
}

#[derive(Serialize)]
struct File<'r> {
    path: &'r str,
    diff: &'r str,
}

/// The reviews as one JSON object.
pub fn render(reviews: &[Review]) -> String {
    let report = Report {
        version: VERSION,
        grade: reviews.iter().filter_map(Review::grade).max(),
        bottles: reviews.iter().map(bottle).collect(),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("text and numbers are JSON");
    text.push('\n');
    visible::json(&text).into_owned()
}

fn bottle(review: &Review) -> Bottle<'_> {
    let Review { name, shown, presence, changes, reachable: _, restarts, texts, findings } = review;
    Bottle {
        name,
        path: shown,
        presence: *presence,
        grade: review.grade(),
        changes: changes.iter().map(entry).collect(),
        restarts: restarts.iter().map(|step: &Restart| Step { step: step.as_str(), message: step.says() }).collect(),
        files: texts.iter().map(|Text { path, diff, is_fixed: _ }| File { path, diff }).collect(),
        findings: findings.iter().map(finding).collect(),
    }
}

/// A change in JSON form.
pub(crate) fn entry(graded: &Graded) -> Entry<'_> {
    let Graded { change, place, file: _, decided, accepted } = graded;
    let Change { topic: _, direction, code, message, entry: _, is_gone: _ } = change;
    Entry {
        grade: change.grade(),
        code: code.as_str(),
        direction: match direction {
            Direction::Gain => "gain",
            Direction::Loss => "loss",
            Direction::Other => "other",
        },
        message,
        place: place.as_ref(),
        decided_by: decided.as_deref(),
        accepted: accepted.as_ref(),
    }
}
