//! The verdict of each hop as JSON, for programs. `docs/formats.md` documents the shape.

use serde::Serialize;

use super::{Outcome, Why};
use crate::compile::index::Provenance;
use crate::text::diagnostic::Grade;

/// The version of the shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'w> {
    version: u32,
    url: &'w str,
    method: &'w str,
    verdict: &'static str,
    hops: Vec<Hop<'w>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    edit: Option<Edit<'w>>,
}

#[derive(Serialize)]
struct Hop<'w> {
    hop: &'static str,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sees_plaintext: Option<bool>,
    steps: Vec<Step<'w>>,
}

#[derive(Serialize)]
struct Step<'w> {
    message: &'w str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'w Provenance>,
}

#[derive(Serialize)]
struct Edit<'w> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'w str>,
    yaml: &'w str,
    opens: Vec<Opened<'w>>,
}

#[derive(Serialize)]
struct Opened<'w> {
    grade: Grade,
    code: &'static str,
    message: &'w str,
}

/// The verdict as one JSON object.
pub fn render(url: &str, method: &str, why: &Why) -> String {
    let hop = |hop: &'_ super::Hop| {
        let (verdict, rule) = match hop.outcome {
            Outcome::Passes => ("passes", None),
            Outcome::Refused(rule) => ("refused", Some(rule)),
            Outcome::NotAsked => ("not-asked", None),
        };
        (verdict, rule)
    };
    let report = Report {
        version: VERSION,
        url,
        method,
        verdict: if why.is_allowed() { "allowed" } else { "refused" },
        hops: why
            .hops
            .iter()
            .map(|one| {
                let (verdict, rule) = hop(one);
                let steps = one.steps.iter().map(|step| Step { message: &step.says, from: step.from.as_ref() });
                Hop { hop: one.name, verdict, rule, sees_plaintext: one.sees_plaintext, steps: steps.collect() }
            })
            .collect(),
        edit: why.edit.as_ref().map(|edit| Edit {
            file: edit.file.as_deref(),
            yaml: &edit.yaml,
            opens: edit
                .opens
                .iter()
                .map(|change| Opened { grade: change.grade(), code: change.code.as_str(), message: &change.message })
                .collect(),
        }),
    };
    let mut text = serde_json::to_string_pretty(&report).expect("text and numbers are JSON");
    text.push('\n');
    text
}
