//! `bottlec build --check`: how the trees on disk differ, and why.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use similar::TextDiff;

use crate::cli::Screen;
use crate::cli::messages::Messages;
use crate::compile::index::BuildInputs;
use crate::compile::tree::Tree;
use crate::model::rebuild::FOREIGN;
use crate::output::{self, Difference, Inspection, OldIndex};
use crate::text::visible;
use crate::value::artifact::INDEX;

/// Reports the differences and their causes. Returns whether there are any. Permissions and privacy matter for
/// trees that are used: a tree for comparison holds no real account, and git, which stores it, does not store
/// permissions.
pub(super) fn check(out: &Path, tree: &Tree, is_used: bool, screen: &Screen, messages: &mut Messages) -> Result<bool> {
    let mut differences = output::compare(out, tree)?;
    differences.retain(|_, difference| is_used || !is_mode(difference));
    if differences.is_empty() {
        return Ok(false);
    }
    for reason in reasons(&output::inspect(out, tree)?, tree, &differences) {
        messages.note(screen, format_args!("{}: {reason}", tree.name.as_str()));
    }
    messages.result(text(out, tree, is_used, &differences));
    Ok(true)
}

fn text(out: &Path, tree: &Tree, is_used: bool, differences: &BTreeMap<String, Difference>) -> String {
    let folder = output::folder(out, tree);
    let mut text = String::new();
    for (path, difference) in differences {
        let shown = folder.join(path);
        let shown = shown.display();
        let _ = match difference {
            Difference::Missing => writeln!(text, "missing {shown}"),
            Difference::Stale => writeln!(text, "stale   {shown}"),
            Difference::Foreign => writeln!(text, "foreign {}", visible::line(&shown.to_string())),
            Difference::Mode(mode) => writeln!(text, "mode    {shown} is {mode:04o}, must be 0600"),
            // Its hashes follow from the other files.
            Difference::Content(_) if path == INDEX && differences.len() > 1 => writeln!(text, "differs {shown}"),
            Difference::Content(old) => {
                let artifact = tree.artifacts.iter().find(|artifact| artifact.path == *path);
                // A private file must not be shown in a log: by now it may hold anything, such as a real
                // login.
                if is_used && artifact.is_some_and(|artifact| artifact.private) {
                    let _ = writeln!(text, "differs {shown} (private, not shown)");
                    continue;
                }
                let new = artifact.map_or("", |artifact| &artifact.content);
                // What lies on disk may be from anywhere.
                let (old, new) = (visible::lines(old), visible::lines(new));
                let diff = TextDiff::from_lines(&*old, &*new);
                let diff = diff
                    .unified_diff()
                    .header(&format!("{shown} (on disk)"), &format!("{shown} (compiled)"))
                    .to_string();
                write!(text, "{diff}")
            }
        };
    }
    text
}

fn is_mode(difference: &Difference) -> bool {
    matches!(difference, Difference::Mode(_))
}

/// Why the tree differs, one sentence for each cause. Text from the tree is not trusted and is escaped.
fn reasons(found: &Inspection, tree: &Tree, differences: &BTreeMap<String, Difference>) -> Vec<String> {
    let Inspection { index, is_unfinished, conflicted, edited, removed } = found;
    let missing = differences.values().filter(|difference| **difference == Difference::Missing).count();
    let mut reasons = Vec::new();
    match index {
        OldIndex::Missing if *is_unfinished => {}
        OldIndex::Missing if missing == tree.artifacts.len() => {
            reasons.push("the bottle has not been built here".to_owned());
        }
        OldIndex::Missing => reasons.push(format!("{INDEX} is missing, so the cause is unknown")),
        OldIndex::Foreign => reasons.push(format!("{INDEX} was not written by bottlec")),
        // Reported below.
        OldIndex::Conflicted => {}
        OldIndex::Read(old) => reasons.extend(moved(&old.stamp, tree.index.stamp())),
    }
    if *is_unfinished {
        reasons.push("a previous build was interrupted".to_owned());
    }
    let mut name = |paths: &[String], words: &str| {
        reasons.extend(paths.iter().map(|path| format!("{} {words}", visible::line(path))));
    };
    name(conflicted, "contains git conflict markers");
    // A file that matches the compiled one came with a newer tree.
    let edited: Vec<String> = edited.iter().filter(|path| differences.contains_key(*path)).cloned().collect();
    name(&edited, "was edited by hand");
    name(removed, "was removed by hand");
    let modes: Vec<String> =
        differences.iter().filter(|(_, difference)| is_mode(difference)).map(|(path, _)| path.clone()).collect();
    name(&modes, "does not have the permissions that a build sets (git does not store them)");
    let foreign: Vec<String> = differences
        .iter()
        .filter(|(_, difference)| **difference == Difference::Foreign)
        .map(|(path, _)| path.clone())
        .collect();
    name(&foreign, &format!("{FOREIGN}: remove it, or the bottle will not start"));
    if let OldIndex::Read(old) = index
        && reasons.is_empty()
    {
        // With the same inputs and the same other files, this release always writes the same index.
        reasons.push(if old.files == tree.index.files {
            format!("{INDEX} was edited by hand")
        } else {
            format!(
                "the manifest, bottlec and the files are unchanged: the tree was built for another account, with other options (--backend, --hermetic), or by another build of bottlec {}",
                env!("CARGO_PKG_VERSION")
            )
        });
    }
    reasons
}

fn moved(old: &BuildInputs, new: &BuildInputs) -> Vec<String> {
    let mut moved = Vec::new();
    if old.manifest != new.manifest {
        moved.push("the manifest changed since the tree was built".to_owned());
    }
    if old.bottlec != new.bottlec {
        let old = visible::line(&old.bottlec);
        moved.push(format!("the tree was built by another bottlec: {old}; this one is {}", new.bottlec));
    }
    moved
}
