//! Where manifests are read from. Nothing else opens them.

use std::io;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};

use super::{folder_of, project};
use crate::manifest::load::revision::{Resolved, Revision};
use crate::{manifest::load::regular, text::yaml};

/// Where manifests are read from.
#[derive(Clone, Copy)]
pub(super) enum Files<'r> {
    Disk,
    Revision(&'r Revision),
}

impl Files<'_> {
    /// The folder that `extends` and `dockerfile` may not leave: that of the nearest `bottlec.toml`, else git's top
    /// level, else the manifest's own.
    pub(super) fn root(self, manifest: &Path) -> Result<PathBuf> {
        match self {
            Files::Disk => {
                let folder = folder_of(manifest);
                let folder = folder
                    .canonicalize()
                    .with_context(|| format!("cannot resolve the folder of {}", manifest.display()))?;
                Ok(project::root(&folder))
            }
            Files::Revision(revision) => {
                let place = revision.place(manifest)?;
                let is_root = |folder: &&Path| revision.is_file(&folder.join(project::CONFIG));
                let root = place.ancestors().skip(1).find(is_root);
                Ok(root.map_or_else(|| revision.root().to_owned(), |root| revision.root().join(root)))
            }
        }
    }

    /// What a path leads to, of a project with this root.
    pub(super) fn resolve(self, path: &Path, root: &Path) -> Result<Resolved> {
        match self {
            Files::Disk => match path.canonicalize() {
                Ok(real) if real.starts_with(root) => Ok(Resolved::Inside(real)),
                Ok(_) => Ok(Resolved::Outside),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Resolved::Missing),
                Err(error) => Err(error.into()),
            },
            Files::Revision(revision) => Ok(match revision.resolve(path)? {
                Resolved::Inside(real) if !revision.root().join(&real).starts_with(root) => Resolved::Outside,
                resolved => resolved,
            }),
        }
    }

    /// The name to go on with for a path that leads to `real`. On disk it stays as it was written, for
    /// messages; in a revision there is one name for each file.
    pub(super) fn name(self, path: &Path, real: &Path) -> PathBuf {
        match self {
            Files::Disk => path.components().filter(|step| *step != Component::CurDir).collect(),
            Files::Revision(revision) => revision.root().join(real),
        }
    }

    /// Whether a path that [`Files::resolve`] gave is a file.
    pub(super) fn is_file(self, path: &Path) -> bool {
        match self {
            Files::Disk => path.is_file(),
            Files::Revision(revision) => revision.is_file(path),
        }
    }

    /// Reads a regular file, one byte more than a manifest may have at the most.
    pub(super) fn read(self, path: &Path) -> Result<Vec<u8>> {
        match self {
            Files::Disk => Ok(regular::read(path, yaml::MAX_BYTES)?),
            Files::Revision(revision) => revision.read_place(path)?.ok_or_else(|| anyhow!("not a regular file")),
        }
    }

    /// The path for messages.
    pub(super) fn shown(self, path: &Path) -> String {
        match self {
            Files::Disk => path.display().to_string(),
            Files::Revision(revision) => revision.shown(path),
        }
    }
}
