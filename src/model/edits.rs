//! What is told of a compiled tree that holds something else than a build writes.

use std::collections::BTreeMap;

use super::change::{Change, Direction, Topic, change};
use crate::text::diagnostic::Code;
use crate::text::visible;

/// Something in a tree that no build writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// A file that says something else; how, in words for after its path.
    File(String),
    /// An entry that may not be there.
    Foreign,
    /// A file of a tree that another release made: what it must say is not known.
    Unknown,
}

/// The edits of a tree, by path.
pub type Edits = BTreeMap<String, Edit>;

impl Edit {
    /// The sentence about a path.
    pub fn told(&self, path: &str) -> String {
        let path = visible::line(path);
        match self {
            Edit::File(problem) => format!("`{path}` {}", visible::line(problem)),
            Edit::Foreign => format!("`{path}` {}", super::rebuild::FOREIGN),
            Edit::Unknown => format!("`{path}` has changed, in a tree that was not checked"),
        }
    }
}

/// The changes that say that a tree holds what no build writes, whichever side it is.
pub fn edits<'e>(edited: impl IntoIterator<Item = (&'e String, &'e Edit)>) -> Vec<Change> {
    let told = |(path, edit): (&String, &Edit)| {
        let code = match edit {
            Edit::File(_) | Edit::Unknown => Code::EditedByHand,
            Edit::Foreign => Code::ForeignEntry,
        };
        change(Topic::Edited(path.clone()), Direction::Gain, code, edit.told(path))
    };
    edited.into_iter().map(told).collect()
}

/// The changes that say that it does so no longer.
pub fn mended<'e>(paths: impl IntoIterator<Item = &'e String>) -> Vec<Change> {
    let told = |path: &String| {
        let message = format!("`{}` matches what a build writes again, or was removed", visible::line(path));
        change(Topic::Edited(path.clone()), Direction::Loss, Code::Narrowed, message)
    };
    paths.into_iter().map(told).collect()
}

/// The change that reports a removed compiled tree.
pub fn gone() -> Change {
    change(Topic::Tree, Direction::Other, Code::TreeGone, "the compiled tree was removed".to_owned())
}

/// The change that reports a removed manifest.
pub fn manifest_gone() -> Change {
    left("the manifest was removed: nothing checks this bottle any more".to_owned())
}

/// The change that reports a manifest with a name that is not looked for.
pub fn manifest_hidden(path: &str) -> Change {
    left(format!("the manifest is now `{}`, which folders, hooks and reviews do not find", visible::line(path)))
}

fn left(message: String) -> Change {
    change(Topic::Manifest, Direction::Other, Code::LeftTheGate, message)
}
