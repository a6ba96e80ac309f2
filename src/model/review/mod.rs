//! A review of two bottles: graded changes with their positions, acceptances, required restarts and text diffs.
//! Pure; one file per format.

pub mod configuration;
pub mod json;
pub mod markdown;
mod picture;
pub mod sarif;

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;
use similar::TextDiff;

use crate::compile::index::Provenance;
use crate::config::policy::Breach;
use crate::model::{Change, Direction, Edits, Entry, Model, Restart, Topic, changes, rebuilt, restarts, sort};
use crate::target::{self, agent};
use crate::text::accept::{self, AcceptFrom, acceptances};
use crate::text::diagnostic::located::Located;
use crate::text::diagnostic::{Code, Findings, Grade};
use crate::text::source::{SourceId, Sources};
use crate::text::visible;
use crate::value::allowlist::Allowlist;
use crate::value::host::Host;
use crate::value::isolation::Files;
use crate::value::path_prefix::PathPrefix;

/// A bottle on one side of a comparison.
pub struct Side {
    /// The manifest or the tree, as the user would type it.
    pub shown: String,
    /// The model of its compiled or existing files.
    pub model: Model,
    /// Edited and foreign files of a tree.
    pub edited: Edits,
    /// Unreadable files of a tree, which the model replaces by their expected content.
    pub stand_ins: BTreeSet<String>,
    /// The sources of the manifest and its parents; `None` for a tree.
    pub sources: Option<Sources>,
    /// The Dockerfile that the manifest names.
    pub dockerfile: Option<Dockerfile>,
    /// What of it the policies forbid that it is reviewed by.
    pub against_policy: Vec<Breach>,
}

/// A Dockerfile next to a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its file name.
    pub name: String,
    /// Its content.
    pub text: Vec<u8>,
}

/// The review of one bottle.
pub struct Review {
    /// Its name: the new one if it was renamed.
    pub name: String,
    /// The path of the new manifest or tree, or the old one if the bottle was removed.
    pub shown: String,
    /// Whether it was there before and is there now.
    pub presence: Presence,
    /// Sorted by grade, highest first.
    pub changes: Vec<Graded>,
    /// The paths of each host that can be reached now.
    pub reachable: BTreeMap<Host, Allowlist<PathPrefix>>,
    /// What to restart if the bottle is running.
    pub restarts: Vec<Restart>,
    /// The files that differ.
    pub texts: Vec<Text>,
    /// Problems with acceptances.
    pub findings: Vec<Located>,
}

/// Whether a bottle was there before and is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// Only in the new state.
    Added,
    /// In both states.
    Kept,
    /// Only in the old state.
    Removed,
}

/// A change with its position.
pub struct Graded {
    /// The change.
    pub change: Change,
    /// The position in the manifest that causes it; for a removal, in the old manifest.
    pub place: Option<Place>,
    /// The file at which to show it if it has no position in the new files.
    pub file: String,
    /// The rule that decided it, if not the manifest alone.
    pub decided: Option<String>,
    /// The acceptance that covers it.
    pub accepted: Option<Accepted>,
}

/// A position in a manifest; line and column start at 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The path as the user would type it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column in characters.
    pub column: usize,
}

/// The reason and the expiry date of an acceptance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The last day, `YYYY-MM-DD`.
    pub until: String,
    /// The reason.
    pub reason: String,
}

/// A file that differs.
pub struct Text {
    /// The path in the tree.
    pub path: String,
    /// The unified difference. Names that no summary shows are not in it.
    pub diff: String,
    /// Whether the whole file is new or gone, and the same in every bottle.
    pub is_fixed: bool,
}

impl Review {
    /// The highest grade among changes that are not accepted.
    pub fn grade(&self) -> Option<Grade> {
        self.changes.iter().filter(|graded| graded.accepted.is_none()).map(|graded| graded.change.grade()).max()
    }

    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        !self.changes.is_empty() || !self.texts.is_empty()
    }

    /// Removes changes that the review of the manifest contains already from the review of its compiled tree. The
    /// review of an edited tree is kept in full.
    pub fn leave_out(&mut self, manifests: &[Review]) {
        if self.changes.iter().any(|graded| matches!(graded.change.topic, Topic::Edited(_))) {
            return;
        }
        let others: Vec<&Review> = manifests.iter().filter(|review| review.name == self.name).collect();
        let key = |change: &Change| (change.topic.clone(), change.direction, change.code, change.message.clone());
        self.changes.retain(|own| {
            !others.iter().any(|review| review.changes.iter().any(|graded| key(&graded.change) == key(&own.change)))
        });
        self.texts.retain(|own| {
            !others
                .iter()
                .any(|review| review.texts.iter().any(|text| (&text.path, &text.diff) == (&own.path, &own.diff)))
        });
        self.restarts.retain(|own| !others.iter().any(|review| review.restarts.contains(own)));
    }

    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        !self.differs() && self.findings.is_empty()
    }
}

/// The terms under which changes are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The date used to decide whether an acceptance has expired.
    pub today: Date,
    /// Which side's acceptances count.
    pub accept_from: AcceptFrom,
}

/// Compares two states of a bottle; `None` is a bottle that does not exist. `edits` are changes to the trees
/// themselves.
pub fn review(old: Option<&Side>, new: Option<&Side>, edits: Vec<Change>, terms: Terms) -> Option<Review> {
    let Terms { today, accept_from } = terms;
    let side = new.or(old)?;
    let nothing = side.model.reach.without_anything();
    let [old_reach, new_reach] = [old, new].map(|side| side.map_or(&nothing, |side| &side.model.reach));
    let mut found = edits;
    found.extend(changes(old_reach, new_reach));
    if let (Some(Some(before)), Some(Some(after))) =
        (old.map(|side| &side.dockerfile), new.map(|side| &side.dockerfile))
        && before.text != after.text
        && before.name == after.name
    {
        found.push(rebuilt(new_reach));
    }
    // Nothing else needs to be reported about a host that is no longer reachable.
    let is_lost = |change: &Change| change.direction == Direction::Loss;
    let lost: BTreeSet<Topic> =
        found.iter().filter(|change| is_lost(change)).map(|change| change.topic.clone()).collect();
    found.retain(|change| match &change.topic {
        Topic::Splice(host) | Topic::OwnCredential(host) => {
            !is_lost(change) || !lost.contains(&Topic::Host(host.clone()))
        }
        _ => true,
    });
    sort(&mut found);

    let restarts = match (old, new) {
        (Some(old), Some(new)) => {
            restarts((&old.model.reach, &old.model.files), (&new.model.reach, &new.model.files), &found)
        }
        _ => Vec::new(),
    };
    let mut findings = Findings::default();
    let sources = new.and_then(|new| new.sources.as_ref());
    let mut accepted: Vec<(accept::Acceptance, bool)> = sources
        .map(|sources| acceptances(sources, &mut findings))
        .unwrap_or_default()
        .into_iter()
        .map(|acceptance| (acceptance, false))
        .collect();
    let before = old.and_then(|old| old.sources.as_ref());
    let counts = |acceptance: &accept::Acceptance| {
        acceptance.until >= today && sources.is_some_and(|sources| accept_from.counts(acceptance, sources, before))
    };
    let mut changes: Vec<Graded> = against_policy(new);
    changes.extend(found.into_iter().map(|change| graded(change, (old, new), &mut accepted, &counts)));
    accept::report(&accepted, today, &mut findings);
    let findings = findings.into_sorted();
    Some(Review {
        name: side.model.reach.name.clone(),
        shown: side.shown.clone(),
        presence: match (old, new) {
            (None, _) => Presence::Added,
            (_, None) => Presence::Removed,
            _ => Presence::Kept,
        },
        changes,
        reachable: new_reach.reachable().map(|route| (route.host.clone(), route.path_allowlist.clone())).collect(),
        restarts,
        texts: texts(old, new),
        findings: sources
            .map(|sources| findings.iter().map(|finding| Located::of(finding, sources)).collect())
            .unwrap_or_default(),
    })
}

/// What the new bottle does against the policies. No comment accepts it.
fn against_policy(new: Option<&Side>) -> Vec<Graded> {
    let told = |side: &Side, Breach { at, message, rule, .. }: &Breach| {
        // A tree has no manifest beside it.
        let place = side.sources.as_ref().map(|sources| {
            let position = sources.position(*at);
            Place { file: sources.get(at.source).path.clone(), line: position.line, column: position.column }
        });
        let message = format!("{message}; {rule}");
        Graded {
            change: Change {
                topic: Topic::Policy(message.clone()),
                direction: Direction::Gain,
                code: Code::AgainstPolicy,
                message,
                entry: None,
                is_gone: false,
            },
            place,
            file: side.shown.clone(),
            decided: None,
            accepted: None,
        }
    };
    new.into_iter().flat_map(|side| side.against_policy.iter().map(|breach| told(side, breach))).collect()
}

fn graded(
    change: Change,
    (old, new): (Option<&Side>, Option<&Side>),
    acceptances: &mut [(accept::Acceptance, bool)],
    counts: &dyn Fn(&accept::Acceptance) -> bool,
) -> Graded {
    let side = if change.is_gone { old } else { new };
    let provenance = side.and_then(|side| change.entry.as_ref().and_then(|entry| side.provenance(entry)));
    let place = provenance.and_then(Provenance::place).and_then(parts);
    let source = place.and_then(|(reference, line, _)| side?.source(reference).map(|source| (source, line)));
    let mut covering = None;
    // No line of the new manifest causes a removal.
    let asking = source.filter(|_| !change.is_gone);
    let is_for = |acceptance: &accept::Acceptance| acceptance.is_for(change.code, asking);
    for (acceptance, is_used) in acceptances.iter_mut().filter(|(acceptance, _)| is_for(acceptance)) {
        *is_used = true;
        if counts(acceptance) {
            covering = Some(Accepted { until: acceptance.until.to_string(), reason: acceptance.reason.clone() });
        }
    }
    Graded {
        file: file_of(&change, new.or(old)),
        place: place.map(|(reference, line, column)| {
            let shown = side.zip(source).and_then(|(side, (id, _))| Some(side.sources.as_ref()?.get(id).path.clone()));
            Place { file: shown.unwrap_or_else(|| reference.to_owned()), line, column }
        }),
        decided: provenance
            .filter(|provenance| !matches!(provenance, Provenance::Manifest(_)))
            .map(ToString::to_string),
        accepted: covering,
        change,
    }
}

/// The file at which to show the change: in a tree, the file that differs.
fn file_of(change: &Change, side: Option<&Side>) -> String {
    let Some(Side { shown, sources, .. }) = side else { return String::new() };
    let differing = match (&change.topic, &change.entry) {
        (Topic::Edited(path), _) => Some(path.as_str()),
        (_, Some(entry)) if !change.is_gone => Some(entry.file),
        _ => None,
    };
    match differing.filter(|_| sources.is_none()) {
        Some(path) => format!("{}/{path}", shown.trim_end_matches('/')),
        None => shown.clone(),
    }
}

/// Splits a position from an index into file, line and column.
fn parts(place: &str) -> Option<(&str, usize, usize)> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

impl Side {
    /// The provenance of an entry. Returns `None` if the file was edited, because the index does not apply to it.
    pub fn provenance(&self, entry: &Entry) -> Option<&Provenance> {
        let Entry { file, pointer } = entry;
        let is_unknown = *file == agent::ENV_FILE
            && pointer.strip_prefix('/').is_some_and(|name| !self.model.index.has_variable(name));
        if self.edited.contains_key(*file) || is_unknown {
            return None;
        }
        self.model.index.provenance(file, pointer)
    }

    fn source(&self, reference: &str) -> Option<SourceId> {
        let sources = self.sources.as_ref()?;
        sources.ids().find(|id| sources.get(*id).reference == reference)
    }
}

/// What stands for the name of a variable that no summary shows.
const HIDDEN: &str = "(hidden)";

/// A text without these names.
fn without_names(text: &str, names: &BTreeSet<&str>) -> String {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut shown = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !is_of_name(c)) {
        let word = piece.trim_end_matches(|c| !is_of_name(c));
        shown.push_str(if names.contains(word) { HIDDEN } else { word });
        shown.push_str(&piece[word.len()..]);
    }
    shown
}

fn texts(old: Option<&Side>, new: Option<&Side>) -> Vec<Text> {
    let none = Files::new();
    // A tree does not contain the manifest's own Dockerfile.
    let have_dockerfiles = old.into_iter().chain(new).all(|side| side.sources.is_some());
    let files = |side: Option<&'_ Side>| {
        let mut files = side.map_or_else(|| none.clone(), |side| side.model.files.clone());
        let dockerfile = side.and_then(|side| side.dockerfile.as_ref()).filter(|_| have_dockerfiles);
        files.extend(dockerfile.map(|Dockerfile { name, text }| {
            let text = String::from_utf8_lossy(text).into_owned();
            (name.clone(), text)
        }));
        files
    };
    let (before, after) = (files(old), files(new));
    // Files that other users of the host must not read do not belong in a review either.
    let is_private = |path: &str| {
        let of = |side: &Side| {
            let index = &side.model.index;
            !index.is_hermetic() && index.files.iter().any(|file| file.path == path && file.mode == "0600")
        };
        old.into_iter().chain(new).any(of)
    };
    let hidden: BTreeSet<&str> =
        old.into_iter().chain(new).flat_map(|side| &side.model.reach.hidden).map(String::as_str).collect();
    // Safe to show. A Dockerfile of the manifest's own is shown as it is: no name in it is bottlec's.
    let shown = |files: &Files, side: Option<&Side>, path: &str| match files.get(path) {
        None => String::new(),
        Some(text) if side.is_some_and(|side| side.model.files.contains_key(path)) => {
            visible::lines(&without_names(text, &hidden)).into_owned()
        }
        Some(text) => visible::lines(text).into_owned(),
    };
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&&String| before.get(**path) != after.get(**path) && !is_private(path);
    let text = |path: &&String| {
        let (was, is) = (shown(&before, old, path), shown(&after, new, path));
        let name = |side: &str, files: &Files| {
            if files.contains_key(*path) { format!("{side}/{path}") } else { "/dev/null".to_owned() }
        };
        let diff = TextDiff::from_lines(&was, &is);
        let diff = diff.unified_diff().header(&name("old", &before), &name("new", &after)).to_string();
        let is_fixed = match (before.get(*path), after.get(*path)) {
            (Some(text), None) | (None, Some(text)) => target::is_fixed(path, text),
            _ => false,
        };
        Text { path: (*path).clone(), diff, is_fixed }
    };
    paths.iter().filter(differs).map(text).filter(|text| !text.diff.is_empty()).collect()
}
