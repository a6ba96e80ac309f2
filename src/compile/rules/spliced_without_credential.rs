//! A host that pipelock passes through unscanned, without a credential to protect.

use super::Context;
use crate::manifest::bottle::ManifestRoute;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Fix, Safety, code};
use crate::text::source::Span;
use crate::text::yaml;
use crate::value::registry;

pub(super) const CODE: Code = code!("BTL601" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(passthrough) = route.tls_passthrough.as_ref().filter(|passthrough| passthrough.value)
            && route.auth.is_none()
            && !registry::is_known(&route.host.value)
        {
            findings.push(
                Diagnostic::new(CODE, format!("pipelock does not scan what the agent sends to `{}`", route.host.value))
                    .at(passthrough.span, "")
                    .help("remove `tls_passthrough`, or allow it with the reason")
                    .fix(fix(cx, route, passthrough.span)),
            );
        }
    }
}

/// Unsafe: pipelock may refuse what it then sees. That it would refuse the agent's own credential is known.
fn fix(cx: &Context, route: &ManifestRoute, passthrough: Span) -> Option<Fix> {
    if route.keeps_authorization() {
        return None;
    }
    let edits = yaml::without(cx.sources.get(passthrough.source), passthrough)?.edits;
    Some(Fix { title: "remove `tls_passthrough`".to_owned(), safety: Safety::Unsafe, edits })
}
