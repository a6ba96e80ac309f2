//! A host at which any account can be used.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};

pub(super) const CODE: Code = code!("BTL621" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(keep) = route.keep_authorization.as_ref().filter(|keep| keep.value) {
            let message = format!(
                "any account can be used at `{}`: also that of somebody who tells the agent what to do",
                route.host.value
            );
            let help = "let egress sign with `auth` in its place, or allow it with the reason";
            warn(findings, CODE, keep.span, message, help);
        }
    }
}
