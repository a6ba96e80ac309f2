//! What must be true whatever the bytes are: the bodies of the fuzz targets. `tests/corpus.rs` of the program
//! gives them the committed corpora.

pub mod host;
pub mod jwt;
pub mod login;
pub mod manifest;
mod meaning;
pub mod path;
pub mod value;

/// What checks some bytes, and panics when something does not hold.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: [(&str, Target); 6] = [
    ("host", host::run),
    ("jwt", jwt::run),
    ("login", login::run),
    ("manifest", manifest::run),
    ("path", path::run),
    ("value", value::run),
];
