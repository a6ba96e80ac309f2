//! A bottle given as an argument: a manifest, which is compiled in memory, or a compiled tree.

pub(super) mod tree;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};

use super::Screen;
use crate::cli::config;
use crate::compile::{Linked, compile_under};
use crate::config::Config;
use crate::manifest::bottle::Bottle;
use crate::manifest::load::revision::Revision;
use crate::manifest::{self, Loaded};
use crate::model::review::{Dockerfile, Side};
use crate::model::{Edits, Model};
use crate::provider::facts::HostFacts;
use crate::target::{self, Backend};
use crate::text::diagnostic::{Diagnostic, Findings, Severity};
use crate::text::source::Sources;
use crate::value::artifact::INDEX;
use crate::{manifest::load::regular, text::yaml};

/// The backends that can run the bottle, or all of them if none can, so that their errors are reported.
fn backends(bottle: &Bottle) -> Vec<Backend> {
    let is_able = |backend: &Backend| {
        let mut findings = Findings::default();
        target::check(bottle, &[*backend], &mut findings);
        !findings.has_errors()
    };
    let able: Vec<Backend> = Backend::ALL.iter().copied().filter(is_able).collect();
    if able.is_empty() { Backend::ALL.to_vec() } else { able }
}

/// A manifest that does not compile, with its sources and errors.
pub(super) struct Uncompiled {
    shown: String,
    sources: Sources,
    errors: Vec<Diagnostic>,
}

impl Uncompiled {
    /// Prints the errors.
    pub(super) fn report(self, screen: &Screen) -> anyhow::Error {
        screen.show(&self.errors, self.sources);
        anyhow!("{} does not compile", self.shown)
    }
}

/// Reads or compiles the bottle at a path.
///
/// # Errors
/// It cannot be read, or does not compile, in which case the errors have been printed.
pub(super) fn open(path: &Path, screen: &Screen) -> Result<Side> {
    if path.file_name().is_some_and(|name| name == INDEX) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return tree::on_disk(folder);
    }
    if path.is_dir() {
        return tree::on_disk(path);
    }
    let loaded = manifest::load(path)?;
    let dockerfile = dockerfile(&loaded, None)?;
    compiled(path, loaded, dockerfile, &[])?.map_err(|uncompiled| uncompiled.report(screen))
}

/// The Dockerfile of a manifest, from disk or from a revision.
///
/// # Errors
/// I/O errors, with the path.
pub(super) fn dockerfile(loaded: &Loaded, revision: Option<&Revision>) -> Result<Option<Dockerfile>> {
    let Some(path) = &loaded.dockerfile else { return Ok(None) };
    let text = match revision {
        Some(revision) => revision.read_place(path)?,
        None => Some(regular::read(path, yaml::MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?),
    };
    if text.as_ref().is_some_and(|text| text.len() > yaml::MAX_BYTES) {
        bail!("{} is larger than {} bytes: is it a Dockerfile?", path.display(), yaml::MAX_BYTES);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(text.map(|text| Dockerfile { name, text }))
}

/// Compiles a loaded manifest with a placeholder account, and judges it by the policies of these configurations.
///
/// # Errors
/// Internal errors.
pub(super) fn compiled(
    path: &Path,
    loaded: Loaded,
    dockerfile: Option<Dockerfile>,
    configs: &[Arc<Config>],
) -> Result<Result<Side, Uncompiled>> {
    let shown = path.display().to_string();
    let Loaded { sources, manifest, mut findings, .. } = loaded;
    let bottle = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings));
    let mut against_policy = Vec::new();
    let policy = |linked: &Linked, _: &mut Findings| {
        against_policy = config::judge(configs.iter().map(|config| &**config), linked);
    };
    let tree = match &bottle {
        Some(bottle) => {
            compile_under(bottle, &sources, &HostFacts::hermetic(), &backends(bottle), &mut findings, policy)
                .with_context(|| format!("internal error in {shown}: please report it"))?
        }
        None => None,
    };
    let Some(tree) = tree else {
        let mut errors = findings.into_sorted();
        errors.retain(|diagnostic| diagnostic.severity == Severity::Error);
        return Ok(Err(Uncompiled { shown, sources, errors }));
    };
    let model = Model::of_tree(&tree).map_err(|problem| anyhow!("internal error in {shown}: {problem}"))?;
    Ok(Ok(Side {
        shown,
        model,
        edited: Edits::new(),
        stand_ins: BTreeSet::new(),
        sources: Some(sources),
        dockerfile,
        against_policy,
    }))
}
