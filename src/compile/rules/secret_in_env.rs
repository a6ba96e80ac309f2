//! A value of `env` that looks like a credential.

use super::{Context, entropy, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::variable::{Binding, looks_like_token};

pub(super) const CODE: Code = code!("BTL603" Warning { may_point_at_secret: true });

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for (name, variable) in &cx.bottle.env {
        let Binding::Literal(text) = &variable.binding else { continue };
        // Long, of the letters that keys are made of, and more random than words or hexadecimal.
        let of_key = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
        let random = text.len() >= 24
            && text.chars().all(of_key)
            && text.contains(|c: char| c.is_ascii_digit())
            && entropy(text) > 4.2;
        if looks_like_token(text) || random {
            let message = format!("the value of `{name}` looks like a credential");
            let help = "remove it: use a host variable (`${NAME}`), or let egress send it with `auth`; if it is a real token, revoke it";
            warn(findings, CODE, variable.value_span, message, help);
        }
    }
}
