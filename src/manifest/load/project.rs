//! Where a project ends: the folders above a manifest in which its `bottlec.toml` is looked for, and its root.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The name of a project's configuration.
pub const CONFIG: &str = "bottlec.toml";

/// Everybody may write there.
const ALL_WRITE: u32 = 0o002;

/// The folders that a project may consist of, from a real folder upwards. They end at git's top level; where there is
/// no git, below a folder that everybody may write to: a stranger's file in `/tmp` is of no project.
pub fn folders(real: &Path) -> impl Iterator<Item = &Path> {
    let above: Vec<&Path> = real.ancestors().collect();
    let top = above.iter().position(|folder| folder.join(".git").exists());
    let end = top.map(|top| top + 1).unwrap_or_else(|| {
        let foreign = above.iter().skip(1).position(|folder| is_anybodys(folder));
        foreign.map_or(above.len(), |foreign| foreign + 1)
    });
    above.into_iter().take(end)
}

fn is_anybodys(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|found| found.mode() & ALL_WRITE != 0)
}

/// The folder that nothing a manifest names may leave: that of its `bottlec.toml`, else git's top level, else the
/// manifest's own.
pub(super) fn root(real: &Path) -> PathBuf {
    let is_root = |folder: &&Path| folder.join(CONFIG).exists() || folder.join(".git").exists();
    folders(real).find(is_root).unwrap_or(real).to_owned()
}
