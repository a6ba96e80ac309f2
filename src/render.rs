//! Models into text. A value reaches YAML, TOML, JSON or an env file only through that format's own
//! quoting, and what was written is read back by an independent parser and compared.

mod quote;

use std::fmt;
use std::sync::LazyLock;

use minijinja::value::{Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, syntax::SyntaxConfig};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use quote::Dialect;
pub(crate) use quote::is_hidden;

use crate::provider;

/// An artifact that does not read back as what was meant. A defect of bottlec, never of the input.
#[derive(Debug)]
pub struct RenderError(String);

impl fmt::Display for RenderError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for RenderError {}

/// Templates by the name of what they make; the ending says the dialect. Providers bring their own.
const TEMPLATES: [(&str, &str); 6] = [
    ("routes.yaml", include_str!("../templates/routes.yaml.j2")),
    ("pipelock.yaml", include_str!("../templates/pipelock.yaml.j2")),
    ("compose.yaml", include_str!("../templates/compose.yaml.j2")),
    ("Smolfile.toml", include_str!("../templates/Smolfile.toml.j2")),
    ("variables.env", include_str!("../templates/variables.env.j2")),
    ("image.dockerfile", include_str!("../templates/image.dockerfile.j2")),
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let lines = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build();
    environment.set_syntax(lines.expect("the default delimiters do not clash"));
    environment.set_auto_escape_callback(|name| {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        AutoEscape::Custom(ending.to_owned().into())
    });
    environment.set_formatter(format);
    for (name, source) in TEMPLATES.into_iter().chain(provider::TEMPLATES) {
        environment.add_template(name, source).expect("templates are parsed in a test");
    }
    environment
});

/// The one way for a value into a template's output.
fn format(out: &mut Output, state: &mut State, value: &Value) -> Result<(), Error> {
    let invalid = |message: String| Error::new(ErrorKind::InvalidOperation, message);
    let AutoEscape::Custom(ending) = state.auto_escape() else {
        return Err(invalid("a template without a dialect".into()));
    };
    let dialect = Dialect::of_ending(ending).ok_or_else(|| invalid(format!("no dialect for .{ending}")))?;
    let written = match value.kind() {
        ValueKind::String if value.is_safe() => return Err(invalid("a template marks text as safe".into())),
        ValueKind::String => quote::string(value.as_str().unwrap_or_default(), dialect).map_err(invalid)?,
        ValueKind::Bool => (if value.is_true() { "true" } else { "false" }).to_owned(),
        ValueKind::Number => value.to_string(),
        kind => return Err(invalid(format!("a template prints {kind}"))),
    };
    out.write_str(&written).map_err(|_| invalid("the output is closed".into()))
}

/// Renders a model through its template and reads the text back.
///
/// # Errors
/// When the text is not what the model says.
pub fn template<M: Serialize + DeserializeOwned + PartialEq>(name: &str, model: &M) -> Result<String, RenderError> {
    let text = unchecked(name, model)?;
    let problem = |error: String| RenderError(format!("{name}: {error}"));
    let back: M = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("yaml") => serde_yaml::from_str(&text).map_err(|error| problem(error.to_string()))?,
        Some("toml") => toml::from_str(&text).map_err(|error| problem(error.to_string()))?,
        _ => return Err(problem("no reader for this ending".into())),
    };
    if back != *model {
        return Err(problem("the text reads back as something else".into()));
    }
    Ok(text)
}

/// Renders a model whose format has no parser to read it back with: env files and Dockerfiles. Their
/// dialects refuse every value that they cannot carry as it is.
///
/// # Errors
/// When a value cannot be carried.
pub fn unchecked(name: &str, model: &impl Serialize) -> Result<String, RenderError> {
    let problem = |error: Error| RenderError(format!("{name}: {error:#}"));
    ENVIRONMENT.get_template(name).map_err(problem)?.render(Serde(model)).map_err(problem)
}

/// A model as JSON, two spaces deep, with a line break at the end, and read back.
///
/// # Errors
/// When the text is not what the model says.
pub fn json<M: Serialize + DeserializeOwned + PartialEq>(model: &M) -> Result<String, RenderError> {
    let problem = |error: serde_json::Error| RenderError(format!("JSON: {error}"));
    let mut bytes = Vec::new();
    model
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, quote::VisibleJson::default()))
        .map_err(problem)?;
    bytes.push(b'\n');
    if serde_json::from_slice::<M>(&bytes).map_err(problem)? != *model {
        return Err(RenderError("JSON reads back as something else".into()));
    }
    String::from_utf8(bytes).map_err(|error| RenderError(format!("JSON: {error}")))
}
