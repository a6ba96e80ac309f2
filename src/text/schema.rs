//! JSON Schemas, made from types, and what their validators refuse, in our words and at its place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::JsonType;
use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::LocationSegment;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, RestrictFormats};
use schemars::{JsonSchema, Schema, json_schema};
use serde_json::Value as Json;

use crate::text::diagnostic::{Code, Diagnostic, Edit, Findings, Fix, Safety};
use crate::text::source::Span;
use crate::text::suggest::{is_one_edit_away, nearest};
use crate::text::yaml::{Entry, Key, Node, Step, Value};

/// Makes the schema of a type: draft-07, the newest that YAML editors read, without references.
pub fn generate<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.transforms.push(Box::new(RestrictFormats::default()));
        settings.transforms.push(Box::new(RecursiveTransform(plain_enums)));
        settings.transforms.push(Box::new(RecursiveTransform(without_null)));
        settings.transforms.push(Box::new(RecursiveTransform(flowing_text)));
    });
    settings.into_generator().into_root_schema_for::<T>()
}

/// What a text looks like.
#[derive(Clone, Copy, Debug)]
pub struct TextForm {
    /// The expression that it matches.
    pub pattern: &'static str,
    /// How to mend one that does not, in the words of editors and of bottlec alike.
    pub says: &'static str,
}

impl TextForm {
    /// Gives a schema this form.
    pub fn text(self) -> impl FnMut(&mut Schema) {
        move |schema| {
            schema.insert("pattern".into(), self.pattern.into());
            schema.insert("patternErrorMessage".into(), self.says.into());
        }
    }

    /// Gives it to the items of a list.
    pub fn items(self) -> impl FnMut(&mut Schema) {
        move |schema| {
            let items = schema.get_mut("items").and_then(|items| <&mut Schema>::try_from(items).ok());
            items.into_iter().for_each(self.text());
        }
    }

    /// The schema of a text of this form.
    pub fn schema(self) -> Schema {
        let mut schema = json_schema!({});
        self.text()(&mut schema);
        schema
    }
}

/// A schema as a file.
pub fn text(schema: &Schema) -> String {
    serde_json::to_string_pretty(schema).expect("a schema is JSON") + "\n"
}

/// The same without patterns, words, and what keys mean beside each other: types say that in better words.
pub fn for_validator(mut schema: Schema) -> Schema {
    reduce(&mut schema);
    schema
}

const LEFT_TO_TYPES: [&str; 14] = [
    "pattern",
    "patternErrorMessage",
    "enumDescriptions",
    "propertyNames",
    "title",
    "description",
    "default",
    "examples",
    "$id",
    "oneOf",
    "anyOf",
    "dependencies",
    "minItems",
    "minProperties",
];

fn reduce(schema: &mut Schema) {
    for word in LEFT_TO_TYPES {
        schema.remove(word);
    }
    let Some(schema) = schema.as_object_mut() else { return };
    if let Some(keys) = schema.get_mut("properties").and_then(Json::as_object_mut) {
        keys.values_mut().for_each(reduce_value);
    }
    for inner in ["items", "additionalProperties"] {
        schema.get_mut(inner).into_iter().for_each(reduce_value);
    }
}

fn reduce_value(value: &mut Json) {
    if let Ok(schema) = <&mut Schema>::try_from(value) {
        reduce(schema);
    }
}

/// `oneOf` of constants, which schemars makes of documented enums, says less in a validator's and an
/// editor's words than `enum` does. What they are about is in `enumDescriptions`, which editors show beside each.
fn plain_enums(schema: &mut Schema) {
    let variants = schema.get("oneOf").and_then(Json::as_array);
    let all = |key| {
        variants.and_then(|all| all.iter().map(|variant| variant.get(key).cloned()).collect::<Option<Vec<Json>>>())
    };
    if let (Some(constants), descriptions) = (all("const"), all("description")) {
        schema.remove("oneOf");
        schema.insert("type".into(), "string".into());
        schema.insert("enum".into(), Json::Array(constants));
        if let Some(texts) = descriptions {
            schema.insert("enumDescriptions".into(), Json::Array(texts));
        }
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

/// A key, and whether a text is a value of it.
pub type Typed = (&'static str, fn(&str) -> bool);

/// How the errors of a schema are reported.
pub struct Vocabulary {
    /// The schema, for the keys at a place.
    pub schema: LazyLock<Json>,
    /// What the whole is.
    pub whole: &'static str,
    /// Keys that users know from elsewhere: the code, what became of them, and what to do. A list's item that has a
    /// removed one is out of use as a whole.
    pub former: &'static [(&'static str, Code, &'static str, &'static str)],
    /// Keys whose value may stand alone where their mapping or list should, and whether a text is a value of theirs.
    pub typed: &'static [Typed],
}

/// What has been reported and is taken out of use.
#[derive(Default)]
struct Broken {
    /// Paths to values.
    values: Vec<Vec<Step>>,
    /// Paths to mappings, with the keys that they should not have.
    entries: Vec<(Vec<Step>, BTreeSet<String>)>,
}

/// Reports in our words what does not fit a schema, and takes it out of use.
pub fn validate<'e>(
    root: &mut Node,
    errors: impl Iterator<Item = ValidationError<'e>>,
    words: &Vocabulary,
    findings: &mut Findings,
) {
    let mut broken = Broken::default();
    let mut missing: BTreeMap<Span, Vec<String>> = BTreeMap::new();
    for error in errors {
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
                if let Some(owner) = lacking(root, &steps, property.as_str().unwrap_or_default(), words) {
                    missing.entry(owner).or_default().push(property.as_str().unwrap_or_default().to_owned());
                }
            }
            _ => report(root, &steps, &error, words, findings, &mut broken),
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
fn lacking(root: &Node, steps: &[Step], name: &str, words: &Vocabulary) -> Option<Span> {
    let node = root.at(steps)?;
    let known = words.keys(steps);
    let misspelt = |entry: &Entry| {
        !known.iter().any(|k| *k == entry.key.name) && nearest(&entry.key.name, std::iter::once(name)).is_some()
    };
    if matches!(&node.value, Value::Mapping(entries) if entries.iter().any(misspelt)) {
        return None;
    }
    let first = match &node.value {
        // Of the whole text the first key is enough.
        Value::Mapping(entries) if steps.is_empty() => entries.first().map(|entry| entry.key.span),
        _ => None,
    };
    Some(parent_key(root, steps).or(first).unwrap_or(node.span))
}

fn report(
    root: &Node,
    steps: &[Step],
    error: &ValidationError,
    words: &Vocabulary,
    findings: &mut Findings,
    broken: &mut Broken,
) {
    let Some(node) = root.at(steps) else { return };
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let unexpected: BTreeSet<String> = unexpected.iter().cloned().collect();
            let known = words.keys(steps);
            let Value::Mapping(entries) = &node.value else { return };
            for Entry { key, .. } in entries.iter().filter(|entry| unexpected.contains(entry.key.name.as_ref())) {
                findings.push(words.unknown_key(steps, key, &known, entries));
            }
            let is_removed = |name: &String| words.former(name).is_some_and(|(_, code, ..)| *code == Code::RemovedKey);
            if matches!(steps.last(), Some(Step::Index(_))) && unexpected.iter().any(is_removed) {
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
            let mut diagnostic = wrong_type(node, place(root, steps, node), expected);
            if let Some(example) = words.example(steps, &node.value) {
                diagnostic = diagnostic.help(format!("write `{example}`"));
            }
            findings.push(diagnostic);
            broken.values.push(steps.to_vec());
        }
        Kind::Enum { options } => {
            let Value::String(given) = &node.value else {
                // The validator says no more of a number among names.
                findings.push(wrong_type(node, place(root, steps, node), "a string"));
                broken.values.push(steps.to_vec());
                return;
            };
            let options: Vec<&str> = options.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
            findings.push(unknown_value(given, node.span, &options));
            broken.values.push(steps.to_vec());
        }
        // The value has the right type; a rule of ours says what is wrong with it in better words.
        _ => findings
            .push(Diagnostic::new(Code::WrongForm, format!("invalid value: {}", error.masked())).at(node.span, "here")),
    }
}

/// Nothing has no place of its own; its key has.
fn place(root: &Node, steps: &[Step], node: &Node) -> Span {
    parent_key(root, steps).filter(|_| node.span.start == node.span.end).unwrap_or(node.span)
}

/// A value of another type than the one that is expected.
pub fn wrong_type(node: &Node, place: Span, expected: &str) -> Diagnostic {
    let message = format!("expected {expected}, found {}", node.value.kind());
    let diagnostic = Diagnostic::new(Code::WrongType, message).at(place, format!("expected {expected}"));
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

/// A text that is not one of a few words.
pub fn unknown_value(given: &str, place: Span, options: &[&str]) -> Diagnostic {
    let listed = listed(options.iter().copied());
    let diagnostic = Diagnostic::new(Code::UnknownValue, format!("`{}` is not one of {listed}", given.escape_debug()))
        .at(place, "unknown value");
    match nearest(given, options.iter().copied()) {
        Some(option) => diagnostic.help(format!("did you mean `{option}`?")),
        None => diagnostic.help(format!("write one of {listed}")),
    }
}

impl Vocabulary {
    /// The keys that the schema knows at a place.
    pub fn keys(&self, steps: &[Step]) -> Vec<String> {
        self.at(steps)["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
    }

    fn at(&self, steps: &[Step]) -> &Json {
        steps.iter().fold(&*self.schema, |schema, step| match step {
            Step::Key(name) => schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]),
            Step::Index(_) => &schema["items"],
        })
    }

    /// The mapping or list that belongs at a place where a single value is: the schema's example, with that value in it
    /// if it can be one of the example's.
    fn example(&self, steps: &[Step], found: &Value) -> Option<String> {
        let (last, above) = steps.split_last()?;
        let schema = self.at(steps);
        let (key, example) = match last {
            Step::Key(name) => (name.as_str(), schema["examples"].get(0)?),
            Step::Index(_) => ("", self.at(above)["examples"].get(0)?.get(0)?),
        };
        let given = match found {
            Value::String(text) => Some(text.as_ref()),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => None,
            Value::Invalid | Value::Null | Value::Sequence(_) | Value::Mapping(_) => return None,
        };
        let filled = given.and_then(|given| self.filled(key, schema, example, given));
        let value = filled.as_ref().unwrap_or(example);
        match (last, value) {
            (_, Json::String(_) | Json::Bool(_) | Json::Number(_) | Json::Null) => None,
            (Step::Key(name), value) => Some(format!("{name}: {}", flow(value))),
            (Step::Index(_), Json::Object(keys)) if keys.len() == 1 => {
                Some(format!("- {}", flow(value).trim_start_matches("{ ").trim_end_matches(" }")))
            }
            (Step::Index(_), value) => Some(format!("- {}", flow(value))),
        }
    }

    /// An example with a text in the place of the value that it can be, and of the rest only what must be there.
    fn filled(&self, key: &str, schema: &Json, example: &Json, given: &str) -> Option<Json> {
        let fits = |name: &str| self.typed.iter().any(|(typed, fits)| *typed == name && fits(given));
        match example {
            Json::Array(items) => {
                let item = items.first()?;
                let item = if item.is_string() {
                    fits(key).then(|| given.into())
                } else {
                    self.filled(key, &schema["items"], item, given)
                };
                Some(Json::Array(vec![item?]))
            }
            Json::Object(keys) => {
                let known = schema["properties"].as_object()?;
                let (own, _) = self.typed.iter().find(|(name, _)| known.contains_key(*name) && fits(name))?;
                let one_of = schema["oneOf"].as_array().into_iter().flatten();
                let required = std::iter::once(schema).chain(one_of).filter_map(|part| part["required"].as_array());
                let required = required
                    .flatten()
                    .filter_map(Json::as_str)
                    .filter_map(|name| Some((name.to_owned(), keys.get(name)?.clone())));
                let own = [((*own).to_owned(), given.into())];
                Some(required.chain(own).collect::<serde_json::Map<_, _>>().into())
            }
            _ => None,
        }
    }

    fn former(&self, name: &str) -> Option<&(&'static str, Code, &'static str, &'static str)> {
        self.former.iter().find(|(former, ..)| *former == name)
    }

    fn unknown_key(&self, steps: &[Step], key: &Key, known: &[String], beside: &[Entry]) -> Diagnostic {
        let (name, at) = (key.name.as_ref(), key.span);
        if let Some((_, code, message, help)) = self.former(name) {
            return Diagnostic::new(*code, *message).at(at, "").help(*help);
        }
        let owner = match steps.iter().rev().find_map(|step| match step {
            Step::Key(name) => Some(name.as_str()),
            Step::Index(_) => None,
        }) {
            Some("routes") => "a route".to_owned(),
            Some(key) => format!("`{key}`"),
            None => self.whole.to_owned(),
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
}

/// A value as YAML on one line.
fn flow(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Json::Object(keys) => {
            let entries: Vec<String> = keys.iter().map(|(name, value)| format!("{name}: {}", flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        Json::String(text) if is_plain(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Whether every reader of YAML takes a text for itself, without quotes.
fn is_plain(text: &str) -> bool {
    text.trim_start_matches("./").starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte))
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"].contains(&text.to_ascii_lowercase().as_str())
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
