//! The name of a bottle.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;

/// What a bottle's name looks like.
pub const FORM: TextForm = TextForm {
    pattern: "^[a-z][a-z0-9-]{0,39}$",
    says: "use at most 40 lower-case letters, digits and `-`, starting with a letter",
};

/// A bottle's name: it is a folder, a compose project and a microVM.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BottleName(String);

closed!(BottleName);

/// The part of a manifest's file name that its bottle is named after: `review` of `review.bottle.yaml`.
pub fn stem(file: &str) -> &str {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    stem.strip_suffix(".bottle").unwrap_or(stem)
}

impl BottleName {
    /// Reads a name.
    ///
    /// # Errors
    /// Anything that [`FORM`] does not match.
    pub fn parse(text: &str) -> Result<BottleName, Problem> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let starts = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
        if starts && text.len() <= 40 && text.bytes().all(allowed) {
            return Ok(BottleName(text.to_owned()));
        }
        Err(Problem::new(format!("`{}` is not a valid bottle name", text.escape_debug()), FORM.says))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
