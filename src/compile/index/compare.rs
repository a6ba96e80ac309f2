//! What an index says of a tree beside who decided it, for comparison with another one.

use serde_json::{Map, Value as Json};

use super::{BuildInputs, FileEntry, Index};
use crate::manifest::written::Written;
use crate::target::Backend;

impl Index {
    /// The manifest that the tree was made from.
    pub fn manifest(&self) -> &Written {
        &self.manifest
    }

    /// The compiler and the text of the manifest that made the tree.
    pub fn stamp(&self) -> &BuildInputs {
        &self.stamp
    }

    /// What the tree was built for.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Whether this release of bottlec made it, as far as it says.
    pub fn is_of_this_release(&self) -> bool {
        self.stamp.bottlec == env!("CARGO_PKG_VERSION")
    }

    /// The keys whose values are others in the other index. Who decided a value does not count: places in a
    /// manifest move with every line. Nor does the text of a file, which is compared with what it must be.
    pub fn differing(&self, other: &Index) -> Vec<String> {
        let (own, others) = (self.said(), other.said());
        let keys = own.keys().filter(|key| own.get(*key) != others.get(*key));
        let more = others.keys().filter(|key| !own.contains_key(*key));
        keys.chain(more).cloned().collect()
    }

    fn said(&self) -> Map<String, Json> {
        let mut index = self.clone();
        for FileEntry { sha256, .. } in &mut index.files {
            sha256.clear();
        }
        let Ok(Json::Object(mut keys)) = serde_json::to_value(&index) else { return Map::new() };
        keys.retain(|key, _| !["stamp", "provenance"].contains(&key.as_str()));
        keys
    }
}
