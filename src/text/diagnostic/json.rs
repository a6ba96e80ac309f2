//! Findings as JSON, for programs. `docs/formats.md` documents the shape; keys are added without a
//! new version, never changed.

use serde::Serialize;

use super::located::{Located, Place, Related, Remedy};

/// The version of the shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'f> {
    version: u32,
    findings: Vec<Finding<'f>>,
}

/// One finding.
#[derive(Serialize)]
pub(crate) struct Finding<'f> {
    code: &'static str,
    severity: &'static str,
    message: &'f str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'f str>,
    #[serde(flatten)]
    place: Option<&'f Place>,
    related: &'f [Related],
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<&'f Remedy>,
}

/// The findings as one JSON object.
pub fn render(findings: &[Located]) -> String {
    let findings = findings.iter().map(finding);
    let report = Report { version: VERSION, findings: findings.collect() };
    let mut text = serde_json::to_string_pretty(&report).expect("text and numbers are JSON");
    text.push('\n');
    text
}

/// A finding as it is shown.
pub(crate) fn finding(located: &Located) -> Finding<'_> {
    let Located { place, code, severity, message, help, related, fix } = located;
    Finding {
        code: code.as_str(),
        severity: severity.as_str(),
        message,
        help: help.as_deref(),
        place: place.as_ref(),
        related,
        fix: fix.as_ref(),
    }
}
