//! A command line of `smolvm machine`: the machine is the checkout's.

use std::ffi::OsString;
use std::path::Path;

use crate::text::diagnostic::Refusal;

/// A command line of smolvm about one machine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    verb: String,
}

/// The variable that smolvm 1.32 takes a machine's name from; earlier ones know `--name` alone.
pub(super) const NAME: &str = "SMOLVM_MACHINE_NAME";

/// Verbs that take the machine by `--name`.
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

/// Verbs that may take a value of the host's environment into the machine.
const NEED_VALUES: [&str; 4] = ["create", "start", "resume", "update"];

impl Machine {
    /// Reads a command, if it is one about a machine.
    ///
    /// # Errors
    /// Another machine's name.
    pub(super) fn recognise(command: &[OsString], own: &str) -> Option<Result<Machine, Refusal>> {
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
            Err(Refusal::new(
                format!("the machine of this checkout is `{own}`"),
                "leave its name out: `bottlec exec` gives it; a command for the machine goes behind `--`",
            ))
        } else {
            Ok(Machine { verb })
        })
    }

    /// Whether the machine may get a value from this.
    pub(super) fn needs_values(&self) -> bool {
        NEED_VALUES.contains(&self.verb.as_str())
    }

    /// Whether the machine's network is in use from now on.
    pub(super) fn takes_network(&self) -> bool {
        self.needs_values()
    }

    /// Whether the machine's network is free from now on.
    pub(super) fn frees_network(&self) -> bool {
        ["delete", "rm"].contains(&self.verb.as_str())
    }

    /// The command's words behind the program's name, with the machine's.
    pub(super) fn arguments(&self, command: &[OsString], own: &str) -> Vec<OsString> {
        let mut words = command.get(1..3).unwrap_or_default().to_vec();
        words.extend(["--name", own].map(OsString::from));
        words.extend(command.get(3..).unwrap_or_default().iter().cloned());
        words
    }
}
