//! The tree on disk. Every changed file is written beside its target and renamed over it, the index
//! last: readers see whole files, and a mixture of two builds is known by the index's hashes. Files
//! that bottlec did not write are never touched.

mod conflict;
mod inspect;
mod owned;
mod tree_dir;
mod verify;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::compile::tree::Tree;
use crate::model::rebuild::Closed;
use crate::value::artifact::{Artifact, INDEX, PENDING};
pub use inspect::{Inspection, inspect};
pub use owned::OldIndex;
use owned::{Owned, Stale};
use tree_dir::{Found as There, TreeDir, is_private};
pub use verify::{Fault, Found, InvalidTree, Verified, find, foreign, gather, verify};

/// What a write did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Files that are new or changed.
    pub changed: Vec<String>,
    /// Files that were as they should be.
    pub unchanged: usize,
    /// Files of an earlier build that were removed.
    pub removed: Vec<String>,
    /// Files of an earlier build that the plan no longer has and that were edited since: left alone.
    pub left: Vec<String>,
}

/// How a file on disk differs from the compiled one.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing,
    /// Its text differs; this is the text on disk.
    Content(String),
    /// Its permissions differ; these are the ones on disk.
    Mode(u32),
    /// A build would remove it.
    Stale,
    /// No build writes it, and nothing that runs the bottle makes it.
    Foreign,
}

/// What a write may write over beside the files of earlier builds, which are its own whatever was done
/// to them since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Nothing.
    Nothing,
    /// An index in which git left both sides of a merge, and the files that were its.
    Conflicted,
}

/// Where a bottle goes.
pub fn folder(out: &Path, tree: &Tree) -> PathBuf {
    out.join(tree.name.as_str())
}

/// Writes the tree below `out`. Nothing is written unless all of it can be: nothing in the way may be a
/// link or somebody else's.
///
/// # Errors
/// What is in the way; what the file system says, with the path.
pub fn write(out: &Path, tree: &Tree, overwrite: Overwrite) -> Result<Written> {
    let (index, files) = match tree.artifacts.split_last() {
        Some((index, files)) if index.path == INDEX => (index, files),
        _ => bail!("the tree has no {INDEX}"),
    };
    let mut place = TreeDir::make(&folder(out, tree))?;
    place.lock()?;
    let mut written = Written { unchanged: tree.artifacts.len(), ..Written::default() };
    if is_built(&mut place, tree, index)? {
        return Ok(written);
    }

    let owned = Owned::read(&mut place)?;
    if matches!(owned.index, OldIndex::Conflicted) && overwrite == Overwrite::Nothing {
        bail!(
            "{} contains git conflict markers: resolve them, or rebuild the tree with --update",
            place.shown(INDEX).display()
        );
    }
    let mut changed = Vec::new();
    for file in files.iter().chain([index]) {
        let state = state(&mut place, file)?;
        if matches!(state, State::Other) && !owned.has(&mut place, &file.path, overwrite)? {
            bail!(
                "{} exists and was not written by bottlec: move it, or choose another folder with -o",
                place.shown(&file.path).display()
            );
        }
        if !matches!(state, State::Current) {
            changed.push(file);
        }
    }
    let stale = owned.stale(&mut place, tree)?;
    owned.sweep(&mut place)?;
    for file in &changed {
        // What a killed build left is gone by now.
        if let Some(path) = place.beside(&file.path)? {
            bail!("{} already exists: move it, or choose another folder with -o", path.display());
        }
    }
    if changed.is_empty() && stale.is_empty() && !owned.is_unfinished {
        return make_folders(&mut place, tree).map(|()| written);
    }

    owned.keep_pending(&mut place, &tree.index)?;
    make_folders(&mut place, tree)?;
    for file in changed.iter().filter(|file| file.path != INDEX) {
        place.replace(file)?;
    }
    for entry in stale {
        match entry {
            Stale::Unchanged(path) => {
                place.remove(&path)?;
                place.prune(&path)?;
                written.removed.push(path);
            }
            // A build that was cut off may not have come to the folders.
            Stale::Removed(path) => place.prune(&path)?,
            Stale::Edited(path) => written.left.push(path),
        }
    }
    if changed.last().is_some_and(|file| file.path == INDEX) {
        place.replace(index)?;
    }
    place.remove(PENDING)?;
    written.changed = changed.iter().map(|file| file.path.clone()).collect();
    written.unchanged -= changed.len();
    Ok(written)
}

/// How the files below `out` differ from the tree, by path. Writes nothing.
///
/// # Errors
/// What is in the way; what the file system says, with the path.
pub fn compare(out: &Path, tree: &Tree) -> Result<BTreeMap<String, Difference>> {
    let missing = |artifact: &Artifact| (artifact.path.clone(), Difference::Missing);
    let Some(mut place) = TreeDir::open(&folder(out, tree))? else {
        return Ok(tree.artifacts.iter().map(missing).collect());
    };
    let mut differences = BTreeMap::new();
    for artifact in &tree.artifacts {
        let shown = place.shown(&artifact.path);
        let difference = match place.find(&artifact.path)? {
            There::Missing => Some(Difference::Missing),
            There::NoFile(found) => return Err(found.refuse()),
            There::Unreadable(error) => return Err(error).with_context(|| format!("cannot read {}", shown.display())),
            There::File(found) => {
                let mode = found.mode();
                let Some(bytes) = found.bytes()? else {
                    bail!("{} is larger than any file that a build writes", shown.display())
                };
                if bytes != artifact.content.as_bytes() {
                    Some(Difference::Content(String::from_utf8_lossy(&bytes).into_owned()))
                } else if artifact.private && !is_private(mode) {
                    Some(Difference::Mode(mode))
                } else {
                    None
                }
            }
        };
        differences.extend(difference.map(|difference| (artifact.path.clone(), difference)));
    }
    let owned = Owned::read(&mut place)?;
    for stale in owned.stale(&mut place, tree)? {
        if let Stale::Unchanged(path) | Stale::Edited(path) = stale {
            differences.insert(path, Difference::Stale);
        }
    }
    if owned.is_unfinished {
        differences.insert(PENDING.to_owned(), Difference::Stale);
    }
    for path in place.foreign(&Closed::of(tree))? {
        differences.entry(path).or_insert(Difference::Foreign);
    }
    Ok(differences)
}

/// The names of the trees in a folder; none if it is not there.
///
/// # Errors
/// What the file system says, with the path.
pub fn trees(out: &Path) -> Result<Vec<String>> {
    let context = || format!("cannot read the folder {}", out.display());
    let entries = match std::fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(context),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.with_context(context)?;
        let is_tree = entry.file_type().is_ok_and(|kind| kind.is_dir())
            && entry.path().join(INDEX).symlink_metadata().is_ok_and(|found| found.is_file());
        names.extend(is_tree.then(|| entry.file_name().to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// Removes a tree of which every file is as its index lists it and which holds nothing else. Returns whether it did.
///
/// # Errors
/// What is in the way; what the file system says, with the path.
pub fn discard(folder: &Path) -> Result<bool> {
    let Ok(Found { index, files, faults }) = find(folder)? else { return Ok(false) };
    let Some(mut place) = TreeDir::open(folder)? else { return Ok(true) };
    place.lock()?;
    if !faults.is_empty() || !place.foreign(&Closed::listed(&index))?.is_empty() {
        return Ok(false);
    }
    for path in files.keys().filter(|path| *path != INDEX) {
        place.remove(path)?;
        place.prune(path)?;
    }
    place.remove(INDEX)?;
    match std::fs::remove_dir(folder) {
        Ok(()) => Ok(true),
        // What was made at run time is its owner's.
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot remove the folder {}", folder.display())),
    }
}

/// What is in the place of a file that is to be written.
enum State {
    Missing,
    Current,
    /// The same content with other permissions.
    Shared,
    Other,
}

fn state(place: &mut TreeDir, file: &Artifact) -> Result<State> {
    Ok(match place.find(&file.path)? {
        There::Missing => State::Missing,
        There::NoFile(found) => return Err(found.refuse()),
        There::Unreadable(_) => State::Other,
        There::File(mut found) => match found.is(file.content.as_bytes())? {
            true if file.private && !is_private(found.mode()) => State::Shared,
            true => State::Current,
            false => State::Other,
        },
    })
}

/// Whether the tree is there, whole and alone: what most builds find, told with the fewest system calls.
/// An index that is as it must be lists no other file.
fn is_built(place: &mut TreeDir, tree: &Tree, index: &Artifact) -> Result<bool> {
    for file in [index].into_iter().chain(&tree.artifacts) {
        let is_current = match place.find(&file.path)? {
            There::File(mut found) => {
                (!file.private || is_private(found.mode())) && found.is(file.content.as_bytes())?
            }
            There::Missing | There::Unreadable(_) | There::NoFile(_) => false,
        };
        if !is_current {
            return Ok(false);
        }
    }
    for (folder, is_private) in folders(tree) {
        if !place.has_folder(folder, is_private)? {
            return Ok(false);
        }
    }
    Ok(!Owned::is_unfinished(place)?)
}

/// The folders of a tree, each after the one that it is in, and whether it is for its owner alone.
fn folders(tree: &Tree) -> BTreeMap<&Path, bool> {
    let mut folders = BTreeMap::new();
    for file in &tree.artifacts {
        for folder in Path::new(&file.path).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            *folders.entry(folder).or_insert(false) |= file.private;
        }
    }
    folders
}

fn make_folders(place: &mut TreeDir, tree: &Tree) -> Result<()> {
    folders(tree).into_iter().try_for_each(|(folder, is_private)| place.make_folder(folder, is_private))
}
