//! A host that pipelock passes through unscanned, without a credential to protect.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::registry;

pub(super) const CODE: Code = code!("BTL601" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(passthrough) = route.tls_passthrough.as_ref().filter(|passthrough| passthrough.value)
            && route.auth.is_none()
            && !registry::is_known(&route.host.value)
        {
            let message = format!("nobody scans what the agent sends to `{}`", route.host.value);
            let help = "remove `tls_passthrough`, or allow it with the reason";
            warn(findings, CODE, passthrough.span, message, help);
        }
    }
}
