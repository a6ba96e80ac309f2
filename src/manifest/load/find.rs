//! Finds the bottles of a folder, of a revision and of a work tree, by the rule of `manifest::which` and by what a
//! project's configuration names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use ignore::WalkBuilder;

use crate::manifest::load::regular;
use crate::manifest::load::revision::Revision;
use crate::manifest::which::{self, Kind};
use crate::text::yaml;

/// What is looked for, in words.
pub const RULE: &str = "bottle.yaml, *.bottle.yaml, a manifest.yaml with the keys of a bottle, Markdown with them in its front matter, and what `bottles` in bottlec.toml matches";

/// Whether a project's configuration says of a file that it is a bottle.
pub type Named<'n> = &'n dyn Fn(&Path) -> Result<bool>;

/// For a search without configurations.
pub const NONE: Named = &|_| Ok(false);

/// The files below a folder, sorted.
#[derive(Debug, Default)]
pub struct Found {
    /// The bottles.
    pub bottles: Vec<PathBuf>,
    /// What has the keys of a bottle and another name.
    pub look_alikes: Vec<PathBuf>,
}

impl Found {
    fn take(&mut self, path: PathBuf, kind: Kind) {
        match kind {
            Kind::Bottle => self.bottles.push(path),
            Kind::LookAlike => self.look_alikes.push(path),
            Kind::Other => {}
        }
    }
}

/// The bottles below a folder. What git ignores is passed over, links are not followed.
///
/// # Errors
/// A folder cannot be read.
pub fn below(folder: &Path, named: Named) -> Result<Found> {
    let mut found = Found::default();
    let walk = WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .filter_entry(|entry| {
            let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
            entry.depth() == 0 || !is_folder || which::is_searched(entry.file_name())
        })
        .sort_by_file_name(Ord::cmp)
        .build();
    for entry in walk {
        let entry = entry.with_context(|| format!("cannot read the folder {}", folder.display()))?;
        if entry.file_type().is_some_and(|kind| kind.is_file()) {
            let kind = kind(entry.path(), named, || Ok(text(entry.path())))?;
            found.take(entry.into_path(), kind);
        }
    }
    Ok(found)
}

/// The bottles that a revision has below a folder of the work tree, by the paths that [`below`] would give them.
///
/// # Errors
/// The folder lies outside the repository, or git fails.
pub fn below_revision(revision: &Revision, folder: &Path, named: Named) -> Result<Vec<PathBuf>> {
    let mut found = Found::default();
    for path in revision.files(folder)? {
        let kind = kind(&path, named, || revision.read(&path))?;
        found.take(path, kind);
    }
    Ok(found.bottles)
}

/// The bottles of a work tree below one of its folders: what git tracks, ignored or not, and what it does not ignore.
///
/// # Errors
/// The folder lies outside the repository, or git fails.
pub fn below_work_tree(revision: &Revision, folder: &Path, named: Named) -> Result<Found> {
    let mut found = Found::default();
    let place = revision.place(folder)?;
    for (path, _) in revision.work_tree()? {
        let Ok(rest) = path.strip_prefix(&place) else { continue };
        let mut folders = rest.parent().into_iter().flat_map(Path::iter);
        let path = folder.join(rest);
        if folders.all(which::is_searched) && path.symlink_metadata().is_ok_and(|found| found.is_file()) {
            let kind = kind(&path, named, || Ok(text(&path)))?;
            found.take(path, kind);
        }
    }
    Ok(found)
}

fn kind(path: &Path, named: Named, text: impl FnOnce() -> Result<Option<Vec<u8>>>) -> Result<Kind> {
    if named(path)? { Ok(Kind::Bottle) } else { which::kind(path, text) }
}

/// The text of a file that may be a manifest. What cannot be read, or is larger than one, has none.
fn text(path: &Path) -> Option<Vec<u8>> {
    regular::read(path, yaml::MAX_BYTES).ok().filter(|text| text.len() <= yaml::MAX_BYTES)
}
