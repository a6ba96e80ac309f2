//! Env files: a line for each variable.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::text::render::{self, RenderError, Template};
use crate::value::variable::VariableName;

static TEMPLATE: Template = render::template!("variables.env");

/// What is in one.
#[derive(Default, Serialize)]
pub(super) struct EnvFile<'e> {
    /// Variables with their text.
    pub(super) literal: BTreeMap<&'e VariableName, &'e str>,
    /// Bare names: docker takes their values from its own environment.
    pub(super) bound_at_launch: Vec<String>,
}

impl EnvFile<'_> {
    /// The text.
    ///
    /// # Errors
    /// When a value does not fit on a line: a defect of bottlec, which checks before.
    pub(super) fn render(&self, path: &str) -> Result<String, RenderError> {
        render::unchecked(path, &TEMPLATE, self)
    }
}
