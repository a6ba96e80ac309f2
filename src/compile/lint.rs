//! Lint: what compiles and is probably not meant. Every finding is a warning and can be allowed on its
//! line. Pure, like all checks.

use std::collections::BTreeMap;

use unicode_security::MixedScript as _;

use crate::compile::Linked;
use crate::manifest::bottle::{Bottle, ManifestRoute};
use crate::provider;
use crate::provider::host_credential::{is_credential, remedy};
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::Span;
use crate::value::host::Host;
use crate::value::registry;
use crate::value::variable::{Binding, TokenRef, VariableName, looks_like_token};

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

/// Tools that read their roots from a variable of their own: a host that they call, or its parent
/// domain, and the variable. The others trust a variable that every agent has (measured 2026-11).
const TOOL_CERTIFICATES: [(&str, &str, &str); 1] = [("amazonaws.com", "the AWS command line", "AWS_CA_BUNDLE")];

/// Judges a bottle.
pub fn lint(bottle: &Bottle, linked: &Linked, findings: &mut Findings) {
    let own = |route: &&ManifestRoute| !route.is_partial && !is_provider_host(&linked.plan, &route.host.value);
    let routes: Vec<&ManifestRoute> = bottle.routes.iter().filter(own).collect();
    for route in &routes {
        spliced_without_credential(route, findings);
        opened_registry(route, findings);
        own_account(route, findings);
        writable_forge(route, findings);
        refused_by_pipelock(route, findings);
        look_alike(route, &linked.plan, findings);
        tool_certificate(route, bottle, findings);
        admits_everything(route, findings);
    }
    look_alikes_among(&routes, findings);
    token_across_domains(&routes, &linked.plan, findings);
    secret_in_env(bottle, findings);
    credential_in_env(bottle, findings);
    credential_of_another_provider(bottle, findings);
}

fn is_provider_host(plan: &AgentProvisionPlan, host: &Host) -> bool {
    plan.egress_routes.iter().any(|route| route.host == *host)
}

fn warn(findings: &mut Findings, code: Code, at: Span, message: String, help: &str) {
    findings.push(Diagnostic::new(code, message).at(at, "").help(help));
}

fn spliced_without_credential(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(passthrough) = route.tls_passthrough.as_ref().filter(|passthrough| passthrough.value)
        && route.auth.is_none()
        && !registry::is_known(&route.host.value)
    {
        let message = format!("nobody scans what the agent sends to `{}`", route.host.value);
        warn(
            findings,
            Code::SplicedWithoutCredential,
            passthrough.span,
            message,
            "remove `tls_passthrough`, or allow it with the reason",
        );
    }
}

fn opened_registry(route: &ManifestRoute, findings: &mut Findings) {
    if registry::is_known(&route.host.value) && !route.tls_passthrough.as_ref().is_some_and(|own| own.value) {
        let message = format!(
            "package tools do not work with `{}` while pipelock opens it: it refuses names, requests and answers of theirs",
            route.host.value
        );
        let help = "add `pipelock: { tls_passthrough: true }`, and narrow the route with `path_allowlist`";
        warn(findings, Code::OpenedRegistry, route.host.span, message, help);
    }
}

fn own_account(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(keep) = route.keep_authorization.as_ref().filter(|keep| keep.value) {
        let message = format!(
            "any account can be used at `{}`: also that of somebody who tells the agent what to do",
            route.host.value
        );
        let help = "let egress sign with `auth` in its place, or allow it with the reason";
        warn(findings, Code::OwnAccount, keep.span, message, help);
    }
}

fn writable_forge(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(auth) = &route.auth
        && FORGES.contains(&route.host.value.as_str())
    {
        let message =
            format!("with this credential the agent can write to `{}`, as far as the token allows", route.host.value);
        warn(
            findings,
            Code::WritableForge,
            auth.span,
            message,
            "use a token that can only read, and allow this with that reason",
        );
    }
}

fn refused_by_pipelock(route: &ManifestRoute, findings: &mut Findings) {
    let host = route.host.value.as_str();
    let known_suffix =
        psl::suffix(host.as_bytes()).filter(|suffix| suffix.is_known() && suffix.as_bytes() == host.as_bytes());
    if known_suffix.is_some() {
        let message = format!("`{host}` is a public suffix: anybody can register a name below it");
        warn(findings, Code::RefusedByPipelock, route.host.span, message, "name the host itself");
    }
    // pipelock looks at labels of eight characters and more, except the last two.
    let labels: Vec<&str> = host.split('.').collect();
    let judged = labels.len().saturating_sub(2);
    if let Some(label) = labels[..judged].iter().find(|label| label.len() >= 8 && entropy(label) > 4.0) {
        let message = format!("pipelock takes the label `{label}` for smuggled data and refuses the host");
        warn(findings, Code::RefusedByPipelock, route.host.span, message, "use a name without a random label");
    }
}

/// Shannon entropy in bits a character.
fn entropy(text: &str) -> f64 {
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    text.chars().for_each(|c| *counts.entry(c).or_default() += 1.0);
    let length: f64 = counts.values().sum();
    counts.values().map(|count| -(count / length) * libm::log2(count / length)).sum()
}

fn look_alike(route: &ManifestRoute, plan: &AgentProvisionPlan, findings: &mut Findings) {
    let host = route.host.value.as_str();
    let near = plan.egress_routes.iter().find(|owned| is_one_edit_away(owned.host.as_str(), host));
    if let Some(owned) = near {
        let message = format!("`{host}` is one letter away from the provider's `{}`", owned.host);
        let help = format!("did you mean `{}`?", owned.host);
        warn(findings, Code::LookAlikeHost, route.host.span, message, &help);
    }
    let mixed = host.split('.').filter_map(|label| idna::punycode::decode_to_string(label.strip_prefix("xn--")?));
    if let Some(label) = mixed.into_iter().find(|label| !label.is_single_script()) {
        let message = format!("`{host}` mixes scripts: people see `{}`", label.escape_debug());
        warn(findings, Code::LookAlikeHost, route.host.span, message, "make sure that it is the host that is meant");
    }
}

/// Whether one character is missing, too many, another, or swapped with its neighbour.
fn is_one_edit_away(one: &str, other: &str) -> bool {
    // The distance takes time; most names differ too much in length.
    one.len().abs_diff(other.len()) < 2 && strsim::damerau_levenshtein(one, other) == 1
}

/// Two routes whose hosts are one edit apart and belong to different owners: one is probably misspelt.
fn look_alikes_among(routes: &[&ManifestRoute], findings: &mut Findings) {
    // Every pair is looked at; who lists more hosts than this did not type them.
    const MOST: usize = 100;
    if routes.len() > MOST {
        return;
    }
    let owned: Vec<_> = routes.iter().map(|route| (*route, domain(&route.host.value))).collect();
    for (index, (route, domain)) in owned.iter().enumerate() {
        let host = &route.host.value;
        let near = owned[..index]
            .iter()
            .find(|(other, others)| others != domain && is_one_edit_away(other.host.value.as_str(), host.as_str()));
        if let Some((other, _)) = near {
            findings.push(
                Diagnostic::new(
                    Code::LookAlikeHost,
                    format!("`{host}` and `{}` are one letter apart and belong to different domains", other.host.value),
                )
                .at(route.host.span, "")
                .and(other.host.span, "the other")
                .help(format!("did you mean `{}`?", other.host.value)),
            );
        }
    }
}

fn tool_certificate(route: &ManifestRoute, bottle: &Bottle, findings: &mut Findings) {
    let host = route.host.value.as_str();
    let is_below = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    for (_, tool, variable) in TOOL_CERTIFICATES.iter().filter(|(domain, ..)| is_below(domain)) {
        if !bottle.env.keys().any(|name| name.as_str() == *variable) {
            let message = format!("{tool} may not trust egress's certificate for `{host}`");
            let help = format!("add `{variable}: {}` under `env`", crate::value::guest::CA_BUNDLE);
            warn(findings, Code::ToolCertificate, route.host.span, message, &help);
        }
    }
}

fn admits_everything(route: &ManifestRoute, findings: &mut Findings) {
    if let Some(path) = route.path_allowlist.iter().find(|path| path.value.as_str() == "/") {
        let message = "the prefix `/` admits every path".to_owned();
        warn(findings, Code::AdmitsEverything, path.span, message, "remove `path_allowlist` if every path is meant");
    }
}

fn token_across_domains(routes: &[&ManifestRoute], plan: &AgentProvisionPlan, findings: &mut Findings) {
    let mut first: BTreeMap<&TokenRef, (&Host, Option<Span>)> = BTreeMap::new();
    for route in &plan.egress_routes {
        if let Some(auth) = &route.auth {
            first.entry(&auth.token_ref).or_insert((&route.host, None));
        }
    }
    for route in routes {
        let Some(auth) = &route.auth else { continue };
        let (host, span) = *first.entry(&auth.value.token_ref).or_insert((&route.host.value, Some(auth.token_span)));
        if *host != route.host.value && domain(host) != domain(&route.host.value) {
            let message = format!(
                "the token `{}` goes to `{}` and to `{host}`, which belong to different domains",
                auth.value.token_ref, route.host.value
            );
            let mut diagnostic = Diagnostic::new(Code::TokenAcrossDomains, message).at(auth.token_span, "here as well");
            if let Some(span) = span {
                diagnostic = diagnostic.and(span, "first here");
            }
            findings.push(diagnostic.help("use a token of its own for each service"));
        }
    }
}

/// The part of a name that somebody registered.
fn domain(host: &Host) -> &str {
    psl::domain_str(host.as_str()).unwrap_or(host.as_str())
}

fn secret_in_env(bottle: &Bottle, findings: &mut Findings) {
    for (name, variable) in &bottle.env {
        let Binding::Literal(text) = &variable.binding else { continue };
        // Long, of the letters that keys are made of, and more random than words or hexadecimal.
        let of_key = |c: char| c.is_ascii_alphanumeric() || "+/=_-".contains(c);
        let random = text.len() >= 24
            && text.chars().all(of_key)
            && text.contains(|c: char| c.is_ascii_digit())
            && entropy(text) > 4.2;
        if looks_like_token(text) || random {
            let message = format!("the value of `{name}` looks like a credential");
            let help = "remove it: name a host variable with `${NAME}`, or let egress send it with `auth`; if it was a token, revoke it";
            warn(findings, Code::SecretInEnv, variable.value_span, message, help);
        }
    }
}

/// A host variable with a credential, or an answer that is one, on its way to the agent. What is an error already,
/// and another provider's credential, are told in sharper words.
fn credential_in_env(bottle: &Bottle, findings: &mut Findings) {
    let is_others =
        |name: &VariableName| others(bottle).any(|other| other.credential_variables().contains(&name.as_str()));
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
            let own = bottle.provider.credential_variables().contains(&held.as_str());
            let help = if own {
                "remove it; a sign-in under `agent_provider` leaves the credential to egress, and `bottlec providers` \
                 lists what the agent takes"
                    .to_owned()
            } else {
                remedy(held.as_str())
            };
            warn(findings, Code::CredentialInEnv, variable.value_span, message, &help);
        }
    }
}

/// The providers that are not the bottle's.
fn others(bottle: &Bottle) -> impl Iterator<Item = &'static provider::Provider> {
    provider::ALL.iter().filter(|other| other.name() != bottle.provider.name())
}

fn credential_of_another_provider(bottle: &Bottle, findings: &mut Findings) {
    let owner = |name: &str| {
        others(bottle).find(|other| other.credential_variables().contains(&name)).map(|other| other.name())
    };
    let mut report = |name: &str, span: Span| {
        if let Some(owner) = owner(name) {
            let message = format!(
                "`{name}` is a credential of the provider `{owner}`, and this bottle's is `{}`",
                bottle.provider.name()
            );
            warn(findings, Code::OtherProvidersCredential, span, message, "remove it, or allow it with the reason");
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
