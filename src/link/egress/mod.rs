//! Egress: provider and manifest routes merged, token slots given out, and the wire file that the
//! addon reads.

mod conflict;
mod origins;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::manifest::bottle::ManifestRoute;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::Findings;
use crate::text::render::{self, RenderError, Template};
use crate::value::allowlist::Allowlist;
use crate::value::artifact::Fixed;
use crate::value::credential::{Auth, Form, Injection, Parameter, Prefix, Username};
use crate::value::digest;
use crate::value::header::HeaderName;
use crate::value::host::Host;
pub use crate::value::origin::Origin;
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::{Binding, Slot};
use crate::value::variable::TokenRef;
pub use origins::Written;

/// Enforces the wire file inside mitmproxy.
pub static ADDON: Fixed = Fixed {
    path: "egress/addon.py",
    text: include_str!("../../../templates/addon.py"),
    sha256: LazyLock::new(|| digest::hash(ADDON.text.as_bytes())),
};

/// Makes the authorities and hands out certificates before the proxies start.
pub static PREPARE: Fixed = Fixed {
    path: "egress/prepare.py",
    text: include_str!("../../../templates/prepare.py"),
    sha256: LazyLock::new(|| digest::hash(PREPARE.text.as_bytes())),
};

/// Asks whether egress is healthy and the walls of its networks stand.
pub static PROBE: Fixed = Fixed {
    path: "egress/probe.py",
    text: include_str!("../../../templates/probe.py"),
    sha256: LazyLock::new(|| digest::hash(PROBE.text.as_bytes())),
};

/// The files that are the same in every bottle.
pub const FIXED: [&Fixed; 3] = [&ADDON, &PREPARE, &PROBE];

/// Where the wire file lies in a tree.
pub const WIRE: &str = "egress/routes.yaml";

static TEMPLATE: Template = render::template!("routes.yaml");

/// One host that the agent may reach.
#[derive(Clone, Debug)]
pub struct Route {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    pub path_allowlist: Allowlist<PathPrefix>,
    /// The credential and the slot that holds it.
    pub auth: Option<(Auth, Slot)>,
    /// Whether the agent's own `Authorization` goes through.
    pub keep_authorization: bool,
    /// Whether pipelock splices the host.
    pub tls_passthrough: bool,
    /// Ranges of private addresses that the host may resolve to.
    pub ssrf_ip_allowlist: Vec<IpNet>,
    /// Who asked for it.
    pub origin: Origin,
}

/// The merged routes with their slots.
#[derive(Clone, Debug, Default)]
pub struct Egress {
    /// Provider routes first, then the manifest's, each in their order.
    pub routes: Vec<Route>,
    /// What each slot holds.
    pub slots: BTreeMap<Slot, TokenRef>,
}

/// Merges the provider's routes with the manifest's. The paths of a manifest route take the place of the
/// provider's for that host, narrower or wider; any other difference is a conflict.
pub fn merge(plan: &AgentProvisionPlan, manifest: &[ManifestRoute], findings: &mut Findings) -> Egress {
    let mut egress = Egress::default();
    let mut slots = Slots::default();
    for route in &plan.egress_routes {
        let narrowing = manifest.iter().find(|own| own.host.value == route.host);
        if let Some(narrowing) = narrowing {
            conflict::report_differences(&plan.provider, route, narrowing, findings);
        }
        let auth = route.auth.clone().map(|auth| slots.with_slot(auth));
        let asked_at = auth.as_ref().and(plan.credential_asked_at).or(plan.asked_at);
        egress.routes.push(Route {
            host: route.host.clone(),
            path_allowlist: narrowing
                .map(ManifestRoute::prefixes)
                .filter(|prefixes| !prefixes.is_any())
                .unwrap_or_else(|| route.path_allowlist.iter().cloned().collect()),
            keep_authorization: auth.is_none(),
            auth,
            tls_passthrough: route.tls_passthrough,
            ssrf_ip_allowlist: Vec::new(),
            origin: Origin::Provider {
                provider: plan.provider.clone(),
                rule: route.rule.clone(),
                defined_at: route.defined_at,
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
            conflict::report_interception(own, tls_passthrough, findings);
        }
        conflict::report_shared_exception(own, findings);
        conflict::report_closed_host(plan, own, findings);
        let auth = own.auth.clone().map(|auth| slots.with_slot(auth.value));
        egress.routes.push(Route {
            host: own.host.value.clone(),
            path_allowlist: own.prefixes(),
            auth,
            keep_authorization: own.keeps_authorization(),
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

impl Egress {
    /// The wire file, `egress/routes.yaml`.
    ///
    /// # Errors
    /// When it does not read back: a defect of bottlec.
    pub fn wire(&self) -> Result<String, RenderError> {
        render::yaml(
            WIRE,
            &TEMPLATE,
            &Wire { routes: self.routes.iter().map(WireRoute::of).collect(), slots: self.binding() },
        )
    }

    /// What binds the slots to their tokens and hosts. Nothing if no route is signed.
    pub fn binding(&self) -> Option<Binding> {
        let hosts = |slot: Slot| {
            let signed = self.routes.iter().filter(move |route| route.auth.as_ref().is_some_and(|auth| auth.1 == slot));
            signed.map(|route| route.host.as_str()).collect()
        };
        Binding::of(self.slots.iter().map(|(slot, token_ref)| (*slot, token_ref, hosts(*slot))))
    }
}

/// The wire file as the addon reads it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// One for each host.
    pub routes: Vec<WireRoute>,
    /// What binds the slots, if a route has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Binding>,
}

/// A route on the wire: four fields of the reference system and ours; empty ones are left out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireRoute {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    #[serde(default, skip_serializing_if = "Allowlist::is_any")]
    pub path_allowlist: Allowlist<PathPrefix>,
    /// The scheme of the `Authorization` that egress puts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_scheme: Option<String>,
    /// The user, for `Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_username: Option<Username>,
    /// The header that egress puts on, in place of a scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_header: Option<HeaderName>,
    /// What stands before the token in that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_prefix: Option<Prefix>,
    /// The query parameter that egress puts on, in place of a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_query: Option<Parameter>,
    /// The slot that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<Slot>,
    /// Whether the agent's own `Authorization` goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_authorization: Option<bool>,
    /// Whether pipelock opens the host's TLS. pipelock 2.3 ends such a connection behind each answer without
    /// saying so, and 1 to 5 % of what follows on it is lost (measured); egress then asks for a new one each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<bool>,
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
    /// Half a credential, and a form that no build writes.
    pub fn credential(&self) -> Result<Option<(Injection, Slot)>, String> {
        let form = Form {
            scheme: self.auth_scheme.clone(),
            username: self.auth_username.clone(),
            header: self.auth_header.clone(),
            prefix: self.auth_prefix.clone(),
            query: self.auth_query.clone(),
        };
        match self.token_env {
            None if form == Form::default() => Ok(None),
            None => Err(format!("{} has half a credential", self.host)),
            Some(slot) => {
                let injection = form.try_into().map_err(|problem| format!("{}: {problem}", self.host))?;
                Ok(Some((injection, slot)))
            }
        }
    }

    fn of(route: &Route) -> Self {
        // Exhaustive: what does not cross to egress is named here.
        let Route { host, path_allowlist, auth, keep_authorization, tls_passthrough, ssrf_ip_allowlist: _, origin: _ } =
            route;
        let form = auth.as_ref().map(|(auth, _)| auth.injection.form()).unwrap_or_default();
        let Form { scheme, username, header, prefix, query } = form;
        WireRoute {
            host: host.clone(),
            path_allowlist: path_allowlist.clone(),
            auth_scheme: scheme,
            auth_username: username,
            auth_header: header,
            auth_prefix: prefix,
            auth_query: query,
            token_env: auth.as_ref().map(|(_, slot)| *slot),
            keep_authorization: keep_authorization.then_some(true),
            opened: (!tls_passthrough).then_some(true),
        }
    }
}
