//! `bottlec check`: everything that can be judged without the host.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use annotate_snippets::Renderer;
use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;

use super::{Screen, Status, say};
use crate::backend::Backend;
use crate::compile;
use crate::diagnostic::located::Located;
use crate::diagnostic::{Diagnostic, Severity, concise, github, human, json, sarif};
use crate::facts::HostFacts;
use crate::manifest::{self, Loaded};
use crate::source::Sources;
use crate::{accept, allow, lint, yaml};

/// Judge manifests: schema, rules and lint; reads nothing of the host
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Manifests, or folders that hold `bottle.yaml`, `*.bottle.yaml` or Markdown files with front
    /// matter; `-` reads a manifest from stdin
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to show findings
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Take warnings for errors
    #[arg(long)]
    strict: bool,
    /// Exit with 0 whatever is found
    #[arg(long)]
    exit_zero: bool,
    /// What runs the agent: judge what these can express
    #[arg(long, value_delimiter = ',', value_name = "BACKEND", default_value = "docker,smolmachines")]
    backend: Vec<Backend>,
    /// The path that the manifest on stdin would have, for messages and `extends`
    #[arg(long, value_name = "PATH")]
    stdin_filename: Option<PathBuf>,
}

/// How to show findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The line, the place underlined, and a remedy
    Human,
    /// A line each
    Concise,
    /// For programs; docs/formats.md has the shape
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitHub workflow commands, which annotate a pull request
    Github,
}

const EXAMPLES: &str = "\
Examples:
  bottlec check manifest.yaml
  bottlec check --strict bottles/
  bottlec check --format sarif bottles/ > findings.sarif
  cat manifest.yaml | bottlec check - --stdin-filename bottles/manifest.yaml

Exit codes: 0 no error (warnings are errors with --strict), 1 errors, 2 usage, input/output or internal error.";

impl Check {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.stdin_filename.is_some() && !self.paths.iter().any(|path| is_stdin(path)) {
            bail!("--stdin-filename goes with `-`");
        }
        let mut report = Report::default();
        let mut unreadable = 0;
        // One broken file or folder does not hide the others.
        let mut unread = |error: anyhow::Error| {
            say(format_args!("bottlec: {error:#}"));
            unreadable += 1;
        };
        for path in self.inputs(&mut unread) {
            match self.judge(&path) {
                Ok((sources, findings)) => report.add(findings, sources),
                Err(error) => unread(error),
            }
        }
        let errors = report.count(Severity::Error);
        self.show(&report, screen)?;
        if unreadable > 0 {
            bail!("{unreadable} of the arguments could not be read");
        }
        Ok(if errors > 0 && !self.exit_zero { Status::Findings } else { Status::Clean })
    }

    /// Every file once, in the order of the arguments.
    fn inputs(&self, unread: &mut impl FnMut(anyhow::Error)) -> Vec<PathBuf> {
        let mut inputs = Vec::new();
        for path in &self.paths {
            if !path.is_dir() {
                inputs.push(path.clone());
                continue;
            }
            match manifest::bottles_below(path) {
                Ok(found) if found.is_empty() => unread(anyhow!(
                    "{} holds no bottle: name the manifest, or call it bottle.yaml or NAME.bottle.yaml",
                    path.display()
                )),
                Ok(found) => inputs.extend(found),
                Err(error) => unread(error),
            }
        }
        let mut seen = BTreeSet::new();
        inputs.retain(|path| seen.insert(path.clone()));
        inputs
    }

    fn judge(&self, path: &Path) -> Result<(Sources, Vec<Diagnostic>)> {
        let loaded = if is_stdin(path) {
            let mut bytes = Vec::new();
            std::io::stdin().take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).context("cannot read stdin")?;
            manifest::load_bytes(self.stdin_filename.as_deref().unwrap_or(Path::new("stdin.yaml")), bytes)?
        } else {
            manifest::load(path)?
        };
        let Loaded { sources, manifest, mut findings, .. } = loaded;
        if let Some(bottle) = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings)) {
            let linked = compile::link(&bottle, &HostFacts::hermetic(), &self.backend, &mut findings)
                .with_context(|| format!("internal error in {}: please report it", path.display()))?;
            lint::lint(&bottle, &linked, &mut findings);
        }
        // Whether they are of use, only `diff` can tell.
        let _ = accept::acceptances(&sources, &mut findings);
        let allows = allow::silence(&sources, &mut findings);
        allow::report(&allows, &mut findings);
        if self.strict {
            findings.escalate();
        }
        Ok((sources, findings.into_sorted()))
    }

    fn show(&self, report: &Report, screen: &Screen) -> Result<()> {
        let shown = |severity| severity == Severity::Error || !screen.quiet;
        let located: Vec<Located> = report.located.iter().filter(|finding| shown(finding.severity)).cloned().collect();
        let text = match self.format {
            Format::Human => {
                report.human.iter().filter(|(severity, _)| shown(*severity)).map(|(_, text)| text.as_str()).collect()
            }
            Format::Concise => concise::render(&located),
            Format::Json => json::render(&located),
            Format::Sarif => sarif::render(&located),
            Format::Github => github::render(&located),
        };
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        if !located.is_empty() && self.format == Format::Human {
            let count = |severity, word: &str| match report.count(severity) {
                1 => format!("1 {word}"),
                count => format!("{count} {word}s"),
            };
            screen.note(format_args!("{}, {}", count(Severity::Error, "error"), count(Severity::Warning, "warning")));
        }
        Ok(())
    }
}

/// All findings of a run. What two files say of a parent that they share is said once.
#[derive(Default)]
struct Report {
    located: Vec<Located>,
    human: Vec<(Severity, String)>,
    seen: BTreeSet<Located>,
}

impl Report {
    fn add(&mut self, findings: Vec<Diagnostic>, mut sources: Sources) {
        let located: Vec<Located> = findings.iter().map(|diagnostic| Located::of(diagnostic, &sources)).collect();
        super::mask_secrets(&findings, &mut sources);
        let renderer = Renderer::styled();
        for (diagnostic, located) in findings.iter().zip(located) {
            if self.seen.insert(located.clone()) {
                self.human.push((diagnostic.severity, human::render(diagnostic, &sources, &renderer) + "\n\n"));
                self.located.push(located);
            }
        }
    }

    fn count(&self, severity: Severity) -> usize {
        self.located.iter().filter(|finding| finding.severity == severity).count()
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
