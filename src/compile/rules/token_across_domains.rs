//! One token for hosts of different domains.

use std::collections::BTreeMap;

use super::{Context, domain};
use crate::text::diagnostic::{Code, Diagnostic, Findings, code};
use crate::text::source::Span;
use crate::value::host::Host;
use crate::value::variable::TokenRef;

pub(super) const CODE: Code = code!("BTL602" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    let mut first: BTreeMap<&TokenRef, (&Host, Option<Span>)> = BTreeMap::new();
    for route in &cx.plan.egress_routes {
        if let Some(auth) = &route.auth {
            first.entry(&auth.token_ref).or_insert((&route.host, None));
        }
    }
    for route in &cx.routes {
        let Some(auth) = &route.auth else { continue };
        let (host, span) = *first.entry(&auth.value.token_ref).or_insert((&route.host.value, Some(auth.token_span)));
        if *host != route.host.value && domain(host) != domain(&route.host.value) {
            let message = format!(
                "the token `{}` goes to `{}` and to `{host}`, which belong to different domains",
                auth.value.token_ref, route.host.value
            );
            let mut diagnostic = Diagnostic::new(CODE, message).at(auth.token_span, "here as well");
            if let Some(span) = span {
                diagnostic = diagnostic.and(span, "first here");
            }
            findings.push(diagnostic.help("use a separate token for each service"));
        }
    }
}
