//! What a provider produces and everyone else reads. Nobody who reads a plan asks whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::provider::ImageChoice;
use crate::provider::definition::{PackageName, Version};
use crate::text::source::Span;
use crate::value::credential::Auth;
use crate::value::credential_file::CredentialFile;
use crate::value::host::Host;
use crate::value::host_secrets::HostSecrets;
use crate::value::origin::Origin;
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::{TokenRef, VariableName};

/// All that running one agent asks of the rest.
pub struct AgentProvisionPlan {
    /// The provider's name, for provenance and messages only.
    pub provider: Arc<str>,
    /// Where the manifest chooses the provider, if it does.
    pub asked_at: Option<Span>,
    /// Where the manifest asks for the credential that egress sends for the agent, if it does.
    pub credential_asked_at: Option<Span>,
    /// Routes that the provider owns, in its order.
    pub egress_routes: Vec<ProviderRoute>,
    /// Hosts that a manifest had better not route beside this plan, with what would happen.
    pub closed_hosts: Vec<(Host, String)>,
    /// Variables for the agent.
    pub guest_env: BTreeMap<VariableName, String>,
    /// Names left out of any printed summary.
    pub hidden_env_names: BTreeSet<VariableName>,
    /// Where the values of token refs come from that are not plain host variables. They win over a
    /// host variable of the same name.
    pub provisioned_env: BTreeMap<TokenRef, TokenSource>,
    /// Variables that a manifest may not set beside the provider's credential, with what they would do.
    pub displacing_env: Vec<(VariableName, String)>,
    /// Files for the agent's home.
    pub files: Vec<HomeFile>,
    /// What the agent runs in.
    pub image: AgentImage,
    /// What is started there.
    pub command: Vec<String>,
    /// The agent's home.
    pub home: &'static str,
    /// What was read of the host's credentials and must be in no file.
    pub host_secrets: HostSecrets,
    /// Where the user's own definition of the agent has each rule but those of routes. Empty for bottlec's agents.
    pub defined_at: BTreeMap<&'static str, Span>,
    /// The same for each variable.
    pub variables_defined_at: BTreeMap<VariableName, Span>,
}

impl AgentProvisionPlan {
    /// The provider as the one that decides a thing by this rule.
    pub fn origin(&self, rule: &'static str) -> Origin {
        self.decided(rule, self.defined_at.get(rule).copied(), self.asked_at)
    }

    /// Who decides a variable of [`AgentProvisionPlan::guest_env`].
    pub fn variable_origin(&self, name: &VariableName) -> Origin {
        let defined_at = self.variables_defined_at.get(name).copied();
        // What is hidden stands for the credential.
        if self.hidden_env_names.contains(name) {
            self.decided("placeholder", defined_at, self.credential_asked_at.or(self.asked_at))
        } else {
            self.decided("environment", defined_at, self.asked_at)
        }
    }

    fn decided(&self, rule: &str, defined_at: Option<Span>, asked_at: Option<Span>) -> Origin {
        Origin::Provider { provider: self.provider.clone(), rule: rule.into(), defined_at, narrowed_at: None, asked_at }
    }
}

/// A route that a provider owns.
#[derive(Clone, Debug)]
pub struct ProviderRoute {
    /// The host.
    pub host: Host,
    /// The path prefixes that the agent asks for, as measured; empty for any path.
    pub path_allowlist: Vec<PathPrefix>,
    /// The prefixes among them without which the agent cannot do what the rule is for.
    pub essential_paths: Vec<PathPrefix>,
    /// The credential, if egress signs for the agent. Without one the agent's own `Authorization` goes
    /// through, so that a login made inside the bottle works.
    pub auth: Option<Auth>,
    /// Whether pipelock splices the host.
    pub tls_passthrough: bool,
    /// The provider's rule that asks for the route: a short name, stable.
    pub rule: Arc<str>,
    /// Where the user's own definition of the agent has it.
    pub defined_at: Option<Span>,
}

/// A launch-time source of a token: a string in the agent's own credential file on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenSource {
    /// The file.
    pub file: &'static CredentialFile,
}

/// A file for the agent's home.
pub struct HomeFile {
    /// The path from the home folder, with `/`.
    pub path: String,
    /// Its bytes.
    pub content: String,
    /// Whether it holds account data and is for its owner alone.
    pub private: bool,
}

/// What the agent runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentImage {
    /// An image that bottlec writes the Dockerfile of.
    Generated(NpmPackage),
    /// The manifest's choice.
    Chosen(ImageChoice),
}

/// A generated image: a Node.js base with one npm package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NpmPackage {
    /// The npm package of the client.
    pub package: PackageName,
    /// Its pinned release.
    pub version: Version,
}
