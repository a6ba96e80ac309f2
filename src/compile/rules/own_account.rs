//! A host at which any account can be used.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};

pub(super) const CODE: Code = code!("BTL621" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(keep) = route.keep_authorization.as_ref().filter(|keep| keep.value) {
            let message = format!("the agent can use any account at `{}`, an attacker's included", route.host.value);
            let help = "let egress sign in with `auth` instead, or allow it with the reason";
            warn(findings, CODE, keep.span, message, help);
        }
    }
}
