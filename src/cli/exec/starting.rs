//! What `bottlec exec` starts: the program, the commands before it, and the project.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use super::compose::Compose;
use super::machine::Machine;
use super::program;
use super::project::{self, Found, Project};
use crate::cli::checkout::{self, Checkout};
use crate::target::Agent;
use crate::text::diagnostic::Problem;
use crate::value::network::Subnet;

/// The kind of a command.
enum What {
    Compose(Compose),
    Machine(Machine),
    /// Anything else, a shell for example.
    Other,
}

/// A command to start.
pub(super) struct Start {
    command: Vec<OsString>,
    what: What,
    agent: Agent,
    checkout: Checkout,
    found: Found,
    /// Whether the user has named the project.
    is_asked: bool,
    /// The bottle's /24.
    subnet: String,
    /// The first three numbers of the network of a microVM: the bottle's if this checkout has reserved it or
    /// is about to, otherwise the project's own.
    machine_net: String,
}

/// The arguments after the program's name, for each command.
pub(super) struct Commands {
    /// Commands that must succeed first.
    pub(super) first: Vec<Vec<OsString>>,
    /// The command that bottlec executes in its own place.
    pub(super) last: Vec<OsString>,
}

/// The bottle as described by the index and the compose file.
pub(super) struct Bottle<'b> {
    pub(super) name: &'b str,
    pub(super) subnet: &'b str,
    pub(super) agent: Agent,
}

impl Start {
    /// What the command means for a bottle in this folder, and the path of the program.
    ///
    /// # Errors
    /// I/O errors, with the path. The inner error is the exit code and the reason why nothing can be started.
    pub(super) fn of(
        command: &[OsString],
        bottle: &Bottle,
        folder: &Path,
        asked: Option<&str>,
    ) -> Result<Result<(Start, PathBuf), (u8, Problem)>> {
        let Bottle { name, subnet, agent } = *bottle;
        let here = std::env::current_dir()?;
        let checkout = Checkout::of(folder)?;
        let (command, compose) = if command.is_empty() {
            match of_the_agent(agent, &here) {
                Ok(command) => (command.program.clone(), Some(Ok(command))),
                Err(refusal) => return Ok(Err(refusal)),
            }
        } else {
            (command.to_vec(), Compose::recognise(command))
        };
        let found = Project::find(&checkout, name, asked);
        let machine = found.as_ref().ok().and_then(|found| Machine::recognise(&command, &found.project.name));
        let what = match (compose, machine) {
            (Some(compose), _) => compose.map(What::Compose),
            (None, Some(machine)) => machine.map(What::Machine),
            (None, None) => Ok(What::Other),
        };
        let what = match what {
            Ok(what) => what,
            Err(refusal) => return Ok(Err((2, refusal))),
        };
        let program = command.first().map_or(OsStr::new(""), OsString::as_os_str);
        let program = match program::find(program, std::env::var_os("PATH"), &here) {
            Ok(program) => program,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if let What::Compose(compose) = &what
            && compose.is_plugin()
            && !has_plugin(&program)
        {
            let shown = Path::new(compose.program.first().map_or(OsStr::new(""), OsString::as_os_str)).display();
            let message = format!("`{shown} compose` does not work: its compose plugin is not installed");
            let help = "install the plugin, or use `docker-compose` in its place";
            return Ok(Err((program::NOT_FOUND, Problem::new(message, help))));
        }
        let found = match (found, &what) {
            // A command that records nothing does not need the records.
            (Err(_), What::Other) if asked.is_none() => Project::unrecorded(&checkout, name)?,
            (found, _) => found?,
        };
        let (is_asked, subnet) = (asked.is_some(), subnet.to_owned());
        let has_machine = match &what {
            What::Compose(compose) => compose.starts_machine() || project::has_network(&checkout, &subnet)?,
            What::Machine(_) => true,
            What::Other => project::has_network(&checkout, &subnet).unwrap_or(false),
        };
        let named = Subnet::parse(&subnet).ok().filter(|_| has_machine).map(Subnet::prefix);
        let machine_net = named.unwrap_or_else(|| found.project.net.clone());
        Ok(Ok((Start { command, what, agent, checkout, found, is_asked, subnet, machine_net }, program)))
    }

    /// The program as the user typed it.
    pub(super) fn name(&self) -> &OsStr {
        self.command.first().map_or(OsStr::new(""), OsString::as_os_str)
    }

    /// The command with its arguments.
    pub(super) fn command(&self) -> &[OsString] {
        &self.command
    }

    /// Whether it is of a program that runs bottles, and not any other.
    pub(super) fn is_of_the_bottle(&self) -> bool {
        !matches!(self.what, What::Other)
    }

    pub(super) fn project(&self) -> &Project {
        &self.found.project
    }

    pub(super) fn machine_net(&self) -> &str {
        &self.machine_net
    }

    pub(super) fn checkout(&self) -> &Checkout {
        &self.checkout
    }

    /// Notes for the user.
    pub(super) fn notes(&self) -> &[String] {
        match self.what {
            What::Other => &[],
            What::Compose(_) | What::Machine(_) => &self.found.notes,
        }
    }

    /// Whether the command may need the bottle's tokens and variables.
    pub(super) fn needs_values(&self) -> bool {
        match &self.what {
            What::Compose(compose) => compose.needs_values(),
            What::Machine(machine) => machine.needs_values(),
            What::Other => true,
        }
    }

    /// Whether it refers to everything that is running, in any profile.
    pub(super) fn is_about_what_runs(&self) -> bool {
        matches!(self.what, What::Compose(_)) && !self.needs_values()
    }

    /// Records the project, and reserves or releases the network of a microVM.
    ///
    /// # Errors
    /// I/O errors, with the path. The inner error says which checkout uses the network already.
    pub(super) fn claim(&self) -> Result<Result<(), Problem>> {
        let (takes, frees) = match &self.what {
            What::Compose(compose) => (compose.starts_machine(), false),
            What::Machine(machine) => (machine.takes_network(), machine.frees_network()),
            What::Other => (false, false),
        };
        if takes && let Err(refusal) = project::take_network(&self.checkout, &self.subnet)? {
            return Ok(Err(refusal));
        }
        if frees {
            project::free_network(&self.checkout)?;
        }
        let keeps = !matches!(self.what, What::Other) && self.needs_values();
        if keeps || self.is_asked {
            self.found.keep(&self.checkout)?;
        }
        Ok(Ok(()))
    }

    /// The commands.
    ///
    /// # Errors
    /// I/O errors, with the path.
    pub(super) fn commands(&self) -> Result<Commands> {
        let rest = self.command.get(1..).unwrap_or_default().to_vec();
        Ok(match &self.what {
            What::Compose(compose) => {
                let variables = checkout::empty_file()?;
                let first = compose.first(self.agent).iter().map(|first| first.arguments(&variables)).collect();
                Commands { first, last: compose.arguments(&variables) }
            }
            What::Machine(machine) => {
                Commands { first: Vec::new(), last: machine.arguments(&self.command, &self.project().name) }
            }
            What::Other => Commands { first: Vec::new(), last: rest },
        })
    }
}

/// Whether a `docker` has the command `compose`. One without it takes the words after it for its own.
fn has_plugin(docker: &Path) -> bool {
    let mut version = Command::new(docker);
    version.args(["compose", "version"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// The command that starts the agent's prompt, with whichever compose is installed.
fn of_the_agent(agent: Agent, here: &Path) -> Result<Compose, (u8, Problem)> {
    if agent == Agent::Absent {
        return Err((
            2,
            Problem::new(
                "the bottle has no agent container: it was not built for docker",
                "rebuild it with `--backend docker`, or pass a command: `-- smolvm machine exec -it -- …`",
            ),
        ));
    }
    let find = |name: &str| program::find(OsStr::new(name), std::env::var_os("PATH"), here).ok();
    let words: &[&str] = if find("docker").is_some_and(|docker| has_plugin(&docker)) {
        &["docker", "compose"]
    } else if find("docker-compose").is_some() {
        &["docker-compose"]
    } else {
        return Err((
            program::NOT_FOUND,
            Problem::new(
                "neither `docker compose` nor `docker-compose` is installed",
                "install Docker with its compose plugin, or pass the command that starts the bottle after `--`",
            ),
        ));
    };
    Ok(Compose::of_the_agent(words.iter().map(OsString::from).collect(), std::io::stdin().is_terminal()))
}
