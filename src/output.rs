//! The tree on disk. Every changed file is written beside its target and renamed over it, the index
//! last: readers see whole files, and a mixture of two builds is known by the index's hashes. Files
//! that bottlec did not write are never touched.

mod conflict;
mod inspect;
mod owned;
mod place;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::artifact::{Artifact, INDEX, Tree};
pub use inspect::{Inspection, inspect};
pub use owned::OldIndex;
use owned::{Owned, Stale};
use place::{Kind, kind, make_folder, refuse_detours_to_file};
pub use verify::{Fault, Found, Unfit, Verified, find, verify};

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

/// The name of the index while its build runs. It lists what the build may have written, so that the
/// next one knows its own files after a crash.
const PENDING: &str = ".bottle.json.pending";

/// Where a bottle goes.
pub fn folder(out: &Path, tree: &Tree) -> PathBuf {
    out.join(tree.name.as_str())
}

/// Makes sure that a write can be made: nothing in the way is a link or somebody else's.
///
/// # Errors
/// Says what is in the way.
pub fn preflight(out: &Path, tree: &Tree, overwrite: Overwrite) -> Result<()> {
    let root = folder(out, tree);
    refuse_detours_in(&root, tree)?;
    let owned = Owned::read(&root)?;
    if matches!(owned.index, OldIndex::Conflicted { .. }) && overwrite == Overwrite::Nothing {
        bail!(
            "{} has git conflict markers: write the tree anew with --update, or resolve them",
            root.join(INDEX).display()
        );
    }
    for artifact in &tree.artifacts {
        let path = root.join(&artifact.path);
        match kind(&path)? {
            Kind::Missing => {}
            Kind::File
                if owned.has(&root, &artifact.path, overwrite)? || fs::read(&path)? == artifact.content.as_bytes() => {}
            Kind::File => bail!(
                "{} is in the way and bottlec did not write it: move it, or choose another folder with -o",
                path.display()
            ),
            Kind::Folder | Kind::Other => {
                bail!("{} is in the way and is not a file: move it, or choose another folder with -o", path.display())
            }
        }
    }
    Ok(())
}

fn refuse_detours_in(root: &Path, tree: &Tree) -> Result<()> {
    for artifact in &tree.artifacts {
        refuse_detours_to_file(root, &artifact.path)?;
    }
    Ok(())
}

/// Writes the tree below `out`.
///
/// # Errors
/// What the file system says, with the path.
pub fn write(out: &Path, tree: &Tree, overwrite: Overwrite) -> Result<Written> {
    let root = folder(out, tree);
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    make_folder(&root, 0o755)?;
    // One build at a time. The lock goes with the process.
    let lock = fs::File::open(&root).with_context(|| format!("cannot open {}", root.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", root.display()))?;
    preflight(out, tree, overwrite)?;

    let owned = Owned::read(&root)?;
    owned.sweep(&root)?;
    let mut written = Written::default();
    let (index, files) = match tree.artifacts.split_last() {
        Some((index, files)) if index.path == INDEX => (index, files),
        _ => bail!("a tree without {INDEX}"),
    };
    let changed: Vec<&Artifact> = files.iter().filter(|file| !is_current(&root, file)).collect();
    let stale = owned.stale(&root, tree)?;
    if changed.is_empty() && stale.is_empty() && is_current(&root, index) && kind(&root.join(PENDING))? == Kind::Missing
    {
        written.unchanged = tree.artifacts.len();
        return make_folders(&root, tree).map(|()| written);
    }

    let pending = root.join(PENDING);
    owned.keep_pending(&root, index)?;
    make_folders(&root, tree)?;
    for file in &changed {
        replace(&root, file)?;
        written.changed.push(file.path.clone());
    }
    for entry in stale {
        match entry {
            Stale::Unchanged(path) => {
                place::remove(&root, &path)?;
                written.removed.push(path);
            }
            Stale::Edited(path) => written.left.push(path),
        }
    }
    if !is_current(&root, index) {
        replace(&root, index)?;
        written.changed.push(index.path.clone());
    }
    fs::remove_file(&pending).with_context(|| format!("cannot remove {}", pending.display()))?;
    written.unchanged = tree.artifacts.len() - written.changed.len();
    Ok(written)
}

/// How the files below `out` differ from the tree, by path. Writes nothing.
///
/// # Errors
/// What the file system says, with the path.
pub fn compare(out: &Path, tree: &Tree) -> Result<BTreeMap<String, Difference>> {
    let root = folder(out, tree);
    refuse_detours_in(&root, tree)?;
    let mut differences = BTreeMap::new();
    for artifact in &tree.artifacts {
        let path = root.join(&artifact.path);
        let difference = match kind(&path)? {
            Kind::Missing => Some(Difference::Missing),
            Kind::Folder | Kind::Other => bail!("{} is not a file", path.display()),
            Kind::File => {
                let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let mode = mode(&path)?;
                if bytes != artifact.content.as_bytes() {
                    Some(Difference::Content(String::from_utf8_lossy(&bytes).into_owned()))
                } else if artifact.private && mode & 0o077 != 0 {
                    Some(Difference::Mode(mode))
                } else {
                    None
                }
            }
        };
        differences.extend(difference.map(|difference| (artifact.path.clone(), difference)));
    }
    for stale in Owned::read(&root)?.stale(&root, tree)? {
        let (Stale::Unchanged(path) | Stale::Edited(path)) = stale;
        differences.insert(path, Difference::Stale);
    }
    Ok(differences)
}

fn mode(path: &Path) -> Result<u32> {
    Ok(fs::symlink_metadata(path).with_context(|| format!("cannot look at {}", path.display()))?.permissions().mode()
        & 0o7777)
}

fn is_current(root: &Path, file: &Artifact) -> bool {
    let path = root.join(&file.path);
    let private_enough = || !file.private || mode(&path).is_ok_and(|mode| mode & 0o077 == 0);
    fs::read(&path).is_ok_and(|bytes| bytes == file.content.as_bytes()) && private_enough()
}

fn make_folders(root: &Path, tree: &Tree) -> Result<()> {
    for artifact in &tree.artifacts {
        let mut folder = PathBuf::new();
        let mut steps = artifact.path.split('/').peekable();
        while let Some(step) = steps.next().filter(|_| steps.peek().is_some()) {
            folder.push(step);
            let private =
                tree.artifacts.iter().any(|other| other.private && Path::new(&other.path).starts_with(&folder));
            make_folder(&root.join(&folder), if private { 0o700 } else { 0o755 })?;
        }
    }
    Ok(())
}

/// The name that a file has while it is written.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.bottlec-new"))
}

/// Writes the file beside its place and renames it there. It has its permissions from the start.
fn replace(root: &Path, file: &Artifact) -> Result<()> {
    let path = root.join(&file.path);
    let temporary = temporary(&path);
    let attempt = || -> io::Result<()> {
        let mut new = fs::OpenOptions::new().write(true).create_new(true).mode(file.mode()).open(&temporary)?;
        new.write_all(file.content.as_bytes())?;
        drop(new);
        fs::rename(&temporary, &path)
    };
    attempt()
        .inspect_err(|_| {
            // Best effort: the first error is what counts.
            let _ = fs::remove_file(&temporary);
        })
        .with_context(|| format!("cannot write {}", path.display()))
}
