//! A bottle: a manifest after every rule has been checked. Nothing in here can be out of form.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::manifest::written::Written;
use crate::provider::{Provider, Settings};
use crate::text::source::Span;
use crate::text::yaml::Spanned;
use crate::value::allowlist::Allowlist;
use crate::value::credential::Auth;
use crate::value::host::Host;
use crate::value::name::BottleName;
use crate::value::network::Subnet;
use crate::value::origin::Origin;
use crate::value::path_prefix::PathPrefix;
use crate::value::release::PipelockTarget;
use crate::value::release::SmolvmTarget;
use crate::value::variable::{Binding, VariableName};

/// What the manifest asks for, checked.
pub struct Bottle {
    /// The name.
    pub name: BottleName,
    /// The agent.
    pub provider: Provider,
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
    /// The manifest as an index keeps it.
    pub written: Written,
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

/// A credential as a manifest names it.
#[derive(Clone, Debug)]
pub struct WrittenAuth {
    /// What it is.
    pub value: Auth,
    /// Where its scheme, header or query parameter is.
    pub span: Span,
    /// Where its user or prefix is, if it has one.
    pub detail_span: Option<Span>,
    /// Where its token ref is.
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
    /// What the manifest says about the agent's own `Authorization`, if it does.
    pub keep_authorization: Option<Spanned<bool>>,
    /// What the manifest says about passthrough, if it does.
    pub tls_passthrough: Option<Spanned<bool>>,
    /// Private ranges that the host may resolve to.
    pub ssrf_ip_allowlist: Vec<Spanned<IpNet>>,
    /// Whether a part of it was refused: what is left does not say what was meant.
    pub is_partial: bool,
}

impl ManifestRoute {
    /// The paths without their places.
    pub fn prefixes(&self) -> Allowlist<PathPrefix> {
        self.path_allowlist.iter().map(|path| path.value.clone()).collect()
    }

    /// Whether it asks for the agent's own `Authorization` to go through.
    pub fn keeps_authorization(&self) -> bool {
        self.keep_authorization.as_ref().is_some_and(|keep| keep.value)
    }
}
