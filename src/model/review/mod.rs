//! A review of two bottles: graded changes with their places, what was accepted, what must be restarted,
//! and the texts. Pure; one file a format.

pub mod json;
pub mod markdown;
pub mod sarif;

use std::borrow::Cow;
use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::Serialize;
use similar::TextDiff;

use crate::compile::index::Provenance;
use crate::link::environment;
use crate::model::{Change, Direction, Edits, Entry, Model, Restart, Topic, changes, rebuilt, restarts, sort};
use crate::text::accept::{self, AcceptFrom, acceptances};
use crate::text::diagnostic::located::Located;
use crate::text::diagnostic::{Findings, Grade};
use crate::text::source::{SourceId, Sources};
use crate::text::visible;
use crate::value::isolation::Files;

/// A bottle as one side has it.
pub struct Side {
    /// The manifest or the tree, as the user would type it.
    pub shown: String,
    /// What it compiles to, or what its files say.
    pub model: Model,
    /// What a build does not write, in a tree.
    pub edited: Edits,
    /// Files of a tree in whose place the model has what they should be: they cannot be read.
    pub stand_ins: BTreeSet<String>,
    /// The texts of the manifest and its parents; nothing for a tree.
    pub sources: Option<Sources>,
    /// The Dockerfile that the manifest names.
    pub dockerfile: Option<Dockerfile>,
}

/// A Dockerfile beside a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Its file name.
    pub name: String,
    /// What is in it.
    pub text: Vec<u8>,
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
    /// The file to show it at where there is no place that a reader of the new files can look up.
    pub file: String,
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

    /// Whether anything differs.
    pub fn differs(&self) -> bool {
        !self.changes.is_empty() || !self.texts.is_empty()
    }

    /// Leaves out of a compiled tree's review what the review of its manifest says already. A tree that holds
    /// what no build writes keeps all of it.
    pub fn leave_out(&mut self, manifests: &[Review]) {
        if self.changes.iter().any(|graded| matches!(graded.change.topic, Topic::Edited(_))) {
            return;
        }
        let told: Vec<&Review> = manifests.iter().filter(|review| review.name == self.name).collect();
        let said = |change: &Change| (change.topic.clone(), change.direction, change.code, change.message.clone());
        self.changes.retain(|own| {
            !told.iter().any(|review| review.changes.iter().any(|graded| said(&graded.change) == said(&own.change)))
        });
        self.texts.retain(|own| {
            !told
                .iter()
                .any(|review| review.texts.iter().any(|text| (&text.path, &text.diff) == (&own.path, &own.diff)))
        });
        self.restarts.retain(|own| !told.iter().any(|review| review.restarts.contains(own)));
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        !self.differs() && self.findings.is_empty()
    }
}

/// By what changes are accepted.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The day by which acceptances are judged.
    pub today: Date,
    /// Whose acceptances count.
    pub accept_from: AcceptFrom,
}

/// Compares two states of a bottle; nothing stands for a bottle that is not there. `edits` is what is to be
/// told of the trees themselves.
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
    // Of a host that is out of reach, nothing more has to be said.
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
    let changes = found.into_iter().map(|change| graded(change, (old, new), &mut accepted, &counts)).collect();
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
    // No line of the new manifest asks for what is gone.
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

/// A file that shows the change: of a tree, the one that differs.
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

/// The file, line and column of a place as an index has it.
fn parts(place: &str) -> Option<(&str, usize, usize)> {
    let (rest, column) = place.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some((file, line.parse().ok()?, column.parse().ok()?))
}

impl Side {
    /// Who decided what stands there. Nobody whom the index knows, if the file was edited.
    pub fn provenance(&self, entry: &Entry) -> Option<&Provenance> {
        let Entry { file, pointer } = entry;
        let is_unknown = *file == environment::FILE
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

/// A file as it may be shown; nothing for one that is not there.
fn text_of<'f>(files: &'f Files, path: &str) -> Cow<'f, str> {
    files.get(path).map(|text| visible::lines(text)).unwrap_or_default()
}

fn texts(old: Option<&Side>, new: Option<&Side>) -> Vec<Text> {
    let none = Files::new();
    // A tree does not hold the manifest's own Dockerfile.
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
    // What is kept from other users of the host is not for a review either.
    let is_private = |path: &str| {
        let of = |side: &Side| {
            let index = &side.model.index;
            !index.is_hermetic() && index.files.iter().any(|file| file.path == path && file.mode == "0600")
        };
        old.into_iter().chain(new).any(of)
    };
    let paths: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let differs = |path: &&&String| before.get(**path) != after.get(**path) && !is_private(path);
    let text = |path: &&String| {
        let (old, new) = (text_of(&before, path), text_of(&after, path));
        let name = |side: &str, files: &Files| {
            if files.contains_key(*path) { format!("{side}/{path}") } else { "/dev/null".to_owned() }
        };
        let diff = TextDiff::from_lines(&*old, &*new);
        let diff = diff.unified_diff().header(&name("old", &before), &name("new", &after)).to_string();
        Text { path: (*path).clone(), diff }
    };
    paths.iter().filter(differs).map(text).collect()
}
