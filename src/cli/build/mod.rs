//! `bottlec build`: compiles manifests into output trees.

mod claim;
mod drift;
mod goal;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::claim::{Claim, Collision};
use self::goal::Goal;
use super::batch::{self, Jobs};
use super::config::{self, Configs, Isolation};
use super::messages::Messages;
use super::progress::Progress;
use super::{Screen, Status, say};
use crate::compile::tree::Tree;
use crate::compile::{Linked, compile_under, rules::allow};
use crate::manifest::bottle::Bottle;
use crate::manifest::load::find::Found;
use crate::manifest::{self, Loaded};
use crate::output::{self, Overwrite};
use crate::provider::facts::HostFacts;
use crate::target::Backend;
use crate::text::diagnostic::Findings;
use crate::text::visible;

/// Compile bottles into output folders
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Manifests: YAML files, or Markdown files with YAML front matter; folders to search for bottles;
    /// `@FILE` reads paths from a file, one per line, `@-` from stdin. With --check or --update: all of the
    /// project, if none is given
    #[arg(required_unless_present_any = ["check", "update"], value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Output folder, with one subfolder per bottle; `-` prints the tree. With --check or --update: `golden` in
    /// bottlec.toml, hermetically, if none is given
    #[arg(short, long, required_unless_present_any = ["check", "update"], value_name = "DIR")]
    output: Option<PathBuf>,
    /// Backends to build for
    #[arg(long, value_delimiter = ',', value_name = "BACKEND", default_value = "docker,smolmachines")]
    backend: Vec<Backend>,
    /// Read the agent's credentials from this file instead of the default location
    #[arg(long, value_name = "FILE", conflicts_with = "hermetic")]
    host_credentials: Option<PathBuf>,
    /// Use a placeholder account: the output is the same on every machine but cannot sign in
    #[arg(long)]
    hermetic: bool,
    /// Print the differences from the files on disk; write nothing
    #[arg(long)]
    check: bool,
    /// Write what --check reports, overwriting even a bottle.json with git conflict markers and the
    /// files that it lists
    #[arg(long, conflicts_with = "check")]
    update: bool,
    #[command(flatten)]
    isolation: Isolation,
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
  bottlec build --check

A bottle with errors does not stop the others. If two bottles have the same name or network, nothing is written.

Exit codes: 0 no errors, 1 errors or differences, 2 usage, I/O or internal error.";

/// The result for one bottle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Written or printed.
    Built,
    /// Already up to date.
    Unchanged,
    /// `--check` found differences.
    Differs,
    /// Valid, but not written because of a collision.
    Held,
    /// Errors in the manifest or in the host's credentials.
    Refused,
    /// An I/O or internal error.
    Broken,
}

/// The result of compiling one bottle.
struct Outcome {
    messages: Messages,
    end: End,
    /// The bottle's name, if the manifest could be read.
    name: Option<String>,
    /// Whether the manifest requests the host's credentials.
    asks_for_credentials: bool,
}

/// A build and what it was asked for.
struct Work<'w> {
    build: &'w Build,
    configs: &'w Configs<'w>,
    goal: Goal,
}

/// What is known about the whole build before the first bottle is compiled.
struct Batch<'b> {
    paths: &'b [PathBuf],
    /// What each bottle claims, if there are several.
    claims: Vec<Option<Claim>>,
    /// The bottles, by number, that claim what another bottle has claimed.
    collisions: BTreeMap<usize, Collision>,
}

impl Build {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let configs = Configs::on_disk(&self.isolation);
        match goal::of(self, &configs)? {
            Some(goal) => Work { build: self, configs: &configs, goal }.run(screen),
            None => {
                config::report(configs.take_broken(), screen);
                Ok(Status::Findings)
            }
        }
    }
}

impl Work<'_> {
    fn run(&self, screen: &Screen) -> Result<Status> {
        if self.build.update && self.prints() {
            bail!("--update cannot be used with `-o -`: there is no output folder to update");
        }
        let mut ends = BTreeMap::new();
        let mut unread = 0;
        let Found { bottles: mut paths, look_alikes } = batch::inputs(&self.goal.manifests, self.configs, |error| {
            say(format_args!("bottlec: {error:#}"));
            unread += 1;
        })?;
        if let Some(project) = &self.goal.project {
            paths = project.own(paths, self.configs)?;
        }
        for path in &look_alikes {
            screen.note(format_args!(
                "bottlec: {} looks like a bottle but was not built; rename it to {}, or name it",
                path.display(),
                batch::renamed(path).display()
            ));
        }
        if paths.iter().any(|path| batch::is_stdin(path)) {
            bail!(
                "build cannot read a manifest from stdin: a bottle is named after its file, and its parents are found next to it"
            );
        }
        for path in &paths {
            self.configs.of(path)?;
        }
        if config::report(self.configs.take_broken(), screen) {
            screen.note(format_args!("bottlec: nothing was built"));
            return Ok(Status::Findings);
        }
        let batch = self.survey(&paths, screen)?;
        // Only once, so that a failure is reported once.
        if !self.build.check
            && !self.prints()
            && batch.collisions.is_empty()
            && batch.claims.iter().any(Option::is_some)
        {
            let output = &self.goal.output;
            std::fs::create_dir_all(output).with_context(|| format!("cannot create {}", output.display()))?;
        }
        let mut asked_for_credentials = false;
        let mut names = BTreeSet::new();
        self.build.jobs.run(
            &paths,
            &mut Progress::new(screen, if self.build.check { "compared" } else { "built" }, paths.len()),
            |number, path| self.bottle(number, path, &batch, screen),
            |_, outcome, progress| {
                asked_for_credentials |= outcome.asks_for_credentials;
                names.extend(outcome.name);
                *ends.entry(outcome.end).or_insert(0) += 1;
                progress.print(outcome.messages)
            },
        )?;
        if self.build.host_credentials.is_some() && !asked_for_credentials {
            screen.note(format_args!(
                "bottlec: --host-credentials has no effect: no manifest sets `forward_host_credentials: true`"
            ));
        }
        let has_all = unread == 0 && names.len() == paths.len() && batch.collisions.is_empty();
        // The tree of a bottle that has no name, because of an error in it, would look like one of none.
        let left = if has_all { self.orphans(&names, screen)? } else { 0 };
        Ok(self.conclude(&ends, unread, left, &batch, screen))
    }

    /// The trees in the project's folder that no bottle writes any more: reported, or removed with `--update`.
    /// Returns how many are there after that.
    fn orphans(&self, names: &BTreeSet<String>, screen: &Screen) -> Result<usize> {
        if self.goal.project.is_none() {
            return Ok(0);
        }
        let mut messages = Messages::default();
        let mut left = 0;
        for name in output::trees(&self.goal.output)?.into_iter().filter(|name| !names.contains(name)) {
            let folder = self.goal.output.join(&name);
            let shown = visible::line(&folder.display().to_string()).into_owned();
            if self.build.check {
                left += 1;
                messages.result(format!("orphan  {shown}\n"));
                messages
                    .note(screen, format_args!("{}: no bottle of the project builds this tree", visible::line(&name)));
            } else if output::discard(&folder)? {
                messages.note(screen, format_args!("removed {shown}: no bottle of the project builds this tree"));
            } else {
                left += 1;
                messages.error(format_args!(
                    "bottlec: no bottle of the project builds {shown}, which contains files that no build wrote: remove it"
                ));
            }
        }
        messages.print()?;
        Ok(left)
    }

    fn prints(&self) -> bool {
        self.goal.output == Path::new("-")
    }

    /// Reads what all manifests claim, and keeps nothing else: no file may be written before it is known that
    /// no two bottles write to the same place.
    fn survey<'b>(&self, paths: &'b [PathBuf], screen: &Screen) -> Result<Batch<'b>> {
        let mut claims = Vec::new();
        if paths.len() > 1 {
            claims.reserve_exact(paths.len());
            self.build.jobs.run(
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
        let mut outcome =
            Outcome { messages: Messages::default(), end: End::Broken, name: None, asks_for_credentials: false };
        match self.attempt(number, manifest, batch, screen, &mut outcome) {
            Ok(end) => outcome.end = end,
            Err(error) => outcome.messages.error(format_args!("bottlec: {error:#}")),
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
        let config = self.configs.of(manifest)?;
        let tree = match &bottle {
            Some(bottle) => {
                outcome.name = Some(bottle.name.as_str().to_owned());
                outcome.asks_for_credentials = bottle.settings.forward_host_credentials.is_some();
                let policy = |linked: &Linked, findings: &mut Findings| {
                    let breaches = config::judge(config.as_deref(), linked);
                    breaches.into_iter().for_each(|breach| findings.push(breach.diagnostic()));
                };
                compile_under(bottle, &sources, &self.facts(bottle), &self.build.backend, &mut findings, policy)
                    .with_context(|| format!("internal error in {}: please report it", manifest.display()))?
            }
            None => None,
        };
        // Comments that allow a lint are not reported as unused: only `check` lints.
        let _ = allow::silence(&sources, &mut findings);
        if let Some(config) = &config {
            config.weigh(&mut findings);
        }
        let is_valid = !findings.has_errors();
        let messages = &mut outcome.messages;
        messages.findings(screen, &findings.into_sorted(), sources);
        let (Some(tree), Some(bottle)) = (tree.filter(|_| is_valid), &bottle) else { return Ok(End::Refused) };
        // A bottle that writes something it did not claim might overwrite another one.
        if batch.claims.get(number).is_some_and(|claim| *claim != Some(Claim::of(bottle))) {
            bail!("{} changed during the build; run it again", manifest.display());
        }
        if !batch.collisions.is_empty() {
            return Ok(End::Held);
        }
        if self.prints() {
            messages.tree(stream(&tree));
            return Ok(End::Built);
        }
        if self.build.check {
            let differs = drift::check(&self.goal.output, &tree, !self.goal.hermetic, screen, messages)?;
            return Ok(if differs { End::Differs } else { End::Unchanged });
        }
        let is_one = batch.paths.len() == 1;
        self.write(manifest, &tree, is_one, screen, messages)
    }

    /// Prints the summary. Returns the exit status.
    fn conclude(
        &self,
        ends: &BTreeMap<End, usize>,
        unread: usize,
        orphans: usize,
        batch: &Batch,
        screen: &Screen,
    ) -> Status {
        let count = |end| ends.get(&end).copied().unwrap_or(0);
        let failed = count(End::Refused) + count(End::Broken);
        if count(End::Differs) + orphans > 0 && self.build.check {
            screen.note(format_args!("bottlec: the output is out of date; to update it: {}", update_command()));
        }
        let is_one = batch.paths.len() == 1;
        if !batch.collisions.is_empty() || (is_one && count(End::Refused) == 1) {
            if !self.build.check && !self.prints() {
                screen.note(format_args!("bottlec: nothing was written"));
            }
        } else if batch.paths.len() > 1 {
            let (done, word) =
                if self.build.check { (count(End::Differs), "differing") } else { (count(End::Built), "built") };
            screen.note(format_args!("{word} {done}, unchanged {}, failed {failed}", count(End::Unchanged)));
        } else if self.build.check && count(End::Unchanged) == 1 && orphans == 0 {
            screen.note(format_args!("no differences in 1 bottle"));
        }
        if batch.paths.is_empty() && unread == 0 {
            screen.note(format_args!("bottlec: the list contains no manifests"));
        }
        match () {
            () if unread + count(End::Broken) > 0 => Status::Exit(2),
            () if failed + count(End::Differs) + orphans > 0 => Status::Findings,
            () => Status::Clean,
        }
    }

    fn overwrite(&self) -> Overwrite {
        if self.build.update { Overwrite::Conflicted } else { Overwrite::Nothing }
    }

    /// The facts that this bottle needs. A credential file is opened only if the manifest requests it.
    fn facts(&self, bottle: &Bottle) -> HostFacts {
        if self.goal.hermetic {
            return HostFacts::hermetic();
        }
        let asked = bottle.settings.forward_host_credentials.and_then(|_| bottle.provider.agent().credential_file());
        crate::cli::facts::read(asked, self.build.host_credentials.as_deref())
    }

    fn write(
        &self,
        manifest: &Path,
        tree: &Tree,
        is_one: bool,
        screen: &Screen,
        messages: &mut Messages,
    ) -> Result<End> {
        let written = output::write(&self.goal.output, tree, self.overwrite())?;
        let folder = output::folder(&self.goal.output, tree);
        if screen.verbose {
            for path in &written.changed {
                messages.note(screen, format_args!("wrote   {}", folder.join(path).display()));
            }
            for path in &written.removed {
                messages.note(screen, format_args!("removed {}", folder.join(path).display()));
            }
        }
        for path in &written.left {
            messages.note(
                screen,
                format_args!(
                    "bottlec: {} is no longer part of the bottle but was edited, so it was kept: remove it, or the bottle will not start",
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
            messages.note(
                screen,
                format_args!(
                    "{name}: {} written, {} unchanged{removed} in {}",
                    written.changed.len(),
                    written.unchanged,
                    folder.display()
                ),
            );
        }
        if is_one && !self.goal.hermetic {
            let shown = shell_words(folder.as_os_str());
            match self.build.backend.contains(&Backend::Docker) {
                true => messages.note(screen, format_args!("next: bottlec exec {shown}")),
                false => messages.note(
                    screen,
                    format_args!("next: bottlec exec {shown} -- docker compose up --detach machine-egress"),
                ),
            }
        }
        if tree.names_local_file && !is_two_up(manifest, &folder) {
            messages.note(screen, format_args!(
                "bottlec: {name} uses a file next to its manifest, which the output expects at ../..; set BOTTLE_MANIFEST_DIR for docker compose, or build into a folder next to the manifest"
            ));
        }
        let is_unchanged = written.changed.is_empty() && written.removed.is_empty();
        Ok(if is_unchanged { End::Unchanged } else { End::Built })
    }
}

/// The command that writes what this one has compared.
fn update_command() -> String {
    let words = std::env::args_os().skip(1).map(|word| if word == "--check" { "--update".into() } else { word });
    std::iter::once("bottlec".to_owned()).chain(words.map(|word| shell_words(&word))).collect::<Vec<_>>().join(" ")
}

/// A word as a shell takes it, on one line.
fn shell_words(word: &OsStr) -> String {
    let word = visible::line(&word.to_string_lossy()).into_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=@%+:".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// Whether the folder two levels above the output is the manifest's.
fn is_two_up(manifest: &Path, folder: &Path) -> bool {
    let parent = manifest.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match (parent.canonicalize(), folder.join("../..").canonicalize()) {
        (Ok(manifest), Ok(above)) => manifest == above,
        _ => false,
    }
}

/// The tree as one stream: each file follows a line with its path and permissions.
fn stream(tree: &Tree) -> String {
    let size: usize = tree.artifacts.iter().map(|artifact| artifact.content.len() + 128).sum();
    let mut text = String::with_capacity(size);
    for artifact in &tree.artifacts {
        let _ = writeln!(text, "# path: {}/{} mode: {:04o}", tree.name.as_str(), artifact.path, artifact.mode());
        text.push_str(&artifact.content);
    }
    text
}
