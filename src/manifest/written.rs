//! A manifest as `bottle.json` keeps it, so that a tree can be compiled again without its manifest: merged
//! with its parents, paths from the manifest's own folder, the user's own definition of the agent beside its path,
//! and the texts of `env` left out.

use serde::Deserialize as _;
use serde_json::{Map, Value as Json};

use super::{AgentProvider, Manifest, schema};
use crate::manifest::bottle::Bottle;
use crate::provider::{self, ImageChoice, Provider};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::{Source, SourceId, Sources, Span};
use crate::text::yaml::{Entry, Key, Node, Value};
use crate::value::variable::{Binding, VariableName};

/// A manifest in the form of an index: keys that say nothing are left out, a text of `env` is `null`.
pub type Written = Json;

/// The form of a manifest that was checked.
pub fn of(manifest: &Manifest, bottle: &Bottle) -> Written {
    let mut manifest = manifest.clone();
    manifest.extends = None;
    if let Some(AgentProvider { template, dockerfile, image, .. }) = &mut manifest.agent_provider {
        // A path counts from the manifest that names it, which may be a parent in another folder.
        match bottle.settings.image.as_ref().map(|image| &image.value) {
            Some(ImageChoice::Dockerfile(path)) => replace(dockerfile, path),
            Some(ImageChoice::Archive(path)) => replace(image, path),
            Some(ImageChoice::Reference(_)) | None => {}
        }
        if bottle.provider.written().is_some() {
            replace(template, bottle.provider.name());
        }
    }
    let mut written = serde_json::to_value(&manifest).unwrap_or_default();
    prune(&mut written);
    if let Json::Object(keys) = &mut written {
        keys.insert("name".into(), bottle.name.as_str().into());
    }
    if let (Some(settings), Some(definition)) = (settings(&mut written), bottle.provider.written()) {
        settings.insert(DEFINITION.into(), definition.clone());
    }
    let env = written.get_mut("env").and_then(Json::as_object_mut);
    for (name, value) in env.into_iter().flatten() {
        let known = VariableName::parse(name).ok().and_then(|name| bottle.env.get(&name));
        if known.is_some_and(|variable| matches!(variable.binding, Binding::Literal(_))) {
            *value = Json::Null;
        }
    }
    written
}

/// The key beside `template` that keeps a user's own definition of the agent.
pub const DEFINITION: &str = "definition";

/// What a form says of the agent.
fn settings(written: &mut Written) -> Option<&mut Map<String, Json>> {
    written.get_mut("agent_provider")?.as_object_mut()
}

fn replace(path: &mut Option<crate::text::yaml::Spanned<String>>, resolved: &str) {
    if let Some(path) = path {
        path.value = format!("./{resolved}");
    }
}

fn prune(value: &mut Json) {
    match value {
        Json::Object(keys) => {
            keys.retain(|_, value| !value.is_null());
            keys.values_mut().for_each(prune);
        }
        Json::Array(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}

/// Reads it back; `text` gives the texts of `env`. What is wrong is a finding, at no place.
pub fn read(
    written: &Written,
    text: impl Fn(&str) -> Option<String>,
    findings: &mut Findings,
) -> Option<(Manifest, Sources)> {
    let mut whole = written.clone();
    if let Some(env) = whole.get_mut("env").and_then(Json::as_object_mut) {
        fill(env, text);
    }
    let mut sources = Sources::default();
    let name = crate::value::artifact::INDEX.to_owned();
    let nowhere = Span { source: SourceId(0), start: 0, end: 0 };
    sources.add(Source { path: name.clone(), reference: name, text: String::new() });
    let definition = settings(&mut whole).and_then(|settings| settings.remove(DEFINITION));
    let mut root = node(&whole, nowhere);
    schema::validate(&mut root, findings);
    if !root.is_valid() {
        return None;
    }
    match Manifest::deserialize(&root) {
        Ok(mut manifest) => {
            if let Some(AgentProvider { template: Some(template), own, .. }) = &mut manifest.agent_provider
                && let Some(definition) = definition.filter(|_| provider::is_path(&template.value))
            {
                let name = sources.get(SourceId(0)).resolve(&template.value);
                *own = Some(Provider::own(name, node(&definition, nowhere), findings)?);
            }
            Some((manifest, sources))
        }
        Err(error) => {
            findings.push(Diagnostic::new(Code::WrongForm, error.to_string()));
            None
        }
    }
}

/// Puts the texts in, in the form that a manifest writes them in.
fn fill(env: &mut Map<String, Json>, text: impl Fn(&str) -> Option<String>) {
    for (name, value) in env.iter_mut().filter(|(_, value)| value.is_null()) {
        if let Some(text) = text(name) {
            *value = text.replace('$', "$$").into();
        }
    }
}

fn node(value: &Json, span: Span) -> Node<'_> {
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Integer(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::String(text.into()),
        Json::Array(items) => Value::Sequence(items.iter().map(|item| node(item, span)).collect()),
        Json::Object(keys) => Value::Mapping(
            keys.iter()
                .map(|(name, value)| Entry { key: Key { span, name: name.into() }, value: node(value, span) })
                .collect(),
        ),
    };
    Node { span, value }
}
