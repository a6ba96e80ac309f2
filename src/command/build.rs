//! `bottlec build`: manifests in, output trees out.

mod drift;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::{Screen, Status};
use crate::allow;
use crate::artifact::Tree;
use crate::backend::Backend;
use crate::bottle::Bottle;
use crate::compile::compile;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::facts::HostFacts;
use crate::manifest::{self, Loaded};
use crate::output::{self, Overwrite};
use crate::source::Sources;

/// Compile bottles into output folders
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    /// Manifests: YAML files, or Markdown files with YAML front matter
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
}

const EXAMPLES: &str = "\
Examples:
  bottlec build manifest.yaml -o out/
  bottlec build bottles/*.yaml -o out/ --backend docker
  bottlec build manifest.yaml -o golden/ --hermetic --check
  bottlec build manifest.yaml -o golden/ --hermetic --update

Exit codes: 0 clean (warnings included), 1 errors or differences, 2 usage, input/output or internal error.";

/// One manifest on its way.
struct Job<'m> {
    manifest: &'m Path,
    sources: Sources,
    findings: Findings,
    bottle: Option<Bottle>,
}

impl Build {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.update && self.output == Path::new("-") {
            bail!("--update writes over an output folder, and -o - has none");
        }
        let mut jobs = self.manifests.iter().map(|path| Job::load(path)).collect::<Result<Vec<_>>>()?;
        report_collisions(&mut jobs);
        if self.host_credentials.is_some() && !jobs.iter().any(Job::wants_host_credentials) {
            screen.note(format_args!(
                "bottlec: --host-credentials is not used: no manifest says `forward_host_credentials: true`"
            ));
        }
        let mut trees = Vec::new();
        let mut failed = false;
        for job in jobs {
            let Job { manifest, sources, mut findings, bottle } = job;
            let tree = match &bottle {
                Some(bottle) => compile(bottle, &sources, &self.facts(bottle), &self.backend, &mut findings)
                    .with_context(|| format!("internal error in {}: please report it", manifest.display()))?,
                None => None,
            };
            // Comments that allow lint are not idle: only `check` lints.
            let _ = allow::silence(&sources, &mut findings);
            failed |= findings.has_errors();
            screen.show(&findings.into_sorted(), sources);
            trees.extend(tree.map(|tree| (manifest, tree)));
        }
        if failed {
            if !self.check && self.output != Path::new("-") {
                screen.note(format_args!("bottlec: nothing was written"));
            }
            return Ok(Status::Findings);
        }
        if self.output == Path::new("-") {
            print(&trees)?;
            return Ok(Status::Clean);
        }
        if self.check {
            return drift::check(&self.output, &trees, !self.hermetic, screen);
        }
        for (_, tree) in &trees {
            output::preflight(&self.output, tree, self.overwrite())?;
        }
        for (manifest, tree) in &trees {
            self.write(manifest, tree, screen)?;
        }
        Ok(Status::Clean)
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
        HostFacts::read(asked, self.host_credentials.as_deref())
    }

    fn write(&self, manifest: &Path, tree: &Tree, screen: &Screen) -> Result<()> {
        let written = output::write(&self.output, tree, self.overwrite())?;
        let folder = output::folder(&self.output, tree);
        if screen.verbose {
            for path in &written.changed {
                screen.note(format_args!("wrote   {}", folder.join(path).display()));
            }
            for path in &written.removed {
                screen.note(format_args!("removed {}", folder.join(path).display()));
            }
        }
        for path in &written.left {
            screen.note(format_args!(
                "bottlec: {} is no longer part of the bottle; it was edited, so it stays",
                folder.join(path).display()
            ));
        }
        let name = tree.name.as_str();
        let removed = match written.removed.len() {
            0 => String::new(),
            count => format!(", {count} removed"),
        };
        screen.note(format_args!(
            "{name}: {} written, {} unchanged{removed} in {}",
            written.changed.len(),
            written.unchanged,
            folder.display()
        ));
        if tree.names_local_file && !is_two_up(manifest, &folder) {
            screen.note(format_args!(
                "bottlec: {name} uses a file beside its manifest, which the output looks for at ../..; set BOTTLE_MANIFEST_DIR for docker compose, or build into a folder beside the manifest"
            ));
        }
        Ok(())
    }
}

impl<'m> Job<'m> {
    fn load(manifest: &'m Path) -> Result<Self> {
        if manifest == Path::new("-") {
            bail!("build reads files: a bottle is named after its file and finds its parents beside it");
        }
        let Loaded { sources, manifest: written, mut findings, .. } = manifest::load(manifest)?;
        let bottle = written.and_then(|written| manifest::check(&written, &sources, &mut findings));
        Ok(Job { manifest, sources, findings, bottle })
    }

    fn wants_host_credentials(&self) -> bool {
        self.bottle.as_ref().is_some_and(|bottle| bottle.settings.forward_host_credentials.is_some())
    }
}

/// Two bottles of one build may share neither their output folder nor their network.
fn report_collisions(jobs: &mut [Job]) {
    let mut names = BTreeMap::new();
    let mut subnets = BTreeMap::new();
    for job in jobs {
        let Some(bottle) = &job.bottle else { continue };
        let shown = job.manifest.display().to_string();
        if let Some(other) = names.insert(bottle.name.clone(), shown.clone()) {
            job.findings.push(
                Diagnostic::new(
                    Code::BottleCollision,
                    format!("{shown} and {other} are both named `{}`", bottle.name.as_str()),
                )
                .help("give each bottle its own `name`"),
            );
        } else if let Some(other) = subnets.insert(bottle.subnet, shown.clone()) {
            job.findings.push(
                Diagnostic::new(
                    Code::BottleCollision,
                    format!("{shown} and {other} both use the network {}", bottle.subnet.range()),
                )
                .help("give one of them its own `network.subnet`"),
            );
        }
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

/// The trees as one stream: each file under a line with its path and permissions.
fn print(trees: &[(&Path, Tree)]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    for (_, tree) in trees {
        for artifact in &tree.artifacts {
            writeln!(stdout, "# path: {}/{} mode: {:04o}", tree.name.as_str(), artifact.path, artifact.mode())?;
            stdout.write_all(artifact.content.as_bytes())?;
        }
    }
    stdout.flush().context("cannot write to stdout")
}
