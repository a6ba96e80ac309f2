//! Providers: all that is known of one agent is in its definition, `templates/agents/NAME.yaml` or a file of the
//! user's own, and what data cannot say in a hook here. Nobody else knows which agents there are.

mod codex;
pub mod definition;
pub mod facts;
mod hook;
pub mod host_credential;
pub mod plan;
mod settings;

pub use settings::{ImageChoice, Settings};

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value as Json;

use crate::provider::definition::{Agent, File, Label, Package, Read, Route, Service, SignIn};
use crate::provider::facts::HostFacts;
use crate::provider::plan::{AgentImage, AgentProvisionPlan, HomeFile, NpmPackage, ProviderRoute, TokenSource};
use crate::text::diagnostic::{Diagnostic, Findings, Problem};
use crate::text::render::RenderError;
use crate::text::schema::{self, TextForm};
use crate::text::source::Span;
use crate::text::yaml::Node;
use crate::value::credential::Auth;
use crate::value::credential_file::CredentialFile;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::host_secrets::HostSecrets;
use crate::value::secret::Secret;
use crate::value::variable::VariableName;

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

/// One of bottlec's agents.
pub type BuiltIn = Definition<Agent>;

impl<T: Read> Definition<T> {
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
        self.read.get_or_init(|| definition::read_built_in(self.text))
    }
}

impl<T> fmt::Debug for Definition<T> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Agent {
    /// Whether `agent_provider.auth_token` is for it.
    pub fn takes_auth_token(&self) -> bool {
        self.sign_in.auth_token.is_some()
    }

    /// The credential file on the host that `agent_provider.forward_host_credentials` is about.
    pub fn credential_file(&self) -> Option<&'static CredentialFile> {
        self.host_login().map(|login| login.file)
    }

    fn host_login(&self) -> Option<&'static hook::HostLogin> {
        self.sign_in.forward_host_credentials.as_ref()?.hook.map(hook::host_login)
    }
}

/// The agent of a bottle.
#[derive(Clone, Debug)]
pub struct Provider(Kind);

#[derive(Clone, Debug)]
enum Kind {
    BuiltIn(&'static BuiltIn),
    Own(Arc<Own>),
}

/// A user's own definition of an agent.
#[derive(Debug)]
struct Own {
    name: String,
    agent: Agent,
    written: Json,
}

impl From<&'static BuiltIn> for Provider {
    fn from(built_in: &'static BuiltIn) -> Self {
        Provider(Kind::BuiltIn(built_in))
    }
}

impl Provider {
    /// A user's own definition, of this name, as a tree. `None` if something is wrong with its text, whose findings
    /// alone are given.
    pub fn own(name: String, root: Node, findings: &mut Findings) -> Option<Self> {
        let written = root.to_json();
        let mut agent: Agent = definition::read_node(root, true, findings)?;
        // An index keeps a mapping by its keys; what is compiled from it again must be the same.
        agent.files.values_mut().for_each(File::sort);
        Some(Provider(Kind::Own(Arc::new(Own { name, agent, written }))))
    }

    /// Its name; of a user's own definition, the path from the manifest's folder.
    pub fn name(&self) -> &str {
        match &self.0 {
            Kind::BuiltIn(built_in) => built_in.name,
            Kind::Own(own) => &own.name,
        }
    }

    /// What its definition says.
    pub fn agent(&self) -> &Agent {
        match &self.0 {
            Kind::BuiltIn(built_in) => built_in.get(),
            Kind::Own(own) => &own.agent,
        }
    }

    /// A user's own definition, as it is written.
    pub fn written(&self) -> Option<&Json> {
        match &self.0 {
            Kind::BuiltIn(_) => None,
            Kind::Own(own) => Some(&own.written),
        }
    }

    /// The variables that a user's own definition always sets, with their texts and where these are.
    pub fn own_environment(&self) -> impl Iterator<Item = (&VariableName, &str, Span)> {
        let environment = self.agent().environment.iter();
        environment.filter_map(|(name, text)| Some((&name.value, text.value.as_str(), self.place(text.span)?)))
    }

    /// A place in a user's own definition. One of bottlec's is in no text that a message could show.
    fn place(&self, span: Span) -> Option<Span> {
        self.written().map(|_| span)
    }

    /// What the agent needs. Problems with the host's credentials are findings.
    ///
    /// # Errors
    /// A file of the plan does not read back as what was meant: a defect of bottlec.
    pub fn plan(
        &self,
        settings: &Settings,
        host: &HostFacts,
        findings: &mut Findings,
    ) -> Result<AgentProvisionPlan, RenderError> {
        let agent = self.agent();
        let login = settings.forward_host_credentials.and_then(|asked| Some((agent.host_login()?, asked)));
        let token = settings.auth_token.as_ref().filter(|_| agent.takes_auth_token());
        let (sign_in, asked, token_ref) =
            match (&agent.sign_in.auth_token, token, &agent.sign_in.forward_host_credentials, login) {
                (Some(sign_in), Some(token), _, _) => (sign_in, Some(token.span), Some(token.value.clone())),
                (_, _, Some(sign_in), Some((login, asked))) => (sign_in, Some(asked), Some(login.token_ref())),
                _ => (&agent.sign_in.in_bottle, None, None),
            };
        let form = sign_in.credential.clone();
        let auth = form.zip(token_ref).map(|(injection, token_ref)| Auth { injection, token_ref });
        let variables = || agent.environment.iter().chain(&sign_in.placeholders);
        let places = [("command", agent.command.span), ("image", agent.image.span)];
        let Package { npm, version } = &agent.image.value;
        let mut plan = AgentProvisionPlan {
            provider: self.name().into(),
            asked_at: settings.template,
            credential_asked_at: asked,
            egress_routes: self.routes(sign_in, auth.as_ref()),
            closed_hosts: closed_hosts(agent, sign_in),
            guest_env: variables().map(|(name, text)| (name.value.clone(), text.value.as_str().to_owned())).collect(),
            hidden_env_names: sign_in.placeholders.keys().map(|name| name.value.clone()).collect(),
            provisioned_env: BTreeMap::new(),
            displacing_env: agent.displacing.clone().into_iter().collect(),
            files: Vec::new(),
            image: settings.image.clone().map_or_else(
                || AgentImage::Generated(NpmPackage { package: npm.clone(), version: version.clone() }),
                |image| AgentImage::Chosen(image.value),
            ),
            command: agent.command.value.iter().map(ToString::to_string).collect(),
            home: guest::HOME,
            host_secrets: HostSecrets::default(),
            defined_at: places.into_iter().filter_map(|(rule, span)| Some((rule, self.place(span)?))).collect(),
            variables_defined_at: variables()
                .filter_map(|(name, _)| Some((name.value.clone(), self.place(name.span)?)))
                .collect(),
        };
        for (path, file) in &agent.files {
            let content = file.text(path.as_str())?;
            plan.files.push(HomeFile { path: path.to_string(), content, private: true });
        }
        if let Some((login, asked)) = login.filter(|_| sign_in.hook.is_some()) {
            plan.provisioned_env.insert(login.token_ref(), TokenSource { file: login.file });
            if let Some((content, of_host)) = (login.prepare)(host, asked, findings)? {
                plan.files.push(HomeFile { path: login.prepared.to_owned(), content, private: true });
                plan.host_secrets = of_host;
            }
        }
        Ok(plan)
    }

    fn routes(&self, sign_in: &SignIn, auth: Option<&Auth>) -> Vec<ProviderRoute> {
        let agent = self.agent();
        let route = |route: &Route| ProviderRoute {
            host: host_of(agent, &route.to.value),
            path_allowlist: route.paths.clone(),
            essential_paths: route.essential.clone(),
            auth: auth.cloned(),
            tls_passthrough: true,
            rule: route.rule.shared(),
            defined_at: self.place(route.to.span),
        };
        agent.routes.iter().chain(&sign_in.routes).map(route).collect()
    }
}

impl BuiltIn {
    /// What it is and how it signs in, in a sentence.
    fn summary(&self) -> String {
        let agent = self.get();
        let forward = agent.credential_file().map(|_| "`forward_host_credentials`");
        let ways: Vec<&str> = agent.takes_auth_token().then_some("`auth_token`").into_iter().chain(forward).collect();
        format!("`{}` of npm. Signs in with {}, or inside the bottle.", agent.image.value.npm, ways.join(" or "))
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
    ) -> Result<LaunchToken, Problem> {
        match self.get().host_login() {
            Some(login) => (login.token)(host, prepared),
            None => Err(Problem::new(
                format!("the provider `{}` does not read a token from the host", self.name),
                "build the bottle again with `bottlec build`",
            )),
        }
    }
}

fn host_of(agent: &Agent, name: &Label) -> Host {
    agent.service.get().hosts.get(name).cloned().expect("a host that was looked for when the definition was read")
}

fn closed_hosts(agent: &Agent, sign_in: &SignIn) -> Vec<(Host, String)> {
    sign_in.closed_hosts.iter().map(|(name, effect)| (host_of(agent, name), effect.clone())).collect()
}

/// A token for egress.
pub struct LaunchToken {
    /// The token.
    pub token: Secret,
    /// What the user should know, though it keeps nothing from starting.
    pub warnings: Vec<Problem>,
}

/// Bottlec's agent of that name, or the default one.
pub fn find(name: Option<&str>) -> Option<&'static BuiltIn> {
    match name {
        None => ALL.first(),
        Some(name) => ALL.iter().find(|provider| provider.name == name),
    }
}

/// Whether a `template` is the path of a user's own definition. No agent of bottlec's is called like one.
pub fn is_path(template: &str) -> bool {
    template.contains('/') && (template.ends_with(".yaml") || template.ends_with(".yml"))
}

/// What such a path looks like.
const PATH_FORM: TextForm = TextForm {
    pattern: r"^[^/\\]+/[^\\]*\.ya?ml$",
    says: "name a definition of your own by a path with `/` that ends in `.yaml`, such as `./agents/mine.yaml`",
};

/// The finding about a `template` that is neither a name nor a path.
pub fn unknown(template: &str, place: Span) -> Diagnostic {
    let diagnostic = schema::unknown_value(template, place, &names(|_| true));
    match template.contains('/') || template.contains('.') {
        true => diagnostic.help(PATH_FORM.says),
        false => diagnostic,
    }
}

/// The name of the provider that a manifest without `template` gets.
pub fn default_name() -> &'static str {
    ALL[0].name
}

/// The names of bottlec's agents for which `condition` holds.
pub fn names(condition: impl Fn(&BuiltIn) -> bool) -> Vec<&'static str> {
    ALL.iter().filter(|provider| condition(provider)).map(BuiltIn::name).collect()
}

/// The schema of `agent_provider.template`.
pub(crate) fn template_schema(_: &mut SchemaGenerator) -> Schema {
    let (names, says): (Vec<&str>, Vec<String>) = ALL.iter().map(|agent| (agent.name(), agent.summary())).unzip();
    json_schema!({
        "type": "string",
        "anyOf": [{ "enum": names, "enumDescriptions": says }, PATH_FORM.schema()],
        "default": default_name(),
        "examples": [default_name(), "./agents/mine.yaml"]
    })
}
