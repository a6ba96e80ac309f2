//! The form of `templates/agents/NAME.yaml` and `templates/services/NAME.yaml`. Nothing in here can be out of form.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::PLACEHOLDER;
use crate::text::diagnostic::Findings;
use crate::text::render::{Data, RenderError};
use crate::text::source::SourceId;
use crate::text::yaml;
use crate::value::credential::Injection;
use crate::value::guest;
use crate::value::host::{self, Host};
use crate::value::path_prefix::{self, PathPrefix};
use crate::value::variable::VariableName;

/// A model service: an API that clients speak to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its hosts, by the names that routes of agents use.
    #[schemars(with = "BTreeMap<String, String>", extend("additionalProperties" = { "type": "string", "pattern": host::PATTERN }))]
    pub hosts: BTreeMap<String, Host>,
}

/// A client: what it needs in order to run and to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// With which release it was measured, how, and when.
    pub measured: String,
    /// The model service that it speaks to: a file of `templates/services`.
    pub service: String,
    /// What is started in the bottle.
    pub command: Vec<String>,
    /// The package that the generated image installs.
    pub image: Package,
    /// Variables that it always has.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub environment: BTreeMap<VariableName, Text>,
    /// Files of its home, by their path there.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, File>")]
    pub files: BTreeMap<HomePath, File>,
    /// Variables that hold a credential of it.
    pub credential_variables: Vec<String>,
    /// Variables that a manifest may not set beside the agent's credential, with what they would do.
    pub displacing: BTreeMap<String, String>,
    /// Routes of every sign-in, before its own.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// How it can sign in.
    pub sign_in: SignIns,
    /// The lines of a first manifest that choose it, with comments.
    pub first_settings: String,
}

/// An npm package.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub npm: String,
    /// Its pinned release.
    pub version: String,
}

/// A file of the agent's home, for its owner alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// How it is written.
    pub format: Format,
    /// What it says.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub content: Content,
}

impl File {
    /// Its text.
    ///
    /// # Errors
    /// When it does not read back.
    pub(super) fn text(&self, path: &str) -> Result<String, RenderError> {
        match self.format {
            Format::Json => self.content.0.json(path),
            Format::Toml => self.content.0.toml(path),
        }
    }
}

/// The format of a file.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON.
    Json,
    /// TOML.
    Toml,
}

/// The ways to sign in, by the key of `agent_provider` that asks for each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIns {
    /// With a token of a host variable.
    #[serde(default)]
    pub auth_token: Option<SignIn>,
    /// With the credential file that the client has on the host.
    #[serde(default)]
    pub forward_host_credentials: Option<SignIn>,
    /// With a login inside the bottle, when nothing else is asked for.
    pub in_bottle: SignIn,
}

impl SignIns {
    /// Each with its name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &SignIn)> {
        let SignIns { auth_token, forward_host_credentials, in_bottle } = self;
        let asked =
            [("auth_token", auth_token.as_ref()), ("forward_host_credentials", forward_host_credentials.as_ref())];
        let asked = asked.into_iter().filter_map(|(name, sign_in)| Some((name, sign_in?)));
        asked.chain([("in_bottle", in_bottle)])
    }
}

/// One way to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// How egress signs the routes, in the words of a manifest's `auth`: the form belongs to this client at this
    /// service.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub credential: Option<Injection>,
    /// What makes a file for the agent of one on the host.
    #[serde(default)]
    pub hook: Option<Hook>,
    /// Variables that hold a placeholder for the credential; left out of any printed summary.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub placeholders: BTreeMap<VariableName, Text>,
    /// Hosts of the service that a manifest had better not route, with what would happen.
    #[serde(default)]
    pub closed_hosts: BTreeMap<String, String>,
    /// Routes beside those of every sign-in.
    #[serde(default)]
    pub routes: Vec<Route>,
}

/// What data cannot say of a sign-in.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    /// The login file of Codex, with everything secret replaced.
    CodexLogin,
}

/// A host that the agent asks for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which host of the service.
    pub to: String,
    /// What it is for: a short name, stable.
    pub rule: String,
    /// The path prefixes that the client asks for, as measured; empty for any path.
    #[serde(default)]
    #[schemars(with = "Vec<String>", inner(regex(pattern = path_prefix::PATTERN)))]
    pub paths: Vec<PathPrefix>,
    /// The prefixes among them without which it cannot do what the route is for.
    #[serde(default)]
    #[schemars(with = "Vec<String>", inner(regex(pattern = path_prefix::PATTERN)))]
    pub essential: Vec<PathPrefix>,
}

/// A text in which words between `{{ }}` stand for what bottlec knows.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(String);

impl Text {
    /// The text with its words filled in.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The words. No template engine: a definition may be somebody else's.
const WORDS: [(&str, &str); 3] =
    [("{{ workspace }}", guest::WORKSPACE), ("{{ egress_ca }}", guest::EGRESS_CA), ("{{ placeholder }}", PLACEHOLDER)];

fn filled(text: String) -> Result<String, String> {
    let text = WORDS.iter().fold(text, |text, (word, value)| text.replace(word, value));
    if text.contains("{{") {
        let known = WORDS.map(|(word, _)| word).join(", ");
        return Err(format!("unknown placeholder in `{}`; known placeholders are {known}", text.escape_debug()));
    }
    Ok(text)
}

impl TryFrom<String> for Text {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        filled(text).map(Text)
    }
}

/// What a file says, its words filled in.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Data")]
pub struct Content(Data);

impl TryFrom<Data> for Content {
    type Error = String;
    fn try_from(data: Data) -> Result<Self, String> {
        data.try_map(&filled).map(Content)
    }
}

/// A path below the agent's home.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct HomePath(String);

impl HomePath {
    /// The path, with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HomePath {
    type Error = String;
    fn try_from(path: String) -> Result<Self, String> {
        let is_step = |step: &str| {
            !matches!(step, "" | "." | "..") && step.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        match path.split('/').all(is_step) {
            true => Ok(HomePath(path)),
            false => Err(format!("`{}` is not a path below the agent's home", path.escape_debug())),
        }
    }
}

/// Reads a definition.
///
/// # Errors
/// What is wrong with it.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut findings = Findings::default();
    let root = yaml::read(text, SourceId(0), 0, &mut findings);
    if let Some(first) = findings.into_sorted().first() {
        return Err(first.message.clone());
    }
    T::deserialize(&root.ok_or("it is empty")?).map_err(|error| error.to_string())
}

/// The schema of a definition of this kind, under `schema/`.
pub fn schema<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n"
}
