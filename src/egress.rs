//! Egress: provider and manifest routes merged, token slots given out, and the wire file that the
//! addon reads.

mod origins;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use askama::Template;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::artifact::Fixed;
use crate::bottle::ManifestRoute;
use crate::credential::Auth;
use crate::credential::Scheme;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::digest;
use crate::host::Host;
pub use crate::origin::Origin;
use crate::path_prefix::PathPrefix;
use crate::plan::{AgentProvisionPlan, ProviderRoute};
use crate::render::{self, RenderError, filters};
use crate::slot::Slot;
use crate::source::Span;
use crate::variable::TokenRef;
pub use origins::Written;

/// Enforces the wire file inside mitmproxy.
pub static ADDON: Fixed = Fixed {
    path: "egress/addon.py",
    text: include_str!("../templates/addon.py"),
    sha256: LazyLock::new(|| digest::hash(ADDON.text.as_bytes())),
};

/// Makes the authorities and hands out certificates before the proxies start.
pub static PREPARE: Fixed = Fixed {
    path: "egress/prepare.py",
    text: include_str!("../templates/prepare.py"),
    sha256: LazyLock::new(|| digest::hash(PREPARE.text.as_bytes())),
};

/// Asks whether egress is healthy and the walls of its networks stand.
pub static PROBE: Fixed = Fixed {
    path: "egress/probe.py",
    text: include_str!("../templates/probe.py"),
    sha256: LazyLock::new(|| digest::hash(PROBE.text.as_bytes())),
};

/// The files that are the same in every bottle.
pub const FIXED: [&Fixed; 3] = [&ADDON, &PREPARE, &PROBE];

/// Where the wire file lies in a tree.
pub const WIRE: &str = "egress/routes.yaml";

/// One host that the agent may reach.
#[derive(Clone, Debug)]
pub struct Route {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    pub path_allowlist: Vec<PathPrefix>,
    /// The credential and the slot that holds it.
    pub auth: Option<(Auth, Slot)>,
    /// Whether pipelock splices the host.
    pub tls_passthrough: bool,
    /// Ranges of private addresses that the host may resolve to.
    pub ssrf_ip_allowlist: Vec<IpNet>,
    /// Who asked for it.
    pub origin: Origin,
}

impl Route {
    /// Whether the agent's own `Authorization` goes through: on a spliced host that egress does not
    /// sign for, so that a login made inside the bottle works.
    pub fn keeps_authorization(&self) -> bool {
        self.tls_passthrough && self.auth.is_none()
    }
}

/// The merged routes with their slots.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Provider routes first, then the manifest's, each in their order.
    pub routes: Vec<Route>,
    /// What each slot holds.
    pub slots: BTreeMap<Slot, TokenRef>,
}

/// Merges the provider's routes with the manifest's. A manifest route may narrow a provider's by
/// path; any other difference is a conflict.
pub fn merge(plan: &AgentProvisionPlan, manifest: &[ManifestRoute], findings: &mut Findings) -> Egress {
    let mut egress = Egress::default();
    let mut slots = Slots::default();
    for route in &plan.egress_routes {
        let narrowing = manifest.iter().find(|own| own.host.value == route.host);
        if let Some(narrowing) = narrowing {
            report_differences(plan.provider, route, narrowing, findings);
        }
        let auth = route.auth.clone().map(|auth| slots.with_slot(auth));
        let asked_at = auth.as_ref().and(plan.credential_asked_at).or(plan.asked_at);
        egress.routes.push(Route {
            host: route.host.clone(),
            path_allowlist: narrowing.map(prefixes).unwrap_or_default(),
            auth,
            tls_passthrough: route.tls_passthrough,
            ssrf_ip_allowlist: Vec::new(),
            origin: Origin::Provider {
                provider: plan.provider,
                rule: route.rule,
                narrowed_at: narrowing.map(|narrowing| narrowing.host.span),
                asked_at,
            },
        });
    }
    for own in manifest {
        if plan.egress_routes.iter().any(|route| route.host == own.host.value) {
            continue;
        }
        let tls_passthrough = own.tls_passthrough.as_ref().is_some_and(|passthrough| passthrough.value);
        if !own.is_partial {
            report_interception(own, tls_passthrough, findings);
        }
        report_shared_exception(own, findings);
        let auth = own.auth.clone().map(|auth| slots.with_slot(auth.value));
        egress.routes.push(Route {
            host: own.host.value.clone(),
            path_allowlist: prefixes(own),
            auth,
            tls_passthrough,
            ssrf_ip_allowlist: own.ssrf_ip_allowlist.iter().map(|range| range.value).collect(),
            origin: Origin::Manifest(own.host.span),
        });
    }
    egress.slots = slots.0.into_iter().map(|(token_ref, slot)| (slot, token_ref)).collect();
    egress
}

/// The slot of each token ref.
#[derive(Default)]
struct Slots(BTreeMap<TokenRef, Slot>);

impl Slots {
    /// The slot of a credential: one for each token ref, in the order of first use.
    fn with_slot(&mut self, auth: Auth) -> (Auth, Slot) {
        let next = Slot(self.0.len());
        let slot = *self.0.entry(auth.token_ref.clone()).or_insert(next);
        (auth, slot)
    }
}

fn prefixes(route: &ManifestRoute) -> Vec<PathPrefix> {
    route.path_allowlist.iter().map(|path| path.value.clone()).collect()
}

impl Egress {
    /// The wire file, `egress/routes.yaml`.
    ///
    /// # Errors
    /// When it does not read back: a defect of bottlec.
    pub fn wire(&self) -> Result<String, RenderError> {
        render::yaml(WIRE, &Wire { routes: self.routes.iter().map(WireRoute::of).collect() })
    }
}

/// Everything in a manifest route that fights the provider's route for the same host.
fn report_differences(provider: &str, route: &ProviderRoute, own: &ManifestRoute, findings: &mut Findings) {
    let host = &route.host;
    let mut conflict = |at: Span, what: String, help: &str| {
        findings.push(
            Diagnostic::new(
                Code::RouteConflict,
                format!("the provider `{provider}` owns `{host}` (its rule `{}`) and {what}", route.rule),
            )
            .at(at, "differs from the provider's rule")
            .and(own.host.span, "the manifest's route")
            .help(help),
        );
    };
    if let Some(auth) = &own.auth {
        match &route.auth {
            Some(owned) if *owned == auth.value => {}
            Some(_) => conflict(
                auth.span,
                "sends its own credential there".into(),
                "remove `auth`; the provider's credential counts",
            ),
            None => conflict(
                auth.span,
                "sends no credential of egress there".into(),
                "remove `auth`; let the provider sign in through `agent_provider`",
            ),
        }
    }
    if let Some(passthrough) = &own.tls_passthrough
        && passthrough.value != route.tls_passthrough
    {
        let must = if route.tls_passthrough { "needs pipelock to splice it" } else { "needs pipelock to open it" };
        conflict(passthrough.span, must.into(), "remove `tls_passthrough`; the provider's rule counts");
    }
    if let Some(range) = own.ssrf_ip_allowlist.first() {
        conflict(range.span, "lets it resolve to public addresses only".into(), "remove `ssrf_ip_allowlist`");
    }
    if own.path_allowlist.is_empty() {
        findings.push(
            Diagnostic::new(
                Code::NoEffect,
                format!("the route repeats what the provider `{provider}` brings for `{host}`"),
            )
            .at(own.host.span, "no effect")
            .help("remove it, or narrow it with `path_allowlist`"),
        );
    }
}

/// pipelock scans the headers of a host that it opens and refuses a credential there with 403; the
/// client's retries then end in 429 (seen with pipelock 2.3.0).
fn report_interception(route: &ManifestRoute, tls_passthrough: bool, findings: &mut Findings) {
    if let Some(auth) = &route.auth
        && !tls_passthrough
    {
        findings.push(
            Diagnostic::new(
                Code::InterceptedCredential,
                format!(
                    "pipelock opens `{}` and may refuse the credential that egress puts on its requests",
                    route.host.value
                ),
            )
            .at(auth.span, "a credential on an opened host")
            .and(route.host.span, "opened, because `tls_passthrough` is not set")
            .help("add `pipelock: { tls_passthrough: true }`; the host is then checked by name and not scanned"),
        );
    }
}

/// pipelock has one list of exceptions for all hosts.
fn report_shared_exception(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(range) = route.ssrf_ip_allowlist.first() {
        findings.push(
            Diagnostic::new(
                Code::SharedSsrfException,
                format!(
                    "pipelock lets every host of the bottle resolve to the private range {}, not `{}` alone",
                    range.value, route.host.value
                ),
            )
            .at(range.span, "holds for all routes")
            .help("keep the range as small as the service's own address"),
        );
    }
}

/// The wire file as the addon reads it.
#[derive(Debug, PartialEq, Serialize, Deserialize, Template)]
#[template(path = "routes.yaml")]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// One for each host.
    pub routes: Vec<WireRoute>,
}

/// A route on the wire: four fields of the reference system and two of ours; empty ones are left out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireRoute {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path_allowlist: Vec<PathPrefix>,
    /// The first word of the header that egress puts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_scheme: Option<String>,
    /// The user, for `Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_username: Option<String>,
    /// The slot that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<Slot>,
    /// Whether the agent's own `Authorization` goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_authorization: Option<bool>,
}

impl Wire {
    /// Reads the wire file.
    ///
    /// # Errors
    /// What the addon would not take either, in the words of the YAML reader.
    pub fn parse(text: &str) -> Result<Wire, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }
}

impl WireRoute {
    /// How egress signs, and the slot. Nothing if it does not.
    ///
    /// # Errors
    /// Half a credential, and an unknown scheme.
    pub fn credential(&self) -> Result<Option<(Scheme, Slot)>, String> {
        let (scheme, slot) = match (&self.auth_scheme, &self.token_env) {
            (None, None) => return Ok(None),
            (Some(scheme), Some(slot)) => (scheme, slot),
            _ => return Err(format!("{} has half a credential", self.host)),
        };
        let scheme = match (scheme.as_str(), &self.auth_username) {
            ("Bearer", None) => Scheme::Bearer,
            ("token", None) => Scheme::Token,
            ("Basic", Some(username)) => Scheme::Basic { username: username.clone() },
            _ => return Err(format!("{} has the scheme `{}`", self.host, scheme.escape_debug())),
        };
        Ok(Some((scheme, *slot)))
    }

    fn of(route: &Route) -> Self {
        // Exhaustive: what does not cross to egress is named here.
        let Route { host, path_allowlist, auth, tls_passthrough: _, ssrf_ip_allowlist: _, origin: _ } = route;
        let (auth, slot) = match auth {
            Some((auth, slot)) => (Some(auth), Some(slot)),
            None => (None, None),
        };
        WireRoute {
            host: host.clone(),
            path_allowlist: path_allowlist.clone(),
            auth_scheme: auth.map(|auth| auth.scheme.as_str().to_owned()),
            auth_username: auth.and_then(|auth| auth.scheme.username()).map(str::to_owned),
            token_env: slot.copied(),
            keep_authorization: route.keeps_authorization().then_some(true),
        }
    }
}
