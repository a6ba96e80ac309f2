//! A variable named like another provider's credential.

use super::{Context, other_owner, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::text::source::Span;
use crate::value::variable::Binding;

pub(super) const CODE: Code = code!("BTL608" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    let bottle = cx.bottle;
    let mut report = |name: &str, span: Span| {
        if let Some(owner) = other_owner(bottle, name) {
            let message = format!(
                "`{name}` is a credential for the provider `{}`, but this bottle uses `{}`",
                owner.name(),
                bottle.provider.name()
            );
            warn(findings, CODE, span, message, "remove it, or allow it with the reason");
        }
    };
    for (name, variable) in &bottle.env {
        match &variable.binding {
            Binding::Host(host) if host != name => report(host.as_str(), variable.value_span),
            _ => {}
        }
        report(name.as_str(), variable.name_span);
    }
    for auth in bottle.routes.iter().filter_map(|route| route.auth.as_ref()) {
        report(auth.value.token_ref.as_str(), auth.token_span);
    }
}
