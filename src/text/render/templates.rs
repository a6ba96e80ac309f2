//! Templates: parsed when they are first used, strict about names, and every value in the quoting of the file's format.

use std::sync::OnceLock;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior};
use serde::Serialize;

use super::quote::Quoting;

/// A file of `templates/`.
pub struct Template {
    name: &'static str,
    text: &'static str,
    quoting: Quoting,
    parsed: OnceLock<Result<Environment<'static>, String>>,
}

impl Template {
    /// The template of that name and text. [`template!`](crate::text::render::template) finds the text by the name.
    pub const fn new(name: &'static str, quoting: Quoting, text: &'static str) -> Self {
        Template { name, text, quoting, parsed: OnceLock::new() }
    }

    /// Renders a model.
    ///
    /// # Errors
    /// The template names what the model does not have, or a value has no text in the file's format.
    pub(super) fn render(&self, model: &impl Serialize) -> Result<String, String> {
        let environment = self
            .parsed
            .get_or_init(|| environment(self.name, self.text, self.quoting).map_err(|error| error.to_string()));
        let template = environment.as_ref().map_err(Clone::clone)?.get_template(self.name);
        template.and_then(|template| template.render(Value::from(Serde(model)))).map_err(|error| error.to_string())
    }
}

/// Nothing is in it but what is named here. In particular nothing marks a text as safe: what a value looks like in
/// the file is decided by its type.
fn environment(name: &'static str, text: &'static str, quoting: Quoting) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(move |out: &mut Output, _: &mut State, value: &Value| match value.kind() {
        ValueKind::String => match value.as_str() {
            Some(text) => quoting.write(out, text).map_err(|_| {
                Error::new(ErrorKind::InvalidOperation, "the file's format cannot carry one of the values")
            }),
            None => Err(Error::new(ErrorKind::InvalidOperation, "a text that is none")),
        },
        // The engine would write it as Python does.
        ValueKind::Bool => Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
        // A fraction keeps its decimal point: what looks like a whole number is no fraction to every reader.
        ValueKind::Number => Ok(write!(out, "{value}")?),
        kind => Err(Error::new(ErrorKind::InvalidOperation, format!("{kind} cannot be written"))),
    });
    environment.add_filter("items", items);
    environment.add_test("defined", |value: &Value| !value.is_undefined());
    environment.add_test("none", |value: &Value| value.is_none());
    environment.add_template(name, text)?;
    Ok(environment)
}

/// The keys of a mapping with their values.
fn items(mapping: &Value) -> Result<Vec<Value>, Error> {
    let pair = |key: Value| Ok(Value::from(vec![key.clone(), mapping.get_item(&key)?]));
    mapping.try_iter()?.map(pair).collect()
}
