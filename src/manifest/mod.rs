//! The manifest as it is written: the keys, their types and their documentation. The JSON Schema is
//! made from these types. What the values must be beyond that is in `semantics`.

pub mod bottle;
pub mod extends;
#[cfg(not(target_family = "wasm"))]
pub mod load;
mod parse;
pub mod place;
pub mod schema;
mod semantics;
pub mod which;
pub mod written;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(not(target_family = "wasm"))]
pub use load::{Loaded, load, load_bytes, load_revision};
pub use parse::{parse, parse_definition};
pub use semantics::check;

use crate::provider::{self, Provider};
use crate::text::yaml::Spanned;
use crate::value::release::{PipelockTarget, SmolvmTarget};
use crate::{
    value::credential, value::header, value::host, value::name, value::network, value::path_prefix, value::variable,
};

/// One bottle: which agent runs in it, what it may reach, and with which credentials.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Bottle")]
pub struct Manifest {
    /// The bottle's name. It names the output folder, the containers and the microVM. Without it
    /// the file's name counts.
    #[schemars(transform = name::FORM.text(), extend("examples" = ["review"]))]
    pub name: Option<Spanned<String>>,
    /// Another bottle to start from: a name in the same folder, or a relative path inside the
    /// project. `env` merges by key and `agent_provider`, `network` and `targets` by field, the
    /// child wins; `egress.routes` is replaced whole when the child has it.
    #[schemars(extend("minLength" = 1, "examples" = ["base", "../shared/base.yaml"]))]
    pub extends: Option<Spanned<String>>,
    /// The agent and how it signs in.
    #[schemars(extend("default" = {}, "examples" = [{ "template": provider::default_name() }, { "auth_token": "AGENT_TOKEN" }]))]
    pub agent_provider: Option<AgentProvider>,
    /// The network that agent and egress share.
    #[schemars(extend("default" = {}, "examples" = [{ "subnet": "10.200.7.0/24" }]))]
    pub network: Option<Network>,
    /// Variables of the agent. A value is text, or `${HOST_VAR}` (the host's variable, bound at
    /// launch), or `?` with an optional question (asked at launch). `$$` stands for `$`.
    #[schemars(extend(
        "propertyNames" = variable::FORM.schema(),
        "default" = {},
        "examples" = [{ "EDITOR": "vim", "REVIEWER": "${USER}", "TICKET": "?Which ticket is this for" }]
    ))]
    pub env: Option<BTreeMap<Spanned<String>, Spanned<String>>>,
    /// What the agent may reach.
    #[schemars(extend("default" = {}, "examples" = [{ "routes": [{ "host": "api.example.com" }] }]))]
    pub egress: Option<Egress>,
    /// The releases that the output is for.
    #[schemars(extend("default" = {}, "examples" = [{ "pipelock": "3", "smolvm": "1.33" }]))]
    pub targets: Option<Targets>,
}

/// The agent and how it signs in.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentProvider {
    /// Which agent runs in the bottle: one of bottlec's by its name, or one of your own by the path of its definition,
    /// which counts from this file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "provider::template_schema")]
    pub template: Option<Spanned<String>>,
    /// The agent of that path, once its definition has been read.
    #[serde(skip)]
    #[schemars(skip)]
    pub own: Option<Provider>,
    /// The name of the host variable that holds the agent's token; egress sends the token, the
    /// agent holds a placeholder.
    #[schemars(transform = variable::TOKEN_FORM.text(), extend("examples" = ["AGENT_TOKEN"]))]
    pub auth_token: Option<Spanned<String>>,
    /// Whether egress signs in as the host's user, from the agent's own credential file on the
    /// host. Nothing of that file is read unless this is true.
    // Without `default`, which editors would write out with every `agent_provider`.
    #[schemars(extend("examples" = [true]))]
    pub forward_host_credentials: Option<Spanned<bool>>,
    /// A Dockerfile to build the agent's image from. Without it one is generated that installs a
    /// pinned release of the client.
    #[schemars(extend("minLength" = 1, "examples" = ["docker/Dockerfile"]))]
    pub dockerfile: Option<Spanned<String>>,
    /// An image to use as it is: a reference, or a local archive (`./agent.tar`).
    #[schemars(extend("minLength" = 1, "examples" = ["registry.example.com/agent:1", "./agent.tar"]))]
    pub image: Option<Spanned<String>>,
}

/// The network that agent and egress share.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// A private IPv4 /24. Without it one is derived from the bottle's name.
    #[schemars(transform = network::SUBNET_FORM.text(), extend("examples" = ["10.200.7.0/24"]))]
    pub subnet: Option<Spanned<String>>,
}

/// What the agent may reach.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// One entry for each host beside those of the provider.
    #[schemars(extend("default" = [], "examples" = [[{ "host": "api.example.com", "path_allowlist": ["/v1"] }]]))]
    pub routes: Option<Vec<Route>>,
}

/// A host that the agent may reach on port 443.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// An exact DNS name; no scheme, port, path or wildcard. One entry for each host.
    #[schemars(required, transform = host::FORM.text(), extend("maxLength" = 254, "examples" = ["api.example.com"]))]
    pub host: Option<Spanned<String>>,
    /// Path prefixes that the agent may ask for, matched on the borders of path segments: `/a`
    /// admits `/a` and `/a/b`, not `/ab`. Without it any path.
    #[schemars(transform = path_prefix::FORM.items(), extend("examples" = [["/v1/models"]]))]
    pub path_allowlist: Option<Spanned<Vec<Spanned<String>>>>,
    /// The credential that egress puts on requests to this host.
    #[schemars(extend("examples" = [{ "scheme": "Bearer", "token_ref": "API_TOKEN" }]))]
    pub auth: Option<Spanned<Auth>>,
    /// Whether the agent's own `Authorization` goes through, for a login that the agent has of its
    /// own. Any account can then be used at this host. Not beside `auth`.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub keep_authorization: Option<Spanned<bool>>,
    /// How pipelock treats this host.
    #[schemars(extend("default" = {}, "examples" = [{ "tls_passthrough": true }]))]
    pub pipelock: Option<RoutePipelock>,
}

/// The credential that egress puts on requests to a host: by `scheme`, `header` or `query`, one of the three.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "oneOf" = [
        { "required": ["scheme"], "properties": { "scheme": true } },
        { "required": ["header"], "properties": { "header": true } },
        { "required": ["query"], "properties": { "query": true } },
    ],
    "dependencies" = { "username": ["scheme"], "prefix": ["header"] }
))]
pub struct Auth {
    /// The scheme of the `Authorization` header.
    #[schemars(extend("examples" = ["Bearer"]))]
    pub scheme: Option<Spanned<Scheme>>,
    /// The name of the host variable that holds the token. Never the token.
    #[schemars(required, transform = variable::TOKEN_FORM.text(), extend("maxLength" = 100, "examples" = ["GITEA_TOKEN"]))]
    pub token_ref: Option<Spanned<String>>,
    /// The user of scheme `Basic`, whose password is the token.
    #[schemars(transform = credential::USERNAME_FORM.text(), extend("minLength" = 1, "examples" = ["git"]))]
    pub username: Option<Spanned<String>>,
    /// A header whose value is the token.
    #[schemars(transform = header::FORM.text(), extend("examples" = ["x-api-key"]))]
    pub header: Option<Spanned<String>>,
    /// What stands before the token in `header`; the token follows at once, so that a blank belongs to it.
    #[schemars(transform = credential::PREFIX_FORM.text(), extend("examples" = ["Bot "]))]
    pub prefix: Option<Spanned<String>>,
    /// A query parameter whose value is the token. Only on a host that pipelock does not open: its log has every URL.
    #[schemars(transform = credential::PARAMETER_FORM.text(), extend("examples" = ["key"]))]
    pub query: Option<Spanned<String>>,
}

/// The scheme of an `Authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Scheme {
    /// `Authorization: Bearer TOKEN`.
    Bearer,
    /// `Authorization: token TOKEN`.
    #[serde(rename = "token")]
    Token,
    /// `Authorization: Basic base64(USERNAME:TOKEN)`.
    Basic,
}

/// How pipelock treats a host.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoutePipelock {
    /// Whether pipelock splices connections to this host instead of opening them. What is spliced
    /// is not scanned; a credential on a host that is opened is refused.
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub tls_passthrough: Option<Spanned<bool>>,
    /// Private ranges that this host may resolve to.
    #[schemars(extend("default" = [], "examples" = [["10.20.0.0/16"]]))]
    pub ssrf_ip_allowlist: Option<Vec<Spanned<String>>>,
}

/// The releases that the output is for.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Targets {
    /// Which pipelock reads the file; only keys that it knows are written.
    #[schemars(extend("default" = "2.3", "examples" = ["3"]))]
    pub pipelock: Option<Spanned<PipelockTarget>>,
    /// Which smolvm reads the Smolfile; only keys that it knows are written.
    #[schemars(extend("default" = "1.9", "examples" = ["1.33"]))]
    pub smolvm: Option<Spanned<SmolvmTarget>>,
}
