//! A host that looks like another.

use unicode_security::MixedScript as _;

use super::{Context, domain, warn};
use crate::manifest::bottle::ManifestRoute;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::{Code, Diagnostic, Findings, code};
use crate::text::suggest::is_one_edit_away;

pub(super) const CODE: Code = code!("BTL606" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        like_a_providers(route, cx.plan, findings);
    }
    like_another_routes(&cx.routes, findings);
}

fn like_a_providers(route: &ManifestRoute, plan: &AgentProvisionPlan, findings: &mut Findings) {
    let host = route.host.value.as_str();
    let near = plan.egress_routes.iter().find(|owned| is_one_edit_away(owned.host.as_str(), host));
    if let Some(owned) = near {
        let message = format!("`{host}` is one letter away from the provider's `{}`", owned.host);
        let help = format!("did you mean `{}`?", owned.host);
        warn(findings, CODE, route.host.span, message, &help);
    }
    let mixed = host.split('.').filter_map(|label| idna::punycode::decode_to_string(label.strip_prefix("xn--")?));
    if let Some(label) = mixed.into_iter().find(|label| !label.is_single_script()) {
        let message = format!("`{host}` mixes scripts: people see `{}`", label.escape_debug());
        warn(findings, CODE, route.host.span, message, "make sure that this is the host you mean");
    }
}

/// Two routes whose hosts are one edit apart and belong to different owners: one is probably misspelt.
fn like_another_routes(routes: &[&ManifestRoute], findings: &mut Findings) {
    // Every pair is looked at; who lists more hosts than this did not type them.
    const MOST: usize = 100;
    if routes.len() > MOST {
        return;
    }
    let owned: Vec<_> = routes.iter().map(|route| (*route, domain(&route.host.value))).collect();
    for (index, (route, domain)) in owned.iter().enumerate() {
        let host = &route.host.value;
        let near = owned[..index]
            .iter()
            .find(|(other, others)| others != domain && is_one_edit_away(other.host.value.as_str(), host.as_str()));
        if let Some((other, _)) = near {
            findings.push(
                Diagnostic::new(
                    CODE,
                    format!("`{host}` and `{}` are one letter apart and belong to different domains", other.host.value),
                )
                .at(route.host.span, "")
                .and(other.host.span, "the other")
                .help(format!("did you mean `{}`?", other.host.value)),
            );
        }
    }
}
