//! Finds the bottles of a folder: `bottle.yaml`, `*.bottle.yaml` (or `.yml`) and Markdown files with
//! front matter.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::manifest::load::regular;
use crate::manifest::load::revision::Revision;

/// The bottles below a folder, sorted. Hidden folders are passed over, links not followed.
///
/// # Errors
/// A folder cannot be read.
pub fn bottles_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    search(folder, &mut found)?;
    Ok(found)
}

/// The bottles that a revision has below a folder of the work tree, by the paths that
/// [`bottles_below`] would give them.
///
/// # Errors
/// The folder lies outside the repository, or git fails.
pub fn bottles_below_revision(revision: &Revision, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in revision.files(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_bottle(&name, || revision.read(&path))? {
            found.push(path);
        }
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let context = || format!("cannot read the folder {}", folder.display());
    let mut entries =
        std::fs::read_dir(folder).with_context(context)?.collect::<Result<Vec<_>, _>>().with_context(context)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type().with_context(context)?;
        // A file that cannot be read is not one with front matter.
        let start = || Ok(start_of(&entry.path()).ok());
        if kind.is_dir() && !name.starts_with('.') {
            search(&entry.path(), found)?;
        } else if kind.is_file() && is_bottle(&name, start)? {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::new();
    regular::open(path)?.0.take(4).read_to_end(&mut start)?;
    Ok(start)
}

/// Whether a file is a bottle, by its name and, for Markdown, by how its text starts.
fn is_bottle(name: &str, text: impl FnOnce() -> Result<Option<Vec<u8>>>) -> Result<bool> {
    let yaml = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    if let Some(stem) = yaml {
        return Ok(stem == "bottle" || stem.ends_with(".bottle"));
    }
    if !name.ends_with(".md") {
        return Ok(false);
    }
    let fenced = |text: Vec<u8>| matches!(text.as_slice(), [b'-', b'-', b'-', b'\n' | b'\r' | b' ', ..]);
    Ok(text()?.is_some_and(fenced))
}
