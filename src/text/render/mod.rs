//! Models into text. A value reaches YAML, TOML, JSON or an env file only through that format's own
//! quoting, and what was written is read back by an independent parser and compared.
//!
//! The ending of a template's name says which quoting goes with it.

mod quote;
pub mod strict_yaml;
mod templates;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use quote::Quoting;
pub use templates::Template;

/// A file of `templates/`, by its name.
macro_rules! template {
    ($name:literal) => {
        $crate::text::render::Template::new(
            $name,
            const { $crate::text::render::Quoting::of($name) },
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/templates/", $name)),
        )
    };
}
pub(crate) use template;

/// An artifact that does not read back as what was meant. A defect of bottlec, never of the input.
#[derive(Debug)]
pub struct RenderError(String);

impl RenderError {
    pub(crate) fn new(file: &str, problem: impl fmt::Display) -> Self {
        RenderError(format!("{file}: {problem}"))
    }
}

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for RenderError {}

/// Renders a model through its YAML template and reads the text back.
///
/// # Errors
/// When the text is not what the model says, or not in the form that all readers of YAML agree on.
pub fn yaml<M: Serialize + DeserializeOwned + PartialEq>(
    file: &str,
    template: &Template,
    model: &M,
) -> Result<String, RenderError> {
    let text = unchecked(file, template, model)?;
    same(file, model, &strict_yaml::from_str(&text))?;
    Ok(text)
}

/// Renders a model through its TOML template and reads the text back.
///
/// # Errors
/// When the text is not what the model says.
pub fn toml<M: Serialize + DeserializeOwned + PartialEq>(
    file: &str,
    template: &Template,
    model: &M,
) -> Result<String, RenderError> {
    let text = unchecked(file, template, model)?;
    same(file, model, &toml::from_str(&text))?;
    Ok(text)
}

/// Renders a model whose format has no parser to read it back with: env files and Dockerfiles. Their
/// quoting refuses every value that they cannot carry as it is.
///
/// # Errors
/// When a value cannot be carried.
pub fn unchecked(file: &str, template: &Template, model: &impl Serialize) -> Result<String, RenderError> {
    let mut text = template.render(model).map_err(|error| RenderError::new(file, error))?;
    // A template's last line break is not part of it.
    text.push('\n');
    Ok(text)
}

/// A model as JSON, two spaces deep, with a line break at the end, and read back.
///
/// # Errors
/// When the text is not what the model says.
pub fn json<M: Serialize + DeserializeOwned + PartialEq>(file: &str, model: &M) -> Result<String, RenderError> {
    let mut bytes = Vec::with_capacity(128);
    model
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, quote::VisibleJson::default()))
        .map_err(|error| RenderError::new(file, error))?;
    bytes.push(b'\n');
    let text = String::from_utf8(bytes).map_err(|error| RenderError::new(file, error))?;
    same(file, model, &serde_json::from_str(&text))?;
    Ok(text)
}

fn same<M: PartialEq, E: fmt::Display>(file: &str, model: &M, back: &Result<M, E>) -> Result<(), RenderError> {
    match back {
        Ok(back) if back == model => Ok(()),
        Ok(_) => Err(RenderError::new(file, "the text reads back as something else")),
        Err(error) => Err(RenderError::new(file, error)),
    }
}
