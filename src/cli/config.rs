//! Finds the `bottlec.toml` of each manifest, on disk or as of a git revision: the closest one upwards, and no other.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};

use super::Screen;
use crate::config::policy::{self, Breach, Rule};
use crate::config::{self, Broken, Config};
use crate::manifest::load::project::{self, CONFIG};
use crate::manifest::load::revision::Revision;
use crate::manifest::load::{folder_of, regular};
use crate::text::yaml;

/// Whether the project's configuration counts.
#[derive(clap::Args)]
pub(super) struct Isolation {
    /// Ignore bottlec.toml
    #[arg(long)]
    pub(super) isolated: bool,
}

/// The configurations of a run, each read once.
pub(super) struct Configs<'r> {
    files: Files<'r>,
    known: Mutex<Known>,
}

/// Where configurations are read from.
enum Files<'r> {
    /// No configuration counts.
    Nowhere,
    Disk,
    Revision(&'r Revision),
}

#[derive(Default)]
struct Known {
    /// What counts in a folder, by the path by which it was asked for.
    folders: BTreeMap<PathBuf, Option<Place>>,
    /// Every configuration that was read, by its real folder.
    configs: BTreeMap<PathBuf, Option<Arc<Config>>>,
    broken: Vec<Broken>,
}

/// A folder and the configuration that counts there.
#[derive(Clone)]
pub(super) struct Place {
    /// The folder's path from that of the configuration.
    below: PathBuf,
    /// The configuration's folder: real, or from the root of the repository in a revision.
    pub(super) root: PathBuf,
    pub(super) config: Arc<Config>,
}

impl<'r> Configs<'r> {
    /// Those on disk.
    pub(super) fn on_disk(isolation: &Isolation) -> Self {
        Configs::of_files(if isolation.isolated { Files::Nowhere } else { Files::Disk })
    }

    /// Those of a revision.
    pub(super) fn in_revision(revision: &'r Revision, isolation: &Isolation) -> Self {
        Configs::of_files(if isolation.isolated { Files::Nowhere } else { Files::Revision(revision) })
    }

    fn of_files(files: Files<'r>) -> Self {
        Configs { files, known: Mutex::default() }
    }

    /// The one that counts for a file.
    pub(super) fn of(&self, file: &Path) -> Result<Option<Arc<Config>>> {
        Ok(self.at(folder_of(file))?.map(|place| place.config))
    }

    /// The one that counts in a folder.
    pub(super) fn at(&self, folder: &Path) -> Result<Option<Place>> {
        if matches!(self.files, Files::Nowhere) {
            return Ok(None);
        }
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = known.folders.get(folder) {
            return Ok(place.clone());
        }
        let place = self.look(folder, &mut known)?;
        known.folders.insert(folder.to_owned(), place.clone());
        Ok(place)
    }

    /// Whether the configuration that counts for a file says that it is a bottle.
    pub(super) fn names(&self, file: &Path) -> Result<bool> {
        let Some(place) = self.at(folder_of(file))? else { return Ok(false) };
        Ok(file.file_name().is_some_and(|name| place.config.names(&place.below.join(name))))
    }

    /// Those that cannot be used, in the order in which they were found.
    pub(super) fn take_broken(&self) -> Vec<Broken> {
        std::mem::take(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner).broken)
    }

    /// Whether there is one that cannot be used.
    pub(super) fn has_broken(&self) -> bool {
        !self.known.lock().unwrap_or_else(PoisonError::into_inner).broken.is_empty()
    }

    fn look(&self, folder: &Path, known: &mut Known) -> Result<Option<Place>> {
        let real = match self.files {
            Files::Nowhere => return Ok(None),
            // What is gone was in the nearest folder that is there.
            Files::Disk => match folder.ancestors().find_map(|above| folder_or_here(above).canonicalize().ok()) {
                Some(real) => real,
                None => return Ok(None),
            },
            Files::Revision(revision) => revision.place(folder)?,
        };
        let folders: Vec<&Path> = match self.files {
            Files::Revision(_) => real.ancestors().collect(),
            Files::Nowhere | Files::Disk => project::folders(&real).collect(),
        };
        for root in folders {
            if !known.configs.contains_key(root) {
                let config = match self.read(root)? {
                    None => continue,
                    Some(Ok(config)) => Some(Arc::new(config)),
                    Some(Err(broken)) => {
                        known.broken.push(broken);
                        None
                    }
                };
                known.configs.insert(root.to_owned(), config);
            }
            // One that cannot be used is the closest all the same.
            let config = known.configs.get(root).cloned().flatten();
            let below = real.strip_prefix(root).unwrap_or(Path::new("")).to_owned();
            return Ok(config.map(|config| Place { below, root: root.to_owned(), config }));
        }
        Ok(None)
    }

    /// The configuration in a folder. `None` if the folder has no `bottlec.toml`.
    fn read(&self, folder: &Path) -> Result<Option<Result<Config, Broken>>> {
        let path = folder.join(CONFIG);
        let (shown, bytes) = match self.files {
            Files::Nowhere => return Ok(None),
            Files::Disk => {
                let shown = typed(&path).display().to_string();
                match regular::read(&path, yaml::MAX_BYTES) {
                    // What is wrong with it is shown, and it might lead out of the project.
                    Ok(_) if path.is_symlink() => bail!("{shown} is a symbolic link; links are not followed"),
                    Ok(bytes) => (shown, bytes),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error).with_context(|| format!("cannot read {shown}")),
                }
            }
            Files::Revision(revision) => match revision.read_place(&path) {
                Ok(Some(bytes)) => (revision.shown(&path), bytes),
                Ok(None) => return Ok(None),
                // A link, or on the way to it.
                Err(error) => return Ok(Some(Err(Broken::of(revision.shown(&path), format!("{error:#}"))))),
            },
        };
        Ok(Some(config::read(shown, bytes)))
    }
}

/// What the policies of these configurations say of a bottle; a rule that two of them have counts once.
pub(super) fn judge<'c>(configs: impl IntoIterator<Item = &'c Config>, linked: &crate::compile::Linked) -> Vec<Breach> {
    let mut rules: Vec<&Rule> = Vec::new();
    for rule in configs.into_iter().flat_map(|config| &config.policy) {
        if !rules.iter().any(|known| known.subject == rule.subject) {
            rules.push(rule);
        }
    }
    policy::judge(rules, linked)
}

/// Prints what is wrong with configurations. Returns whether there were any.
pub(super) fn report(broken: Vec<Broken>, screen: &Screen) -> bool {
    let is_any = !broken.is_empty();
    broken.into_iter().for_each(|Broken { sources, findings }| screen.show(&findings, sources));
    is_any
}

/// A real path as the user would type it here.
pub(super) fn typed(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    let here = here.canonicalize().unwrap_or(here);
    let shared = path.components().zip(here.components()).take_while(|(a, b)| a == b).count();
    // A path that has nothing but the top in common is clearer as a whole.
    let up = here.components().count() - shared;
    if shared < 2 || up > 8 {
        return path.to_owned();
    }
    let up = std::iter::repeat_n(Component::ParentDir, up);
    let typed: PathBuf = up.chain(path.components().skip(shared)).collect();
    folder_or_here(&typed).to_owned()
}

fn folder_or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
