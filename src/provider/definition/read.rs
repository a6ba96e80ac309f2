//! A text into a definition: schema, forms, rules. Says all that is wrong in one go.

use std::fmt::Display;
use std::sync::LazyLock;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::form::{HomePath, Label, PackageName, Text, Version, Word, filled};
use super::{Agent, Service, rules};
use crate::provider::SERVICES;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Problem};
use crate::text::schema::{self, Vocabulary};
use crate::text::source::{SourceId, Span};
use crate::text::yaml::{self, Node, Step, Value};
use crate::value::credential::{Parameter, Prefix, Username};
use crate::value::header::HeaderName;
use crate::value::host::Host;
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::{VariableName, may_hold_token};

/// The schemas as committed.
const AGENT: &str = include_str!("../../../schema/agent.schema.json");
const SERVICE: &str = include_str!("../../../schema/service.schema.json");

#[jsonschema::validator(path = "schema/agent-validator.schema.json", methods = { is_valid = false, validate = false, iter_errors = true })]
struct AgentValidator;

#[jsonschema::validator(path = "schema/service-validator.schema.json", methods = { is_valid = false, validate = false, iter_errors = true })]
struct ServiceValidator;

static AGENT_WORDS: Vocabulary = Vocabulary {
    schema: LazyLock::new(|| serde_json::from_str(AGENT).expect("the committed schema is JSON")),
    whole: "an agent's definition",
    former: &[],
    typed: &[],
};

static SERVICE_WORDS: Vocabulary = Vocabulary {
    schema: LazyLock::new(|| serde_json::from_str(SERVICE).expect("the committed schema is JSON")),
    whole: "a service",
    former: &[],
    typed: &[],
};

/// A kind of definition.
pub trait Read: DeserializeOwned {
    /// Reports all that is wrong with a tree. `is_own` says that it is not one of bottlec's.
    #[doc(hidden)]
    fn check(root: &mut Node, is_own: bool, findings: &mut Findings);
}

impl Read for Service {
    fn check(root: &mut Node, _: bool, findings: &mut Findings) {
        let json: Json = root.to_json();
        schema::validate(root, ServiceValidator::iter_errors(&json), &SERVICE_WORDS, findings);
        keys(root, "hosts", Code::Definition, closed(Label::parse), findings);
        values(root, "hosts/*", Code::Host, closed(Host::parse), findings);
    }
}

impl Read for Agent {
    fn check(root: &mut Node, is_own: bool, findings: &mut Findings) {
        let json: Json = root.to_json();
        schema::validate(root, AgentValidator::iter_errors(&json), &AGENT_WORDS, findings);
        let steps = [Step::Key("service".to_owned())];
        match root.at_mut(&steps).filter(|service| service.is_valid()) {
            Some(service) if matches!(service.value, Value::Mapping(_)) => Service::check(service, is_own, findings),
            Some(service) => service_name(service, findings),
            None => {}
        }
        forms(root, findings);
        rules::check(root, is_own, findings);
    }
}

fn service_name(service: &Node, findings: &mut Findings) {
    let names: Vec<&str> = SERVICES.iter().map(|service| service.name()).collect();
    match text(service) {
        Some(name) if names.contains(&name) => {}
        Some(name) => findings.push(schema::unknown_value(name, service.span, &names)),
        None => findings.push(schema::wrong_type(service, service.span, "the name of a service or a mapping")),
    }
}

/// Every text that has a closed form.
fn forms(root: &Node, findings: &mut Findings) {
    let mut each = |place: &str, code: Code, refuse: &dyn Fn(&str) -> Option<Problem>| {
        values(root, place, code, refuse, findings);
    };
    each("command/*", Code::Definition, &closed(Word::parse));
    each("image/npm", Code::Definition, &closed(PackageName::parse));
    each("image/version", Code::Definition, &closed(Version::parse));
    each("environment/*", Code::EnvValue, &|text| Text::parse(text).err());
    each("sign_in/*/placeholders/*", Code::EnvValue, &|text| Text::parse(text).err());
    each("credential_variables/*", Code::EnvName, &closed(VariableName::parse));
    for routes in ["routes/*", "sign_in/*/routes/*"] {
        each(&format!("{routes}/to"), Code::Definition, &closed(Label::parse));
        each(&format!("{routes}/rule"), Code::Definition, &closed(Label::parse));
        each(&format!("{routes}/paths/*"), Code::PathPrefix, &closed(PathPrefix::parse));
        each(&format!("{routes}/essential/*"), Code::PathPrefix, &closed(PathPrefix::parse));
    }
    let mut word = |key: &str, refuse: &dyn Fn(&str) -> Option<Problem>| {
        for node in at(root, &format!("sign_in/*/credential/{key}")) {
            // What may be a token is not shown.
            let code = if text(node).is_some_and(may_hold_token) { Code::TokenRef } else { Code::Auth };
            refused(node, code, refuse, findings);
        }
    };
    word("username", &closed(Username::parse));
    word("header", &closed(HeaderName::parse));
    word("prefix", &closed(Prefix::parse));
    word("query", &closed(Parameter::parse));
    for names in ["environment", "sign_in/*/placeholders", "displacing"] {
        keys(root, names, Code::EnvName, closed(VariableName::parse), findings);
    }
    keys(root, "files", Code::Path, closed(HomePath::parse), findings);
    keys(root, "sign_in/*/closed_hosts", Code::Definition, closed(Label::parse), findings);
    at(root, "files/*/content").into_iter().for_each(|content| data(content, content.span, findings));
}

/// What JSON and TOML both have, with no unknown word between braces.
fn data(node: &Node, place: Span, findings: &mut Findings) {
    match &node.value {
        Value::Null | Value::Float(_) => {
            findings.push(schema::wrong_type(node, place, "a string, a whole number, a boolean, a list or a mapping"));
        }
        Value::Sequence(items) => items.iter().for_each(|item| data(item, item.span, findings)),
        Value::Mapping(entries) => {
            for entry in entries {
                if let Err(refusal) = filled(&entry.key.name) {
                    findings.push(refusal.at(Code::Definition, entry.key.span));
                }
                // Nothing has no place of its own; its key has.
                let is_somewhere = entry.value.span.start < entry.value.span.end;
                data(&entry.value, if is_somewhere { entry.value.span } else { entry.key.span }, findings);
            }
        }
        Value::String(text) => {
            if let Err(refusal) = filled(text) {
                findings.push(refusal.at(Code::Definition, node.span));
            }
        }
        Value::Invalid | Value::Bool(_) | Value::Integer(_) => {}
    }
}

/// A reader's refusal of all that is not what it reads in the one spelling that it has.
fn closed<T: Display>(parse: fn(&str) -> Result<T, Problem>) -> impl Fn(&str) -> Option<Problem> {
    move |text| match parse(text) {
        Ok(value) if value.to_string() == text => None,
        Ok(value) => {
            let value = value.to_string();
            let message = format!("`{}` must be written `{value}`", text.escape_debug());
            Some(Problem::new(message, format!("write `{value}`")).instead(Some(value)))
        }
        Err(refusal) => Some(refusal),
    }
}

fn values(root: &Node, place: &str, code: Code, refuse: impl Fn(&str) -> Option<Problem>, findings: &mut Findings) {
    at(root, place).into_iter().for_each(|node| refused(node, code, &refuse, findings));
}

fn refused(node: &Node, code: Code, refuse: impl Fn(&str) -> Option<Problem>, findings: &mut Findings) {
    if let Some(refusal) = text(node).and_then(refuse) {
        findings.push(refusal.at(code, node.span));
    }
}

fn keys(root: &Node, place: &str, code: Code, refuse: impl Fn(&str) -> Option<Problem>, findings: &mut Findings) {
    for (name, span) in at(root, place).into_iter().flat_map(names) {
        if let Some(refusal) = refuse(name) {
            findings.push(refusal.at(code, span));
        }
    }
}

/// What is at a place, by steps with `/` between them: a key, or `*` for every value and item.
pub(super) fn at<'n, 's>(root: &'n Node<'s>, place: &str) -> Vec<&'n Node<'s>> {
    place.split('/').fold(vec![root], |nodes, step| nodes.into_iter().flat_map(|node| below(node, step)).collect())
}

fn below<'n, 's>(node: &'n Node<'s>, step: &str) -> Vec<&'n Node<'s>> {
    match &node.value {
        Value::Mapping(entries) => {
            let wanted = entries.iter().filter(|entry| step == "*" || entry.key.name == step);
            wanted.map(|entry| &entry.value).collect()
        }
        Value::Sequence(items) if step == "*" => items.iter().collect(),
        _ => Vec::new(),
    }
}

/// The keys of a mapping, with their places.
pub(super) fn names<'n>(node: &'n Node) -> Vec<(&'n str, Span)> {
    match &node.value {
        Value::Mapping(entries) => entries.iter().map(|entry| (entry.key.name.as_ref(), entry.key.span)).collect(),
        _ => Vec::new(),
    }
}

/// The text of a node, if it is one.
pub(super) fn text<'n>(node: &'n Node) -> Option<&'n str> {
    match &node.value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// A tree into a definition. `None` if anything is wrong with its text, whose findings alone are given.
pub(in crate::provider) fn read_node<T: Read>(mut root: Node, is_own: bool, findings: &mut Findings) -> Option<T> {
    if root.value == Value::Null {
        findings.push(
            Diagnostic::new(Code::WrongType, "the definition is empty")
                .at(root.span, "")
                .help("write what the agent needs: `service`, `command`, `image` and `sign_in` at least"),
        );
        return None;
    }
    T::check(&mut root, is_own, findings);
    if findings.has_errors() {
        return None;
    }
    match T::deserialize(&root) {
        Ok(definition) => Some(definition),
        Err(error) => {
            // Out of reach as long as the checks and the types agree; never silent if they do not.
            findings.push(Diagnostic::new(Code::WrongForm, error.to_string()).at(root.span, ""));
            None
        }
    }
}

/// Reads one of bottlec's own definitions, in which the tests have found nothing wrong.
pub(in crate::provider) fn read_built_in<T: Read>(text: &str) -> T {
    let root =
        yaml::read(text, SourceId(0), 0, &mut Findings::default()).expect("a definition that the tests have read");
    T::deserialize(&root).expect("a definition that the tests have read")
}

/// Reads one of bottlec's own definitions, and looks for all that may be wrong with it.
///
/// # Errors
/// What is wrong with it.
pub fn read<T: Read>(text: &str) -> Result<T, String> {
    let mut findings = Findings::default();
    let root = yaml::read(text, SourceId(0), 0, &mut findings);
    let read = root.and_then(|root| read_node(root, false, &mut findings));
    let told = |findings: Findings| findings.into_sorted().into_iter().map(|finding| finding.message);
    read.ok_or_else(|| told(findings).collect::<Vec<_>>().join("; "))
}
