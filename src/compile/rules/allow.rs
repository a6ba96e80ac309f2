//! `# bottlec: allow CODE reason`: a comment that silences one warning on its line.

use crate::compile::rules;
use crate::text::comment::{Comment, comments};
use crate::text::diagnostic::{Code, Diagnostic, Findings, Severity};
use crate::text::source::{SourceId, Sources, Span};

/// A comment to bottlec.
pub struct Allow {
    span: Span,
    line: usize,
    code: Option<Code>,
    has_reason: bool,
    used: bool,
}

/// Takes the allowed warnings out of the findings. The comments come back, with what they were good for.
#[must_use]
pub fn silence(sources: &Sources, findings: &mut Findings) -> Vec<Allow> {
    let mut allows: Vec<Allow> = sources.ids().flat_map(|id| allows(sources, id)).collect();
    findings.retain(|diagnostic| {
        let Some(span) = diagnostic.span().filter(|_| diagnostic.severity == Severity::Warning) else { return true };
        let line = sources.position(span).line;
        let here = |allow: &&mut Allow| {
            allow.span.source == span.source && allow.line == line && allow.code == Some(diagnostic.code)
        };
        let allow = allows.iter_mut().find(here);
        if let Some(allow) = allow {
            allow.used = true;
            return false;
        }
        true
    });
    allows
}

/// Reports comments of the manifest itself that allow nothing or give no reason. A parent's comments may
/// be about routes that a child replaces.
pub fn report(allows: &[Allow], findings: &mut Findings) {
    for Allow { span, line: _, code, has_reason, used } in
        allows.iter().filter(|allow| allow.span.source == SourceId(0))
    {
        let (rule, message, help) = match code.map(Code::as_str) {
            None => (
                Code::UnusedAllow,
                "unrecognized bottlec comment".to_owned(),
                "write `# bottlec: allow BTL601 reason`, with the code of a warning of `check`".to_owned(),
            ),
            Some(code) if !used => (
                Code::UnusedAllow,
                format!("there is no {code} to allow on this line"),
                "remove the comment; it only applies to its own line".to_owned(),
            ),
            Some(code) if !has_reason => (
                Code::AllowWithoutReason,
                format!("{code} is allowed without a reason"),
                format!("write why: `# bottlec: allow {code} reason`"),
            ),
            Some(_) => continue,
        };
        findings.push(Diagnostic::new(rule, message).at(*span, "").help(help));
    }
}

fn allows(sources: &Sources, id: SourceId) -> Vec<Allow> {
    let found = comments(sources, id).into_iter().filter(|comment| comment.verb() != "accept");
    found
        .map(|Comment { span, line, is_alone: _, words }| {
            let mut words = words.split_whitespace();
            let code = match (words.next(), words.next()) {
                (Some("allow"), Some(code)) => {
                    rules::find(code).filter(|code| code.severity() == Severity::Warning && code.grade().is_none())
                }
                _ => None,
            };
            Allow { span, line, code, has_reason: words.next().is_some(), used: false }
        })
        .collect()
}
