//! A review of two bottles: graded changes with their places, what was accepted, what must be restarted,
//! and the texts. Pure; one file a format.

pub mod json;
pub mod markdown;
pub mod sarif;
pub mod text;

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;
use similar::TextDiff;

use crate::accept::{self, acceptances};
use crate::diagnostic::located::Located;
use crate::diagnostic::{Findings, Grade};
use crate::index::Provenance;
use crate::policy::{Change, Direction, Entry, Files, Model, Restart, changes, edits, rebuilt, restarts};
use crate::source::{SourceId, Sources};

/// A bottle as one side has it.
pub struct Side {
    /// The manifest or the tree, as the user would type it.
    pub shown: String,
    /// What it compiles to, or what its files say.
    pub model: Model,
    /// Files that are not as a build wrote them.
    pub edited: BTreeSet<String>,
    /// The texts of the manifest and its parents; nothing for a tree.
    pub sources: Option<Sources>,
    /// The text of the Dockerfile that the manifest names.
    pub dockerfile: Option<Vec<u8>>,
}

/// What became of one bottle.
pub struct Review {
    /// Its name; the new one, if it has another.
    pub name: String,
    /// The new manifest or tree; the old one of a bottle that is gone.
    pub shown: String,
    /// Whether it was there before and is there now.
    pub fate: Fate,
    /// The gravest first.
    pub changes: Vec<Graded>,
    /// What to do with a running bottle.
    pub restarts: Vec<Restart>,
    /// The files that differ.
    pub texts: Vec<Text>,
    /// What is wrong with acceptances.
    pub findings: Vec<Located>,
}

/// Whether a bottle was there before and is there now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// Only now.
    Added,
    /// Both.
    Kept,
    /// Only before.
    Removed,
}

/// A change with its place.
pub struct Graded {
    /// The change.
    pub change: Change,
    /// The manifest's place that asks for it; for what is gone, the old manifest's.
    pub place: Option<Place>,
    /// Who decided it, where it is not the manifest alone.
    pub decided: Option<String>,
    /// The acceptance that covers it.
    pub accepted: Option<Accepted>,
}

/// A place in a manifest, both numbers from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The path as the user would type it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column in characters.
    pub column: usize,
}

/// Why and how long a change is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Accepted {
    /// The last day, `YYYY-MM-DD`.
    pub until: String,
    /// Why.
    pub reason: String,
}

/// A file that differs.
pub struct Text {
    /// The path in the tree.
    pub path: String,
    /// The unified difference.
    pub diff: String,
}

impl Review {
    /// The gravest change, accepted ones left out.
    pub fn grade(&self) -> Option<Grade> {
        self.changes.iter().filter(|graded| graded.accepted.is_none()).map(|graded| graded.change.grade()).max()
    }

    /// Whether nothing at all differs.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.texts.is_empty() && self.findings.is_empty()
    }
}

/// Compares two states of a bottle; nothing stands for a bottle that is not there.
pub fn review(old: Option<&Side>, new: Option<&Side>, today: Date) -> Option<Review> {
    let side = new.or(old)?;
    let nothing = side.model.reach.without_anything();
    let [old_reach, new_reach] = [old, new].map(|side| side.map_or(&nothing, |side| &side.model.reach));
    let none = BTreeSet::new();
    let edited = |side: Option<&'_ Side>| side.map_or_else(|| none.clone(), |side| side.edited.clone());
    let mut found = edits(&edited(old), &edited(new));
    found.extend(changes(old_reach, new_reach));
    if let (Some(Some(before)), Some(Some(after))) =
        (old.map(|side| &side.dockerfile), new.map(|side| &side.dockerfile))
        && before != after
    {
        found.push(rebuilt(new_reach));
    }
    found.sort_by_key(|change| std::cmp::Reverse(change.grade()));

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
    let changes = found
        .into_iter()
        .map(|change| {
            let side = if change.direction == Direction::Loss { old } else { new };
            graded(change, side, &mut accepted, today)
        })
        .collect();
    accept::report(&accepted, today, &mut findings);
    let findings = findings.into_sorted();
    Some(Review {
        name: side.model.reach.name.clone(),
        shown: side.shown.clone(),
        fate: match (old, new) {
            (None, _) => Fate::Added,
            (_, None) => Fate::Removed,
            _ => Fate::Kept,
        },
        changes,
        restarts,
        texts: texts(old, new),
        findings: sources
            .map(|sources| findings.iter().map(|finding| Located::of(finding, sources)).collect())
            .unwrap_or_default(),
    })
}

fn graded(change: Change, side: Option<&Side>, acceptances: &mut [(accept::Acceptance, bool)], today: Date) -> Graded {
    let provenance = side.and_then(|side| change.entry.as_ref().and_then(|entry| side.provenance(entry)));
    let place = provenance.and_then(Provenance::place).and_then(parts);
    let source = place.and_then(|(reference, line, _)| side?.source(reference).map(|source| (source, line)));
    let mut covering = None;
    if change.direction != Direction::Loss {
        let is_for = |acceptance: &accept::Acceptance| acceptance.is_for(change.code, source);
        for (acceptance, is_used) in acceptances.iter_mut().filter(|(acceptance, _)| is_for(acceptance)) {
            *is_used = true;
            if acceptance.until >= today {
                covering = Some(Accepted { until: acceptance.until.to_string(), reason: acceptance.reason.clone() });
            }
        }
    }
    Graded {
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

/// The file, line and column of a place as an index has it.
fn parts(place: &str) -> Option<(&str, usize, usize)> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

impl Side {
    /// Who decided what stands there.
    pub fn provenance(&self, entry: &Entry) -> Option<&Provenance> {
        self.model.index.provenance(entry.file, &entry.pointer)
    }

    fn source(&self, reference: &str) -> Option<SourceId> {
        let sources = self.sources.as_ref()?;
        sources.ids().find(|id| sources.get(*id).reference == reference)
    }
}

fn texts(old: Option<&Side>, new: Option<&Side>) -> Vec<Text> {
    let none = Files::new();
    let files = |side: Option<&'_ Side>| side.map_or_else(|| none.clone(), |side| side.model.files.clone());
    let (before, after) = (files(old), files(new));
    // A made-up account differs from every real one, and says nothing.
    let is_other_account = old.zip(new).is_some_and(|(old, new)| old.model.reach.hermetic != new.model.reach.hermetic);
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&&String| {
        before.get(**path) != after.get(**path) && !(is_other_account && path.starts_with("agent/home/"))
    };
    let text = |path: &&String| {
        let text = |files: &Files| files.get(*path).map(|text| visible(text)).unwrap_or_default();
        let (old, new) = (text(&before), text(&after));
        let name = |side: &str, files: &Files| {
            if files.contains_key(*path) { format!("{side}/{path}") } else { "/dev/null".to_owned() }
        };
        let diff = TextDiff::from_lines(old.as_str(), new.as_str());
        let diff = diff.unified_diff().header(&name("old", &before), &name("new", &after)).to_string();
        Text { path: (*path).clone(), diff }
    };
    paths.iter().filter(differs).map(text).collect()
}

/// The text without characters that steer a terminal: a tree may come from anywhere.
pub(crate) fn visible(text: &str) -> String {
    let escape = |char: char| match char {
        '\n' | '\t' => char.to_string(),
        char if char.is_control() => char.escape_debug().to_string(),
        char => char.to_string(),
    };
    text.chars().map(escape).collect()
}
