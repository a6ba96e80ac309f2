//! Lint: what compiles and is probably not meant. A file a rule, with its row, its check and its fix side by side; the
//! page is `docs/rules/CODE.md`. Every finding is a warning and can be allowed on its line. Pure, like all checks.

pub mod allow;

use std::collections::BTreeMap;

use crate::compile::Linked;
use crate::manifest::bottle::{Bottle, ManifestRoute};
use crate::provider::definition::Agent;
use crate::provider::plan::AgentProvisionPlan;
use crate::provider::{self, BuiltIn};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::{Sources, Span};
use crate::value::host::Host;

/// What a rule judges.
struct Context<'a> {
    bottle: &'a Bottle,
    plan: &'a AgentProvisionPlan,
    /// The manifest's own routes: those that are whole, to hosts that are not the provider's.
    routes: Vec<&'a ManifestRoute>,
    /// The texts, for fixes.
    sources: &'a Sources,
}

struct Rule {
    code: Code,
    check: fn(&Context, &mut Findings),
}

macro_rules! rules {
    ($($file:ident,)*) => {
        $(mod $file;)*

        const RULES: &[Rule] = &[$(Rule { code: $file::CODE, check: $file::check }),*];
    };
}

// A line a rule: the name of its file.
rules! {
    admits_everything,
    credential_in_env,
    look_alike_host,
    opened_registry,
    other_providers_credential,
    own_account,
    refused_by_pipelock,
    secret_in_env,
    spliced_without_credential,
    token_across_domains,
    tool_certificate,
    writable_forge,
}

/// Judges a bottle.
pub fn lint(bottle: &Bottle, linked: &Linked, sources: &Sources, findings: &mut Findings) {
    let is_providers = |host: &Host| linked.plan.egress_routes.iter().any(|route| route.host == *host);
    let own = |route: &&ManifestRoute| !route.is_partial && !is_providers(&route.host.value);
    let cx = Context { bottle, plan: &linked.plan, routes: bottle.routes.iter().filter(own).collect(), sources };
    for rule in RULES {
        (rule.check)(&cx, findings);
    }
}

/// Every rule there is, of lint and of all checks, by code.
pub fn all() -> Vec<Code> {
    let mut all: Vec<Code> = Code::BUILT_IN.iter().copied().chain(RULES.iter().map(|rule| rule.code)).collect();
    all.sort();
    all
}

/// The rule of that code, whatever its case.
pub fn find(text: &str) -> Option<Code> {
    all().into_iter().find(|code| code.is(text))
}

fn warn(findings: &mut Findings, code: Code, at: Span, message: String, help: &str) {
    findings.push(Diagnostic::new(code, message).at(at, "").help(help));
}

/// Shannon entropy in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    text.chars().for_each(|c| *counts.entry(c).or_default() += 1.0);
    let length: f64 = counts.values().sum();
    counts.values().map(|count| -(count / length) * libm::log2(count / length)).sum()
}

/// The part of a name that somebody registered.
fn domain(host: &Host) -> &str {
    psl::domain_str(host.as_str()).unwrap_or(host.as_str())
}

/// Whose credential a variable of this name holds, if it is not the bottle's own agent's.
fn other_owner(bottle: &Bottle, name: &str) -> Option<&'static BuiltIn> {
    let is_of = |agent: &Agent| agent.credential_variables.iter().any(|variable| variable.as_str() == name);
    if is_of(bottle.provider.agent()) {
        return None;
    }
    // Most need not be read for that.
    provider::ALL.iter().find(|other| other.text().contains(name) && is_of(other.get()))
}
