//! What data cannot say of a sign-in: a credential file on the host, and the file that the agent gets in its place.

use super::definition::Hook;
use super::{LaunchToken, codex};
use crate::provider::facts::HostFacts;
use crate::text::diagnostic::{Findings, Problem};
use crate::text::render::RenderError;
use crate::text::source::Span;
use crate::value::credential_file::CredentialFile;
use crate::value::host_secrets::HostSecrets;
use crate::value::variable::TokenRef;

/// Gives a file of the agent's home as it was built.
pub(super) type Prepared<'p> = &'p dyn Fn(&str) -> Option<Vec<u8>>;

/// A file's text, and what may be in no other file.
type Made = Result<Option<(String, HostSecrets)>, RenderError>;

/// A login that a client has on the host.
pub(super) struct HostLogin {
    /// Where it is on the host.
    pub(super) file: &'static CredentialFile,
    /// The file that stands for it in the agent's home.
    pub(super) prepared: &'static str,
    /// Names the token among the token refs. It is no host variable.
    pub(super) token_ref: &'static str,
    /// The token at launch, if the prepared file still stands for it.
    pub(super) token: fn(&HostFacts, Prepared) -> Result<LaunchToken, Problem>,
    /// Makes the file for the agent. Problems with the host's are findings at the place that asks for it.
    pub(super) prepare: fn(&HostFacts, Span, &mut Findings) -> Made,
}

impl HostLogin {
    pub(super) fn token_ref(&self) -> TokenRef {
        TokenRef::parse(self.token_ref).expect("a name of letters")
    }
}

pub(super) fn host_login(hook: Hook) -> &'static HostLogin {
    match hook {
        Hook::CodexLogin => &codex::LOGIN,
    }
}
