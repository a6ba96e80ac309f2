//! Providers: all that is known of one agent is in its definition, `templates/agents/NAME.yaml`, and what data cannot
//! say in a hook here. Nobody else knows which agents there are.

mod codex;
pub mod definition;
pub mod facts;
mod hook;
pub mod host_credential;
pub mod plan;
mod settings;

pub use settings::{ImageChoice, Settings};

use std::collections::BTreeMap;
use std::sync::OnceLock;

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::provider::definition::{Agent, Route, Service, SignIn};
use crate::provider::facts::HostFacts;
use crate::provider::plan::{AgentImage, AgentProvisionPlan, HomeFile, ProviderRoute, Provision, Recipe};
use crate::text::diagnostic::{Findings, Refusal};
use crate::text::render::RenderError;
use crate::value::credential::Auth;
use crate::value::credential_file::CredentialFile;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::secret::Secret;
use crate::value::withheld::Withheld;

/// What an agent holds in the place of a secret. Any text will do; this one is easy to find.
const PLACEHOLDER: &str = "egress-placeholder";

/// Definitions by their names, each in a file of that name.
macro_rules! definitions {
    ($(#[$doc:meta])* $list:ident: $kind:ty, $folder:literal: $($name:literal),+ $(,)?) => {
        $(#[$doc])*
        pub static $list: [Definition<$kind>; [$($name),+].len()] = [$(Definition::new(
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $folder, "/", $name, ".yaml")),
        )),+];
    };
}

definitions! {
    /// Every provider; the first is the default.
    ALL: Agent, "agents": "claude", "codex"
}

definitions! {
    /// Every model service.
    SERVICES: Service, "services": "anthropic", "openai"
}

/// A definition that is read when it is first needed.
pub struct Definition<T> {
    name: &'static str,
    text: &'static str,
    read: OnceLock<T>,
}

/// One agent.
pub type Provider = Definition<Agent>;

impl<T: serde::de::DeserializeOwned> Definition<T> {
    const fn new(name: &'static str, text: &'static str) -> Self {
        Definition { name, text, read: OnceLock::new() }
    }

    /// The name by which manifests and other definitions call it.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its file.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// What its file says.
    pub fn get(&self) -> &T {
        self.read.get_or_init(|| definition::read(self.text).expect("a definition that the tests have read"))
    }
}

impl Provider {
    /// Whether `agent_provider.auth_token` is for it.
    pub fn takes_auth_token(&self) -> bool {
        self.get().sign_in.auth_token.is_some()
    }

    /// The credential file on the host that `agent_provider.forward_host_credentials` is about.
    pub fn credential_file(&self) -> Option<&'static CredentialFile> {
        self.host_login().map(|login| login.file)
    }

    /// The lines of a first manifest that choose it, with comments.
    pub fn first_settings(&self) -> &str {
        &self.get().first_settings
    }

    /// Variables that hold a credential of it.
    pub fn credential_variables(&self) -> Vec<&str> {
        self.get().credential_variables.iter().map(String::as_str).collect()
    }

    /// What the agent needs. Problems with the host's credentials are findings.
    ///
    /// # Errors
    /// A file of the plan does not read back as what was meant: a defect of bottlec.
    pub fn plan(
        &'static self,
        settings: &Settings,
        host: &HostFacts,
        findings: &mut Findings,
    ) -> Result<AgentProvisionPlan, RenderError> {
        let agent = self.get();
        let login = settings.forward_host_credentials.and_then(|asked| Some((self.host_login()?, asked)));
        let token = settings.auth_token.as_ref().filter(|_| self.takes_auth_token());
        let (sign_in, asked, token_ref) =
            match (&agent.sign_in.auth_token, token, &agent.sign_in.forward_host_credentials, login) {
                (Some(sign_in), Some(token), _, _) => (sign_in, Some(token.span), Some(token.value.clone())),
                (_, _, Some(sign_in), Some((login, asked))) => (sign_in, Some(asked), Some(login.token_ref())),
                _ => (&agent.sign_in.in_bottle, None, None),
            };
        let service = service(agent);
        let form = sign_in.credential.clone();
        let auth = form.zip(token_ref).map(|(injection, token_ref)| Auth { injection, token_ref });
        let mut plan = AgentProvisionPlan {
            provider: self.name,
            asked_at: settings.template,
            credential_asked_at: asked,
            egress_routes: routes(agent, sign_in).map(|route| route_of(service, route, auth.as_ref())).collect(),
            closed_hosts: closed_hosts(service, sign_in),
            guest_env: variables(&agent.environment).chain(variables(&sign_in.placeholders)).collect(),
            hidden_env_names: sign_in.placeholders.keys().cloned().collect(),
            provisioned_env: BTreeMap::new(),
            displacing_env: agent.displacing.iter().map(|(name, effect)| (name.as_str(), effect.as_str())).collect(),
            files: Vec::new(),
            image: settings.image.clone().map_or(
                AgentImage::Generated(Recipe { package: &agent.image.npm, version: &agent.image.version }),
                |image| AgentImage::Chosen(image.value),
            ),
            command: agent.command.clone(),
            home: guest::HOME,
            withheld: Withheld::default(),
        };
        for (path, file) in &agent.files {
            plan.files.push(HomeFile { path: path.as_str(), content: file.text(path.as_str())?, private: true });
        }
        if let Some((login, asked)) = login.filter(|_| sign_in.hook.is_some()) {
            plan.provisioned_env.insert(login.token_ref(), Provision { file: login.file });
            if let Some((content, of_host)) = (login.prepare)(host, asked, findings)? {
                plan.files.push(HomeFile { path: login.prepared, content, private: true });
                plan.withheld = of_host;
            }
        }
        Ok(plan)
    }

    /// The token that egress sends for the agent, from the host's credentials at launch. `prepared`
    /// gives the files of the agent's home as they were built.
    ///
    /// # Errors
    /// The host's credentials cannot be used, or are no longer those that the bottle was built from.
    /// Nothing of their content is in the words.
    pub fn launch_token(
        &self,
        host: &HostFacts,
        prepared: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<LaunchToken, Refusal> {
        match self.host_login() {
            Some(login) => (login.token)(host, prepared),
            None => Err(Refusal::new(
                format!("the provider `{}` does not read a token from the host", self.name),
                "build the bottle again with `bottlec build`",
            )),
        }
    }

    fn host_login(&self) -> Option<&'static hook::HostLogin> {
        self.get().sign_in.forward_host_credentials.as_ref()?.hook.map(hook::host_login)
    }
}

fn service(agent: &Agent) -> &'static Service {
    SERVICES
        .iter()
        .find(|service| service.name == agent.service)
        .map(Definition::get)
        .expect("a service that the tests have found")
}

fn host_of(service: &Service, name: &str) -> Host {
    service.hosts.get(name).cloned().expect("a host that the tests have found")
}

fn routes<'a>(agent: &'a Agent, sign_in: &'a SignIn) -> impl Iterator<Item = &'a Route> {
    agent.routes.iter().chain(&sign_in.routes)
}

fn route_of(service: &Service, route: &'static Route, auth: Option<&Auth>) -> ProviderRoute {
    ProviderRoute {
        host: host_of(service, &route.to),
        path_allowlist: route.paths.clone(),
        essential_paths: route.essential.clone(),
        auth: auth.cloned(),
        tls_passthrough: true,
        rule: &route.rule,
    }
}

fn closed_hosts(service: &Service, sign_in: &'static SignIn) -> Vec<(Host, &'static str)> {
    sign_in.closed_hosts.iter().map(|(name, effect)| (host_of(service, name), effect.as_str())).collect()
}

fn variables(
    texts: &BTreeMap<crate::value::variable::VariableName, definition::Text>,
) -> impl Iterator<Item = (crate::value::variable::VariableName, String)> {
    texts.iter().map(|(name, text)| (name.clone(), text.as_str().to_owned()))
}

/// A token for egress.
pub struct LaunchToken {
    /// The token.
    pub token: Secret,
    /// What the user should know, though it keeps nothing from starting.
    pub warnings: Vec<Refusal>,
}

/// The provider of that name, or the default one.
pub fn find(name: Option<&str>) -> Option<&'static Provider> {
    match name {
        None => ALL.first(),
        Some(name) => ALL.iter().find(|provider| provider.name == name),
    }
}

/// The name of the provider that a manifest without `template` gets.
pub fn default_name() -> &'static str {
    ALL[0].name
}

/// The names of the providers for which `condition` holds.
pub fn names(condition: impl Fn(&Provider) -> bool) -> Vec<&'static str> {
    ALL.iter().filter(|provider| condition(provider)).map(|provider| provider.name).collect()
}

/// The schema of `agent_provider.template`.
pub(crate) fn template_schema(_: &mut SchemaGenerator) -> Schema {
    let names = names(|_| true);
    json_schema!({ "type": "string", "enum": names, "default": default_name(), "examples": [default_name()] })
}
