//! What an index says of a tree beside who decided it, for comparison with another one.

use serde_json::{Map, Value as Json};

use super::{FileEntry, Index, Provenance};
use crate::manifest::written::Written;
use crate::target::Backend;

impl Index {
    /// The manifest that the tree was made from. Older releases did not keep it.
    pub fn manifest(&self) -> Option<&Written> {
        Some(&self.manifest).filter(|manifest| manifest.is_object())
    }

    /// What the tree was built for.
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Whether this release of bottlec made it, as far as it says.
    pub fn is_of_this_release(&self) -> bool {
        self.manifest().is_some() && self.stamp.as_ref().is_some_and(|stamp| stamp.bottlec == env!("CARGO_PKG_VERSION"))
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
        let nobody = || Provenance::BuiltIn("".into());
        let mut index = self.clone();
        index.stamp = None;
        index.provenance.clear();
        index.routes.iter_mut().for_each(|route| route.from = nobody());
        index.slots.iter_mut().for_each(|slot| slot.from = None);
        index.env.iter_mut().for_each(|variable| variable.from = nobody());
        for FileEntry { sha256, .. } in &mut index.files {
            sha256.clear();
        }
        match serde_json::to_value(&index) {
            Ok(Json::Object(keys)) => keys,
            _ => Map::new(),
        }
    }
}
