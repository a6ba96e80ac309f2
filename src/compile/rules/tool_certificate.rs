//! A tool that reads its roots from a variable that is not set.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::guest;

pub(super) const CODE: Code = code!("BTL609" Warning);

/// Tools that read their roots from a variable of their own: a host that they call, or its parent
/// domain, and the variable. The others trust a variable that every agent has (measured 2026-11).
const TOOL_CERTIFICATES: [(&str, &str, &str); 1] = [("amazonaws.com", "the AWS command line", "AWS_CA_BUNDLE")];

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        let host = route.host.value.as_str();
        let is_below =
            |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        for (_, tool, variable) in TOOL_CERTIFICATES.iter().filter(|(domain, ..)| is_below(domain)) {
            if !cx.bottle.env.keys().any(|name| name.as_str() == *variable) {
                let message = format!("{tool} may not trust egress's certificate for `{host}`");
                let help = format!("add `{variable}: {}` under `env`", guest::CA_BUNDLE);
                warn(findings, CODE, route.host.span, message, &help);
            }
        }
    }
}
