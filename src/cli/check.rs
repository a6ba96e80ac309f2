//! `bottlec check`: every check that does not need the host.

use std::collections::HashSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use sha2::{Digest as _, Sha256};

use super::batch::{self, Jobs};
use super::config::{self, Configs, Isolation};
use super::human::{self, Look};
use super::messages::Messages;
use super::progress::Progress;
use super::{Screen, Status, say};
use crate::compile::{self, rules, rules::allow};
use crate::config::{Broken, Config};
use crate::manifest::load::find::Found;
use crate::manifest::{self, Loaded};
use crate::provider::facts::HostFacts;
use crate::target::Backend;
use crate::text::diagnostic::located::Located;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Severity, concise, github, json, sarif};
use crate::text::source::{Source, Sources, Span};
use crate::{text::accept, text::yaml};

/// Check manifests against the schema, rules and lints; reads nothing from the host
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Check {
    /// Manifests, or folders to search for bottles; `-` reads a manifest from stdin; `@FILE` reads paths from a file, one per line, `@-` from stdin
    #[arg(value_name = "PATH", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "human")]
    format: Format,
    /// Treat warnings as errors
    #[arg(long, overrides_with = "no_strict")]
    strict: bool,
    /// Do not treat warnings as errors, even if bottlec.toml does
    #[arg(long, overrides_with = "strict")]
    no_strict: bool,
    /// Exit 0 even if there are errors
    #[arg(long)]
    exit_zero: bool,
    /// Backends that must be able to run the bottle
    #[arg(long, value_delimiter = ',', value_name = "BACKEND", default_value = "docker,smolmachines")]
    backend: Vec<Backend>,
    /// Path of the manifest on stdin, for messages and `extends`
    #[arg(long, value_name = "PATH")]
    stdin_filename: Option<PathBuf>,
    #[command(flatten)]
    isolation: Isolation,
    #[command(flatten)]
    jobs: Jobs,
}

/// Output formats for findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Source line with the finding underlined, and a suggested fix
    Human,
    /// One line per finding
    Concise,
    /// JSON, as documented in docs/formats.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// GitHub workflow commands, shown as annotations on a pull request
    Github,
}

const EXAMPLES: &str = "\
Examples:
  bottlec check
  bottlec check manifest.yaml
  bottlec check --strict bottles/
  bottlec check --format sarif bottles/ > findings.sarif
  git diff --name-only origin/main -- '*.bottle.yaml' | bottlec check @-
  cat manifest.yaml | bottlec check - --stdin-filename bottles/manifest.yaml

In a folder these are bottles: bottle.yaml, *.bottle.yaml, a manifest.yaml with a key that only a bottle has, \
Markdown with such a key in its front matter, and what `bottles` in bottlec.toml matches. What git ignores is \
passed over.

Exit codes: 0 no errors (with --strict, no warnings either), 1 errors, 2 usage, I/O or internal error.";

/// How many files that look like bottles are shown in full to people: there may be hundreds.
const LOOK_ALIKES: usize = 3;

impl Check {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.stdin_filename.is_some() && !self.paths.iter().any(|path| batch::is_stdin(path)) {
            bail!("--stdin-filename requires `-`");
        }
        let mut report = Report::default();
        let mut unread = 0;
        let configs = Configs::on_disk(&self.isolation);
        let Found { bottles: paths, look_alikes } = batch::inputs(&self.paths, &configs, |error| {
            say(format_args!("bottlec: {error:#}"));
            unread += 1;
        })?;
        for path in &paths {
            configs.of(self.place_of(path))?;
        }
        let mut messages = Messages::default();
        for Broken { sources, findings } in configs.take_broken() {
            for found in self.worded(findings, sources) {
                self.take(found, &mut report, screen, &mut messages);
            }
        }
        messages.print()?;
        self.jobs.run(
            &paths,
            &mut Progress::new(screen, "checked", paths.len()),
            |_, path| self.check_file(path, &configs),
            |_, checked, progress| {
                let mut messages = Messages::default();
                match checked {
                    Ok(findings) => {
                        findings.into_iter().for_each(|found| self.take(found, &mut report, screen, &mut messages))
                    }
                    // A file that cannot be read does not stop the others.
                    Err(error) => {
                        messages.error(format_args!("bottlec: {error:#}"));
                        unread += 1;
                    }
                }
                progress.print(messages)
            },
        )?;
        for (number, path) in look_alikes.iter().enumerate() {
            let mut messages = Messages::default();
            let (mut findings, sources) = look_alike(path);
            self.weigh(configs.of(path)?.as_deref(), &mut findings);
            for found in self.worded(findings.into_sorted(), sources) {
                match self.format {
                    Format::Human if number >= LOOK_ALIKES => _ = report.count(&found.0),
                    _ => self.take(found, &mut report, screen, &mut messages),
                }
            }
            messages.print()?;
        }
        if self.format == Format::Human && look_alikes.len() > LOOK_ALIKES {
            let more = look_alikes.len() - LOOK_ALIKES;
            screen.note(format_args!(
                "{more} more files look like bottles; to list them: bottlec check --format concise"
            ));
        }
        // That nothing is wrong can be said only if all has been read.
        self.conclude(&report, if unread == 0 { paths.len() } else { 0 }, screen)?;
        if paths.is_empty() && unread == 0 {
            screen.note(format_args!("bottlec: the list contains no manifests"));
        }
        if unread > 0 {
            return Ok(Status::Exit(2));
        }
        Ok(if report.errors > 0 && !self.exit_zero { Status::Findings } else { Status::Clean })
    }

    /// The findings of one file, each with its text unless the format is a single document.
    fn check_file(&self, path: &Path, configs: &Configs) -> Result<Vec<(Located, String)>> {
        let config = configs.of(self.place_of(path))?;
        let loaded = if batch::is_stdin(path) {
            let mut bytes = Vec::new();
            std::io::stdin().take(yaml::MAX_BYTES as u64 + 1).read_to_end(&mut bytes).context("cannot read stdin")?;
            manifest::load_bytes(self.place_of(path), bytes)?
        } else {
            manifest::load(path)?
        };
        let Loaded { sources, manifest, mut findings, .. } = loaded;
        if let Some(bottle) = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings)) {
            let linked = compile::link(&bottle, &HostFacts::hermetic(), &self.backend, &mut findings)
                .with_context(|| format!("internal error in {}: please report it", path.display()))?;
            rules::lint(&bottle, &linked, &sources, &mut findings);
            let breaches = config::judge(config.as_deref(), &linked);
            breaches.into_iter().for_each(|breach| findings.push(breach.diagnostic()));
        }
        // Only `diff` can tell whether they are used.
        let _ = accept::acceptances(&sources, &mut findings);
        let allows = allow::silence(&sources, &mut findings);
        allow::report(&allows, &mut findings);
        self.weigh(config.as_deref(), &mut findings);
        Ok(self.worded(findings.into_sorted(), sources))
    }

    /// The path that decides where a manifest belongs.
    fn place_of<'p>(&'p self, path: &'p Path) -> &'p Path {
        if batch::is_stdin(path) { self.stdin_filename.as_deref().unwrap_or(Path::new("stdin.yaml")) } else { path }
    }

    /// Gives findings the severity that the project, or the command line, gives them.
    fn weigh(&self, config: Option<&Config>, findings: &mut Findings) {
        if let Some(config) = config {
            config.weigh(findings);
        }
        if self.strict || (!self.no_strict && config.is_some_and(Config::is_strict)) {
            findings.escalate();
        }
    }

    /// The findings with their texts.
    fn worded(&self, findings: Vec<Diagnostic>, sources: Sources) -> Vec<(Located, String)> {
        let located: Vec<Located> = findings.iter().map(|diagnostic| Located::of(diagnostic, &sources)).collect();
        let mut sources = sources;
        super::mask_secrets(&findings, &mut sources);
        let look = Look::on(std::io::stdout());
        let worded = findings.iter().zip(located).map(|(diagnostic, located)| {
            let one = std::slice::from_ref(&located);
            let text = match self.format {
                Format::Human => human::render(diagnostic, &sources, &look) + "\n\n",
                Format::Concise => concise::render(one),
                Format::Github => github::render(one),
                Format::Json | Format::Sarif => String::new(),
            };
            (located, text)
        });
        worded.collect()
    }

    /// Prints a finding, or keeps it if the format is a single document. A finding in a parent that several
    /// files share is reported once.
    fn take(&self, (located, text): (Located, String), report: &mut Report, screen: &Screen, messages: &mut Messages) {
        if !report.count(&located) || (screen.quiet && located.severity != Severity::Error) {
            return;
        }
        report.is_shown = true;
        match self.format {
            Format::Human | Format::Concise | Format::Github => messages.result(text),
            Format::Json | Format::Sarif => report.kept.push(located),
        }
    }

    fn conclude(&self, report: &Report, checked: usize, screen: &Screen) -> Result<()> {
        let mut messages = Messages::default();
        let count = |count, word: &str| match count {
            1 => format!("1 {word}"),
            count => format!("{count} {word}s"),
        };
        match self.format {
            Format::Json => messages.result(json::render(&report.kept)),
            Format::Sarif => messages.result(sarif::render(&report.kept)),
            Format::Human if report.is_shown => {
                let (errors, warnings) = (count(report.errors, "error"), count(report.warnings, "warning"));
                messages.note(screen, format_args!("{errors}, {warnings}"));
            }
            Format::Human if checked > 0 && !report.has_any() => {
                messages.note(screen, format_args!("no problems in {}", count(checked, "bottle")));
            }
            Format::Human | Format::Concise | Format::Github => {}
        }
        messages.print()
    }
}

/// Says of a file that no command finds it in its folder.
fn look_alike(path: &Path) -> (Findings, Sources) {
    let mut sources = Sources::default();
    let shown = path.display().to_string();
    // Nobody knows what the file is; nothing of it is shown.
    let id = sources.add(Source { path: shown.clone(), reference: shown, text: String::new() });
    let mut findings = Findings::default();
    findings.push(
        Diagnostic::new(
            Code::LookAlike,
            "this file looks like a bottle, but is not checked: its name is not one of a bottle",
        )
        .at(Span { source: id, start: 0, end: 0 }, "")
        .help(format!(
            "rename it to `{}`, name it on the command line, or add it to `bottles` in bottlec.toml",
            batch::renamed(path).display()
        )),
    );
    (findings, sources)
}

/// The state of a run: small for any number of bottles, except for the single-document formats.
#[derive(Default)]
struct Report {
    /// Fingerprints of the findings so far.
    seen: HashSet<[u8; 16]>,
    errors: usize,
    warnings: usize,
    is_shown: bool,
    kept: Vec<Located>,
}

impl Report {
    fn has_any(&self) -> bool {
        self.errors + self.warnings > 0
    }

    /// Counts a finding unless it was counted before.
    fn count(&mut self, located: &Located) -> bool {
        let hash = Sha256::digest(format!("{located:?}"));
        let mut fingerprint = [0; 16];
        fingerprint.copy_from_slice(&hash[..16]);
        if !self.seen.insert(fingerprint) {
            return false;
        }
        match located.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        true
    }
}
