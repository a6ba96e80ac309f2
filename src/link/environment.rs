//! The agent's environment: what bottlec, the provider and the manifest set, and the manifest's
//! names checked against the rest. Also the env files.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::link::egress::Egress;
use crate::manifest::bottle::Bottle;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError, Template};
use crate::value::guest;
use crate::value::origin::{Origin, Origins};
use crate::value::slot;
use crate::value::variable::{Binding, TokenRef, VariableName};

/// Where the agent's variables lie in a tree.
pub const FILE: &str = "agent/agent.env";

/// Where the token slots lie in a tree.
pub const EGRESS_FILE: &str = "egress/egress.env";

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

    /// Who decides the variable.
    pub fn origin(&self, name: &VariableName) -> Origin {
        self.origins.get(name).cloned().unwrap_or(Origin::BuiltIn(TRUST))
    }

    /// Who decides the variables of `agent/agent.env`.
    pub fn file_origins(&self) -> Origins {
        let mut origins = Origins::of(TRUST);
        for name in self.literal.keys() {
            origins.set(format!("/{name}"), self.origin(name));
        }
        origins
    }

    /// `agent/agent.env`, for `docker run --env-file`: the variables with a text.
    ///
    /// # Errors
    /// When a value does not fit on a line: a defect of bottlec, which checks before.
    pub fn file(&self) -> Result<String, RenderError> {
        render::unchecked(FILE, &TEMPLATE, &EnvFile { literal: &self.literal, bound_at_launch: Vec::new() })
    }
}

/// `egress/egress.env`: the token slots, and what binds them, by bare name; docker takes their values from
/// its own environment.
///
/// # Errors
/// Never in practice: slots are plain words.
pub fn egress_file(egress: &Egress) -> Result<String, RenderError> {
    let names = egress_names(egress);
    let bound_at_launch = names.iter().map(String::as_str).collect();
    render::unchecked(EGRESS_FILE, &TEMPLATE, &EnvFile { literal: &BTreeMap::new(), bound_at_launch })
}

/// The variables that egress is given at launch.
pub fn egress_names(egress: &Egress) -> Vec<String> {
    let binding = egress.binding().map(|_| slot::BINDING.to_owned());
    binding.into_iter().chain(egress.slots.keys().map(ToString::to_string)).collect()
}

/// Who decides the variables of `egress/egress.env`.
pub fn egress_file_origins(bottle: &Bottle, egress: &Egress) -> Origins {
    let mut origins = Origins::of("slot");
    for (slot, origin) in egress.slot_origins(&bottle.routes) {
        origins.set(format!("/{slot}"), origin);
    }
    origins
}

static TEMPLATE: Template = render::template!("variables.env");

#[derive(Serialize)]
struct EnvFile<'e> {
    literal: &'e BTreeMap<VariableName, String>,
    bound_at_launch: Vec<&'e str>,
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
                    format!(
                        "`{name}` does not go with egress signing in for the provider `{}`: {effect}",
                        plan.provider
                    ),
                )
                .at(at, "")
                .help("remove it; egress brings the credential"),
            );
        } else if guest::owns(name) || plan.guest_env.contains_key(name) || guest::is_reserved(name) {
            findings.push(
                Diagnostic::new(Code::OwnedVariable, format!("the plan owns the variable `{name}`"))
                    .at(at, "")
                    .help("remove it; bottlec sets what leads the agent to egress"),
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
                    format!("this would bring the credential `{token_ref}` to the agent"),
                )
                .at(variable.value_span, "bound at launch")
                .help("remove it; egress puts the credential on the requests that need it"),
            );
        }
    }
}
