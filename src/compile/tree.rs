//! A compiled bottle: its files in memory, and the index among them as it was before it became text.

use crate::compile::index::Index;
use crate::value::artifact::Artifact;
use crate::value::name::BottleName;

/// A compiled bottle.
pub struct Tree {
    /// The bottle's name, and its folder's.
    pub name: BottleName,
    /// Every file, sorted by path; [`INDEX`](crate::value::artifact::INDEX) last.
    pub artifacts: Vec<Artifact>,
    /// What the last of them says.
    pub index: Index,
    /// Whether it names a file by its path from the manifest's folder.
    pub names_local_file: bool,
    /// Paths of what is made in the folder when the bottle is prepared or runs.
    pub made_at_run_time: Vec<&'static str>,
}
