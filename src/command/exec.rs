//! `bottlec exec`: binds what a compiled bottle leaves open and becomes the program that runs it. The
//! one command that reads tokens.

mod program;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process;

use annotate_snippets::{Group, Level, Renderer};
use anyhow::{Context as _, Result};

use super::{Screen, Status, consent, say, unfit};
use crate::diagnostic::Refusal;
use crate::facts::HostFacts;
use crate::launch::{self, Host, Launch, OWNER};
use crate::output::{self, Unfit};
use crate::secret::Secret;
use crate::slot;
use crate::terminal::{Terminal, Unanswered};

/// Start a program with a bottle's tokens and launch-time variables
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Exec {
    /// The bottle's folder, which has bottle.json; the command runs there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The command and its arguments
    #[arg(
        last = true,
        value_name = "COMMAND",
        required_unless_present = "print_env_names",
        conflicts_with = "print_env_names"
    )]
    command: Vec<OsString>,
    /// Read the agent's credentials from this file instead of its usual place
    #[arg(long, value_name = "FILE", conflicts_with = "print_env_names")]
    host_credentials: Option<PathBuf>,
    /// Print the names of the variables that the command would get, and start nothing
    #[arg(long)]
    print_env_names: bool,
}

const EXAMPLES: &str = "\
Examples:
  bottlec exec out/review -- docker compose up
  bottlec exec out/review -- docker compose run --rm agent
  bottlec exec out/review -- smolvm machine create -s Smolfile
  bottlec exec --print-env-names out/review

Tokens come from the host variables that the manifest names, or from the agent's own login on
the host; questions are asked on the terminal. The command gets all of it in its environment.
Which token goes to which host has to be agreed to once in the bottle's folder, before any is read:
on the terminal, or by `bottlec allow DIR`.

Exit codes: the command's own; 1 the bottle or the host's values do not allow a start, 2 usage,
input/output or internal error, 126 the command cannot be executed, 127 there is no such command.";

/// What shells exit with after ^C.
pub(super) const INTERRUPTED: u8 = 130;

impl Exec {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let bottle = match output::verify(&self.folder)? {
            Ok(bottle) => bottle,
            Err(unfit) => {
                show(&Level::ERROR, &unfit::explain(&self.folder, &unfit));
                return Ok(if unfit == Unfit::NoIndex { Status::Exit(2) } else { Status::Findings });
            }
        };
        if self.print_env_names {
            let names: String = launch::names(&bottle).into_iter().map(|name| name + "\n").collect();
            std::io::stdout().write_all(names.as_bytes()).context("cannot write to stdout")?;
            return Ok(Status::Clean);
        }
        if self.host_credentials.is_some() && !launch::needs_credential_file(&bottle) {
            screen.note(format_args!("bottlec: --host-credentials is not used: no token comes from a login file"));
        }
        // Nothing of the host is looked at before its owner agreed to what becomes of it.
        if let Some(status) = consent::consent(&bottle, &self.folder, screen)? {
            return Ok(status);
        }
        let host = Host {
            variable: &|name| std::env::var_os(name),
            facts: &|file| HostFacts::read(Some(file), self.host_credentials.as_deref()),
        };
        let Launch { mut values, questions, warnings, mut problems } = launch::resolve(&bottle, &host);
        let terminal = if questions.is_empty() { None } else { Terminal::open() };
        if terminal.is_none() {
            problems.extend(questions.iter().map(|question| {
                Refusal::new(
                    format!(
                        "{} needs an answer and there is no terminal: {} ({})",
                        question.name, question.text, question.place
                    ),
                    "run bottlec in a terminal, or take the value from a host variable in the manifest: `${NAME}`",
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
        let here = std::env::current_dir().context("cannot tell the current folder")?;
        let Some(command) = self.command.first() else { return Ok(Status::Exit(2)) };
        let program = match program::find(command, std::env::var_os("PATH"), &here) {
            Ok(program) => program,
            Err((code, refusal)) => {
                show(&Level::ERROR, &refusal);
                return Ok(Status::Exit(code));
            }
        };
        values.extend(self.owner()?);
        for question in questions {
            let Some(terminal) = &terminal else { break };
            match terminal.ask(&question.prompt) {
                Ok(answer) => values.push((question.name, answer)),
                Err(Unanswered::Interrupted) => return Ok(Status::Exit(INTERRUPTED)),
                Err(Unanswered::Failed(error)) => return Err(error).context("cannot ask on the terminal"),
            }
        }
        Ok(self.start(&program, values))
    }

    /// Becomes the program; comes back only if that fails.
    fn start(&self, program: &Path, values: Vec<(String, Secret)>) -> Status {
        let (name, arguments) =
            self.command.split_first().map_or((OsStr::new(""), &[][..]), |(n, a)| (n.as_os_str(), a));
        let mut child = process::Command::new(program);
        child.arg0(name).args(arguments).current_dir(&self.folder);
        // What egress of another bottle is given, in whose environment this one was started.
        for (inherited, _) in
            std::env::vars_os().filter(|(name, _)| name.as_bytes().starts_with(slot::FAMILY.as_bytes()))
        {
            child.env_remove(inherited);
        }
        for (name, value) in values {
            child.env(name, OsStr::from_bytes(value.expose()));
        }
        let error = child.exec();
        show(
            &Level::ERROR,
            &Refusal::new(
                format!("{} cannot be executed: {error}", Path::new(name).display()),
                program.display().to_string(),
            ),
        );
        Status::Exit(program::NOT_EXECUTABLE)
    }

    /// The owner of the files that the agent reads, unless the user says who the agent is.
    fn owner(&self) -> Result<Vec<(String, Secret)>> {
        let agent = self.folder.join("agent");
        let found = fs::symlink_metadata(&agent).with_context(|| format!("cannot look at {}", agent.display()))?;
        let ids = OWNER.into_iter().zip([found.uid(), found.gid()]);
        // The compose file takes an empty one for none.
        let unset = ids.filter(|(name, _)| std::env::var_os(name).is_none_or(|value| value.is_empty()));
        Ok(unset.map(|(name, id)| (name.to_owned(), Secret::new(id.to_string().into_bytes()))).collect())
    }
}

/// What is wrong and how to mend it, as findings are shown.
pub(super) fn show(level: &Level<'static>, Refusal { message, help }: &Refusal) {
    let group = Group::with_title(level.clone().primary_title(message)).element(Level::HELP.message(help));
    say(format_args!("{}\n", Renderer::styled().render(&[group])));
}
