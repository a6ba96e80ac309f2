//! A credential for a code forge.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};

pub(super) const CODE: Code = code!("BTL604" Warning);

/// Hosts of code forges on which a credential can write.
const FORGES: [&str; 10] = [
    "github.com",
    "api.github.com",
    "uploads.github.com",
    "gitlab.com",
    "bitbucket.org",
    "api.bitbucket.org",
    "codeberg.org",
    "gitea.com",
    "dev.azure.com",
    "git.sr.ht",
];

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(auth) = &route.auth
            && FORGES.contains(&route.host.value.as_str())
        {
            let message =
                format!("this credential lets the agent write to `{}`, as far as the token allows", route.host.value);
            warn(findings, CODE, auth.span, message, "use a read-only token, and allow this with that reason");
        }
    }
}
