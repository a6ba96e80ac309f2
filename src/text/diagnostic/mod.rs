//! What is wrong with an input, where, and how to mend it. Checks make diagnostics; `human` words
//! them for a terminal; no check prints.

mod code;
pub mod concise;
mod fix;
pub mod github;
pub mod json;
pub mod located;
mod page;
pub mod sarif;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use code::{Code, Grade, Severity};
pub(crate) use code::{Rule, code};
pub use fix::{Edit, Fix, Safety, apply};
pub use page::{Example, Page, Shows};

use crate::text::source::Span;
use crate::text::visible;

/// A place and a few words about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The bytes that are underlined.
    pub span: Span,
    /// What to say there.
    pub text: String,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which rule.
    pub code: Code,
    /// How grave it is: as the rule says, unless somebody asked for more.
    pub severity: Severity,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// Where; the first is the place that the finding is sorted and reported by. A finding about a
    /// file that is not a manifest has none.
    pub labels: Vec<Label>,
    /// How to mend it.
    pub help: Option<String>,
    /// The edits that would mend it, if a program can make them.
    pub fix: Option<Fix>,
}

impl Diagnostic {
    /// A finding without a place yet.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Diagnostic {
            code,
            severity: code.severity(),
            message: one_line(message),
            labels: Vec::new(),
            help: None,
            fix: None,
        }
    }

    /// Where the finding is.
    #[must_use]
    pub fn at(self, span: Span, text: impl Into<String>) -> Self {
        self.and(span, text)
    }

    /// Another place that has to do with it.
    #[must_use]
    pub fn and(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: one_line(text) });
        self
    }

    /// How to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(one_line(help));
        self
    }

    /// The edits that would mend it, if a program can make them.
    #[must_use]
    pub fn fix(mut self, fix: Option<Fix>) -> Self {
        self.fix = fix.map(|fix| Fix { title: one_line(fix.title), ..fix });
        self
    }

    /// The place that the finding is reported by.
    pub fn span(&self) -> Option<Span> {
        self.labels.first().map(|label| label.span)
    }
}

/// One line, whatever it repeats of a manifest: a line break would start a finding of its own.
fn one_line(text: impl Into<String>) -> String {
    let text = text.into();
    match visible::line(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(shown) => shown,
    }
}

/// Why a value was not taken, before it is known where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
    /// How to mend it.
    pub help: String,
    /// The value that was meant beyond doubt.
    pub instead: Option<String>,
}

impl Problem {
    /// A refusal of these words.
    pub fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Problem { message: one_line(message), help: one_line(help), instead: None }
    }

    /// The value that was meant beyond doubt.
    #[must_use]
    pub fn instead(mut self, value: Option<String>) -> Self {
        self.instead = value;
        self
    }

    /// Adds one line below the message for each of these.
    #[must_use]
    pub fn listing(mut self, items: impl Iterator<Item = String>) -> Self {
        for item in items {
            self.message.push('\n');
            self.message.push_str(&visible::line(&item));
        }
        self
    }

    /// The finding that it makes at a place.
    pub fn at(self, code: Code, span: Span) -> Diagnostic {
        // Of all that a value can be, a text in double quotes is read alike everywhere.
        let fix = self.instead.map(|value| Fix {
            title: format!("write `{value}`"),
            safety: Safety::Safe,
            edits: vec![Edit { span, text: serde_json::Value::from(value).to_string() }],
        });
        Diagnostic::new(code, self.message).at(span, "").help(self.help).fix(fix)
    }
}

/// All findings of one run.
#[derive(Debug, Default)]
pub struct Findings {
    all: Vec<Diagnostic>,
    errors: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        self.all.push(diagnostic);
    }

    /// Adds all of another run.
    pub fn append(&mut self, mut other: Findings) {
        self.errors += other.errors;
        self.all.append(&mut other.all);
    }

    /// Keeps those for which `condition` holds.
    pub fn retain(&mut self, condition: impl FnMut(&Diagnostic) -> bool) {
        self.all.retain(condition);
        self.errors = self.all.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    }

    /// Makes errors of the warnings (`--strict`).
    pub fn escalate(&mut self) {
        for diagnostic in &mut self.all {
            diagnostic.severity = Severity::Error;
        }
        self.errors = self.all.len();
    }

    /// Gives warnings another severity; without one they are left out.
    pub fn reweigh(&mut self, severity: impl Fn(&Diagnostic) -> Option<Severity>) {
        self.all.retain_mut(|diagnostic| {
            if diagnostic.severity != Severity::Warning {
                return true;
            }
            let severity = severity(diagnostic);
            diagnostic.severity = severity.unwrap_or(diagnostic.severity);
            severity.is_some()
        });
        self.errors = self.all.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    }

    /// How many of them are errors.
    pub fn error_count(&self) -> usize {
        self.errors
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether an error points into this place.
    pub fn has_error_within(&self, outer: Span) -> bool {
        let inside = |inner: Span| inner.source == outer.source && outer.start <= inner.start && inner.end <= outer.end;
        let is_error = |diagnostic: &&Diagnostic| diagnostic.severity == Severity::Error;
        self.all.iter().filter(is_error).any(|diagnostic| diagnostic.span().is_some_and(inside))
    }

    /// The findings by place. Two checks that see one mistake (the schema and a rule of ours, say)
    /// make one finding: the more telling one stays. What a policy says of a place is not about a mistake there.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.all;
        let key = |found: &Diagnostic| (found.span(), found.code.rank(), found.code.as_str(), found.message.clone());
        all.sort_by_cached_key(key);
        let mut told = BTreeSet::new();
        all.retain(|diagnostic| match (diagnostic.severity, diagnostic.span()) {
            (Severity::Error, Some(span)) if !diagnostic.code.is_of_policy() => told.insert(span),
            _ => true,
        });
        all
    }
}
