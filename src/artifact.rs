//! Artifacts: the files of a compiled bottle, in memory.

use crate::bottle::BottleName;

/// The file that lists the others; it is written last.
pub const INDEX: &str = "bottle.json";

/// One file.
pub struct Artifact {
    /// The path from the bottle's output folder, with `/`.
    pub path: String,
    /// Its text.
    pub content: String,
    /// Whether it is for its owner alone, as is the folder that holds it.
    pub private: bool,
}

impl Artifact {
    /// A file that everybody may read.
    pub fn public(path: &str, content: String) -> Self {
        Artifact { path: path.to_owned(), content, private: false }
    }

    /// A file for its owner alone.
    pub fn private(path: &str, content: String) -> Self {
        Artifact { path: path.to_owned(), content, private: true }
    }

    /// The permissions of the file.
    pub fn mode(&self) -> u32 {
        if self.private { 0o600 } else { 0o644 }
    }
}

/// A compiled bottle.
pub struct Tree {
    /// The bottle's name, and its folder's.
    pub name: BottleName,
    /// Every file, sorted by path; [`INDEX`] last.
    pub artifacts: Vec<Artifact>,
    /// Whether it names a file by its path from the manifest's folder.
    pub names_local_file: bool,
}
