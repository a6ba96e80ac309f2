//! `bottlec exec`: resolves the values that a compiled bottle needs at launch, then executes the program that
//! runs it. The only command that reads tokens.

mod compose;
mod inherited;
mod machine;
mod program;
mod project;
mod starting;
mod summary;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process;

use annotate_snippets::Level;
use anyhow::{Context as _, Result};
use starting::Start;

use super::{Screen, Status, consent, invalid_tree, say};
use crate::cli::human::Look;
use crate::cli::launch::{self, HostEnv, Launch, OWNER};
use crate::cli::terminal::{Terminal, Unanswered};
use crate::output::{self, Verified};
use crate::target::{self, Agent};
use crate::text::diagnostic::Problem;
use crate::value::guest;
use crate::value::secret::Secret;

/// Start a bottle's agent, or a program with its tokens and launch-time variables
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Exec {
    /// The bottle's folder, which contains bottle.json; the command runs there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Command and its arguments; without one, the agent is started in its container
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "print_env_names")]
    command: Vec<OsString>,
    /// Take over the volumes of this project, for example after the folder was moved
    #[arg(long, value_name = "NAME", conflicts_with = "print_env_names")]
    project: Option<String>,
    /// Read the agent's credentials from this file instead of the default location
    #[arg(long, value_name = "FILE", conflicts_with = "print_env_names")]
    host_credentials: Option<PathBuf>,
    /// Print the names of the variables that would be set for the command; start nothing
    #[arg(long)]
    print_env_names: bool,
}

const EXAMPLES: &str = "\
Examples:
  bottlec exec out/review
  bottlec exec out/review -- docker compose run --rm agent
  bottlec exec out/review -- docker compose down
  bottlec exec out/review -- smolvm machine create -s Smolfile
  bottlec exec --print-env-names out/review

Tokens are read from the host variables named in the manifest, or from the agent's own login on \
the host; questions are asked on the terminal. All of them are set in the command's environment. \
Commands that start nothing (`down`, `logs`, `ps`, `stop`, `build`, ...) get none of them. \
Before any token is read, you must have allowed, once per folder, which token may be sent to which \
host: on the terminal, or with `bottlec allow DIR`.

Exit codes: that of the command; 1 the bottle or the host's values do not permit a start, 2 usage, \
I/O or internal error, 126 the command cannot be executed, 127 the command was not found.";

/// The exit code of shells after ^C.
pub(super) const INTERRUPTED: u8 = 130;

impl Exec {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let bottle = match output::verify(&self.folder)? {
            Ok(bottle) => bottle,
            Err(invalid) => {
                show(&Level::ERROR, &invalid_tree::explain(&self.folder, &invalid));
                return Ok(if invalid.is_no_bottle() { Status::Exit(2) } else { Status::Findings });
            }
        };
        if self.print_env_names {
            let mut names = launch::names(&bottle);
            names.extend(inherited::OWN.map(str::to_owned));
            names.sort();
            let names: String = names.into_iter().map(|name| name + "\n").collect();
            std::io::stdout().write_all(names.as_bytes()).context("cannot write to stdout")?;
            return Ok(Status::Clean);
        }
        if self.host_credentials.is_some() && !launch::needs_credential_file(&bottle) {
            screen.note(format_args!("bottlec: --host-credentials has no effect: no token comes from a login file"));
        }
        let (start, program) = match self.what(&bottle)? {
            Ok(what) => what,
            Err((code, refusal)) => {
                show(&Level::ERROR, &refusal);
                return Ok(Status::Exit(code));
            }
        };
        // Nothing on the host is read until its owner has allowed its use.
        if start.needs_values()
            && let Some(status) = consent::consent(&bottle, &self.folder, screen)?
        {
            return Ok(status);
        }
        let host = HostEnv {
            variable: &|name| std::env::var_os(name),
            facts: &|file| crate::cli::facts::read(Some(file), self.host_credentials.as_deref()),
        };
        let launch = if start.needs_values() { launch::resolve(&bottle, &host) } else { Launch::default() };
        let Launch { mut values, questions, warnings, mut problems } = launch;
        let terminal = if questions.is_empty() { None } else { Terminal::open() };
        if terminal.is_none() {
            problems.extend(questions.iter().map(|question| {
                Problem::new(
                    format!(
                        "{} needs an answer but there is no terminal: {} ({})",
                        question.name, question.text, question.place
                    ),
                    "run bottlec in a terminal, or use a host variable in the manifest: `${NAME}`",
                )
            }));
        }
        if !screen.quiet {
            warnings.iter().for_each(|warning| show(&Level::WARNING, warning));
        }
        if !problems.is_empty() {
            problems.iter().for_each(|problem| show(&Level::ERROR, problem));
            screen.note(format_args!("bottlec: nothing was started"));
            return Ok(Status::Findings);
        }
        values.extend(self.owner()?);
        for question in questions {
            let Some(terminal) = &terminal else { break };
            match terminal.ask(&question.prompt) {
                Ok(answer) => values.push((guest::carrier(&question.name), answer)),
                Err(Unanswered::Interrupted) => return Ok(Status::Exit(INTERRUPTED)),
                Err(Unanswered::Failed(error)) => return Err(error).context("cannot ask on the terminal"),
            }
        }
        if start.is_of_the_bottle() && start.needs_values() {
            summary::show(&bottle.index, &start, &self.folder, screen);
        }
        self.start(&start, &program, &values, screen)
    }

    /// What to start, and the path of the program.
    fn what(&self, bottle: &Verified) -> Result<Result<(Start, PathBuf), (u8, Problem)>> {
        if let Some(name) = &self.project
            && let Err(refusal) = project::check_name(name)
        {
            return Ok(Err((2, refusal)));
        }
        let agent = bottle.file(target::CONTAINERS).map_or(Agent::Absent, target::agent_of);
        let (name, subnet) = (bottle.index.name(), bottle.index.subnet());
        Start::of(&self.command, &starting::Bottle { name, subnet, agent }, &self.folder, self.project.as_deref())
    }

    /// Executes the program. Returns only if that, or a command before it, fails.
    fn start(&self, start: &Start, program: &Path, values: &[(String, Secret)], screen: &Screen) -> Result<Status> {
        for note in start.notes() {
            screen.note(format_args!("bottlec: {note}"));
        }
        if let Err(refusal) = start.claim()? {
            show(&Level::ERROR, &refusal);
            screen.note(format_args!("bottlec: nothing was started"));
            return Ok(Status::Findings);
        }
        let commands = start.commands()?;
        let child = |words: &[OsString]| {
            let mut child = process::Command::new(program);
            child.arg0(start.name()).args(words).current_dir(&self.folder);
            inherited::set(&mut child, start);
            for (name, value) in values {
                child.env(name, OsStr::from_bytes(value.expose()));
            }
            child
        };
        for words in &commands.first {
            // The output of these commands must not mix with that of the last one.
            let status = child(words).stdin(process::Stdio::null()).stdout(std::io::stderr()).status();
            let status = status.with_context(|| format!("cannot run {}", program.display()))?;
            if !status.success() {
                screen.note(format_args!("bottlec: the agent was not started"));
                return Ok(Status::Exit(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)));
            }
        }
        let error = child(&commands.last).exec();
        show(
            &Level::ERROR,
            &Problem::new(
                format!("{} cannot be executed: {error}", Path::new(start.name()).display()),
                program.display().to_string(),
            ),
        );
        Ok(Status::Exit(program::NOT_EXECUTABLE))
    }

    /// The owner of the files that the agent reads, unless the user has set one.
    fn owner(&self) -> Result<Vec<(String, Secret)>> {
        let agent = self.folder.join("agent");
        let found =
            fs::symlink_metadata(&agent).with_context(|| format!("cannot read the metadata of {}", agent.display()))?;
        let ids = OWNER.into_iter().zip([found.uid(), found.gid()]);
        // The compose file treats an empty value as unset.
        let unset = ids.filter(|(name, _)| std::env::var_os(name).is_none_or(|value| value.is_empty()));
        Ok(unset.map(|(name, id)| (name.to_owned(), Secret::new(id.to_string().into_bytes()))).collect())
    }
}

/// Prints a problem and its fix in the same style as findings.
pub(super) fn show(level: &Level<'static>, problem: &Problem) {
    say(format_args!("{}\n", Look::on(std::io::stderr()).problem(level, problem)));
}
