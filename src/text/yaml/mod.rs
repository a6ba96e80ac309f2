//! YAML text into a tree that knows its places. A strict subset of YAML 1.2: one document, no
//! anchors, aliases, tags, merge keys or complex keys, no duplicate keys, bounded size and depth.

mod deserialize;
mod edit;
mod node;
mod read;
mod scalar;

pub use deserialize::Spanned;
pub use edit::{Removal, without, without_holder};
pub use node::{Entry, Key, Node, Step, Value};
pub use read::{MAX_BYTES, MAX_DEPTH, TopKeys, read, scalar_ranges, top_keys};
