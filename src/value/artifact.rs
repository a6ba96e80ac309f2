//! Artifacts: the files of a compiled bottle, in memory.

use std::borrow::Cow;
use std::sync::LazyLock;

use crate::value::digest;

/// The file that lists the others; it is written last.
pub const INDEX: &str = "bottle.json";

/// The name of the index while its build runs. It lists what the build may have written, so that the
/// next one knows its own files after a crash.
pub const PENDING: &str = ".bottle.json.pending";

/// The name that a file has while it is written.
pub fn temporary(name: &str) -> String {
    format!(".{name}.bottlec-new")
}

/// The name that a file will have when it is written whole, of its temporary one.
pub fn final_name(temporary: &str) -> Option<&str> {
    temporary.strip_prefix('.')?.strip_suffix(".bottlec-new")
}

/// One file.
pub struct Artifact {
    /// The path from the bottle's output folder, with `/`.
    pub path: String,
    /// Its text.
    pub content: Cow<'static, str>,
    /// Whether it is for its owner alone, as is the folder that holds it.
    pub private: bool,
    /// The hash, if somebody has computed it already.
    known_sha256: Option<&'static str>,
}

/// A file that is the same in every bottle.
pub struct StaticFile {
    /// The path from the bottle's output folder, with `/`.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
    /// The hash of the text, computed once in a process.
    pub sha256: LazyLock<String>,
}

impl Artifact {
    /// A file with these permissions.
    pub fn new(path: impl Into<String>, content: String, private: bool) -> Self {
        Artifact { path: path.into(), content: content.into(), private, known_sha256: None }
    }

    /// A file that everybody may read.
    pub fn public(path: &str, content: String) -> Self {
        Artifact::new(path, content, false)
    }

    /// A file for its owner alone.
    pub fn private(path: &str, content: String) -> Self {
        Artifact::new(path, content, true)
    }

    /// A file that everybody may read and that no bottle changes.
    pub fn fixed(file: &'static StaticFile) -> Self {
        Artifact {
            path: file.path.to_owned(),
            content: file.text.into(),
            private: false,
            known_sha256: Some(&file.sha256),
        }
    }

    /// The permissions of the file.
    pub fn mode(&self) -> u32 {
        if self.private { 0o600 } else { 0o644 }
    }

    /// SHA-256 of the text, hexadecimal.
    pub fn sha256(&self) -> String {
        self.known_sha256.map_or_else(|| digest::hash(self.content.as_bytes()), str::to_owned)
    }
}
