//! Whether a tree on disk is what one build wrote. Nothing is written and no link is followed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::PENDING;
use super::place::{Kind, is_plain, kind};
use crate::artifact::INDEX;
use crate::index::{FileEntry, Index, NotAnIndex, hash};

/// A tree whose files are those that its index lists.
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

/// Why a tree is not what one build wrote.
#[derive(Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no index: no build has put a bottle here.
    NoIndex,
    /// The index cannot be read.
    Index(NotAnIndex),
    /// A build did not come to its end.
    Unfinished,
    /// A build is at work.
    Building,
    /// Files that are not those of the index, and what is wrong with each.
    Mixture(Vec<(String, Fault)>),
}

/// What is wrong with a file that the index lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It has another content.
    Changed,
    /// A link, folder or device stands there, or a link on the way.
    NoFile,
    /// The index gives a path that leads out of the bottle's folder.
    Outside,
}

impl Fault {
    /// The words for it, after the path.
    pub fn as_str(self) -> &'static str {
        match self {
            Fault::Missing => "is missing",
            Fault::Changed => "was changed",
            Fault::NoFile => "is no file, or behind a link",
            Fault::Outside => "is outside the bottle's folder",
        }
    }
}

/// Compares a bottle's folder with its index.
///
/// # Errors
/// What the file system says, with the path.
pub fn verify(root: &Path) -> Result<Result<Verified, Unfit>> {
    // Builds hold this lock while they write. Where there are no locks, the hashes must do.
    let folder = fs::File::open(root).with_context(|| format!("cannot open {}", root.display()))?;
    if matches!(folder.try_lock_shared(), Err(fs::TryLockError::WouldBlock)) {
        return Ok(Err(Unfit::Building));
    }
    if kind(&root.join(PENDING))? != Kind::Missing {
        return Ok(Err(Unfit::Unfinished));
    }
    let index = match kind(&root.join(INDEX))? {
        Kind::Missing => return Ok(Err(Unfit::NoIndex)),
        Kind::File => match Index::parse(&read(&root.join(INDEX))?) {
            Ok(index) => index,
            Err(problem) => return Ok(Err(Unfit::Index(problem))),
        },
        Kind::Folder | Kind::Other => return Ok(Err(Unfit::Mixture(vec![(INDEX.to_owned(), Fault::NoFile)]))),
    };
    let mut files = BTreeMap::new();
    let mut faults = Vec::new();
    for entry in &index.files {
        match content(root, entry)? {
            Ok(content) => {
                files.insert(entry.path.clone(), content);
            }
            Err(fault) => faults.push((entry.path.clone(), fault)),
        }
    }
    Ok(if faults.is_empty() { Ok(Verified { index, files }) } else { Err(Unfit::Mixture(faults)) })
}

fn content(root: &Path, FileEntry { path, sha256, .. }: &FileEntry) -> Result<Result<Vec<u8>, Fault>> {
    if !is_plain(path) {
        return Ok(Err(Fault::Outside));
    }
    let mut place = root.to_owned();
    let mut steps = Path::new(path).components().peekable();
    while let Some(step) = steps.next() {
        place.push(step);
        let expected = if steps.peek().is_some() { Kind::Folder } else { Kind::File };
        match kind(&place)? {
            Kind::Missing => return Ok(Err(Fault::Missing)),
            found if found == expected => {}
            _ => return Ok(Err(Fault::NoFile)),
        }
    }
    let content = read(&place)?;
    Ok(if hash(&content) == *sha256 { Ok(content) } else { Err(Fault::Changed) })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
