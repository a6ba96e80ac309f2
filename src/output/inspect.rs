//! What a tree on disk says about how it came to be as it is. Nothing is written.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::owned::{OldIndex, Owned, There, there};
use super::tree_dir::{TreeDir, is_plain};
use super::{conflict, folder};
use crate::compile::tree::Tree;
use crate::value::artifact::INDEX;
use crate::value::digest::hash;

/// What was done to a tree since it was built.
#[derive(Debug)]
pub struct Inspection {
    /// Its index.
    pub index: OldIndex,
    /// Whether a build did not come to its end.
    pub is_unfinished: bool,
    /// Files with git's conflict markers.
    pub conflicted: Vec<String>,
    /// Files that have another content than the index lists.
    pub edited: Vec<String>,
    /// Files that the index lists and that are not there.
    pub removed: Vec<String>,
}

/// Looks at the files of a bottle below `out`: those of the tree and those of its index.
///
/// # Errors
/// What the file system says, with the path.
pub fn inspect(out: &Path, tree: &Tree) -> Result<Inspection> {
    let mut found = Inspection {
        index: OldIndex::Missing,
        is_unfinished: false,
        conflicted: Vec::new(),
        edited: Vec::new(),
        removed: Vec::new(),
    };
    let Some(mut place) = TreeDir::open(&folder(out, tree))? else { return Ok(found) };
    let Owned { hashes, index, is_unfinished, .. } = Owned::read(&mut place)?;
    // Both sides of a merge list files, and git makes one of the two of some: no hash is to be expected.
    let is_merged = matches!(index, OldIndex::Conflicted);
    (found.index, found.is_unfinished) = (index, is_unfinished);
    let compiled = tree.artifacts.iter().map(|artifact| artifact.path.as_str());
    let paths: BTreeSet<&str> = compiled.chain(hashes.keys().map(String::as_str)).chain([INDEX]).collect();
    for path in paths.into_iter().filter(|path| is_plain(path)) {
        let listed = hashes.get(path).filter(|_| !is_merged);
        match there(&mut place, path)? {
            There::Content(bytes) if conflict::sides(&String::from_utf8_lossy(&bytes)).is_some() => {
                found.conflicted.push(path.to_owned());
            }
            There::Content(bytes) if listed.is_some_and(|hashes| !hashes.contains(&hash(&bytes))) => {
                found.edited.push(path.to_owned());
            }
            There::Missing if listed.is_some() && !is_unfinished => found.removed.push(path.to_owned()),
            There::TooLarge if listed.is_some() => found.edited.push(path.to_owned()),
            There::Missing | There::TooLarge | There::Content(_) => {}
        }
    }
    Ok(found)
}
