//! Findings as SARIF 2.1.0 (OASIS), which code scanning reads.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::located::{Located, Place, Remedy};
use super::{Code, Grade, Severity};

/// The findings as one SARIF log, with the help of the rules that they breach.
pub fn render(findings: &[Located]) -> String {
    render_with(findings, |_| None)
}

/// The same; `accepted` says why a finding, by its number, does not count.
pub fn render_with(findings: &[Located], accepted: impl Fn(usize) -> Option<String>) -> String {
    let breached: BTreeMap<Code, usize> = {
        let mut codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        codes.sort();
        codes.dedup();
        codes.into_iter().enumerate().map(|(index, code)| (code, index)).collect()
    };
    let rules: Vec<Value> = breached.keys().map(|code| rule(*code)).collect();
    let result = |(number, finding): (usize, &Located)| {
        let mut result = result(finding, breached[&finding.code]);
        if let Some(reason) = accepted(number) {
            result["suppressions"] = json!([{ "kind": "inSource", "justification": reason }]);
        }
        result
    };
    let results: Vec<Value> = findings.iter().enumerate().map(result).collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "bottlec", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).expect("text and numbers are JSON");
    text.push('\n');
    text
}

fn level(code: Code, severity: Severity) -> &'static str {
    match (code.grade(), severity) {
        (Some(Grade::Critical | Grade::High), _) | (None, Severity::Error) => "error",
        (Some(Grade::Medium), _) | (None, Severity::Warning) => "warning",
        (Some(Grade::Low | Grade::Info), _) => "note",
    }
}

/// How GitHub ranks what is found by a rule about security: its scale is that of CVSS.
fn security_severity(grade: Grade) -> &'static str {
    match grade {
        Grade::Critical => "9.5",
        Grade::High => "8.0",
        Grade::Medium => "5.0",
        Grade::Low => "2.0",
        Grade::Info => "0.0",
    }
}

fn rule(code: Code) -> Value {
    let page = code.page();
    let mut rule = json!({
        "id": code.as_str(),
        "shortDescription": { "text": page.title() },
        "fullDescription": { "text": page.what() },
        "help": { "text": page.text(), "markdown": page.text() },
        "defaultConfiguration": { "level": level(code, code.severity()) },
    });
    if let Some(grade) = code.grade() {
        rule["properties"] = json!({ "security-severity": security_severity(grade), "tags": ["security"] });
    }
    rule
}

fn result(finding: &Located, rule_index: usize) -> Value {
    let Located { place, code, severity, message, help, related, fix } = finding;
    let text = match help {
        Some(help) => format!("{message}. Remedy: {help}"),
        None => message.clone(),
    };
    let related: Vec<Value> = related
        .iter()
        .map(|related| json!({ "physicalLocation": location(&related.place), "message": { "text": related.message } }))
        .collect();
    let mut result = json!({
        "ruleId": code.as_str(),
        "ruleIndex": rule_index,
        "level": level(*code, *severity),
        "message": { "text": text },
        "locations": place.iter().map(|place| json!({ "physicalLocation": location(place) })).collect::<Vec<_>>(),
        "relatedLocations": related,
    });
    if let Some(fix) = fix {
        result["fixes"] = json!([self::fix(fix)]);
    }
    result
}

fn fix(fix: &Remedy) -> Value {
    let Remedy { title, safety, edits } = fix;
    let changes = edits.chunk_by(|one, other| one.place.file == other.place.file).map(|edits| {
        let replacements = edits
            .iter()
            .map(|edit| json!({ "deletedRegion": region(&edit.place), "insertedContent": { "text": edit.text } }));
        json!({
            "artifactLocation": { "uri": uri(&edits[0].place.file) },
            "replacements": replacements.collect::<Vec<_>>(),
        })
    });
    json!({
        "description": { "text": title },
        "artifactChanges": changes.collect::<Vec<_>>(),
        "properties": { "safety": safety },
    })
}

fn location(place: &Place) -> Value {
    json!({ "artifactLocation": { "uri": uri(&place.file) }, "region": region(place) })
}

fn region(place: &Place) -> Value {
    json!({
        "startLine": place.start.line,
        "startColumn": place.start.column,
        "endLine": place.end.line,
        "endColumn": place.end.column,
    })
}

/// What is in a path of RFC 3986 as it is: the unreserved characters and `/`.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A path as a relative reference of RFC 3986.
fn uri(path: &str) -> String {
    utf8_percent_encode(path.strip_prefix("./").unwrap_or(path), PATH).to_string()
}
