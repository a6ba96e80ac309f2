//! A credential of the host, handed to the agent by `env`.

use super::{Context, other_owner, warn};
use crate::provider::host_credential::{is_credential, remedy};
use crate::text::diagnostic::{Code, Findings, code};
use crate::value::variable::{Binding, VariableName};

pub(super) const CODE: Code = code!("BTL630" Warning);

/// A host variable with a credential, or an answer that is one, on its way to the agent. What is an error already,
/// and another provider's credential, are told in sharper words.
pub(super) fn check(cx: &Context, findings: &mut Findings) {
    let bottle = cx.bottle;
    let is_others = |name: &VariableName| other_owner(bottle, name.as_str()).is_some();
    for (name, variable) in &bottle.env {
        let names = match &variable.binding {
            Binding::Literal(_) => continue,
            Binding::Host(host) => vec![host, name],
            Binding::Prompt(_) => vec![name],
        };
        let is_error = findings.has_error_within(variable.name_span) || findings.has_error_within(variable.value_span);
        if is_error || names.iter().any(|name| is_others(name)) {
            continue;
        }
        if let Some(held) = names.into_iter().find(|name| is_credential(name.as_str())) {
            let message =
                format!("`{held}` holds a credential: the agent could read it and send it to any host that it reaches");
            let own = bottle.provider.agent().credential_variables.contains(held);
            let help = if own {
                "remove it; a sign-in under `agent_provider` leaves the credential to egress, and `bottlec providers` \
                 lists what the agent takes"
                    .to_owned()
            } else {
                remedy(held.as_str())
            };
            warn(findings, CODE, variable.value_span, message, &help);
        }
    }
}
