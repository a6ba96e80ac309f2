//! A bottle: a manifest after every rule has been checked. Nothing in here can be out of form.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::diagnostic::Refusal;
use crate::host::Host;
use crate::manifest::{PipelockTarget, SmolvmTarget};
use crate::network::Subnet;
use crate::origin::Origin;
use crate::path_prefix::PathPrefix;
use crate::provider::Provider;
use crate::source::Span;
use crate::variable::{Binding, TokenRef, VariableName};
use crate::yaml::Spanned;

/// What a bottle's name looks like.
pub const NAME_PATTERN: &str = "^[a-z][a-z0-9-]{0,39}$";

/// A bottle's name: it is a folder, a compose project and a microVM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BottleName(String);

impl BottleName {
    /// Reads a name.
    ///
    /// # Errors
    /// Anything that [`NAME_PATTERN`] does not match.
    pub fn parse(text: &str) -> Result<BottleName, Refusal> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if starts && text.len() <= 40 && text.bytes().all(allowed) {
            return Ok(BottleName(text.to_owned()));
        }
        Err(Refusal::new(
            format!("`{}` is not a name for a bottle", text.escape_debug()),
            "use lower-case letters, digits and `-`, a letter first, at most 40 characters",
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the manifest asks for, checked.
pub struct Bottle {
    /// The name.
    pub name: BottleName,
    /// The agent.
    pub provider: &'static dyn Provider,
    /// How it signs in and what it runs in.
    pub settings: Settings,
    /// The network that agent and egress share.
    pub subnet: Subnet,
    /// The agent's variables.
    pub env: BTreeMap<VariableName, Variable>,
    /// The manifest's own routes, in its order.
    pub routes: Vec<ManifestRoute>,
    /// Which pipelock.
    pub pipelock: PipelockTarget,
    /// Which smolvm.
    pub smolvm: SmolvmTarget,
    /// Where the manifest says what has a default.
    pub places: Places,
}

/// Where the manifest says what has a default, if it does.
#[derive(Clone, Copy, Debug, Default)]
pub struct Places {
    /// `name`.
    pub name: Option<Span>,
    /// `network.subnet`.
    pub subnet: Option<Span>,
    /// `targets.pipelock`.
    pub pipelock: Option<Span>,
    /// `targets.smolvm`.
    pub smolvm: Option<Span>,
}

impl Bottle {
    /// Who decides the bottle's name.
    pub fn name_origin(&self) -> Origin {
        Origin::written_or(self.places.name, "name-of-file")
    }

    /// Who decides the addresses of agent and egress.
    pub fn subnet_origin(&self) -> Origin {
        Origin::written_or(self.places.subnet, "subnet-from-name")
    }
}

/// The agent's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the manifest chooses the agent, if it does.
    pub template: Option<Span>,
    /// The host variable with the agent's token.
    pub auth_token: Option<Spanned<TokenRef>>,
    /// Set when the host's credentials are forwarded; the place that asks for it.
    pub forward_host_credentials: Option<Span>,
    /// The image, if the manifest chooses one.
    pub image: Option<Spanned<ImageChoice>>,
}

/// Where the agent's image comes from, if not from bottlec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// An image reference.
    Reference(String),
    /// A local archive; the path from the manifest's folder.
    Archive(String),
    /// A Dockerfile; the path from the manifest's folder.
    Dockerfile(String),
}

impl ImageChoice {
    /// Whether it is a file beside the manifest.
    pub fn is_local(&self) -> bool {
        match self {
            ImageChoice::Reference(_) => false,
            ImageChoice::Archive(_) | ImageChoice::Dockerfile(_) => true,
        }
    }
}

/// One variable of the agent.
#[derive(Clone, Debug)]
pub struct Variable {
    /// What it is bound to.
    pub binding: Binding,
    /// Its name in the manifest.
    pub name_span: Span,
    /// Its value in the manifest.
    pub value_span: Span,
}

/// How egress signs a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// `Bearer TOKEN`.
    Bearer,
    /// `token TOKEN`.
    Token,
    /// `Basic base64(USERNAME:TOKEN)`.
    Basic {
        /// The user.
        username: String,
    },
}

impl Scheme {
    /// The first word of the header's value.
    pub fn as_str(&self) -> &'static str {
        match self {
            Scheme::Bearer => "Bearer",
            Scheme::Token => "token",
            Scheme::Basic { .. } => "Basic",
        }
    }

    /// The user, of a scheme that has one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Scheme::Basic { username } => Some(username),
            Scheme::Bearer | Scheme::Token => None,
        }
    }
}

/// A credential by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How it is sent.
    pub scheme: Scheme,
    /// Where its value comes from at launch.
    pub token_ref: TokenRef,
}

/// A credential as a manifest names it.
#[derive(Clone, Debug)]
pub struct WrittenAuth {
    /// What it is.
    pub value: Auth,
    /// Where its scheme stands.
    pub span: Span,
    /// Where its user stands, if the scheme has one.
    pub username_span: Option<Span>,
    /// Where its token ref stands.
    pub token_span: Span,
}

/// A route of the manifest.
#[derive(Clone, Debug)]
pub struct ManifestRoute {
    /// The host.
    pub host: Spanned<Host>,
    /// The paths; empty for any.
    pub path_allowlist: Vec<Spanned<PathPrefix>>,
    /// The credential.
    pub auth: Option<WrittenAuth>,
    /// What the manifest says about passthrough, if it does.
    pub tls_passthrough: Option<Spanned<bool>>,
    /// Private ranges that the host may resolve to.
    pub ssrf_ip_allowlist: Vec<Spanned<IpNet>>,
    /// Whether a part of it was refused: what is left does not say what was meant.
    pub is_partial: bool,
}
