//! A `docker compose` command line: which values of the bottle it needs, and which options it must not set.
//! Options are those of docker-compose 1.29 and Docker Compose 2.39.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::target::Agent;
use crate::text::diagnostic::Problem;

/// A compose command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Compose {
    /// The program, and the words before compose's own options.
    pub(super) program: Vec<OsString>,
    options: Vec<OsString>,
    subcommand: Option<String>,
    arguments: Vec<OsString>,
}

/// Options of the `docker` client that take a value.
const DOCKER_VALUES: [&str; 9] =
    ["--config", "-c", "--context", "-H", "--host", "-l", "--log-level", "--tlscacert", "--tlscert"];

/// Options of compose that take a value.
const VALUES: [&str; 11] = [
    "--ansi",
    "--progress",
    "--parallel",
    "--log-level",
    "-c",
    "--context",
    "-H",
    "--host",
    "--tlscacert",
    "--tlscert",
    "--tlskey",
];

/// Options of compose that take no value.
const FLAGS: [&str; 14] = [
    "--verbose",
    "--no-ansi",
    "--compatibility",
    "--dry-run",
    "--all-resources",
    "-v",
    "--version",
    "-h",
    "--help",
    "--tls",
    "--tlsverify",
    "--skip-hostname-check",
    "-D",
    "--debug",
];

/// Options that would make compose start something other than what was checked, and what to do instead.
const REFUSED: [(&str, &str); 8] = [
    ("-f", FILES),
    ("--file", FILES),
    ("--env-file", FILES),
    ("--project-directory", FILES),
    ("--workdir", FILES),
    ("-p", PROJECT),
    ("--project-name", PROJECT),
    ("--profile", "name the service: `up --detach machine-egress` starts what a microVM needs"),
];
const FILES: &str = "remove it: compose reads only `compose.yaml` in the bottle's folder";
const PROJECT: &str =
    "remove it: each checkout has its own project; use `bottlec exec --project NAME DIR` to take over another one";

/// Subcommands that neither start a container nor pass a value to one.
const TOKEN_FREE: [&str; 27] = [
    "attach", "build", "commit", "config", "convert", "cp", "down", "events", "exec", "export", "help", "images",
    "kill", "logs", "ls", "pause", "port", "ps", "pull", "push", "restart", "rm", "stats", "stop", "top", "unpause",
    "version",
];

impl Compose {
    /// Parses a compose command. Returns `None` for any other command.
    ///
    /// # Errors
    /// An option that `bottlec exec` sets itself, or an unknown one: the words after it could mean anything.
    pub(super) fn recognise(command: &[OsString]) -> Option<Result<Compose, Problem>> {
        let name = Path::new(command.first()?).file_name()?.to_str()?;
        let start = match name {
            // Several releases may be installed, as `docker-compose-v2` and the like.
            name if name.starts_with("docker-compose") => 1,
            "docker" | "podman" => after_docker(command)?,
            _ => return None,
        };
        Some(Compose::read(command, start))
    }

    /// The command that starts the agent's prompt.
    pub(super) fn of_the_agent(program: Vec<OsString>, on_terminal: bool) -> Compose {
        let words: &[&str] = if on_terminal { &["--rm", "agent"] } else { &["--rm", "-T", "agent"] };
        Compose { program, options: Vec::new(), subcommand: Some("run".to_owned()), arguments: os(words) }
    }

    fn read(command: &[OsString], start: usize) -> Result<Compose, Problem> {
        let mut at = start;
        while let Some(word) = command.get(at) {
            let text = word.to_string_lossy();
            if !text.starts_with('-') || text == "-" {
                break;
            }
            let name = text.split_once('=').map_or(&*text, |(name, _)| name);
            // `-fFILE` is a single word as well.
            let short = |option: &str| option.len() == 2 && text.starts_with(option);
            if let Some((option, help)) = REFUSED.iter().find(|(option, _)| *option == name || short(option)) {
                return Err(Problem::new(format!("compose option `{option}` must not be used with a bottle"), *help));
            }
            at += match (VALUES.contains(&name), FLAGS.contains(&name)) {
                (true, _) => 1 + usize::from(name == text),
                (_, true) => 1,
                _ if VALUES.iter().any(|option| short(option)) => 1,
                _ => {
                    return Err(Problem::new(
                        format!("unknown compose option `{}`", text.escape_debug()),
                        "remove it, or move it after the subcommand if it belongs there",
                    ));
                }
            };
        }
        let at = at.min(command.len());
        Ok(Compose {
            program: command[..start].to_vec(),
            options: command[start..at].to_vec(),
            subcommand: command.get(at).map(|word| word.to_string_lossy().into_owned()),
            arguments: command.get(at + 1..).unwrap_or_default().to_vec(),
        })
    }

    /// Whether it is a command of another program.
    pub(super) fn is_plugin(&self) -> bool {
        self.program.len() > 1
    }

    /// Whether this may pass a value to a container. An unknown subcommand may.
    pub(super) fn needs_values(&self) -> bool {
        self.subcommand.as_deref().is_some_and(|name| !TOKEN_FREE.contains(&name))
    }

    /// Whether this starts egress for a microVM.
    pub(super) fn starts_machine(&self) -> bool {
        self.needs_values() && self.arguments.iter().any(|word| word == "machine-egress")
    }

    /// The commands to run first. An image is rebuilt if it comes from the user's own Dockerfile, which may have
    /// changed. And `run` of compose 1.29, unlike `up`, does not recreate proxies that were started with other
    /// files.
    pub(super) fn first(&self, agent: Agent) -> Vec<Compose> {
        let is = |name: &str| self.subcommand.as_deref() == Some(name);
        let has = |option: &str| self.arguments.iter().any(|word| word == option);
        let mut first = Vec::new();
        let starts = (is("up") || is("create")) && !has("egress") && !has("machine-egress");
        if has("--help") || has("-h") {
            return first;
        }
        if agent == Agent::BuiltFromOwn && (is("run") || starts) {
            first.push(self.with("build", &["agent"]));
        }
        if agent != Agent::Absent && is("run") && !has("--no-deps") {
            first.push(self.with("up", &["--detach", "egress"]));
        }
        first
    }

    fn with(&self, subcommand: &str, arguments: &[&str]) -> Compose {
        Compose {
            program: self.program.clone(),
            options: self.options.clone(),
            subcommand: Some(subcommand.to_owned()),
            arguments: os(arguments),
        }
    }

    /// The whole command, after the program's own name. `variables` is an empty file that compose reads
    /// instead of `.env`.
    pub(super) fn arguments(&self, variables: &Path) -> Vec<OsString> {
        let mut words = self.program.get(1..).unwrap_or_default().to_vec();
        words.extend([OsString::from("--env-file"), variables.into()]);
        words.extend(self.options.iter().cloned());
        words.extend(self.subcommand.iter().map(OsString::from));
        words.extend(self.arguments.iter().cloned());
        words
    }
}

/// The index of compose's own arguments after `docker … compose`. Returns `None` if it is another command.
fn after_docker(command: &[OsString]) -> Option<usize> {
    let mut at = 1;
    loop {
        let word: &OsStr = command.get(at)?;
        let text = word.to_str()?;
        if text == "compose" {
            return Some(at + 1);
        }
        if !text.starts_with('-') {
            return None;
        }
        let takes_value = DOCKER_VALUES.contains(&text) || text == "--tlskey";
        at += if takes_value { 2 } else { 1 };
    }
}

fn os(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
