//! What a manifest route says of a host that the provider owns, or keeps closed, and what pipelock makes of a
//! route: findings.

use crate::manifest::bottle::ManifestRoute;
use crate::provider::plan::{AgentProvisionPlan, ProviderRoute};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::Span;
use crate::value::allowlist::Allowlist;
use crate::value::credential::Auth;
use crate::value::path_prefix::PathPrefix;

/// Everything in a manifest route that fights the provider's route for the same host. Where nothing does, what its
/// paths are worth.
pub(super) fn report_differences(provider: &str, route: &ProviderRoute, own: &ManifestRoute, findings: &mut Findings) {
    let host = &route.host;
    let conflicts = conflicts(route, own);
    let fights = !conflicts.is_empty();
    for Conflict { at, owned, help } in conflicts {
        findings.push(
            Diagnostic::new(
                Code::RouteConflict,
                format!("the provider `{provider}` owns `{host}` (its rule `{}`) and {owned}", route.rule),
            )
            .at(at, "differs from the provider's rule")
            .and(own.host.span, "the manifest's route")
            .help(help),
        );
    }
    // What has been refused says nothing of what was meant.
    if fights || own.is_partial {
        return;
    }
    if has_no_effect(route, own) {
        findings.push(
            Diagnostic::new(
                Code::NoEffect,
                format!("the route repeats the provider `{provider}`'s route for `{host}`"),
            )
            .at(own.host.span, "no effect")
            .help("remove it, or narrow it with `path_allowlist`"),
        );
        return;
    }
    report_wider(provider, route, own, findings);
    report_narrower(provider, route, own, findings);
}

fn has_no_effect(route: &ProviderRoute, own: &ManifestRoute) -> bool {
    let (owned, paths) = (prefixes(&route.path_allowlist), own.prefixes());
    paths.is_any() || (paths.admits_all_of(&owned) && owned.admits_all_of(&paths))
}

/// Something in a manifest route that differs from the provider's.
struct Conflict {
    at: Span,
    owned: &'static str,
    help: &'static str,
}

fn conflicts(route: &ProviderRoute, own: &ManifestRoute) -> Vec<Conflict> {
    let auth = own.auth.as_ref().and_then(|auth| {
        let (owned, help) = other_credential(route.auth.as_ref(), &auth.value)?;
        Some(Conflict { at: auth.span, owned, help })
    });
    let keep = own.keep_authorization.as_ref().filter(|keep| keep.value != route.auth.is_none()).map(|keep| Conflict {
        at: keep.span,
        owned: if keep.value { "sends its own credential there" } else { "allows a login made inside the bottle" },
        help: "remove `keep_authorization`; the provider's rule applies",
    });
    let passthrough = own.tls_passthrough.as_ref().filter(|own| own.value != route.tls_passthrough);
    let passthrough = passthrough.map(|passthrough| Conflict {
        at: passthrough.span,
        owned: if route.tls_passthrough {
            "needs pipelock to pass it through"
        } else {
            "needs pipelock to intercept it"
        },
        help: "remove `tls_passthrough`; the provider's rule applies",
    });
    let range = own.ssrf_ip_allowlist.first().map(|range| Conflict {
        at: range.span,
        owned: "allows it to resolve to public addresses only",
        help: "remove `ssrf_ip_allowlist`",
    });
    [auth, keep, passthrough, range].into_iter().flatten().collect()
}

/// What the provider does with the credential of its host, and the remedy, if a manifest brings another one.
fn other_credential(owned: Option<&Auth>, own: &Auth) -> Option<(&'static str, &'static str)> {
    match owned {
        Some(owned) if owned == own => None,
        Some(_) => Some(("sends its own credential there", "remove `auth`; the provider's credential applies")),
        None => Some((
            "leaves signing in there to the agent",
            "remove `auth`; let the provider sign in through `agent_provider`",
        )),
    }
}

fn prefixes(listed: &[PathPrefix]) -> Allowlist<PathPrefix> {
    listed.iter().cloned().collect()
}

fn report_wider(provider: &str, route: &ProviderRoute, own: &ManifestRoute, findings: &mut Findings) {
    let owned = prefixes(&route.path_allowlist);
    for path in own.path_allowlist.iter().filter(|path| !owned.covers(Some(&path.value))) {
        findings.push(
            Diagnostic::new(
                Code::WiderThanProvider,
                format!(
                    "`{}` allows more of `{}` than the provider `{provider}` needs: {}",
                    path.value,
                    route.host,
                    owned.quoted(", ")
                ),
            )
            .at(path.span, "replaces the provider's paths")
            .help("remove it, or allow it and say what the agent needs it for"),
        );
    }
}

fn report_narrower(provider: &str, route: &ProviderRoute, own: &ManifestRoute, findings: &mut Findings) {
    let left = own.prefixes();
    let missing: Allowlist<PathPrefix> =
        route.essential_paths.iter().filter(|path| !left.covers(Some(path))).cloned().collect();
    if !missing.values().is_empty() {
        findings.push(
            Diagnostic::new(
                Code::NarrowedTooFar,
                format!(
                    "`{}` is narrowed too far for the provider `{provider}`: its rule `{}` does not work without {}",
                    route.host,
                    route.rule,
                    missing.quoted(" and ")
                ),
            )
            .at(own.host.span, "")
            .help(
                "add what is missing to `path_allowlist`, or remove the route: the provider adds the paths that it needs",
            ),
        );
    }
}

/// A route for a host that must stay closed beside the provider's way to sign in.
pub(super) fn report_closed_host(plan: &AgentProvisionPlan, route: &ManifestRoute, findings: &mut Findings) {
    if let Some((host, effect)) = plan.closed_hosts.iter().find(|(host, _)| *host == route.host.value) {
        findings.push(
            Diagnostic::new(
                Code::ClosedHost,
                format!("the provider `{}` keeps `{host}` closed: {effect}", plan.provider),
            )
            .at(route.host.span, "makes it reachable")
            .help("remove the route"),
        );
    }
}

/// pipelock scans the headers of a host that it opens and refuses what it takes for a credential with 403; the
/// client's retries then end in 429 (seen with pipelock 2.3.0).
pub(super) fn report_interception(route: &ManifestRoute, tls_passthrough: bool, findings: &mut Findings) {
    if tls_passthrough {
        return;
    }
    if let Some(auth) = route.auth.as_ref().filter(|auth| auth.value.injection.parameter().is_some()) {
        findings.push(
            Diagnostic::new(
                Code::Auth,
                format!(
                    "pipelock intercepts `{}` and would write the token to its log, with the URL",
                    route.host.value
                ),
            )
            .at(auth.span, "sent in the URL")
            .and(route.host.span, "intercepted, because `tls_passthrough` is not set")
            .help("add `pipelock: { tls_passthrough: true }`, or use a header if the service supports one"),
        );
        return;
    }
    let keep = route.keep_authorization.as_ref().filter(|keep| keep.value);
    let carried = match (&route.auth, keep) {
        (Some(auth), _) => Some((auth.span, "the credential that egress adds to requests")),
        (None, Some(keep)) => Some((keep.span, "the credential that the agent sends")),
        (None, None) => None,
    };
    if let Some((span, what)) = carried {
        findings.push(
            Diagnostic::new(
                Code::InterceptedCredential,
                format!("pipelock intercepts `{}` and may refuse {what}", route.host.value),
            )
            .at(span, "a credential for an intercepted host")
            .and(route.host.span, "intercepted, because `tls_passthrough` is not set")
            .help("add `pipelock: { tls_passthrough: true }`; pipelock then checks only the host name"),
        );
    }
}

/// pipelock has one list of exceptions for all hosts.
pub(super) fn report_shared_exception(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(range) = route.ssrf_ip_allowlist.first() {
        findings.push(
            Diagnostic::new(
                Code::SharedSsrfException,
                format!(
                    "pipelock allows every host of the bottle to resolve to the private range {}, not only `{}`",
                    range.value, route.host.value
                ),
            )
            .at(range.span, "applies to all routes")
            .help("use the smallest range that contains the service's address"),
        );
    }
}
