//! A value of `env`, or of a variable in the user's own definition of the agent, that looks like a credential.

use super::{Context, entropy, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::variable::{Binding, looks_like_token};

pub(super) const CODE: Code = code!("BTL603" Warning { may_point_at_secret: true });

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    let written = cx.bottle.env.iter().filter_map(|(name, variable)| match &variable.binding {
        Binding::Literal(text) => Some((name, text.as_str(), variable.value_span)),
        Binding::Host(_) | Binding::Prompt(_) => None,
    });
    for (name, text, span) in written.chain(cx.bottle.provider.own_environment()) {
        if looks_like_token(text) || is_random(text) {
            let message = format!("the value of `{name}` looks like a credential");
            let help = "remove it: use a host variable (`${NAME}`), or let egress send it with `auth`; if it is a real token, revoke it";
            warn(findings, CODE, span, message, help);
        }
    }
}

/// Long, of the letters that keys are made of, and more random than words or hexadecimal.
fn is_random(text: &str) -> bool {
    let of_key = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
    text.len() >= 24 && text.chars().all(of_key) && text.contains(|c: char| c.is_ascii_digit()) && entropy(text) > 4.2
}
