//! What the parts of an agent's definition are to each other. Judged in the tree, so that one mistake hides no other.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::File;
use super::form::PLACEHOLDER_WORD;
use super::read::{at, names, text};
use crate::provider::SERVICES;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::schema;
use crate::text::source::Span;
use crate::text::yaml::{Node, Value};
use crate::value::allowlist::Allowlist;
use crate::value::credential::{Form, Injection};
use crate::value::guest;
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::VariableName;

/// Reports all that does not fit. `is_own` says that the definition is not one of bottlec's.
pub(super) fn check(root: &Node, is_own: bool, findings: &mut Findings) {
    let mut report = |diagnostic: Diagnostic| findings.push(diagnostic);
    variables(root, &mut report);
    files(root, &mut report);
    command(root, &mut report);
    for route in routes(root) {
        essential(route, &mut report);
    }
    let hosts = hosts(root);
    for sign_in in sign_ins(root) {
        if let Some(hosts) = &hosts {
            reach(root, &sign_in, hosts, &mut report);
        }
        credential(&sign_in, &mut report);
        if is_own {
            without_hook(&sign_in, &mut report);
        }
    }
}

/// A way to sign in, as it is written.
struct SignIn<'n, 's> {
    name: &'n str,
    span: Span,
    node: &'n Node<'s>,
}

fn sign_ins<'n, 's>(root: &'n Node<'s>) -> Vec<SignIn<'n, 's>> {
    let all = at(root, "sign_in").into_iter().flat_map(|node| match &node.value {
        Value::Mapping(entries) => entries.as_slice(),
        _ => &[],
    });
    all.filter(|entry| matches!(entry.value.value, Value::Mapping(_)))
        .map(|entry| SignIn { name: &entry.key.name, span: entry.key.span, node: &entry.value })
        .collect()
}

fn routes<'n, 's>(root: &'n Node<'s>) -> Vec<&'n Node<'s>> {
    [at(root, "routes/*"), at(root, "sign_in/*/routes/*")].concat()
}

/// The hosts of the service by their names. `None` if it is not known.
fn hosts(root: &Node) -> Option<BTreeMap<String, String>> {
    let service = *at(root, "service").first()?;
    if let Some(name) = text(service) {
        let service = SERVICES.iter().find(|service| service.name() == name)?.get();
        return Some(service.hosts.iter().map(|(name, host)| (name.to_string(), host.to_string())).collect());
    }
    let hosts = *at(service, "hosts").first()?;
    let host = |(name, _): (&str, Span)| Some((name.to_owned(), text(at(hosts, name).first()?)?.to_owned()));
    names(hosts).into_iter().map(host).collect()
}

/// Variables that bottlec sets, and a placeholder in the place of a variable that is always there.
fn variables(root: &Node, report: &mut impl FnMut(Diagnostic)) {
    let always: BTreeMap<&str, Span> = at(root, "environment").into_iter().flat_map(names).collect();
    let placeholders: Vec<(&str, Span)> = at(root, "sign_in/*/placeholders").into_iter().flat_map(names).collect();
    for (name, span) in always.iter().map(|(name, span)| (*name, *span)).chain(placeholders.iter().copied()) {
        if VariableName::parse(name).is_ok_and(|name| guest::keeps(&name)) {
            report(
                Diagnostic::new(Code::OwnedVariable, format!("the variable `{name}` is set by bottlec"))
                    .at(span, "")
                    .help("remove it; bottlec sets the variables that lead the agent to egress"),
            );
        }
    }
    for (name, span) in placeholders {
        if let Some(other) = always.get(name) {
            report(
                Diagnostic::new(
                    Code::Definition,
                    format!("`{name}` is a placeholder and has another text in `environment`"),
                )
                .at(span, "the placeholder")
                .and(*other, "the other text")
                .help("keep one of the two"),
            );
        }
    }
    for node in at(root, "sign_in/*/placeholders/*") {
        if text(node).is_some_and(|text| !text.contains(PLACEHOLDER_WORD)) {
            report(
                // The text may be a credential.
                Diagnostic::new(Code::TokenRef, format!("a placeholder must contain `{PLACEHOLDER_WORD}`"))
                    .at(node.span, "")
                    .help(format!(
                        "write `\"{PLACEHOLDER_WORD}\"`, with what the client wants around it; never a credential"
                    )),
            );
        }
    }
}

/// Files that cannot both be there, and content that its format does not carry.
fn files(root: &Node, report: &mut impl FnMut(Diagnostic)) {
    let paths: Vec<(&str, Span)> = at(root, "files").into_iter().flat_map(names).collect();
    let is_below = |path: &str, above: &str| path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
    for (path, span) in &paths {
        if let Some((above, other)) = paths.iter().find(|(above, _)| is_below(path, above)) {
            report(
                Diagnostic::new(
                    Code::Definition,
                    format!("`{above}` is a file, and `{path}` needs a folder of that name"),
                )
                .at(*span, "")
                .and(*other, "the file")
                .help("rename one of the two"),
            );
        }
    }
    for file in at(root, "files/*") {
        // What is out of form has been told.
        let Ok(written) = File::deserialize(file) else { continue };
        if written.text("").is_err() {
            let span = at(file, "content").first().map_or(file.span, |content| content.span);
            report(
                Diagnostic::new(Code::Definition, "the format cannot carry the content")
                    .at(span, "")
                    .help("TOML is written without a mapping inside a list, and a key must not occur twice"),
            );
        }
    }
}

fn command(root: &Node, report: &mut impl FnMut(Diagnostic)) {
    for node in at(root, "command") {
        if matches!(&node.value, Value::Sequence(words) if words.is_empty()) {
            report(
                Diagnostic::new(Code::Definition, "the command must not be empty")
                    .at(node.span, "")
                    .help("name the program that the bottle starts"),
            );
        }
    }
}

/// Paths without which the agent does not work and which it is not given.
fn essential(route: &Node, report: &mut impl FnMut(Diagnostic)) {
    let prefix = |node: &&Node| PathPrefix::parse(text(node)?).ok();
    let paths: Allowlist<PathPrefix> = at(route, "paths/*").iter().filter_map(prefix).collect();
    for node in at(route, "essential/*") {
        if let Some(path) = prefix(&node).filter(|path| !paths.covers(Some(path))) {
            report(
                Diagnostic::new(Code::Definition, format!("`{path}` is essential and not below any of `paths`"))
                    .at(node.span, "")
                    .help("add it to `paths`"),
            );
        }
    }
}

/// The hosts that a sign-in asks for or keeps closed.
fn reach(root: &Node, sign_in: &SignIn, hosts: &BTreeMap<String, String>, report: &mut impl FnMut(Diagnostic)) {
    let known: Vec<&str> = hosts.keys().map(String::as_str).collect();
    let unknown = |name: &str, span: Span| schema::unknown_value(name, span, &known);
    let mut routed: BTreeMap<&str, Span> = BTreeMap::new();
    let mut is_empty = true;
    for to in [at(root, "routes/*/to"), at(sign_in.node, "routes/*/to")].concat() {
        is_empty = false;
        let Some(name) = text(to) else { continue };
        let Some(host) = hosts.get(name) else {
            report(unknown(name, to.span));
            continue;
        };
        if let Some(first) = routed.insert(host, to.span) {
            report(
                Diagnostic::new(
                    Code::DuplicateHost,
                    format!("two routes for `{host}` in the sign-in `{}`", sign_in.name),
                )
                .at(to.span, "second")
                .and(first, "first")
                .help("merge the two into one route"),
            );
        }
    }
    if is_empty {
        report(
            Diagnostic::new(Code::Definition, format!("the sign-in `{}` has no route", sign_in.name))
                .at(sign_in.span, "")
                .help("add `routes` here, or at the top for every sign-in"),
        );
    }
    for (name, span) in at(sign_in.node, "closed_hosts").into_iter().flat_map(names) {
        match hosts.get(name) {
            None => report(unknown(name, span)),
            Some(host) => {
                if let Some(route) = routed.get(host.as_str()) {
                    report(
                        Diagnostic::new(Code::Definition, format!("`{host}` is closed and has a route"))
                            .at(span, "closed here")
                            .and(*route, "routed here")
                            .help("remove one of the two"),
                    );
                }
            }
        }
    }
}

/// Egress signs where the manifest asks for it and nowhere else, in a form that it knows.
fn credential(sign_in: &SignIn, report: &mut impl FnMut(Diagnostic)) {
    let credential = at(sign_in.node, "credential").into_iter().find(|node| node.is_valid());
    if sign_in.name == "in_bottle" {
        let stray = ["credential", "placeholders"].into_iter().filter_map(|key| sign_in.node.entry(key));
        for entry in stray {
            report(
                Diagnostic::new(
                    Code::Definition,
                    format!("`in_bottle` must not have `{}`: the agent signs in by itself", entry.key.name),
                )
                .at(entry.key.span, "")
                .help("remove it, or move it to `auth_token`"),
            );
        }
        return;
    }
    let Some(node) = credential else {
        if sign_in.node.entry("credential").is_none() {
            report(
                Diagnostic::new(Code::MissingKey, "the key `credential` is missing")
                    .at(sign_in.span, "needs `credential`")
                    .help("say how egress signs, such as `credential: { scheme: Bearer }`"),
            );
        }
        return;
    };
    // What is out of form has been told.
    let is_whole = matches!(&node.value, Value::Mapping(keys) if keys.iter().all(|key| key.value.is_valid()));
    let Some(form) = Form::deserialize(node).ok().filter(|_| is_whole) else { return };
    if Injection::try_from(form).is_err() {
        report(
            Diagnostic::new(Code::Auth, "the credential has a form that egress does not support")
                .at(node.span, "")
                .help("write `scheme: Bearer`, `scheme: token`, `scheme: Basic` with `username`, a `header` with or without `prefix`, or a `query`"),
        );
    }
}

fn without_hook(sign_in: &SignIn, report: &mut impl FnMut(Diagnostic)) {
    if let Some(hook) = sign_in.node.entry("hook") {
        report(
            Diagnostic::new(Code::Definition, "your own definition must not have a hook: hooks are part of bottlec")
                .at(hook.key.span, "")
                .help("remove it; describe the sign-in with `credential` and `placeholders`"),
        );
    } else if sign_in.name == "forward_host_credentials" {
        report(
            Diagnostic::new(
                Code::Definition,
                "`forward_host_credentials` needs a hook, which your own definition must not have",
            )
            .at(sign_in.span, "")
            .help("remove it; `auth_token` takes the credential from a host variable"),
        );
    }
}
