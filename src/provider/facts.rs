//! Host facts: all that a compilation may know beside the manifest. `cli::facts` reads them.

use crate::value::secret::Secret;

/// What a compilation may know beside the manifest.
pub struct HostFacts {
    /// Seconds since 1970-01-01 00:00 UTC.
    pub now: i64,
    /// The agent's credentials on the host.
    pub credentials: HostCredentials,
}

/// The agent's credentials on the host.
pub enum HostCredentials {
    /// Not asked for by the manifest, and not read.
    NotRead,
    /// A made-up account (`--hermetic`): the output is for comparison and cannot sign in.
    Synthetic,
    /// What an earlier build prepared for the agent: no secret is in it.
    Prepared {
        /// Where it lies in the tree, for messages.
        path: String,
        /// Its text.
        content: Secret,
    },
    /// The credential file.
    File {
        /// Where it was looked for, for messages.
        path: String,
        /// Its permissions, if it was opened.
        mode: Option<u32>,
        /// What was found.
        content: Result<Secret, FileProblem>,
    },
}

/// Why the credential file could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileProblem {
    /// The file does not exist.
    Missing,
    /// There is no place to look for it: neither the variable nor a home folder is set.
    NoPlace,
    /// It is there and cannot be read.
    Unreadable,
    /// It is larger than any credential file.
    TooLarge,
}

impl HostFacts {
    /// Facts that are the same on every machine.
    pub fn hermetic() -> Self {
        HostFacts { now: 0, credentials: HostCredentials::Synthetic }
    }
}
