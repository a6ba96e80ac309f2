//! Places in the output folder: what is there, and no way around through links.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use anyhow::{Context as _, Result, bail};

/// What stands at a path, links not followed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Missing,
    File,
    Folder,
    /// A link, FIFO, socket or device.
    Other,
}

pub(super) fn kind(path: &Path) -> Result<Kind> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(Kind::File),
        Ok(found) if found.is_dir() => Ok(Kind::Folder),
        Ok(_) => Ok(Kind::Other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kind::Missing),
        Err(error) => Err(error).with_context(|| format!("cannot look at {}", path.display())),
    }
}

/// Refuses links and everything else that is not a folder from the bottle's folder, itself included,
/// down to another folder.
fn refuse_detours(root: &Path, folder: &Path) -> Result<()> {
    let steps = folder.components();
    let places = steps.scan(root.to_owned(), |place, step| {
        place.push(step);
        Some(place.clone())
    });
    for place in std::iter::once(root.to_owned()).chain(places) {
        match kind(&place)? {
            Kind::Missing => break,
            Kind::Folder => {}
            Kind::File | Kind::Other => bail!(
                "{} is in the way and is not a folder (links are not followed): move it, or choose another folder with -o",
                place.display()
            ),
        }
    }
    Ok(())
}

/// The same on the way to a file, which may not be a link either.
pub(super) fn refuse_detours_to_file(root: &Path, file: &str) -> Result<()> {
    refuse_detours(root, Path::new(file).parent().unwrap_or(Path::new("")))?;
    let place = root.join(file);
    if kind(&place)? == Kind::Other {
        bail!(
            "{} is in the way and is a link or no file (links are not followed): move it, or choose another folder with -o",
            place.display()
        );
    }
    Ok(())
}

/// Whether a path that an index lists stays inside the bottle's folder.
pub(super) fn is_plain(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|step| matches!(step, Component::Normal(_)))
}

/// Makes a folder, or takes group's and others' rights off one that must be private.
pub(super) fn make_folder(path: &Path, mode: u32) -> Result<()> {
    let context = || format!("cannot make the folder {}", path.display());
    match kind(path)? {
        Kind::Missing => fs::DirBuilder::new().mode(mode).create(path).with_context(context),
        Kind::Folder if mode == 0o700 => {
            let now = fs::symlink_metadata(path).with_context(context)?.permissions().mode() & 0o777;
            if now & 0o077 == 0 {
                return Ok(());
            }
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(context)
        }
        Kind::Folder => Ok(()),
        Kind::File | Kind::Other => bail!("{} is in the way and is not a folder", path.display()),
    }
}

/// Removes a file and the folders above it that are empty then, up to the bottle's own.
pub(super) fn remove(root: &Path, path: &str) -> Result<()> {
    let full = root.join(path);
    fs::remove_file(&full).with_context(|| format!("cannot remove {}", full.display()))?;
    let mut folder = full.parent();
    while let Some(empty) = folder.filter(|folder| *folder != root && fs::remove_dir(folder).is_ok()) {
        folder = empty.parent();
    }
    Ok(())
}
