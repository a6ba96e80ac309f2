//! What a change of the configuration takes away from the protection of the bottles.

use super::{Config, FailOn, Level, Written};
use crate::text::accept::AcceptFrom;

/// Something that the old configuration held bottles to and the new one does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weakening {
    /// In one sentence without a full stop.
    pub message: String,
    /// Where the old configuration said it, if it did.
    pub line: Option<usize>,
}

/// What a gate does where no configuration says it.
pub const FAIL_ON: FailOn = FailOn::High;
/// Whose acceptances count in a gate where no configuration says it.
pub const ACCEPT_FROM: AcceptFrom = AcceptFrom::Base;

/// What is gone or looser. Without a new configuration all of it is.
pub fn weakenings(old: &Config, new: Option<&Config>) -> Vec<Weakening> {
    // Exhaustive: a new key protects something.
    let Config { shown: _, text: _, bottles, golden, strict, severity, fail_on, accept_from, policy } = old;
    let mut found = Vec::new();
    let mut lost = |line, message| found.push(Weakening { message, line });
    let kept = |rule: &super::policy::Rule| {
        new.is_some_and(|new| new.policy.iter().any(|it| it.subject.covers(&rule.subject)))
    };
    for rule in policy.iter().filter(|rule| !kept(rule)) {
        let message = format!("the policy no longer {} {}: {}", rule.subject.verb(), rule.subject, rule.reason);
        lost(Some(rule.line), message);
    }
    let is_kept = |pattern: &str| new.is_some_and(|new| new.bottles.iter().any(|it| it.value.as_str() == pattern));
    for Written { value, line } in bottles.iter().filter(|pattern| !is_kept(pattern.value.as_str())) {
        lost(Some(*line), format!("files that match `{}` are no longer bottles", value.as_str()));
    }
    if let Some(Written { value, line }) = golden {
        match new.and_then(|new| new.golden.as_ref()) {
            Some(new) if new.value == *value => {}
            Some(new) => lost(
                Some(*line),
                format!("the trees in `{value}` are no longer compared, but those in `{}`", new.value),
            ),
            None => lost(Some(*line), format!("the trees in `{value}` are no longer compared")),
        }
    }
    if let Some(Written { value: true, line }) = strict
        && !new.is_some_and(Config::is_strict)
    {
        lost(Some(*line), "warnings of `check` no longer fail".to_owned());
    }
    let level = |config: &Config, code| config.severity.get(code).map_or(Level::Warning, |level| level.value);
    let of_new = new.into_iter().flat_map(|new| new.severity.keys());
    let codes: std::collections::BTreeSet<_> = severity.keys().chain(of_new).collect();
    for code in codes {
        let (was, is) = (level(old, code), new.map_or(Level::Warning, |new| level(new, code)));
        if is < was {
            let line = severity.get(code).map(|level| level.line);
            let is = if is == Level::Off { "is no longer reported" } else { "no longer fails" };
            lost(line, format!("{} {is}", code.as_str()));
        }
    }
    let of = |fail_on: Option<&Written<FailOn>>| fail_on.map_or(FAIL_ON, |fail_on| fail_on.value);
    let (was, is) = (of(fail_on.as_ref()), of(new.and_then(|new| new.fail_on.as_ref())));
    if is > was {
        let line = fail_on.as_ref().map(|fail_on| fail_on.line);
        lost(line, format!("a change of grade {} no longer fails: `fail-on` is {}", was.as_str(), is.as_str()));
    }
    let of = |whose: Option<&Written<AcceptFrom>>| whose.map_or(ACCEPT_FROM, |whose| whose.value);
    let (was, is) = (of(accept_from.as_ref()), of(new.and_then(|new| new.accept_from.as_ref())));
    if (was, is) == (AcceptFrom::Base, AcceptFrom::Head) {
        let line = accept_from.as_ref().map(|whose| whose.line);
        lost(line, "a change can accept itself: `accept-from` is head".to_owned());
    }
    found
}
