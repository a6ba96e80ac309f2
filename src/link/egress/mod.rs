//! Egress: provider and manifest routes merged, each part with who decides it, and token slots given out.

mod conflict;

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::manifest::bottle::ManifestRoute;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::Findings;
use crate::text::source::Span;
use crate::value::allowlist::Allowlist;
use crate::value::credential::Auth;
use crate::value::host::Host;
use crate::value::origin::{By, Origin};
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::{self, Binding, Slot};
use crate::value::variable::TokenRef;

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
    /// Who decides its parts.
    pub parts: PartOrigins,
}

/// Who decides each part of a route.
#[derive(Clone, Debug)]
pub struct PartOrigins {
    /// Each path; none for those of whoever asked for the route.
    pub paths: Vec<Origin>,
    /// How egress signs: scheme, header or parameter.
    pub form: Origin,
    /// The user or the prefix of that.
    pub detail: Origin,
    /// The token.
    pub token: Origin,
    /// Whether the agent's own `Authorization` goes through.
    pub keep_authorization: Origin,
    /// Whether pipelock splices the host.
    pub tls_passthrough: Origin,
    /// Each range.
    pub ranges: Vec<Origin>,
}

impl PartOrigins {
    /// Of a route that the provider owns: the manifest has a say in the paths alone.
    fn of_provider(origin: &Origin, narrowing: Option<&ManifestRoute>) -> Self {
        let own = origin.unnarrowed();
        let narrowing = narrowing.map(|narrowing| narrowing.path_allowlist.as_slice()).unwrap_or_default();
        PartOrigins {
            paths: narrowing.iter().map(|path| Origin::Manifest(path.span)).collect(),
            form: own.clone(),
            detail: own.clone(),
            token: own.clone(),
            keep_authorization: own.clone(),
            tls_passthrough: own,
            ranges: Vec::new(),
        }
    }

    /// Of a route of the manifest.
    fn of_manifest(route: &ManifestRoute) -> Self {
        // Exhaustive: a new key decides something.
        let ManifestRoute {
            host,
            path_allowlist,
            auth,
            keep_authorization,
            tls_passthrough,
            ssrf_ip_allowlist,
            is_partial: _,
        } = route;
        let written = |place: Option<Span>| Origin::Manifest(place.unwrap_or(host.span));
        PartOrigins {
            paths: path_allowlist.iter().map(|path| Origin::Manifest(path.span)).collect(),
            form: written(auth.as_ref().map(|auth| auth.span)),
            detail: written(auth.as_ref().map(|auth| auth.detail_span.unwrap_or(auth.span))),
            token: written(auth.as_ref().map(|auth| auth.token_span)),
            keep_authorization: written(keep_authorization.as_ref().map(|keep| keep.span)),
            tls_passthrough: written(tls_passthrough.as_ref().map(|passthrough| passthrough.span)),
            ranges: ssrf_ip_allowlist.iter().map(|range| Origin::Manifest(range.span)).collect(),
        }
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
        let origin = Origin::Provider {
            provider: plan.provider.clone(),
            rule: route.rule.clone(),
            defined_at: route.defined_at,
            narrowed_at: narrowing.map(|narrowing| narrowing.host.span),
            asked_at,
        };
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
            parts: PartOrigins::of_provider(&origin, narrowing),
            origin,
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
            parts: PartOrigins::of_manifest(own),
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
    /// What binds the slots to their tokens and hosts. `None` if no route is signed.
    pub fn binding(&self) -> Option<Binding> {
        let hosts = |slot: Slot| {
            let signed = self.routes.iter().filter(move |route| route.auth.as_ref().is_some_and(|auth| auth.1 == slot));
            signed.map(|route| route.host.as_str()).collect()
        };
        Binding::of(self.slots.iter().map(|(slot, token_ref)| (*slot, token_ref, hosts(*slot))))
    }

    /// The variables that egress is given at launch: what binds the slots, and the slots, which their first routes
    /// decide.
    pub fn variables(&self) -> impl Iterator<Item = (String, By<()>)> {
        let binding = self.binding().map(|_| (slot::BINDING.to_owned(), By::unsaid(())));
        let slots = self.slots.keys().map(|slot| {
            let first = self.routes.iter().find(|route| route.auth.as_ref().is_some_and(|auth| auth.1 == *slot));
            (slot.to_string(), By { value: (), origin: first.map(|route| route.parts.token.clone()) })
        });
        binding.into_iter().chain(slots)
    }
}
