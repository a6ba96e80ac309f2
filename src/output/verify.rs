//! Whether a tree on disk is what one build wrote. Nothing is written and no link is followed.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::conflict;
use super::tree_dir::{self, TreeDir, is_plain};
use crate::compile::index::{Index, NotAnIndex};
use crate::model::rebuild::{FOREIGN, Rebuilt, rebuild};
use crate::value::artifact::{INDEX, PENDING};
use crate::value::digest::hash;

/// A tree whose files are those that a build writes.
pub struct Verified {
    /// The index.
    pub index: Index,
    files: BTreeMap<String, Vec<u8>>,
}

impl Verified {
    /// A listed file as it was when its hash was compared.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }
}

/// A tree as its index lists it, with what is wrong with its files.
pub struct Found {
    /// The index.
    pub index: Index,
    /// The listed files that are there, the changed ones among them, and the index.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What is wrong, by path.
    pub faults: Vec<(String, Fault)>,
}

/// Why a tree is not what one build wrote.
#[derive(Debug, PartialEq, Eq)]
pub enum InvalidTree {
    /// The folder does not exist.
    NoFolder,
    /// There is no index: no build has put a bottle here.
    NoIndex,
    /// The index cannot be read.
    Index(NotAnIndex),
    /// git left both sides of a merge in the index.
    Conflicted,
    /// A build did not come to its end.
    Unfinished,
    /// A build is at work.
    Building,
    /// Another release of bottlec built it.
    OtherRelease,
    /// Files that are not what a build writes, and what is wrong with each; then what that means.
    Otherwise(Vec<(String, String)>, Vec<String>),
}

impl InvalidTree {
    /// Whether nothing there claims to be a bottle.
    pub fn is_no_bottle(&self) -> bool {
        matches!(self, InvalidTree::NoFolder | InvalidTree::NoIndex)
    }
}

/// What is wrong with a file that the index lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has another content.
    Changed,
    /// git left both sides of a merge in it.
    Conflicted,
    /// A link, folder or device stands there, or a link on the way.
    NoFile,
    /// It is larger than any file of a build.
    TooLarge,
    /// The index gives a path that leads out of the bottle's folder.
    Outside,
}

impl Fault {
    /// The words for it, after the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Missing => "is missing",
            Fault::Changed => "was changed",
            Fault::Conflicted => "contains git conflict markers",
            Fault::NoFile => "is not a regular file, or is behind a link",
            Fault::TooLarge => "is larger than any file that a build writes",
            Fault::Outside => "is outside the bottle's folder",
        }
    }
}

/// Compares a bottle's folder with what a build of this release writes.
///
/// # Errors
/// What the file system says, with the path.
pub fn verify(root: &Path) -> Result<Result<Verified, InvalidTree>> {
    let found = match find(root)? {
        Ok(found) => found,
        Err(unfit) => return Ok(Err(unfit)),
    };
    let rebuilt = rebuild(&found.index, &found.files);
    let foreign = foreign(root, &found.index, &rebuilt)?;
    let Found { index, files, faults } = found;
    if faults.is_empty() && foreign.is_empty() && rebuilt.deviations.is_empty() {
        return Ok(Ok(Verified { index, files }));
    }
    if faults.is_empty() && !index.is_of_this_release() {
        return Ok(Err(InvalidTree::OtherRelease));
    }
    let meaning = if faults.is_empty() { rebuilt.meaning(&files) } else { Vec::new() };
    let mut wrong = rebuilt.deviations;
    wrong.extend(foreign.into_iter().map(|path| (path, FOREIGN.to_owned())));
    wrong.extend(faults.into_iter().map(|(path, fault)| (path, fault.as_str().to_owned())));
    Ok(Err(InvalidTree::Otherwise(wrong.into_iter().collect(), meaning)))
}

/// What a bottle's folder holds that it may not, by its path.
///
/// # Errors
/// What the file system says, with the path.
pub fn foreign(root: &Path, index: &Index, rebuilt: &Rebuilt) -> Result<Vec<String>> {
    TreeDir::named(root)?.foreign(&rebuilt.closed(index))
}

/// Reads a bottle's folder as its index lists it, whatever was done to its files since.
///
/// # Errors
/// What the file system says, with the path.
pub fn find(root: &Path) -> Result<Result<Found, InvalidTree>> {
    if root.metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
        return Ok(Err(InvalidTree::NoFolder));
    }
    let mut place = TreeDir::named(root)?;
    // Builds hold this lock while they write. Where there are no locks, the hashes must do.
    if place.is_locked() {
        return Ok(Err(InvalidTree::Building));
    }
    if !matches!(place.find(PENDING)?, tree_dir::Found::Missing) {
        return Ok(Err(InvalidTree::Unfinished));
    }
    gather(|path| content(&mut place, path))
}

/// Reads a tree as its index lists it, wherever it is; `read` takes a path from the bottle's folder.
///
/// # Errors
/// As `read` has them.
pub fn gather(mut read: impl FnMut(&str) -> Result<Result<Vec<u8>, Fault>>) -> Result<Result<Found, InvalidTree>> {
    let text = match read(INDEX)? {
        Ok(text) => text,
        Err(Fault::Missing) => return Ok(Err(InvalidTree::NoIndex)),
        Err(fault) => {
            return Ok(Err(InvalidTree::Otherwise(vec![(INDEX.to_owned(), fault.as_str().to_owned())], Vec::new())));
        }
    };
    let index = match Index::parse(&text) {
        Ok(index) => index,
        Err(_) if is_conflicted(&text) => return Ok(Err(InvalidTree::Conflicted)),
        Err(problem) => return Ok(Err(InvalidTree::Index(problem))),
    };
    let mut files = BTreeMap::from([(INDEX.to_owned(), text)]);
    let mut faults = Vec::new();
    for entry in index.files.iter().filter(|entry| entry.path != INDEX) {
        let found = if is_plain(&entry.path) { read(&entry.path)? } else { Err(Fault::Outside) };
        match found {
            Ok(content) => {
                if hash(&content) != entry.sha256 {
                    let fault = if is_conflicted(&content) { Fault::Conflicted } else { Fault::Changed };
                    faults.push((entry.path.clone(), fault));
                }
                files.insert(entry.path.clone(), content);
            }
            Err(fault) => faults.push((entry.path.clone(), fault)),
        }
    }
    Ok(Ok(Found { index, files, faults }))
}

fn is_conflicted(text: &[u8]) -> bool {
    conflict::sides(&String::from_utf8_lossy(text)).is_some()
}

fn content(place: &mut TreeDir, path: &str) -> Result<Result<Vec<u8>, Fault>> {
    let shown = place.shown(path);
    match place.find(path)? {
        tree_dir::Found::Missing => Ok(Err(Fault::Missing)),
        tree_dir::Found::NoFile(_) => Ok(Err(Fault::NoFile)),
        tree_dir::Found::Unreadable(error) => Err(error).with_context(|| format!("cannot read {}", shown.display())),
        tree_dir::Found::File(file) => Ok(file.bytes()?.ok_or(Fault::TooLarge)),
    }
}
