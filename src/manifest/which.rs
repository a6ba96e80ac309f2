//! Which files are bottles: the one rule of folders, revisions, hooks and the Action. A path that is named needs none.

use std::ffi::OsStr;
use std::path::Path;

use anyhow::Result;

use super::schema;
use crate::text::front_matter;
use crate::text::yaml::{self, TopKeys};

/// Top-level keys of a manifest that hardly another YAML file has.
pub const TELLING: [&str; 5] = ["agent_provider", "egress", "extends", "targets", "workspace"];

/// What the rule says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bottle.
    Bottle,
    /// No bottle by its name, and it has the keys of one.
    LookAlike,
    /// Anything else.
    Other,
}

/// What the file at a path is. `text` gives its content, `None` where it cannot be read; it is only asked for when
/// the name does not decide.
///
/// # Errors
/// Those of `text`.
pub fn kind(path: &Path, text: impl FnOnce() -> Result<Option<Vec<u8>>>) -> Result<Kind> {
    let name = &*path.file_name().unwrap_or_default().to_string_lossy();
    let keys = |text: Option<Vec<u8>>| text.and_then(|text| String::from_utf8(text).ok()).map(|text| keys(name, &text));
    if let Some(stem) = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml")) {
        if stem == "bottle" || stem.ends_with(".bottle") {
            return Ok(Kind::Bottle);
        }
        let keys = keys(text()?).unwrap_or(TopKeys::Names(Vec::new()));
        return Ok(match (stem, &keys) {
            ("manifest", TopKeys::NotYaml) => Kind::Bottle,
            ("manifest", TopKeys::Names(names)) if is_telling(names) => Kind::Bottle,
            (_, TopKeys::Names(names)) if looks_like_one(names) => Kind::LookAlike,
            _ => Kind::Other,
        });
    }
    if !name.ends_with(".md") {
        return Ok(Kind::Other);
    }
    if is_shared(path) {
        return Ok(Kind::Bottle);
    }
    Ok(match keys(text()?) {
        Some(TopKeys::Names(names)) if is_telling(&names) => Kind::Bottle,
        _ => Kind::Other,
    })
}

/// Whether a file is where the reference system keeps its bottles: bottlec shares it with that system.
pub fn is_shared(path: &Path) -> bool {
    path.parent().is_some_and(|folder| folder.ends_with(".bot-bottle/bottles"))
}

/// Whether a folder may hold bottles: hidden ones do not, but for that of the reference system, nor do packages.
pub fn is_searched(folder: &OsStr) -> bool {
    let name = folder.as_encoded_bytes();
    name == b".bot-bottle" || !(name.starts_with(b".") || name == b"node_modules")
}

fn keys(name: &str, text: &str) -> TopKeys {
    // Most files have none of the words, and need not be parsed.
    let may_be = TELLING.iter().any(|key| text.contains(key)) || name.starts_with("manifest.");
    match front_matter::yaml(name, text).filter(|_| may_be) {
        Some(range) => yaml::top_keys(&text[range]),
        None => TopKeys::Names(Vec::new()),
    }
}

fn is_telling(names: &[String]) -> bool {
    names.iter().any(|name| TELLING.contains(&name.as_str()))
}

/// Other tools have `extends`, `targets` and `workspace` too, beside keys of their own.
fn looks_like_one(names: &[String]) -> bool {
    let has = |key: &str| names.iter().any(|name| name == key);
    has("agent_provider") || (is_telling(names) && names.iter().all(|name| schema::is_key(name)))
}
