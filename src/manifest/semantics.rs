//! The rules that a schema cannot say: a manifest into a bottle. Pure; every finding points at the
//! bytes that it is about.

use std::collections::BTreeMap;

use super::written::{self, Written};
use super::{AgentProvider, Egress, Manifest, Network, Route, RoutePipelock, Scheme, Targets};
use crate::manifest::bottle::{Bottle, ManifestRoute, Places, Variable, WrittenAuth};
use crate::provider::ImageChoice;
use crate::provider::Settings;
use crate::provider::{self, Provider};
use crate::text::diagnostic::{Code, Diagnostic, Findings, Problem};
use crate::text::source::{SourceId, Sources, Span};
use crate::text::yaml::Spanned;
use crate::value::allowlist::Admits as _;
use crate::value::credential::{Auth, Injection, Parameter, Prefix, Username};
use crate::value::header::HeaderName;
use crate::value::host::Host;
use crate::value::name::{self, BottleName};
use crate::value::network::{Subnet, parse_ssrf_exception};
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::{Binding, TokenRef, VariableName, may_hold_token};

/// Checks a manifest. What is out of form is reported and left out, so that the rest is judged in
/// the same run; nothing comes back when it is not known which provider to judge by.
pub fn check(manifest: &Manifest, sources: &Sources, findings: &mut Findings) -> Option<Bottle> {
    // Exhaustive: a new key cannot be forgotten here.
    let Manifest { name, extends: _, agent_provider, network, env, egress, targets } = manifest;
    let name_span = name.as_ref().map(|name| name.span);
    let name = bottle_name(name.as_ref(), sources, findings);
    let provider_settings = agent_provider.clone().unwrap_or_default();
    let provider = chosen(&provider_settings, findings);
    let Network { subnet } = network.clone().unwrap_or_default();
    let subnet_span = subnet.as_ref().map(|subnet| subnet.span);
    let subnet = subnet.and_then(|subnet| take(Subnet::parse(&subnet.value), Code::Subnet, subnet.span, findings));
    let Egress { routes } = egress.clone().unwrap_or_default();
    let routes = check_routes(routes.as_deref().unwrap_or_default(), findings);
    let env = env.as_ref().map(|env| check_env(env, findings)).unwrap_or_default();
    let Targets { pipelock, smolvm } = targets.clone().unwrap_or_default();
    let settings = provider.as_ref().map(|provider| check_settings(&provider_settings, provider, sources, findings));
    let mut bottle = Bottle {
        subnet: subnet.unwrap_or_else(|| Subnet::of_name(&name)),
        name,
        provider: provider?,
        settings: settings?,
        env,
        routes,
        places: Places {
            name: name_span,
            subnet: subnet_span,
            pipelock: pipelock.as_ref().map(|target| target.span),
            smolvm: smolvm.as_ref().map(|target| target.span),
        },
        pipelock: pipelock.map(|target| target.value).unwrap_or_default(),
        smolvm: smolvm.map(|target| target.value).unwrap_or_default(),
        written: Written::Null,
    };
    bottle.written = written::of(manifest, &bottle);
    Some(bottle)
}

/// The value, or nothing and a finding.
fn take<T>(result: Result<T, Problem>, code: Code, at: Span, findings: &mut Findings) -> Option<T> {
    result.map_err(|refusal| findings.push(refusal.at(code, at))).ok()
}

fn bottle_name(written: Option<&Spanned<String>>, sources: &Sources, findings: &mut Findings) -> BottleName {
    let unnamed = || BottleName::parse("unnamed").expect("a name of letters");
    if let Some(name) = written {
        return take(BottleName::parse(&name.value), Code::BottleName, name.span, findings).unwrap_or_else(unnamed);
    }
    let id = SourceId(0);
    let reference = &sources.get(id).reference;
    BottleName::parse(name::stem(reference)).unwrap_or_else(|refusal| {
        findings.push(
            Diagnostic::new(
                Code::BottleName,
                format!("the bottle cannot be named after the file: {}", refusal.message),
            )
            .at(Span { source: id, start: 0, end: 0 }, "no `name` here")
            .help("add `name:` to the manifest, or rename the file"),
        );
        unnamed()
    })
}

/// The agent that a manifest chooses. `None` if it is not known, which has been reported.
fn chosen(written: &AgentProvider, findings: &mut Findings) -> Option<Provider> {
    let name = written.template.as_ref().map(|template| template.value.as_str());
    if let Some(template) = written.template.as_ref().filter(|template| provider::is_path(&template.value)) {
        if written.own.is_none() && !findings.has_errors() {
            findings.push(
                Diagnostic::new(Code::Path, "the definition of the agent was not read")
                    .at(template.span, "")
                    .help("a manifest that names a file is read from its folder"),
            );
        }
        return written.own.clone();
    }
    provider::find(name).map(Provider::from)
}

fn check_settings(
    written: &AgentProvider,
    provider: &Provider,
    sources: &Sources,
    findings: &mut Findings,
) -> Settings {
    let AgentProvider { template, own: _, auth_token, forward_host_credentials, dockerfile, image } = written;
    let mut refuse_setting = |span: Span, key: &str, takers: Vec<&str>| {
        let takers = takers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let message = format!("the provider `{}` does not support `{key}`", provider.name());
        let mut diagnostic = Diagnostic::new(Code::ProviderSetting, message).at(span, "would have no effect");
        if let Some(template) = template {
            diagnostic = diagnostic.and(template.span, "the provider");
        }
        findings.push(diagnostic.help(format!("remove it, or choose a provider that supports it: {takers}")));
    };
    if let Some(token) = auth_token
        && !provider.agent().takes_auth_token()
    {
        refuse_setting(token.span, "auth_token", provider::names(|provider| provider.get().takes_auth_token()));
    }
    let forward = forward_host_credentials.as_ref().filter(|forward| forward.value).map(|forward| forward.span);
    if let Some(span) = forward
        && provider.agent().credential_file().is_none()
    {
        let takers = provider::names(|provider| provider.get().credential_file().is_some());
        refuse_setting(span, "forward_host_credentials", takers);
    }
    let auth_token = auth_token.as_ref().and_then(|token| spanned_token_ref(token, findings));
    if let (Some(dockerfile), Some(image)) = (dockerfile, image) {
        findings.push(
            Diagnostic::new(Code::ImageAndDockerfile, "`image` and `dockerfile` exclude each other")
                .at(image.span, "used as it is")
                .and(dockerfile.span, "built from this")
                .help("keep one of the two"),
        );
    }
    let dockerfile = dockerfile.as_ref().and_then(|path| {
        local_path(path, sources, findings)
            .map(|resolved| Spanned { value: ImageChoice::Dockerfile(resolved), span: path.span })
    });
    let image = image.as_ref().and_then(|image| check_image(image, sources, findings));
    let template = template.as_ref().map(|template| template.span);
    Settings { template, auth_token, forward_host_credentials: forward, image: image.or(dockerfile) }
}

fn local_path(path: &Spanned<String>, sources: &Sources, findings: &mut Findings) -> Option<String> {
    let text = path.value.as_str();
    let refusal = if text.starts_with(['/', '~']) {
        Problem::new(
            "the path is absolute",
            "write it relative to the manifest; the output must not depend on this machine",
        )
    } else if text.contains('\\') || text.chars().any(char::is_control) {
        Problem::new("a path must not contain a backslash or control character", "separate folders with `/`")
    } else {
        return Some(sources.get(path.span.source).resolve(text));
    };
    take(Err(refusal), Code::Path, path.span, findings)
}

fn check_image(image: &Spanned<String>, sources: &Sources, findings: &mut Findings) -> Option<Spanned<ImageChoice>> {
    let text = image.value.as_str();
    // The same test as smolvm's (facts: a path, or the ending of an archive).
    let is_archive = text.starts_with(['/', '.']) || [".tar", ".tar.gz", ".tgz"].iter().any(|end| text.ends_with(end));
    let value = if is_archive {
        ImageChoice::Archive(local_path(image, sources, findings)?)
    } else if text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b))
    {
        ImageChoice::Reference(text.to_owned())
    } else {
        let refusal = Problem::new(
            "neither an image reference nor a local archive",
            "write `registry.example.com/agent:1` or `./agent.tar`",
        );
        return take(Err(refusal), Code::Image, image.span, findings);
    };
    Some(Spanned { value, span: image.span })
}

fn check_env(
    env: &BTreeMap<Spanned<String>, Spanned<String>>,
    findings: &mut Findings,
) -> BTreeMap<VariableName, Variable> {
    let mut checked = BTreeMap::new();
    for (name, value) in env {
        let key = take(VariableName::parse(&name.value), Code::EnvName, name.span, findings);
        let binding = take(Binding::parse(&value.value), Code::EnvValue, value.span, findings);
        let (Some(key), Some(binding)) = (key, binding) else { continue };
        checked.insert(key, Variable { binding, name_span: name.span, value_span: value.span });
    }
    checked
}

fn check_routes(routes: &[Route], findings: &mut Findings) -> Vec<ManifestRoute> {
    let mut checked: Vec<ManifestRoute> = Vec::new();
    let mut seen: BTreeMap<Host, Span> = BTreeMap::new();
    for route in routes {
        let Route { host, path_allowlist, auth, keep_authorization, pipelock } = route;
        let RoutePipelock { tls_passthrough, ssrf_ip_allowlist } = pipelock.clone().unwrap_or_default();
        let errors = findings.error_count();
        let written_auth = auth.is_some();
        if let Some(keep) = keep_authorization.as_ref().filter(|keep| keep.value)
            && let Some((_, form)) = auth.as_ref().and_then(|auth| forms(&auth.value).first().copied())
        {
            findings.push(
                Diagnostic::new(Code::KeepAuthorization, "`keep_authorization` and `auth` exclude each other")
                    .at(keep.span, "the agent's own `Authorization`")
                    .and(form, "egress's, in its place")
                    .help("keep one of the two"),
            );
        }
        let auth = auth.as_ref().and_then(|auth| check_auth(auth, findings));
        let paths = path_allowlist.as_ref().map(|paths| check_paths(paths, findings)).unwrap_or_default();
        let mut ssrf = Vec::new();
        for range in ssrf_ip_allowlist.iter().flatten() {
            if let Some(value) = take(parse_ssrf_exception(&range.value), Code::Cidr, range.span, findings) {
                ssrf.push(Spanned { value, span: range.span });
            }
        }
        let is_partial = findings.error_count() > errors || (written_auth && auth.is_none());
        let Some(written) = host else { continue };
        let Some(host) = take(Host::parse(&written.value), Code::Host, written.span, findings) else { continue };
        if let Some(first) = seen.get(&host) {
            findings.push(
                Diagnostic::new(Code::DuplicateHost, format!("two routes for `{host}`"))
                    .at(written.span, "second")
                    .and(*first, "first")
                    .help("merge the two into one route"),
            );
            continue;
        }
        seen.insert(host.clone(), written.span);
        checked.push(ManifestRoute {
            host: Spanned { value: host, span: written.span },
            path_allowlist: paths,
            auth,
            keep_authorization: keep_authorization.clone(),
            tls_passthrough,
            ssrf_ip_allowlist: ssrf,
            is_partial,
        });
    }
    checked
}

fn check_paths(written: &Spanned<Vec<Spanned<String>>>, findings: &mut Findings) -> Vec<Spanned<PathPrefix>> {
    // A list whose items have been refused is not an empty one.
    if written.value.is_empty() && !findings.has_error_within(written.span) {
        findings.push(
            Diagnostic::new(Code::NoEffect, "an empty `path_allowlist` allows every path")
                .at(written.span, "no prefix")
                .help("list the prefixes, or remove the key to allow every path"),
        );
    }
    let mut paths: Vec<Spanned<PathPrefix>> = Vec::new();
    for path in &written.value {
        let Some(value) = take(PathPrefix::parse(&path.value), Code::PathPrefix, path.span, findings) else { continue };
        paths.push(Spanned { value, span: path.span });
    }
    for (index, path) in paths.iter().enumerate() {
        let wider = paths.iter().enumerate().find(|(other_index, other)| {
            // Of two equal prefixes the first one counts.
            *other_index != index
                && other.value.covers(&path.value)
                && (other.value != path.value || *other_index < index)
        });
        if let Some((_, wider)) = wider {
            findings.push(
                Diagnostic::new(
                    Code::NoEffect,
                    format!("`{}` adds nothing to `{}`", path.value.as_str(), wider.value.as_str()),
                )
                .at(path.span, "no effect")
                .and(wider.span, "already allows it")
                .help("remove one of the two"),
            );
        }
    }
    paths
}

fn check_auth(auth: &Spanned<super::Auth>, findings: &mut Findings) -> Option<WrittenAuth> {
    let super::Auth { scheme, token_ref, username, header, prefix, query } = &auth.value;
    let token_ref = token_ref.as_ref().and_then(|token| spanned_token_ref(token, findings))?;
    let span = one_form(auth, findings)?;
    if let (Some(prefix), None) = (prefix, header) {
        findings.push(
            Diagnostic::new(Code::Auth, "`prefix` is only valid with `header`")
                .at(prefix.span, "would have no effect")
                .and(span, "signs without one")
                .help("remove `prefix`, or name the `header`"),
        );
        return None;
    }
    if let (Some(username), None) = (username, scheme.as_ref().filter(|scheme| scheme.value == Scheme::Basic)) {
        findings.push(
            Diagnostic::new(Code::Auth, "`username` is only valid with scheme `Basic`")
                .at(username.span, "would have no effect")
                .and(span, if scheme.is_some() { "this scheme has no username" } else { "signs without a username" })
                .help("remove `username`, or write `scheme: Basic`"),
        );
        return None;
    }
    let injection = match (scheme.as_ref().map(|scheme| scheme.value), username, header, query) {
        (Some(Scheme::Bearer), ..) => Injection::bearer(),
        (Some(Scheme::Token), ..) => Injection::token(),
        (Some(Scheme::Basic), Some(username), ..) => {
            let username = take(Username::parse(&username.value), Code::Auth, username.span, findings)?;
            Injection::Basic { username }
        }
        (Some(Scheme::Basic), None, ..) => {
            let refusal =
                Problem::new("scheme `Basic` needs a `username`", "add `username:`; the token is the password");
            return take(Err(refusal), Code::Auth, span, findings);
        }
        (None, _, Some(header), _) => {
            let name = word(HeaderName::parse, header, findings)?;
            let prefix = match prefix {
                Some(prefix) => Some(word(Prefix::parse, prefix, findings)?),
                None => None,
            };
            Injection::Header { name, prefix }
        }
        (None, _, None, query) => {
            let query = query.as_ref()?;
            Injection::Query { parameter: word(Parameter::parse, query, findings)? }
        }
    };
    let Spanned { value: token_ref, span: token_span } = token_ref;
    let detail_span = username.as_ref().or(prefix.as_ref()).map(|detail| detail.span);
    Some(WrittenAuth { value: Auth { injection, token_ref }, span, detail_span, token_span })
}

/// A word of a credential. Under the code of a token that stands where its name should, the text is not shown.
fn word<T>(parse: fn(&str) -> Result<T, Problem>, word: &Spanned<String>, findings: &mut Findings) -> Option<T> {
    let code = if may_hold_token(&word.value) { Code::TokenRef } else { Code::Auth };
    take(parse(&word.value), code, word.span, findings)
}

/// The place of the one key among `scheme`, `header` and `query`. Reports a finding unless exactly one is set.
fn one_form(auth: &Spanned<super::Auth>, findings: &mut Findings) -> Option<Span> {
    let forms = forms(&auth.value);
    let Some((first, span)) = forms.first() else {
        // One that has been refused, or is misspelt, is not one that is missing.
        if !findings.has_error_within(auth.span) {
            findings.push(
                Diagnostic::new(Code::MissingKey, "`auth` does not say how egress signs")
                    .at(auth.span, "needs `scheme`, `header` or `query`")
                    .help("add `scheme: Bearer`, or name the `header` or the `query` parameter that holds the token"),
            );
        }
        return None;
    };
    if let Some((second, other)) = forms.get(1) {
        findings.push(
            Diagnostic::new(Code::Auth, format!("`{first}` and `{second}` exclude each other"))
                .at(*other, "another place for the token")
                .and(*span, "one place for the token")
                .help("keep one of the two"),
        );
        return None;
    }
    Some(*span)
}

/// The keys of a credential that say where the token goes.
fn forms(auth: &super::Auth) -> Vec<(&'static str, Span)> {
    let scheme = auth.scheme.as_ref().map(|scheme| ("scheme", scheme.span));
    let text = |key, text: &Option<Spanned<String>>| text.as_ref().map(|text| (key, text.span));
    [scheme, text("header", &auth.header), text("query", &auth.query)].into_iter().flatten().collect()
}

fn spanned_token_ref(written: &Spanned<String>, findings: &mut Findings) -> Option<Spanned<TokenRef>> {
    let value = take(TokenRef::parse(&written.value), Code::TokenRef, written.span, findings)?;
    Some(Spanned { value, span: written.span })
}
