//! The JSON Schema of a manifest: made from the types, committed, and compiled into the validator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::JsonType;
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, RestrictFormats};
use serde_json::Value as Json;

use super::Manifest;
use crate::text::diagnostic::{Code, Diagnostic, Edit, Findings, Fix, Safety};
use crate::text::source::Span;
use crate::text::suggest::{is_one_edit_away, nearest};
use crate::text::yaml::{Entry, Key, Node, Step, Value};

/// The schema as committed: `schema/bottle.schema.json`.
pub const TEXT: &str = include_str!("../../schema/bottle.schema.json");

/// The validator that is made from the committed schema when bottlec is built. It leaves `pattern`s to
/// the types that parse those values, which accept nothing that a pattern refuses (a test compares
/// them): compiling regular expressions took more time than the rest of a check.
#[jsonschema::validator(path = "schema/validator.schema.json", methods = { is_valid = false, validate = false, iter_errors = true })]
struct Validator;

/// Makes the schema from the types: draft-07, the newest that YAML editors read, without references.
pub fn generate() -> String {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(RestrictFormats::default()));
        settings.transforms.push(Box::new(RecursiveTransform(plain_enums)));
        settings.transforms.push(Box::new(RecursiveTransform(without_null)));
        settings.transforms.push(Box::new(RecursiveTransform(flowing_text)));
    });
    let mut schema = settings.into_generator().into_root_schema_for::<Manifest>();
    schema.insert("$id".into(), "urn:bottlec:schema:1".into());
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

/// The schema that the validator is made from: the same without patterns, words, and what keys mean beside each other.
pub fn generate_for_validator() -> String {
    let mut schema = serde_json::from_str(&generate()).expect("a schema is JSON");
    reduce(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
    text.push('\n');
    text
}

fn reduce(schema: &mut Json) {
    let Some(schema) = schema.as_object_mut() else { return };
    for word in
        ["pattern", "propertyNames", "title", "description", "default", "examples", "$id", "oneOf", "dependencies"]
    {
        schema.remove(word);
    }
    if let Some(keys) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        keys.values_mut().for_each(reduce);
    }
    for inner in ["items", "additionalProperties"] {
        schema.get_mut(inner).into_iter().for_each(reduce);
    }
}

/// `oneOf` of constants, which schemars makes of documented enums, says less in a validator's and an
/// editor's words than `enum` does.
fn plain_enums(schema: &mut Schema) {
    let constants = schema
        .get("oneOf")
        .and_then(Json::as_array)
        .and_then(|variants| variants.iter().map(|variant| variant.get("const").cloned()).collect::<Option<Vec<_>>>());
    if let Some(constants) = constants {
        schema.remove("oneOf");
        schema.insert("type".into(), "string".into());
        schema.insert("enum".into(), Json::Array(constants));
    }
}

/// A key that may be left out may not be null.
fn without_null(schema: &mut Schema) {
    if let Some(Json::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".into(), only);
        }
    }
    if let Some(Json::Array(variants)) = schema.get("anyOf") {
        let real: Vec<_> = variants.iter().filter(|v| v.get("type") != Some(&"null".into())).cloned().collect();
        if let [Json::Object(only)] = real.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            for (key, value) in only {
                schema.ensure_object().entry(key).or_insert(value);
            }
        }
    }
    if schema.get("default") == Some(&Json::Null) {
        schema.remove("default");
    }
}

/// Doc comments are broken for this file; an editor breaks descriptions for its own window.
fn flowing_text(schema: &mut Schema) {
    if let Some(Json::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// What has been reported and is taken out of use.
#[derive(Default)]
struct Broken {
    /// Paths to values.
    values: Vec<Vec<Step>>,
    /// Paths to mappings, with the keys that they should not have.
    entries: Vec<(Vec<Step>, BTreeSet<String>)>,
}

/// Checks a tree against the schema, reports in our words what does not fit, and takes it out of use.
pub(super) fn validate(root: &mut Node, findings: &mut Findings) {
    let json = root.to_json();
    let mut broken = Broken::default();
    let mut missing: BTreeMap<Span, Vec<String>> = BTreeMap::new();
    for error in Validator::iter_errors(&json) {
        let steps: Vec<Step> = error
            .instance_path()
            .into_iter()
            .map(|segment| match segment {
                LocationSegment::Property(name) => Step::Key(name.into_owned()),
                LocationSegment::Index(index) => Step::Index(index),
            })
            .collect();
        if (1..=steps.len()).any(|end| root.at(&steps[..end]).is_none_or(|node| !node.is_valid())) {
            continue;
        }
        match error.kind() {
            Kind::Required { property } => {
                if let Some(owner) = lacking(root, &steps, property.as_str().unwrap_or_default()) {
                    missing.entry(owner).or_default().push(property.as_str().unwrap_or_default().to_owned());
                }
            }
            _ => report(root, &steps, &error, findings, &mut broken),
        }
    }
    for (owner, names) in missing {
        let (noun, verb) = if names.len() == 1 { ("key", "is") } else { ("keys", "are") };
        let names = listed(names.iter().map(String::as_str));
        findings.push(
            Diagnostic::new(Code::MissingKey, format!("the {noun} {names} {verb} missing"))
                .at(owner, format!("needs {names}"))
                .help(format!("add {names}")),
        );
    }
    for steps in &broken.values {
        root.at_mut(steps).into_iter().for_each(Node::invalidate);
    }
    for (steps, names) in &broken.entries {
        if let Some(Node { value: Value::Mapping(entries), .. }) = root.at_mut(steps) {
            let unknown = entries.iter_mut().filter(|entry| names.contains(entry.key.name.as_ref()));
            unknown.for_each(|entry| entry.value.invalidate());
        }
    }
}

/// The place that lacks a key. None if a misspelt key is there: it is reported as such, and that the right
/// one is missing follows from it.
fn lacking(root: &Node, steps: &[Step], name: &str) -> Option<Span> {
    let node = root.at(steps)?;
    let known = siblings(steps);
    let misspelt = |entry: &Entry| {
        !known.iter().any(|k| *k == entry.key.name) && nearest(&entry.key.name, std::iter::once(name)).is_some()
    };
    if matches!(&node.value, Value::Mapping(entries) if entries.iter().any(misspelt)) {
        return None;
    }
    Some(parent_key(root, steps).unwrap_or(node.span))
}

fn report(root: &Node, steps: &[Step], error: &ValidationError, findings: &mut Findings, broken: &mut Broken) {
    let Some(node) = root.at(steps) else { return };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let unexpected: BTreeSet<String> = unexpected.iter().cloned().collect();
            let known = siblings(steps);
            let Value::Mapping(entries) = &node.value else { return };
            for Entry { key, .. } in entries.iter().filter(|entry| unexpected.contains(entry.key.name.as_ref())) {
                findings.push(unknown_key(steps, key, &known, entries));
            }
            // The whole route is to go; what else it says needs no mending.
            if unexpected.contains(ROLE) {
                broken.values.push(steps.to_vec());
            }
            broken.entries.push((steps.to_vec(), unexpected));
        }
        Kind::Type { kind } => {
            let expected = match kind {
                TypeKind::Single(JsonType::Boolean) => "`true` or `false`",
                TypeKind::Single(JsonType::Array) => "a list",
                TypeKind::Single(JsonType::Object) => "a mapping",
                _ => "a string",
            };
            findings.push(wrong_type(root, steps, node, expected));
            broken.values.push(steps.to_vec());
        }
        // The validator says no more of a number among names.
        Kind::Enum { .. } if !matches!(node.value, Value::String(_)) => {
            findings.push(wrong_type(root, steps, node, "a string"));
            broken.values.push(steps.to_vec());
        }
        Kind::Enum { options } => {
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
            findings.push(unknown_value(node, &options));
            // An unknown provider stays in the tree: without it the default one would be judged.
            if steps.last() != Some(&Step::Key("template".to_owned())) {
                broken.values.push(steps.to_vec());
            }
        }
        // The value has the right type; a rule of ours says what is wrong with it in better words.
        _ => findings
            .push(Diagnostic::new(Code::WrongForm, format!("invalid value: {}", error.masked())).at(node.span, "here")),
    }
}

fn wrong_type(root: &Node, steps: &[Step], node: &Node, expected: &str) -> Diagnostic {
    // Nothing has no place of its own; its key has.
    let key = parent_key(root, steps).filter(|_| node.span.start == node.span.end);
    let message = format!("expected {expected}, found {}", node.value.kind());
    let diagnostic =
        Diagnostic::new(Code::WrongType, message).at(key.unwrap_or(node.span), format!("expected {expected}"));
    match (&node.value, expected) {
        (Value::Null, _) => diagnostic.help("give it a value or remove the key"),
        (Value::Bool(_) | Value::Integer(_) | Value::Float(_), "a string") => {
            diagnostic.help("put the value in double quotes")
        }
        (Value::String(_), "`true` or `false`") => {
            diagnostic.help("write `true` or `false`, in lower case and without quotes")
        }
        (_, "a mapping") => diagnostic.help("write `key: value` lines below the key"),
        (_, "a list") => diagnostic.help("write one `- ` item per line"),
        _ => diagnostic,
    }
}

fn unknown_value(node: &Node, options: &[&str]) -> Diagnostic {
    let given = match &node.value {
        Value::String(text) => text.as_ref(),
        _ => "",
    };
    let listed = listed(options.iter().copied());
    let diagnostic = Diagnostic::new(Code::UnknownValue, format!("`{}` is not one of {listed}", given.escape_debug()))
        .at(node.span, "unknown value");
    match nearest(given, options.iter().copied()) {
        Some(option) => diagnostic.help(format!("did you mean `{option}`?")),
        None => diagnostic.help(format!("write one of {listed}")),
    }
}

/// The key of a route that once made it the provider's.
const ROLE: &str = "role";

/// Keys that users of the reference system know, and what became of them.
const FORMER_KEYS: &[(&str, Code, &str)] = &[
    ("git", Code::UnsupportedKey, "bottlec does not set up git remotes; let the agent push through a gate of your own"),
    (
        "git-gate",
        Code::UnsupportedKey,
        "bottlec does not set up a git gate; let the agent push through one of your own",
    ),
    ("supervise", Code::UnsupportedKey, "bottlec does not set up a supervisor; remove the key"),
    ("skills", Code::UnsupportedKey, "skills belong to an agent, not to its bottle; put them in the image"),
    ("auth_role", Code::RemovedKey, "the provider has its own credential: use `agent_provider.auth_token`"),
    (
        ROLE,
        Code::RemovedKey,
        "remove this route: the provider adds it. To sign in, write `auth_token: NAME_OF_A_HOST_VARIABLE` or `forward_host_credentials: true` under `agent_provider`",
    ),
    ("git_user", Code::RemovedKey, "set the user's name and e-mail with `env`: GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL"),
    ("cred_proxy", Code::RemovedKey, "write each host as a route under `egress.routes`, with `auth`"),
    ("tokens", Code::RemovedKey, "name each token where it is sent: `egress.routes[].auth.token_ref`"),
];

fn unknown_key(steps: &[Step], key: &Key, known: &[String], beside: &[Entry]) -> Diagnostic {
    let (name, at) = (key.name.as_ref(), key.span);
    if let Some((_, code, help)) = FORMER_KEYS.iter().find(|(former, ..)| *former == name) {
        let became = if *code == Code::RemovedKey { "was removed" } else { "is not supported" };
        let message = if name == ROLE { "unknown role".to_owned() } else { format!("the key `{name}` {became}") };
        return Diagnostic::new(*code, message).at(at, "").help(*help);
    }
    let owner = match steps.iter().rev().find_map(|step| match step {
        Step::Key(name) => Some(name.as_str()),
        Step::Index(_) => None,
    }) {
        Some("routes") => "a route".to_owned(),
        Some(key) => format!("`{key}`"),
        None => "a bottle".to_owned(),
    };
    let diagnostic = Diagnostic::new(Code::UnknownKey, format!("unknown key `{}` in {owner}", name.escape_debug()))
        .at(at, "unknown key");
    match nearest(name, known.iter().map(String::as_str)) {
        Some(right) => {
            // Beside the right key it would stand twice.
            let is_free = beside.iter().all(|entry| entry.key.name != right);
            let fix = is_free.then(|| Fix {
                title: format!("rename `{}` to `{right}`", name.escape_debug()),
                safety: if is_one_edit_away(name, right) { Safety::Safe } else { Safety::Unsafe },
                edits: vec![Edit { span: at, text: right.to_owned() }],
            });
            diagnostic.help(format!("did you mean `{right}`?")).fix(fix)
        }
        None => diagnostic.help(match known {
            [only] => format!("the only valid key is `{only}`"),
            _ => format!("valid keys are {}", listed(known.iter().map(String::as_str))),
        }),
    }
}

/// The keys that the schema knows at a place.
fn siblings(steps: &[Step]) -> Vec<String> {
    static SCHEMA: LazyLock<Json> = LazyLock::new(|| serde_json::from_str(TEXT).expect("the committed schema is JSON"));
    let place = steps.iter().fold(&*SCHEMA, |schema, step| match step {
        Step::Key(name) => &schema["properties"][name],
        Step::Index(_) => &schema["items"],
    });
    place["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// Whether a manifest has such a key at its top.
pub fn is_key(name: &str) -> bool {
    siblings(&[]).iter().any(|key| key == name)
}

fn listed<'o>(names: impl Iterator<Item = &'o str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The key that holds the value at the end of the path, when a key does.
fn parent_key(root: &Node, steps: &[Step]) -> Option<Span> {
    match steps.split_last()? {
        (Step::Key(name), above) => root.at(above)?.entry(name).map(|entry| entry.key.span),
        (Step::Index(_), _) => None,
    }
}
