//! `# bottlec: accept CODE until YYYY-MM-DD reason`: a comment that accepts a graded change of its line
//! for a time; alone on a line, one that no line asks for.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::text::comment::{Comment, comments};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::{SourceId, Sources, Span};

/// What a comment accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acceptance {
    /// The comment.
    pub span: Span,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it is for changes that no line asks for.
    pub is_alone: bool,
    /// The rule of the changes.
    pub code: Code,
    /// The last day on which it counts.
    pub until: Date,
    /// Why.
    pub reason: String,
}

/// Whose acceptances count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AcceptFrom {
    /// Those that were there before the change
    Base,
    /// Those of the change under review as well
    Head,
}

impl AcceptFrom {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            AcceptFrom::Base => "base",
            AcceptFrom::Head => "head",
        }
    }

    /// Whether a comment of the new texts counts, where these were the old ones. Under `Base` one on a line does
    /// while its file is as it was: in another text the same line can stand for something else. One alone on its
    /// line does if the old file has it.
    pub fn counts(self, acceptance: &Acceptance, new: &Sources, old: Option<&Sources>) -> bool {
        if self == AcceptFrom::Head {
            return true;
        }
        let file = new.get(acceptance.span.source);
        let before =
            old.and_then(|old| old.ids().find(|id| old.get(*id).reference == file.reference).map(|id| (old, id)));
        let Some((old, id)) = before else { return false };
        if !acceptance.is_alone {
            return old.get(id).text == file.text;
        }
        let same = |known: &Acceptance| {
            known.span.source == id
                && known.is_alone
                && (known.code, known.until, &known.reason) == (acceptance.code, acceptance.until, &acceptance.reason)
        };
        acceptances(old, &mut Findings::default()).iter().any(same)
    }
}

/// How such a comment is written.
const FORM: &str = "write `# bottlec: accept BTL811 until 2027-01-31 reason`, with the code of a graded change";

/// The acceptances of a manifest and its parents. What is written wrongly is a finding; without a reason
/// nothing is accepted.
pub fn acceptances(sources: &Sources, findings: &mut Findings) -> Vec<Acceptance> {
    let mut found = Vec::new();
    for comment in sources.ids().flat_map(|id| comments(sources, id)).filter(|comment| comment.verb() == "accept") {
        let span = comment.span;
        match parse(comment) {
            Ok(acceptance) if acceptance.reason.is_empty() => {
                let code = acceptance.code.as_str();
                findings.push(
                    Diagnostic::new(Code::AcceptanceWithoutReason, format!("{code} is accepted without a reason"))
                        .at(span, "")
                        .help(format!("write why: `# bottlec: accept {code} until {} reason`", acceptance.until)),
                );
            }
            Ok(acceptance) => found.push(acceptance),
            Err(problem) => {
                findings.push(Diagnostic::new(Code::UnusedAcceptance, problem).at(span, "").help(FORM));
            }
        }
    }
    found
}

fn parse(comment: Comment) -> Result<Acceptance, String> {
    let Comment { span, line, is_alone, words } = comment;
    let mut words = words.split_whitespace().skip(1);
    let code = words.next().unwrap_or_default();
    let graded = Code::BUILT_IN.iter().copied().find(|known| known.is(code) && known.grade().is_some());
    let code = graded.ok_or_else(|| "this comment does not name a graded change".to_owned())?;
    if code == Code::AgainstPolicy {
        return Err(format!("{} cannot be accepted: the policy of the project decides", code.as_str()));
    }
    let (until, date) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let date = date.parse::<Date>().ok().filter(|parsed| until == "until" && parsed.to_string() == date);
    let until = date.ok_or_else(|| format!("the acceptance of {} needs a date", code.as_str()))?;
    Ok(Acceptance { span, line, is_alone, code, until, reason: words.collect::<Vec<_>>().join(" ") })
}

impl Acceptance {
    /// Whether it is for a change that stands there; `None` if no line asks for the change.
    pub fn is_for(&self, code: Code, place: Option<(SourceId, usize)>) -> bool {
        self.code == code
            && match place {
                Some(place) => (self.span.source, self.line) == place,
                None => self.is_alone,
            }
    }
}

/// Reports acceptances whose day is over, and those of the manifest itself that no change needed.
/// A parent's may be for other bottles.
pub fn report(acceptances: &[(Acceptance, bool)], today: Date, findings: &mut Findings) {
    for (Acceptance { span, code, until, .. }, is_used) in acceptances {
        let code = code.as_str();
        if *is_used && *until < today {
            findings.push(
                Diagnostic::new(Code::ExpiredAcceptance, format!("{code} was accepted only until {until}"))
                    .at(*span, "")
                    .help("review the change again: set a new date, or undo the change"),
            );
        } else if !is_used && span.source == SourceId(0) {
            findings.push(
                Diagnostic::new(Code::UnusedAcceptance, format!("there is no {code} to accept here"))
                    .at(*span, "")
                    .help("remove the comment once the change has landed; it only applies to its own line"),
            );
        }
    }
}
