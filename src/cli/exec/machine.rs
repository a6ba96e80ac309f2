//! A `smolvm machine` command line: it always refers to the machine of this checkout.

use std::ffi::OsString;
use std::path::Path;

use crate::text::diagnostic::Problem;

/// A smolvm command line that refers to a machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    verb: String,
}

/// The variable from which smolvm 1.32 takes a machine's name; earlier releases support only `--name`.
pub(super) const NAME: &str = "SMOLVM_MACHINE_NAME";

/// Verbs that accept `--name`.
const VERBS: [&str; 15] = [
    "create",
    "start",
    "exec",
    "shell",
    "sh",
    "stop",
    "pause",
    "resume",
    "delete",
    "rm",
    "status",
    "stats",
    "logs",
    "egress-events",
    "update",
];

/// Verbs that may pass a value from the host's environment to the machine.
const NEED_VALUES: [&str; 4] = ["create", "start", "resume", "update"];

impl Machine {
    /// Parses a command that refers to a machine. Returns `None` for any other command.
    ///
    /// # Errors
    /// The command names a machine.
    pub(super) fn recognise(command: &[OsString], own: &str) -> Option<Result<Machine, Problem>> {
        let name = Path::new(command.first()?).file_name()?.to_str()?;
        if !["smolvm", "smol-vmm"].contains(&name) || command.get(1)? != "machine" {
            return None;
        }
        let verb = command.get(2)?.to_str().filter(|verb| VERBS.contains(verb))?.to_owned();
        let options = command.get(3..).unwrap_or_default().iter().map(|word| word.to_string_lossy());
        let mut options = options.take_while(|word| word != "--");
        let named = options
            .any(|word| word == "--name" || word.starts_with("--name=") || (verb != "exec" && word.starts_with("-n")));
        Some(if named {
            Err(Problem::new(
                format!("the machine of this checkout is `{own}`"),
                "remove the name: `bottlec exec` sets it; put a command for the machine after `--`",
            ))
        } else {
            Ok(Machine { verb })
        })
    }

    /// Whether this may pass a value to the machine.
    pub(super) fn needs_values(&self) -> bool {
        NEED_VALUES.contains(&self.verb.as_str())
    }

    /// Whether this takes the machine's network.
    pub(super) fn takes_network(&self) -> bool {
        self.needs_values()
    }

    /// Whether this frees the machine's network.
    pub(super) fn frees_network(&self) -> bool {
        ["delete", "rm"].contains(&self.verb.as_str())
    }

    /// The arguments after the program's name, with the machine's name added.
    pub(super) fn arguments(&self, command: &[OsString], own: &str) -> Vec<OsString> {
        let mut words = command.get(1..3).unwrap_or_default().to_vec();
        words.extend(["--name", own].map(OsString::from));
        words.extend(command.get(3..).unwrap_or_default().iter().cloned());
        words
    }
}
