//! Which bottles a build is about and where they go: the arguments, or with `--check` and `--update` the project's
//! `bottlec.toml`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::Build;
use crate::cli::config::{Configs, Place, typed};

/// Which bottles, and where they go.
pub(super) struct Goal {
    pub(super) manifests: Vec<PathBuf>,
    pub(super) output: PathBuf,
    pub(super) hermetic: bool,
    /// Set if it is about every bottle of a project and every tree in its folder of trees.
    pub(super) project: Option<Project>,
}

/// A project.
pub(super) struct Project {
    /// The folder of its configuration.
    root: PathBuf,
}

impl Project {
    /// Its own bottles: those of a project inside it are not.
    pub(super) fn own(&self, paths: Vec<PathBuf>, configs: &Configs) -> Result<Vec<PathBuf>> {
        let mut own = Vec::new();
        for path in paths {
            if configs.at(crate::manifest::load::folder_of(&path))?.is_some_and(|place| place.root == self.root) {
                own.push(path);
            }
        }
        Ok(own)
    }
}

/// What is asked for. `None` if the project's configuration cannot be used.
pub(super) fn of(build: &Build, configs: &Configs) -> Result<Option<Goal>> {
    let Build { manifests, output, hermetic, host_credentials, .. } = build;
    let manifests = manifests.clone();
    if let Some(output) = output {
        if manifests.is_empty() {
            bail!("-o needs the manifests as well: name them, or leave out -o for `golden` in bottlec.toml");
        }
        return Ok(Some(Goal { manifests, output: output.clone(), hermetic: *hermetic, project: None }));
    }
    let place = configs.at(Path::new("."))?;
    let golden = place.as_ref().and_then(|place| Some((place, place.config.golden.as_ref()?)));
    let Some((Place { root, config, .. }, golden)) = golden else {
        let write = "write `golden = \"golden\"` in it, the folder of the committed trees";
        match &place {
            // What is wrong with it is reported.
            None if configs.has_broken() => return Ok(None),
            None => bail!(
                "no bottlec.toml found for this folder: {write}, or name the manifests and the output folder (-o)"
            ),
            Some(place) => bail!(
                "{} has no `golden`: {write}, or name the manifests and the output folder (-o)",
                place.config.shown
            ),
        }
    };
    if host_credentials.is_some() {
        bail!("--host-credentials cannot be used with `golden` in {}: committed trees are hermetic", config.shown);
    }
    // Whoever may change the configuration must not lead a build out of the project.
    let way = Path::new(&golden.value).ancestors().filter(|step| !step.as_os_str().is_empty());
    if let Some(link) = way.map(|step| root.join(step)).find(|step| step.is_symlink()) {
        bail!("`golden` passes through the symbolic link {}; links are not followed", typed(&link).display());
    }
    let root_typed = typed(root);
    let output = if root_typed == Path::new(".") { PathBuf::new() } else { root_typed.clone() }.join(&golden.value);
    let is_all = manifests.is_empty();
    let manifests = if is_all { vec![root_typed] } else { manifests };
    let project = is_all.then(|| Project { root: root.clone() });
    Ok(Some(Goal { manifests, output, hermetic: true, project }))
}
