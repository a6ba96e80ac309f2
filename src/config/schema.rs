//! The JSON Schema of `bottlec.toml`: made from the types, committed, and compiled into the validator.

use std::sync::LazyLock;

use super::file::File;
use crate::text::diagnostic::Findings;
use crate::text::schema::{self, Vocabulary};
use crate::text::yaml::Node;

/// The schema as committed: `schema/bottlec.schema.json`.
pub const TEXT: &str = include_str!("../../schema/bottlec.schema.json");

#[jsonschema::validator(path = "schema/bottlec-validator.schema.json", methods = { is_valid = false, validate = false, iter_errors = true })]
struct Validator;

static WORDS: Vocabulary = Vocabulary {
    schema: LazyLock::new(|| serde_json::from_str(TEXT).expect("the committed schema is JSON")),
    whole: "bottlec.toml",
    former: &[],
    typed: &[],
};

/// Makes the schema from the types.
pub fn generate() -> String {
    let mut schema = schema::generate::<File>();
    schema.insert("$id".into(), "urn:bottlec:schema:config:1".into());
    schema::text(&schema)
}

/// The schema that the validator is made from.
pub fn generate_for_validator() -> String {
    schema::text(&schema::for_validator(schema::generate::<File>()))
}

/// Checks a tree against the schema, and takes what does not fit out of use.
pub(super) fn validate(root: &mut Node, findings: &mut Findings) {
    let json = root.to_json();
    schema::validate(root, Validator::iter_errors(&json), &WORDS, findings);
}
