//! By what a change is judged: the configurations of both sides, so that a change cannot lift what it is held to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::cli::config::{Configs, Isolation, report};
use crate::cli::{Screen, say};
use crate::config::{ACCEPT_FROM, Config, FAIL_ON, FailOn, Written};
use crate::manifest::load::folder_of;
use crate::manifest::load::project::CONFIG;
use crate::manifest::load::revision::Revision;
use crate::model::review::{Review, Terms, configuration};
use crate::text::accept::AcceptFrom;
use crate::text::diagnostic::{Diagnostic, concise, located::Located};
use crate::text::visible;

/// The configurations of both sides.
pub(super) struct Both<'r> {
    revision: &'r Revision,
    old: Configs<'r>,
    new: Configs<'r>,
    pairs: BTreeMap<(Option<String>, Option<String>), Pair>,
}

/// What counted for a bottle in the revision, and what counts now.
#[derive(Clone)]
pub(super) struct Pair {
    old: Option<Arc<Config>>,
    new: Option<Arc<Config>>,
}

impl<'r> Both<'r> {
    pub(super) fn of(revision: &'r Revision, isolation: &Isolation) -> Self {
        let old = Configs::in_revision(revision, isolation);
        Both { revision, old, new: Configs::on_disk(isolation), pairs: BTreeMap::new() }
    }

    /// Whether the configuration of either side says that a file is a bottle.
    pub(super) fn names(&self, file: &Path) -> Result<bool> {
        Ok(self.new.names(file)? || self.old.names(file)?)
    }

    /// Takes in what counts for a bottle. Returns the configurations whose policies it must keep to: where it was, and
    /// where it is now, on both sides.
    pub(super) fn bottle(&mut self, old: Option<&Path>, new: &Path) -> Result<Vec<Arc<Config>>> {
        let there = self.old.of(new)?;
        let was = match old {
            Some(old) => self.old.of(old)?,
            None => there.clone(),
        };
        let is = self.new.of(new)?;
        self.add(was.clone(), is.clone());
        Ok(is.into_iter().chain(was).chain(there).collect())
    }

    /// Takes in every configuration that the revision has for these paths, or below them, whether or not a bottle is
    /// left that it counts for.
    pub(super) fn paths(&mut self, paths: &[PathBuf]) -> Result<()> {
        for path in paths {
            let folder = if path.is_dir() { path.as_path() } else { folder_of(path) };
            let mut folders = vec![folder.to_owned()];
            if path.is_dir() {
                let place = self.revision.place(path)?;
                let nested = self
                    .revision
                    .entries(&place)
                    .filter(|(rest, _)| rest.file_name().is_some_and(|name| name == CONFIG));
                folders.extend(nested.map(|(rest, _)| folder.join(folder_of(rest))));
            }
            for folder in folders {
                let config = |place: Option<crate::cli::config::Place>| place.map(|place| place.config);
                let (old, new) = (config(self.old.at(&folder)?), config(self.new.at(&folder)?));
                if old.is_some() || new.is_some() {
                    self.add(old, new);
                }
            }
        }
        Ok(())
    }

    fn add(&mut self, old: Option<Arc<Config>>, new: Option<Arc<Config>>) {
        let shown = |config: &Option<Arc<Config>>| config.as_ref().map(|config| config.shown.clone());
        self.pairs.entry((shown(&old), shown(&new))).or_insert(Pair { old, new });
    }

    /// What was taken in. An invalid configuration of the revision protects nothing.
    ///
    /// # Errors
    /// A current configuration is invalid; what is wrong with it has been printed.
    pub(super) fn judged(self, screen: &Screen) -> Result<Judged> {
        let Both { revision, old, new, pairs } = self;
        for broken in old.take_broken() {
            let located: Vec<Located> =
                broken.findings.iter().map(|finding: &Diagnostic| Located::of(finding, &broken.sources)).collect();
            say(format_args!(
                "bottlec: {CONFIG} at {} is invalid, so only the current one applies: {}",
                revision.base(),
                visible::lines(concise::render(&located[..located.len().min(1)]).trim_end())
            ));
        }
        if report(new.take_broken(), screen) {
            bail!("{CONFIG} cannot be used");
        }
        Ok(Judged { pairs: pairs.into_values().collect() })
    }
}

/// The configurations by which a change is judged.
#[derive(Default)]
pub(super) struct Judged {
    pairs: Vec<Pair>,
}

impl Judged {
    /// What is weaker now, a review for each configuration.
    pub(super) fn reviews(&self, terms: Terms) -> Vec<Review> {
        let weaker = |Pair { old, new }: &Pair| configuration::review(old.as_ref()?, new.as_deref(), terms);
        self.pairs.iter().filter_map(weaker).collect()
    }

    /// From which grade on the change fails: the stricter of both sides. `None` stands for any difference, which is the
    /// default outside of a gate.
    pub(super) fn fail_on(&self, is_gate: bool) -> Option<FailOn> {
        let open = is_gate.then_some(FAIL_ON);
        let says = |config: &Option<Arc<Config>>| {
            config.as_ref().and_then(|config| config.fail_on.as_ref()).map(|Written { value, .. }| *value).or(open)
        };
        // `None` comes first.
        self.pairs.iter().flat_map(|Pair { old, new }| [says(old), says(new)]).min().unwrap_or(open)
    }

    /// Whose acceptances count: those of the revision alone if either side says so.
    pub(super) fn accept_from(&self, is_gate: bool) -> AcceptFrom {
        let open = if is_gate { ACCEPT_FROM } else { AcceptFrom::Head };
        let says = |config: &Option<Arc<Config>>| {
            config.as_ref().and_then(|config| config.accept_from.as_ref()).map_or(open, |written| written.value)
        };
        let mut sides = self.pairs.iter().flat_map(|Pair { old, new }| [says(old), says(new)]);
        if self.pairs.is_empty() {
            return open;
        }
        if sides.any(|whose| whose == AcceptFrom::Base) { AcceptFrom::Base } else { AcceptFrom::Head }
    }
}
