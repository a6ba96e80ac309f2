//! The agent's environment: what bottlec, the provider and the manifest set, and the manifest's
//! names checked against the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::link::egress::Egress;
use crate::manifest::bottle::Bottle;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::value::guest;
use crate::value::origin::{By, Origin};
use crate::value::variable::{Binding, TokenRef, VariableName};

/// Every variable of the agent.
#[derive(Debug, Default)]
pub struct Environment {
    /// Variables with their text.
    pub literal: BTreeMap<VariableName, String>,
    /// Names that are bound at launch.
    pub bound_at_launch: BTreeSet<VariableName>,
    /// Who decides each variable that is not bottlec's own.
    origins: BTreeMap<VariableName, Origin>,
}

/// The rule by which bottlec leads every agent to egress and makes it trust its certificate.
pub const TRUST: &str = "agent-trust";

impl Environment {
    /// Puts the three sources together, for an agent that finds egress at this address.
    pub fn of(bottle: &Bottle, plan: &AgentProvisionPlan, egress: Ipv4Addr) -> Self {
        let mut environment = Environment { literal: guest::environment(egress), ..Environment::default() };
        environment.literal.extend(plan.guest_env.clone());
        environment.origins.extend(plan.guest_env.keys().map(|name| (name.clone(), plan.variable_origin(name))));
        for (name, variable) in &bottle.env {
            environment.origins.insert(name.clone(), Origin::Manifest(variable.name_span));
            match &variable.binding {
                Binding::Literal(text) => {
                    environment.literal.insert(name.clone(), text.clone());
                }
                Binding::Host(_) | Binding::Prompt(_) => {
                    environment.bound_at_launch.insert(name.clone());
                }
            }
        }
        environment
    }

    /// The variables with a text, and who decides each.
    pub fn literals(&self) -> impl Iterator<Item = (&VariableName, By<&str>)> {
        self.literal.iter().map(|(name, text)| (name, By::new(text.as_str(), self.origin(name))))
    }

    /// The names that are bound at launch, and who decides each.
    pub fn bound(&self) -> impl Iterator<Item = (&VariableName, By<()>)> {
        self.bound_at_launch.iter().map(|name| (name, By::new((), self.origin(name))))
    }

    /// Who decides the variable.
    pub fn origin(&self, name: &VariableName) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::BuiltIn(TRUST))
    }
}

/// Reports names and bindings of the manifest that fight the plan, or would bring a credential to
/// the agent.
pub fn check(bottle: &Bottle, plan: &AgentProvisionPlan, egress: &Egress, findings: &mut Findings) {
    let token_refs: BTreeMap<&str, &TokenRef> =
        egress.slots.values().map(|token_ref| (token_ref.as_str(), token_ref)).collect();
    let signs = !egress.slots.is_empty() && plan.egress_routes.iter().any(|route| route.auth.is_some());
    for (name, variable) in &bottle.env {
        let at = variable.name_span;
        let displacing = plan.displacing_env.iter().find(|(displacing, _)| signs && displacing == name);
        if let Some((_, effect)) = displacing {
            findings.push(
                Diagnostic::new(
                    Code::DisplacedPlaceholder,
                    format!("`{name}` conflicts with egress signing in for the provider `{}`: {effect}", plan.provider),
                )
                .at(at, "")
                .help("remove it; egress sends the credential"),
            );
        } else if guest::owns(name) || plan.guest_env.contains_key(name) || guest::is_reserved(name) {
            findings.push(
                Diagnostic::new(Code::OwnedVariable, format!("the variable `{name}` is set by bottlec"))
                    .at(at, "")
                    .help("remove it; bottlec sets the variables that lead the agent to egress"),
            );
        }
        let token = |name: &VariableName| token_refs.get(name.as_str());
        let forwarded = match &variable.binding {
            Binding::Host(host) => token(host).or_else(|| token(name)),
            Binding::Prompt(_) => token(name),
            Binding::Literal(_) => None,
        };
        if let Some(token_ref) = forwarded {
            findings.push(
                Diagnostic::new(
                    Code::ForwardedCredential,
                    format!("this would pass the credential `{token_ref}` to the agent"),
                )
                .at(variable.value_span, "bound at launch")
                .help("remove it; egress adds the credential to the requests that need it"),
            );
        }
    }
}
