//! What a tree was made from, so that a later build can say what has moved since.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::text::source::Sources;
use crate::value::digest::hexadecimal;

/// The compiler and the manifest that made a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildInputs {
    /// The version of bottlec.
    pub bottlec: String,
    /// SHA-256 of the manifest and its parents, hexadecimal.
    pub manifest: String,
}

impl BuildInputs {
    pub(super) fn of(sources: &Sources) -> Self {
        let mut hash = Sha256::new();
        for source in sources.ids().map(|id| sources.get(id)) {
            // A checkout with other line ends or a byte order mark is the same manifest.
            let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text).replace("\r\n", "\n");
            for part in [&source.reference, &text] {
                hash.update((part.len() as u64).to_le_bytes());
                hash.update(part);
            }
        }
        BuildInputs { bottlec: env!("CARGO_PKG_VERSION").to_owned(), manifest: hexadecimal(&hash.finalize()) }
    }
}
