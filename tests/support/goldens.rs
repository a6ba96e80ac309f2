//! The goldens: each case has a manifest and the tree that it compiles to. Files that are the same in every
//! tree stand once, in `golden/_static`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with the files that every tree holds.
pub(crate) const STATIC: &str = "_static";

/// The folder of the goldens.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The folder of every case, sorted.
pub(crate) fn cases() -> Vec<PathBuf> {
    cases_in(&root())
}

fn cases_in(root: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = folders.filter(|path| !path.ends_with(STATIC)).collect();
    cases.sort();
    assert!(cases.len() >= 10, "goldens are missing");
    cases
}

/// The manifest of a case.
pub(crate) fn manifest(case: &Path) -> &'static str {
    ["manifest.yaml", "manifest.md"].into_iter().find(|name| case.join(name).exists()).unwrap()
}

/// The tree of a case, without the files of [`STATIC`].
pub(crate) fn tree(case: &Path) -> PathBuf {
    let mut found = fs::read_dir(case.join("out")).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| path.is_dir()).unwrap()
}

/// Whole trees, as a build writes them, in a folder that goes with the first value.
pub(crate) fn whole_trees() -> (tempfile::TempDir, Vec<PathBuf>) {
    let copy = tempfile::tempdir().unwrap();
    let run = |program: &mut Command| assert!(program.status().unwrap().success());
    run(Command::new("cp").arg("-R").arg(root()).arg(copy.path()));
    let goldens = copy.path().join("golden");
    let trees: Vec<PathBuf> = cases_in(&goldens).iter().map(|case| tree(case)).collect();
    for tree in &trees {
        run(Command::new("cp").arg("-R").arg(goldens.join(STATIC).join(".")).arg(tree));
    }
    (copy, trees)
}
