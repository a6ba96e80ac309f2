//! The compiled trees affected by a change: every folder with an index, in the revision or in the work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::Pair;
use crate::cli::config;
use crate::cli::side::tree;
use crate::compile::index::Index;
use crate::config::Config;
use crate::manifest::load::revision::Revision;
use crate::model::rebuild::{Closed, Rebuilt, Standing, rebuild, rebuild_under};
use crate::model::review::Side;
use crate::model::{Change, Edit, Edits, edits, gone, mended};
use crate::output::{self, Fault, InvalidTree};
use crate::value::artifact::INDEX;

/// Far larger than any file that a build writes.
const MAX_BYTES: usize = 64 << 20;

/// The repository before and after the change.
pub(super) struct Trees<'r> {
    revision: &'r Revision,
    changed: &'r BTreeSet<PathBuf>,
    /// The paths in the work tree, and whether git tracks each.
    present: BTreeMap<PathBuf, bool>,
    /// The folders of trees, relative to the root, and as the user would type them.
    pub(super) folders: BTreeMap<PathBuf, PathBuf>,
}

impl<'r> Trees<'r> {
    /// Finds the trees below these paths.
    pub(super) fn below(paths: &[PathBuf], revision: &'r Revision, changed: &'r BTreeSet<PathBuf>) -> Result<Self> {
        let present = revision.work_tree()?;
        let mut folders = BTreeMap::new();
        for path in paths {
            let place = revision.place(path)?;
            let was = revision.entries(&place).map(|(rest, _)| rest.to_owned());
            let is = present.keys().filter_map(|present| present.strip_prefix(&place).ok().map(Path::to_owned));
            for rest in was.chain(is).filter(|rest| rest.file_name().is_some_and(|name| name == INDEX)) {
                let rest = rest.parent().unwrap_or(Path::new(""));
                let shown = path.join(rest);
                let shown = shown.strip_prefix(".").map_or_else(|_| shown.clone(), Path::to_owned);
                let shown = if shown.as_os_str().is_empty() { PathBuf::from(".") } else { shown };
                folders.insert(place.join(rest), shown);
            }
        }
        Ok(Trees { revision, changed, present, folders })
    }

    /// A tree before and after the change. Returns `None` if nothing in its folder changed.
    pub(super) fn pair(&self, place: &Path, shown: &Path, policies: &[Arc<Config>]) -> Result<Option<Pair>> {
        if !self.changed.iter().any(|changed| changed.starts_with(place)) {
            return Ok(None);
        }
        let old = self.before(place, shown)?;
        let new = self.now(place, shown, policies)?;
        let edits = self.edits(place, old.as_ref(), new.as_ref());
        Ok(Some(Pair { old, new, edits }))
    }

    fn before(&self, place: &Path, shown: &Path) -> Result<Option<Side>> {
        let entries: BTreeMap<String, bool> = self
            .revision
            .entries(place)
            .map(|(path, is_file)| (path.to_string_lossy().into_owned(), is_file))
            .collect();
        let read = |path: &str| match entries.get(path) {
            Some(true) => Ok(self.revision.whole(&place.join(path), MAX_BYTES)?.ok_or(Fault::TooLarge)),
            Some(false) => Ok(Err(Fault::NoFile)),
            None => Ok(Err(Fault::Missing)),
        };
        let found = match output::gather(read)? {
            Ok(found) => found,
            // A tree that could not be started cannot be compared with: the new one counts as new.
            Err(_) => return Ok(None),
        };
        let rebuilt = rebuild(&found.index, &found.files);
        let foreign = foreign(&found.index, &rebuilt, entries.keys().map(|path| (path.as_str(), true)));
        Ok(tree::side(shown, found, rebuilt, foreign).ok())
    }

    fn now(&self, place: &Path, shown: &Path, policies: &[Arc<Config>]) -> Result<Option<Side>> {
        let root = self.revision.root();
        let folder = root.join(place);
        // The target of a link is another folder, whatever it contains.
        let is_itself = folder.canonicalize().ok().zip(root.canonicalize().ok());
        let is_itself = is_itself.is_some_and(|(folder, root)| folder == root.join(place));
        if !is_itself || folder.join(INDEX).symlink_metadata().is_err() {
            return Ok(None);
        }
        let found = match output::find(&folder)? {
            Ok(found) => found,
            Err(InvalidTree::NoIndex) => return Ok(None),
            Err(problem) => return Err(tree::refused(shown, &problem)),
        };
        let rebuilt = rebuild_under(&found.index, &found.files, |linked| {
            config::judge(policies.iter().map(|config| &**config), linked)
        });
        let entries: Vec<(String, bool)> = self
            .present
            .iter()
            .filter_map(|(path, is_kept)| {
                let rest = path.strip_prefix(place).ok()?;
                // A sparse checkout omits files, and git lists files whose removal is not committed yet.
                folder.join(rest).symlink_metadata().ok()?;
                Some((rest.to_string_lossy().into_owned(), *is_kept))
            })
            .collect();
        let foreign = foreign(&found.index, &rebuilt, entries.iter().map(|(path, is_kept)| (path.as_str(), *is_kept)));
        tree::side(shown, found, rebuilt, foreign).map(Some)
    }

    /// What the change does to the trees themselves: edits that are new or different, and edits that are gone.
    fn edits(&self, place: &Path, old: Option<&Side>, new: Option<&Side>) -> Vec<Change> {
        let none = Edits::new();
        let [was, is] = [old, new].map(|side| side.map_or(&none, |side| &side.edited));
        let is_changed = |path: &String| self.changed.contains(&place.join(path));
        let mut found = edits(is.iter().filter(|(path, _)| !was.contains_key(*path) || is_changed(path)));
        match (old, new) {
            (Some(_), None) => found.push(gone()),
            (Some(_), Some(new)) => {
                found.extend(mended(was.keys().filter(|path| !is.contains_key(*path))));
                found.extend(self.unknown(place, new));
            }
            _ => {}
        }
        found
    }

    /// The changed files of a tree whose expected content is not known.
    fn unknown(&self, place: &Path, new: &Side) -> Vec<Change> {
        if new.model.index.is_of_this_release() {
            return Vec::new();
        }
        let below = self.changed.iter().filter_map(|changed| changed.strip_prefix(place).ok());
        let paths = below.map(|path| path.to_string_lossy().into_owned());
        let unknown: Edits =
            paths.filter(|path| !new.edited.contains_key(path)).map(|path| (path, Edit::Unknown)).collect();
        edits(&unknown)
    }
}

/// The entries, each with whether git tracks it, that must not be in the folder. Files that are created at run
/// time must not be tracked: a tracked one was put there on purpose.
fn foreign<'e>(index: &Index, rebuilt: &Rebuilt, entries: impl Iterator<Item = (&'e str, bool)>) -> Vec<String> {
    let closed: Closed = rebuilt.closed(index);
    let may_be = |(path, is_kept): &(&str, bool)| match closed.standing(path) {
        Standing::Written => true,
        Standing::MadeAtRunTime => !is_kept,
        Standing::Above | Standing::Foreign => false,
    };
    entries.filter(|entry| !may_be(entry)).map(|(path, _)| path.to_owned()).collect()
}
