//! The review of a project's configuration: what it no longer asks for.

use std::collections::BTreeMap;

use similar::TextDiff;

use super::{Accepted, Graded, Place, Presence, Review, Terms, Text};
use crate::config::{Config, Weakening, weakenings};
use crate::model::{Change, Direction, Topic};
use crate::text::accept::{self, Acceptance, acceptances};
use crate::text::diagnostic::located::Located;
use crate::text::diagnostic::{Code, Findings};
use crate::text::source::{Source, Sources};
use crate::text::visible;

/// The review of the configuration that counted for some bottles and the one that does now. `None` if there is nothing
/// to say.
pub fn review(old: &Config, new: Option<&Config>, terms: Terms) -> Option<Review> {
    let Terms { today, accept_from } = terms;
    let [before, after] = [Some(old), new].map(|config| config.map(|config| config.text.as_str()).unwrap_or_default());
    if before == after && new.is_some() {
        return None;
    }
    let file = new.map_or(plain(&old.shown), |new| new.shown.as_str()).to_owned();
    let mut findings = Findings::default();
    let sources = |text: &str| {
        let mut sources = Sources::default();
        sources.add(Source { path: file.clone(), reference: file.clone(), text: text.to_owned() });
        sources
    };
    let (was, is) = (sources(before), sources(after));
    let mut accepted: Vec<(Acceptance, bool)> =
        acceptances(&is, &mut findings).into_iter().map(|acceptance| (acceptance, false)).collect();
    let mut changes = Vec::new();
    for Weakening { message, line } in weakenings(old, new) {
        let mut covering = None;
        let for_it = |acceptance: &Acceptance| acceptance.is_for(Code::WeakerConfiguration, None);
        for (acceptance, is_used) in accepted.iter_mut().filter(|(acceptance, _)| for_it(acceptance)) {
            *is_used = true;
            if acceptance.until >= today && accept_from.counts(acceptance, &is, Some(&was)) {
                covering = Some(Accepted { until: acceptance.until.to_string(), reason: acceptance.reason.clone() });
            }
        }
        // What the old one did not say is said by the new one.
        let place = line.map(|line| Place { file: old.shown.clone(), line, column: 1 });
        changes.push(Graded {
            change: Change {
                topic: Topic::Configuration(message.clone()),
                direction: Direction::Other,
                code: Code::WeakerConfiguration,
                message,
                entry: None,
                is_gone: place.is_some(),
            },
            place,
            file: file.clone(),
            decided: None,
            accepted: covering,
        });
    }
    accept::report(&accepted, today, &mut findings);
    let findings: Vec<Located> = findings.into_sorted().iter().map(|finding| Located::of(finding, &is)).collect();
    if changes.is_empty() && findings.is_empty() {
        return None;
    }
    let diff = TextDiff::from_lines(&*visible::lines(before), &*visible::lines(after))
        .unified_diff()
        .header(&visible::line(&old.shown), &visible::line(new.map_or("/dev/null", |new| new.shown.as_str())))
        .to_string();
    Some(Review {
        name: file.clone(),
        shown: file.clone(),
        presence: if new.is_some() { Presence::Kept } else { Presence::Removed },
        texts: if changes.is_empty() { Vec::new() } else { vec![Text { path: file, diff, is_fixed: false }] },
        changes,
        reachable: BTreeMap::new(),
        restarts: Vec::new(),
        findings,
    })
}

/// The path of a file in a revision, `BASE:PATH`, without the revision.
fn plain(shown: &str) -> &str {
    shown.split_once(':').map_or(shown, |(_, path)| path)
}
