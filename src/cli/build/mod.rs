//! `bottlec build`: manifests in, output trees out.

mod claim;
mod drift;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::claim::{Claim, Collision};
use super::batch::{self, Jobs};
use super::progress::Progress;
use super::said::Said;
use super::{Screen, Status, say};
use crate::compile::compile;
use crate::compile::tree::Tree;
use crate::manifest::bottle::Bottle;
use crate::manifest::{self, Loaded};
use crate::output::{self, Overwrite};
use crate::provider::facts::HostFacts;
use crate::target::Backend;
use crate::text::allow;

/// Compile bottles into output folders
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Manifests: YAML files, or Markdown files with YAML front matter; folders that hold
    /// `bottle.yaml`, `*.bottle.yaml` or such Markdown files; `@FILE` reads paths from a file, a line
    /// each, `@-` from stdin
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// The folder that gets one folder for each bottle; `-` prints the tree
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// What runs the agent
    #[arg(long, value_delimiter = ',', value_name = "BACKEND", default_value = "docker,smolmachines")]
    backend: Vec<Backend>,
    /// Read the agent's credentials from this file instead of its usual place
    #[arg(long, value_name = "FILE", conflicts_with = "hermetic")]
    host_credentials: Option<PathBuf>,
    /// Use a made-up account: the output is the same on every machine, and cannot sign in
    #[arg(long)]
    hermetic: bool,
    /// Compare with what is on disk, print the differences and write nothing
    #[arg(long)]
    check: bool,
    /// Write what --check finds to differ, also over a bottle.json with git conflict markers and the
    /// files that it lists
    #[arg(long, conflicts_with = "check")]
    update: bool,
    #[command(flatten)]
    jobs: Jobs,
}

const EXAMPLES: &str = "\
Examples:
  bottlec build manifest.yaml -o out/
  bottlec build bottles/ -o out/ --backend docker
  git ls-files '*.bottle.yaml' | bottlec build @- -o out/ --jobs 4
  bottlec build manifest.yaml -o golden/ --hermetic --check
  bottlec build manifest.yaml -o golden/ --hermetic --update

One broken bottle does not stop the others. Two that claim one name or one network do: then nothing is written.

Exit codes: 0 clean (warnings included), 1 errors or differences, 2 usage, input/output or internal error.";

/// What became of a bottle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Written or printed.
    Built,
    /// As it should be already.
    Unchanged,
    /// `--check` found that it is not as it should be.
    Differs,
    /// Sound, and held back since others claim the same.
    Held,
    /// Errors in the manifest or in the host's credentials.
    Refused,
    /// An input/output or internal error.
    Broken,
}

/// The work on one bottle.
struct Outcome {
    said: Said,
    end: End,
    /// Whether the manifest asks for the host's credentials.
    asks_for_credentials: bool,
}

/// What is known of the whole before the first bottle is compiled.
struct Batch<'b> {
    paths: &'b [PathBuf],
    /// What each bottle said that it would take, if there are several.
    claims: Vec<Option<Claim>>,
    /// The bottles, by number, that claim what another one has.
    collisions: BTreeMap<usize, Collision>,
}

impl Build {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.update && self.prints() {
            bail!("--update writes over an output folder, and -o - has none");
        }
        let mut ends = BTreeMap::new();
        let mut unread = 0;
        let paths = batch::inputs(&self.manifests, |error| {
            say(format_args!("bottlec: {error:#}"));
            unread += 1;
        })?;
        if paths.iter().any(|path| batch::is_stdin(path)) {
            bail!("build reads files: a bottle is named after its file and finds its parents beside it");
        }
        let batch = self.survey(&paths, screen)?;
        // Once, so that a folder which cannot be made is told of once.
        if !self.check && !self.prints() && batch.collisions.is_empty() && batch.claims.iter().any(Option::is_some) {
            std::fs::create_dir_all(&self.output)
                .with_context(|| format!("cannot make the folder {}", self.output.display()))?;
        }
        let mut asked_for_credentials = false;
        self.jobs.run(
            &paths,
            &mut Progress::new(screen, if self.check { "compared" } else { "built" }, paths.len()),
            |number, path| self.bottle(number, path, &batch, screen),
            |_, outcome, progress| {
                asked_for_credentials |= outcome.asks_for_credentials;
                *ends.entry(outcome.end).or_insert(0) += 1;
                progress.tell(outcome.said)
            },
        )?;
        if self.host_credentials.is_some() && !asked_for_credentials {
            screen.note(format_args!(
                "bottlec: --host-credentials is not used: no manifest says `forward_host_credentials: true`"
            ));
        }
        Ok(self.conclude(&ends, unread, &batch, screen))
    }

    fn prints(&self) -> bool {
        self.output == Path::new("-")
    }

    /// Reads all manifests for what they claim, and keeps no more of them: nothing may be written before
    /// it is known that no two bottles write to one place.
    fn survey<'b>(&self, paths: &'b [PathBuf], screen: &Screen) -> Result<Batch<'b>> {
        let mut claims = Vec::new();
        if paths.len() > 1 {
            claims.reserve_exact(paths.len());
            self.jobs.run(
                paths,
                &mut Progress::new(screen, "read", paths.len()),
                |_, path| Claim::read(path),
                |_, claim, _| {
                    claims.push(claim);
                    Ok(())
                },
            )?;
        }
        let collisions = claim::collisions(&claims);
        Ok(Batch { paths, claims, collisions })
    }

    fn bottle(&self, number: usize, manifest: &Path, batch: &Batch, screen: &Screen) -> Outcome {
        let mut outcome = Outcome { said: Said::default(), end: End::Broken, asks_for_credentials: false };
        match self.attempt(number, manifest, batch, screen, &mut outcome) {
            Ok(end) => outcome.end = end,
            Err(error) => outcome.said.error(format_args!("bottlec: {error:#}")),
        }
        outcome
    }

    fn attempt(
        &self,
        number: usize,
        manifest: &Path,
        batch: &Batch,
        screen: &Screen,
        outcome: &mut Outcome,
    ) -> Result<End> {
        let Loaded { sources, manifest: written, mut findings, .. } = manifest::load(manifest)?;
        let bottle = written.and_then(|written| manifest::check(&written, &sources, &mut findings));
        if let (Some(collision), Some(bottle)) = (batch.collisions.get(&number), &bottle) {
            findings.push(collision.diagnostic(manifest, bottle, batch.paths));
        }
        let tree = match &bottle {
            Some(bottle) => {
                outcome.asks_for_credentials = bottle.settings.forward_host_credentials.is_some();
                compile(bottle, &sources, &self.facts(bottle), &self.backend, &mut findings)
                    .with_context(|| format!("internal error in {}: please report it", manifest.display()))?
            }
            None => None,
        };
        // Comments that allow lint are not idle: only `check` lints.
        let _ = allow::silence(&sources, &mut findings);
        let is_sound = !findings.has_errors();
        let said = &mut outcome.said;
        said.findings(screen, &findings.into_sorted(), sources);
        let (Some(tree), Some(bottle)) = (tree.filter(|_| is_sound), &bottle) else { return Ok(End::Refused) };
        // Whoever writes what it did not claim might write where another one does.
        if batch.claims.get(number).is_some_and(|claim| *claim != Some(Claim::of(bottle))) {
            bail!("{} changed while it was read: build again", manifest.display());
        }
        if !batch.collisions.is_empty() {
            return Ok(End::Held);
        }
        if self.prints() {
            said.tree(stream(&tree));
            return Ok(End::Built);
        }
        if self.check {
            let differs = drift::check(&self.output, &tree, !self.hermetic, screen, said)?;
            return Ok(if differs { End::Differs } else { End::Unchanged });
        }
        let is_one = batch.paths.len() == 1;
        self.write(manifest, &tree, is_one, screen, said)
    }

    /// The last words and the exit code.
    fn conclude(&self, ends: &BTreeMap<End, usize>, unread: usize, batch: &Batch, screen: &Screen) -> Status {
        let count = |end| ends.get(&end).copied().unwrap_or(0);
        let failed = count(End::Refused) + count(End::Broken);
        if count(End::Differs) > 0 {
            screen.note(format_args!(
                "bottlec: the output is not what the manifests compile to; run the same command with --update in the place of --check"
            ));
        }
        let is_one = batch.paths.len() == 1;
        if !batch.collisions.is_empty() || (is_one && count(End::Refused) == 1) {
            if !self.check && !self.prints() {
                screen.note(format_args!("bottlec: nothing was written"));
            }
        } else if batch.paths.len() > 1 {
            let (done, word) =
                if self.check { (count(End::Differs), "differing") } else { (count(End::Built), "built") };
            screen.note(format_args!("{word} {done}, unchanged {}, failed {failed}", count(End::Unchanged)));
        }
        if batch.paths.is_empty() && unread == 0 {
            screen.note(format_args!("bottlec: the list names no manifest"));
        }
        match () {
            () if unread + count(End::Broken) > 0 => Status::Exit(2),
            () if failed + count(End::Differs) > 0 => Status::Findings,
            () => Status::Clean,
        }
    }

    fn overwrite(&self) -> Overwrite {
        if self.update { Overwrite::Conflicted } else { Overwrite::Nothing }
    }

    /// The facts that this bottle needs. A credential file is opened only if the manifest asks.
    fn facts(&self, bottle: &Bottle) -> HostFacts {
        if self.hermetic {
            return HostFacts::hermetic();
        }
        let asked = bottle.settings.forward_host_credentials.and_then(|_| bottle.provider.credential_file());
        crate::cli::facts::read(asked, self.host_credentials.as_deref())
    }

    fn write(&self, manifest: &Path, tree: &Tree, is_one: bool, screen: &Screen, said: &mut Said) -> Result<End> {
        let written = output::write(&self.output, tree, self.overwrite())?;
        let folder = output::folder(&self.output, tree);
        if screen.verbose {
            for path in &written.changed {
                said.note(screen, format_args!("wrote   {}", folder.join(path).display()));
            }
            for path in &written.removed {
                said.note(screen, format_args!("removed {}", folder.join(path).display()));
            }
        }
        for path in &written.left {
            said.note(
                screen,
                format_args!(
                    "bottlec: {} is no longer part of the bottle; it was edited, so it stays: remove it, or the bottle does not start",
                    folder.join(path).display()
                ),
            );
        }
        let name = tree.name.as_str();
        if is_one || screen.verbose {
            let removed = match written.removed.len() {
                0 => String::new(),
                count => format!(", {count} removed"),
            };
            said.note(
                screen,
                format_args!(
                    "{name}: {} written, {} unchanged{removed} in {}",
                    written.changed.len(),
                    written.unchanged,
                    folder.display()
                ),
            );
        }
        if tree.names_local_file && !is_two_up(manifest, &folder) {
            said.note(screen, format_args!(
                "bottlec: {name} uses a file beside its manifest, which the output looks for at ../..; set BOTTLE_MANIFEST_DIR for docker compose, or build into a folder beside the manifest"
            ));
        }
        let is_unchanged = written.changed.is_empty() && written.removed.is_empty();
        Ok(if is_unchanged { End::Unchanged } else { End::Built })
    }
}

/// Whether the folder two levels above the output is the manifest's.
fn is_two_up(manifest: &Path, folder: &Path) -> bool {
    let parent = manifest.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), folder.join("../..").canonicalize()) {
        (Ok(manifest), Ok(above)) => manifest == above,
        _ => false,
    }
}

/// The tree as one stream: each file under a line with its path and permissions.
fn stream(tree: &Tree) -> String {
    let size: usize = tree.artifacts.iter().map(|artifact| artifact.content.len() + 128).sum();
    let mut text = String::with_capacity(size);
    for artifact in &tree.artifacts {
        let _ = writeln!(text, "# path: {}/{} mode: {:04o}", tree.name.as_str(), artifact.path, artifact.mode());
        text.push_str(&artifact.content);
    }
    text
}
