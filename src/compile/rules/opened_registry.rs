//! A package registry that pipelock opens.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::registry;

pub(super) const CODE: Code = code!("BTL620" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if registry::is_known(&route.host.value) && !route.tls_passthrough.as_ref().is_some_and(|own| own.value) {
            let message = format!(
                "package tools do not work with `{}` while pipelock intercepts it: it refuses some of their requests and responses",
                route.host.value
            );
            let help = "add `pipelock: { tls_passthrough: true }`, and narrow the route with `path_allowlist`";
            warn(findings, CODE, route.host.span, message, help);
        }
    }
}
