//! Guards by comparison: tables of the entries of a file that must be as a build writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::value::isolation::{Guard, Purpose, settings};

/// What is true while some entries of a file are as a build writes them.
pub(super) struct Row {
    invariant: &'static str,
    purpose: Purpose,
    /// Patterns of JSON pointers, see [`covers`]. Behind a `?`, it only counts which entries there are.
    entries: &'static [&'static str],
}

impl Row {
    /// A guard that refuses what is not allowed.
    pub(super) const fn enforce(invariant: &'static str, entries: &'static [&'static str]) -> Self {
        Row { invariant, purpose: Purpose::Enforce, entries }
    }

    /// A guard that looks into what is allowed.
    pub(super) const fn scan(invariant: &'static str, entries: &'static [&'static str]) -> Self {
        Row { invariant, purpose: Purpose::Scan, entries }
    }

    /// Whether what stands at this pointer is compared with a build's.
    pub(super) fn holds(&self, pointer: &str) -> bool {
        self.entries.iter().any(|pattern| covers(pattern, pointer))
    }
}

/// The guards of a table, of a file and of what a build writes in its place.
pub(super) fn compare<'t>(
    table: impl IntoIterator<Item = &'t Row>,
    file: &impl Serialize,
    meant: &impl Serialize,
) -> Vec<Guard> {
    let (file, meant) = (entries(file), entries(meant));
    let guard = |Row { invariant, purpose, entries }: &Row| {
        let is_same = |pattern: &&str| found(&file, pattern) == found(&meant, pattern);
        Guard { invariant, purpose: *purpose, satisfied: entries.iter().all(is_same) }
    };
    table.into_iter().map(guard).collect()
}

/// Whether the pointer is that of the pattern, or below it. `*` is any step, `!x` any but `x`.
pub(super) fn covers(pattern: &str, pointer: &str) -> bool {
    let mut steps = pointer.split('/');
    pattern.split('/').all(|pattern| {
        steps.next().is_some_and(|step| match pattern.strip_prefix('!') {
            Some(other) => step != other,
            None => pattern == "*" || step == pattern,
        })
    })
}

fn entries(file: &impl Serialize) -> BTreeMap<String, String> {
    settings("", &serde_json::to_value(file).unwrap_or_default())
}

/// What a pattern finds, with its text or without.
fn found<'e>(entries: &'e BTreeMap<String, String>, pattern: &str) -> BTreeSet<(&'e str, &'e str)> {
    let (pattern, only_which) = pattern.strip_suffix('?').map_or((pattern, false), |pattern| (pattern, true));
    let depth = pattern.matches('/').count();
    let which = |pointer: &'e str| pointer.match_indices('/').nth(depth).map_or(pointer, |(end, _)| &pointer[..end]);
    let covered = entries.iter().filter(|(pointer, _)| covers(pattern, pointer));
    covered
        .map(|(pointer, text)| if only_which { (which(pointer), "") } else { (pointer.as_str(), text.as_str()) })
        .collect()
}
