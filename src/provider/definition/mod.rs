//! The form of `templates/agents/NAME.yaml`, of `templates/services/NAME.yaml` and of a user's own definition of an
//! agent. Nothing in here can be out of form.

mod form;
mod read;
mod rules;

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Definition, SERVICES};
use crate::text::render::RenderError;
use crate::text::schema;
use crate::text::yaml::Spanned;
use crate::value::credential::{self, Injection};
use crate::value::header;
use crate::value::host::{self, Host};
use crate::value::path_prefix::{self, PathPrefix};
use crate::value::variable::VariableName;
pub use form::{Content, HomePath, Label, PackageName, Text, Version, Word};
pub use read::{Read, read};
pub(super) use read::{read_built_in, read_node};

/// A model service: an API that clients speak to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its hosts, by the names that routes of agents use.
    #[schemars(with = "BTreeMap<String, String>", extend(
        "additionalProperties" = { "type": "string", "pattern": host::FORM.pattern },
        "propertyNames" = { "pattern": form::LABEL_PATTERN },
        "minProperties" = 1
    ))]
    pub hosts: BTreeMap<Label, Host>,
}

/// A client: what it needs in order to run and to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// With which release it was measured, how, and when.
    #[serde(default)]
    pub measured: String,
    /// The model service that it speaks to.
    #[schemars(schema_with = "service_schema")]
    pub service: ServiceChoice,
    /// What is started in the bottle, a word an item. No shell reads them.
    #[schemars(with = "Vec<String>", inner(regex(pattern = form::WORD_PATTERN)), extend("minItems" = 1))]
    pub command: Spanned<Vec<Word>>,
    /// The package that the generated image installs.
    pub image: Spanned<Package>,
    /// Variables that it always has.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub environment: BTreeMap<Spanned<VariableName>, Spanned<Text>>,
    /// Files of its home, by their path there.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, File>")]
    pub files: BTreeMap<HomePath, File>,
    /// Variables that hold a credential of it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub credential_variables: Vec<VariableName>,
    /// Variables that a manifest may not set beside the agent's credential, with what they would do.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub displacing: BTreeMap<VariableName, String>,
    /// Routes of every sign-in, before its own.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// How it can sign in.
    pub sign_in: SignIns,
    /// The lines of a first manifest that choose it, with comments: for `bottlec init`.
    #[serde(default)]
    pub first_settings: String,
}

/// The model service of an agent.
#[derive(Debug)]
pub enum ServiceChoice {
    /// One of bottlec's.
    BuiltIn(&'static Definition<Service>),
    /// One that the definition itself describes.
    Own(Service),
}

impl ServiceChoice {
    /// What is known of it.
    pub fn get(&self) -> &Service {
        match self {
            ServiceChoice::BuiltIn(service) => service.get(),
            ServiceChoice::Own(service) => service,
        }
    }
}

impl<'de> Deserialize<'de> for ServiceChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameOrMapping;
        impl<'de> Visitor<'de> for NameOrMapping {
            type Value = ServiceChoice;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("the name of a service, or a mapping with its hosts")
            }
            fn visit_str<E: de::Error>(self, name: &str) -> Result<ServiceChoice, E> {
                let found = SERVICES.iter().find(|service| service.name() == name);
                found.map(ServiceChoice::BuiltIn).ok_or_else(|| E::custom(format_args!("no service `{name}`")))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ServiceChoice, A::Error> {
                Service::deserialize(MapAccessDeserializer::new(map)).map(ServiceChoice::Own)
            }
        }
        deserializer.deserialize_any(NameOrMapping)
    }
}

fn service_schema(generator: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = SERVICES.iter().map(|service| service.name()).collect();
    let own = Service::json_schema(generator);
    json_schema!({ "anyOf": [{ "type": "string", "enum": names }, own] })
}

/// An npm package.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// Its name.
    #[schemars(with = "String", regex(pattern = form::PACKAGE_PATTERN))]
    pub npm: PackageName,
    /// Its pinned release.
    #[schemars(with = "String", regex(pattern = form::VERSION_PATTERN))]
    pub version: Version,
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

    /// Puts its keys in the order that an index keeps them in.
    pub(super) fn sort(&mut self) {
        self.content.0.sort();
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
    #[schemars(schema_with = "credential_schema")]
    pub credential: Option<Injection>,
    /// What makes a file for the agent of one on the host. For bottlec's own agents.
    #[serde(default)]
    pub hook: Option<Hook>,
    /// Variables that hold a placeholder for the credential; left out of any printed summary.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub placeholders: BTreeMap<Spanned<VariableName>, Spanned<Text>>,
    /// Hosts of the service that a manifest had better not route, with what would happen.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub closed_hosts: BTreeMap<Label, String>,
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
    #[schemars(with = "String")]
    pub to: Spanned<Label>,
    /// What it is for: a short name, stable.
    #[schemars(with = "String", regex(pattern = form::LABEL_PATTERN))]
    pub rule: Label,
    /// The path prefixes that the client asks for, as measured; empty for any path.
    #[serde(default)]
    #[schemars(with = "Vec<String>", inner(regex(pattern = path_prefix::FORM.pattern)))]
    pub paths: Vec<PathPrefix>,
    /// The prefixes among them without which it cannot do what the route is for.
    #[serde(default)]
    #[schemars(with = "Vec<String>", inner(regex(pattern = path_prefix::FORM.pattern)))]
    pub essential: Vec<PathPrefix>,
}

fn credential_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "scheme": { "type": "string", "enum": ["Bearer", "token", "Basic"] },
            "username": { "type": "string" },
            "header": { "type": "string", "pattern": header::FORM.pattern },
            "prefix": { "type": "string", "pattern": credential::PREFIX_FORM.pattern },
            "query": { "type": "string", "pattern": credential::PARAMETER_FORM.pattern },
        }
    })
}

/// The schema of a definition of this kind, under `schema/`.
pub fn schema<T: JsonSchema>() -> String {
    schema::text(&schema::generate::<T>())
}

/// The schema that the validator of such a definition is made from.
pub fn schema_for_validator<T: JsonSchema>() -> String {
    schema::text(&schema::for_validator(schema::generate::<T>()))
}
