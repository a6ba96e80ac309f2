//! Providers: all that is known of one agent is in its file here, and nowhere else.

mod claude;
mod codex;
pub mod facts;
pub mod host_credential;
pub mod plan;
mod settings;

pub use settings::{ImageChoice, Settings};

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::provider::facts::HostFacts;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::{Findings, Refusal};
use crate::text::render::RenderError;
use crate::value::credential_file::CredentialFile;
use crate::value::path_prefix::PathPrefix;
use crate::value::secret::Secret;

/// What an agent holds in the place of a secret. Any text will do; this one is easy to find.
const PLACEHOLDER: &str = "egress-placeholder";

/// Prefixes that a definition writes out.
fn prefixes(texts: &[&str]) -> Vec<PathPrefix> {
    texts.iter().map(|text| PathPrefix::parse(text).expect("a path prefix")).collect()
}

/// One agent.
pub trait Provider: Sync {
    /// The name that a manifest's `agent_provider.template` gives.
    fn name(&self) -> &'static str;

    /// Whether `agent_provider.auth_token` is for it.
    fn takes_auth_token(&self) -> bool {
        false
    }

    /// The credential file on the host that `agent_provider.forward_host_credentials` is about.
    fn credential_file(&self) -> Option<&'static CredentialFile> {
        None
    }

    /// The lines of a first manifest that choose it, with comments.
    fn first_settings(&self) -> &'static str;

    /// Variables that hold a credential of it.
    fn credential_variables(&self) -> &'static [&'static str];

    /// What the agent needs. Problems with the host's credentials are findings.
    ///
    /// # Errors
    /// A file of the plan does not read back as what was meant: a defect of bottlec.
    fn plan(
        &self,
        settings: &Settings,
        host: &HostFacts,
        findings: &mut Findings,
    ) -> Result<AgentProvisionPlan, RenderError>;

    /// The token that egress sends for the agent, from the host's credentials at launch. `prepared`
    /// gives the files of the agent's home as they were built.
    ///
    /// # Errors
    /// The host's credentials cannot be used, or are no longer those that the bottle was built from.
    /// Nothing of their content is in the words.
    fn launch_token(
        &self,
        host: &HostFacts,
        prepared: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<LaunchToken, Refusal> {
        let _ = (host, prepared);
        Err(Refusal::new(
            format!("the provider `{}` takes no token from the host's files", self.name()),
            "build the bottle again with `bottlec build`",
        ))
    }
}

/// A token for egress.
pub struct LaunchToken {
    /// The token.
    pub token: Secret,
    /// What the user should know, though it keeps nothing from starting.
    pub warnings: Vec<Refusal>,
}

/// Every provider; the first is the default.
pub static ALL: [&dyn Provider; 2] = [&claude::Claude, &codex::Codex];

/// The provider of that name, or the default one.
pub fn find(name: Option<&str>) -> Option<&'static dyn Provider> {
    match name {
        None => ALL.first().copied(),
        Some(name) => ALL.iter().copied().find(|provider| provider.name() == name),
    }
}

/// The name of the provider that a manifest without `template` gets.
pub fn default_name() -> &'static str {
    ALL[0].name()
}

/// The names of the providers for which `condition` holds.
pub fn names(condition: impl Fn(&dyn Provider) -> bool) -> Vec<&'static str> {
    ALL.iter().filter(|provider| condition(**provider)).map(|provider| provider.name()).collect()
}

/// The schema of `agent_provider.template`.
pub(crate) fn template_schema(_: &mut SchemaGenerator) -> Schema {
    let names = names(|_| true);
    json_schema!({ "type": "string", "enum": names, "default": default_name(), "examples": [default_name()] })
}
