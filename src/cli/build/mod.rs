//! `bottlec build`: compiles manifests into output trees.

mod claim;
mod drift;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::claim::{Claim, Collision};
use super::batch::{self, Jobs};
use super::messages::Messages;
use super::progress::Progress;
use super::{Screen, Status, say};
use crate::compile::tree::Tree;
use crate::compile::{compile, rules::allow};
use crate::manifest::bottle::Bottle;
use crate::manifest::load::find::Found;
use crate::manifest::{self, Loaded};
use crate::output::{self, Overwrite};
use crate::provider::facts::HostFacts;
use crate::target::Backend;
use crate::text::visible;

/// Compile bottles into output folders
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Manifests: YAML files, or Markdown files with YAML front matter; folders to search for bottles;
    /// `@FILE` reads paths from a file, one per line, `@-` from stdin
    #[arg(required = true, value_name = "MANIFEST")]
    manifests: Vec<PathBuf>,
    /// Output folder, with one subfolder per bottle; `-` prints the tree
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
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
    jobs: Jobs,
}

const EXAMPLES: &str = "\
Examples:
  bottlec build manifest.yaml -o out/
  bottlec build bottles/ -o out/ --backend docker
  git ls-files '*.bottle.yaml' | bottlec build @- -o out/ --jobs 4
  bottlec build manifest.yaml -o golden/ --hermetic --check
  bottlec build manifest.yaml -o golden/ --hermetic --update

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
    /// Whether the manifest requests the host's credentials.
    asks_for_credentials: bool,
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
        if self.update && self.prints() {
            bail!("--update cannot be used with `-o -`: there is no output folder to update");
        }
        let mut ends = BTreeMap::new();
        let mut unread = 0;
        let Found { bottles: paths, look_alikes } = batch::inputs(&self.manifests, |error| {
            say(format_args!("bottlec: {error:#}"));
            unread += 1;
        })?;
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
        let batch = self.survey(&paths, screen)?;
        // Only once, so that a failure is reported once.
        if !self.check && !self.prints() && batch.collisions.is_empty() && batch.claims.iter().any(Option::is_some) {
            std::fs::create_dir_all(&self.output)
                .with_context(|| format!("cannot create {}", self.output.display()))?;
        }
        let mut asked_for_credentials = false;
        self.jobs.run(
            &paths,
            &mut Progress::new(screen, if self.check { "compared" } else { "built" }, paths.len()),
            |number, path| self.bottle(number, path, &batch, screen),
            |_, outcome, progress| {
                asked_for_credentials |= outcome.asks_for_credentials;
                *ends.entry(outcome.end).or_insert(0) += 1;
                progress.print(outcome.messages)
            },
        )?;
        if self.host_credentials.is_some() && !asked_for_credentials {
            screen.note(format_args!(
                "bottlec: --host-credentials has no effect: no manifest sets `forward_host_credentials: true`"
            ));
        }
        Ok(self.conclude(&ends, unread, &batch, screen))
    }

    fn prints(&self) -> bool {
        self.output == Path::new("-")
    }

    /// Reads what all manifests claim, and keeps nothing else: no file may be written before it is known that
    /// no two bottles write to the same place.
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
        let mut outcome = Outcome { messages: Messages::default(), end: End::Broken, asks_for_credentials: false };
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
        let tree = match &bottle {
            Some(bottle) => {
                outcome.asks_for_credentials = bottle.settings.forward_host_credentials.is_some();
                compile(bottle, &sources, &self.facts(bottle), &self.backend, &mut findings)
                    .with_context(|| format!("internal error in {}: please report it", manifest.display()))?
            }
            None => None,
        };
        // Comments that allow a lint are not reported as unused: only `check` lints.
        let _ = allow::silence(&sources, &mut findings);
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
        if self.check {
            let differs = drift::check(&self.output, &tree, !self.hermetic, screen, messages)?;
            return Ok(if differs { End::Differs } else { End::Unchanged });
        }
        let is_one = batch.paths.len() == 1;
        self.write(manifest, &tree, is_one, screen, messages)
    }

    /// Prints the summary. Returns the exit status.
    fn conclude(&self, ends: &BTreeMap<End, usize>, unread: usize, batch: &Batch, screen: &Screen) -> Status {
        let count = |end| ends.get(&end).copied().unwrap_or(0);
        let failed = count(End::Refused) + count(End::Broken);
        if count(End::Differs) > 0 {
            screen.note(format_args!("bottlec: the output is out of date; to update it: {}", update_command()));
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
            screen.note(format_args!("bottlec: the list contains no manifests"));
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

    /// The facts that this bottle needs. A credential file is opened only if the manifest requests it.
    fn facts(&self, bottle: &Bottle) -> HostFacts {
        if self.hermetic {
            return HostFacts::hermetic();
        }
        let asked = bottle.settings.forward_host_credentials.and_then(|_| bottle.provider.agent().credential_file());
        crate::cli::facts::read(asked, self.host_credentials.as_deref())
    }

    fn write(
        &self,
        manifest: &Path,
        tree: &Tree,
        is_one: bool,
        screen: &Screen,
        messages: &mut Messages,
    ) -> Result<End> {
        let written = output::write(&self.output, tree, self.overwrite())?;
        let folder = output::folder(&self.output, tree);
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
        if is_one && !self.hermetic {
            let shown = shell_words(folder.as_os_str());
            match self.backend.contains(&Backend::Docker) {
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
