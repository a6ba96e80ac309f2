//! `bottlec build --check`: how the trees on disk differ, and what moved.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;
use similar::TextDiff;

use crate::cli::Screen;
use crate::cli::said::Said;
use crate::compile::index::Stamp;
use crate::compile::tree::Tree;
use crate::model::rebuild::FOREIGN;
use crate::output::{self, Difference, Inspection, OldIndex};
use crate::text::visible;
use crate::value::artifact::INDEX;

/// Tells the differences as a result, and then what moved; whether there are any. Permissions and privacy are
/// for trees that are used: one for comparison holds nobody's account, and git, which keeps it, keeps no
/// permissions.
pub(super) fn check(out: &Path, tree: &Tree, is_used: bool, screen: &Screen, said: &mut Said) -> Result<bool> {
    let mut differences = output::compare(out, tree)?;
    differences.retain(|_, difference| is_used || !is_mode(difference));
    if differences.is_empty() {
        return Ok(false);
    }
    said.result(text(out, tree, is_used, &differences));
    for reason in reasons(&output::inspect(out, tree)?, tree, &differences) {
        said.note(screen, format_args!("{}: {reason}", tree.name.as_str()));
    }
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
            Difference::Content(old) => {
                let artifact = tree.artifacts.iter().find(|artifact| artifact.path == *path);
                // What is kept from other users is not for a log: the file on disk may hold anything by now,
                // a real login for one.
                if is_used && artifact.is_some_and(|artifact| artifact.private) {
                    let _ = writeln!(text, "differs {shown}, whose text is for its owner alone");
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

/// What moved since the tree was built, a sentence each. What the tree says may be from anywhere and
/// is escaped.
fn reasons(found: &Inspection, tree: &Tree, differences: &BTreeMap<String, Difference>) -> Vec<String> {
    let Inspection { index, is_unfinished, conflicted, edited, removed } = found;
    let missing = differences.values().filter(|difference| **difference == Difference::Missing).count();
    let mut reasons = Vec::new();
    match index {
        OldIndex::Missing if *is_unfinished => {}
        OldIndex::Missing if missing == tree.artifacts.len() => {
            reasons.push("no build has put the bottle there".to_owned());
        }
        OldIndex::Missing => reasons.push(format!("there is no {INDEX}, which would tell what moved")),
        OldIndex::Foreign => reasons.push(format!("{INDEX} is none that bottlec wrote")),
        // Named below.
        OldIndex::Conflicted => {}
        OldIndex::Read(old) => reasons.extend(moved(&old.stamp, tree.index.stamp())),
    }
    if *is_unfinished {
        reasons.push("a build did not come to its end".to_owned());
    }
    let mut name = |paths: &[String], words: &str| {
        reasons.extend(paths.iter().map(|path| format!("{} {words}", visible::line(path))));
    };
    name(conflicted, "has git conflict markers");
    // One that is as it must be now came here with a newer tree.
    let edited: Vec<String> = edited.iter().filter(|path| differences.contains_key(*path)).cloned().collect();
    name(&edited, "was edited by hand");
    name(removed, "was removed by hand");
    let modes: Vec<String> =
        differences.iter().filter(|(_, difference)| is_mode(difference)).map(|(path, _)| path.clone()).collect();
    name(&modes, "has other permissions than a build gives it (git keeps none)");
    let foreign: Vec<String> = differences
        .iter()
        .filter(|(_, difference)| **difference == Difference::Foreign)
        .map(|(path, _)| path.clone())
        .collect();
    name(&foreign, &format!("{FOREIGN}: remove it, or the bottle does not start"));
    if let OldIndex::Read(old) = index
        && reasons.is_empty()
    {
        // From the same inputs with the same other files, this release writes no other index.
        reasons.push(if old.files == tree.index.files {
            format!("{INDEX} was edited by hand")
        } else {
            format!(
                "neither the manifest nor bottlec moved and no file was edited: the tree was built for another account or with other options (--backend, --hermetic), or by another build of bottlec {}",
                env!("CARGO_PKG_VERSION")
            )
        });
    }
    reasons
}

fn moved(old: &Stamp, new: &Stamp) -> Vec<String> {
    let mut moved = Vec::new();
    if old.manifest != new.manifest {
        moved.push("the manifest changed since the tree was built".to_owned());
    }
    if old.bottlec != new.bottlec {
        let old = visible::line(&old.bottlec);
        moved.push(format!("another bottlec built the tree: {old}, and this is {}", new.bottlec));
    }
    moved
}
