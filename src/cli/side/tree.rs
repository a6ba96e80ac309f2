//! A compiled tree as one side of a comparison: the model of its files, and the files that a build did not write.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, anyhow};

use crate::cli::invalid_tree;
use crate::compile::tree::Tree;
use crate::model::rebuild::{OTHERWISE, Rebuilt, rebuild};
use crate::model::review::Side;
use crate::model::{Edit, Edits, Model};
use crate::output::{self, Fault, Found, InvalidTree};
use crate::text::visible;
use crate::value::artifact::INDEX;
use crate::value::isolation::Files;

/// Reads the tree in a folder.
///
/// # Errors
/// I/O errors, with the path, or a missing or malformed index.
pub(in crate::cli) fn on_disk(folder: &Path) -> Result<Side> {
    let found = output::find(folder)?.map_err(|problem| refused(folder, &problem))?;
    let rebuilt = rebuild(&found.index, &found.files);
    let foreign = output::foreign(folder, &found.index, &rebuilt)?;
    side(folder, found, rebuilt, foreign)
}

/// Why a tree cannot be compared.
pub(in crate::cli) fn refused(folder: &Path, problem: &InvalidTree) -> anyhow::Error {
    let refusal = invalid_tree::explain(folder, problem);
    anyhow!("{}; {}", refusal.message, refusal.help)
}

/// The tree with these files; `foreign` are the entries that must not be there.
///
/// # Errors
/// A file cannot be read, and its expected content is not known.
pub(in crate::cli) fn side(folder: &Path, found: Found, rebuilt: Rebuilt, foreign: Vec<String>) -> Result<Side> {
    let Found { index: _, files, faults } = found;
    let Rebuilt { tree, deviations, against_policy } = rebuilt;
    let mut edited: Edits = deviations.into_iter().map(|(path, problem)| (path, Edit::File(problem))).collect();
    edited.extend(foreign.into_iter().map(|path| (path, Edit::Foreign)));
    for (path, fault) in &faults {
        // Its content has been compared already, if it could be.
        if *fault != Fault::Changed || tree.is_none() {
            edited.insert(path.clone(), Edit::File(fault.as_str().to_owned()));
        }
    }
    let broken = || faults.iter().find(|(_, fault)| *fault != Fault::Changed);
    if let (None, Some((path, fault))) = (&tree, broken()) {
        return Err(refused(
            folder,
            &InvalidTree::Otherwise(vec![(path.clone(), fault.as_str().to_owned())], Vec::new()),
        ));
    }
    let (model, stand_ins) = model(files, tree.as_ref(), &mut edited)
        .map_err(|problem| anyhow!("{}", visible::line(&folder.join(problem).display().to_string())))?;
    Ok(Side {
        shown: folder.display().to_string(),
        model,
        edited,
        stand_ins,
        sources: None,
        dockerfile: None,
        against_policy,
    })
}

/// The model of the files. A file that cannot be read is replaced by its expected content and reported as edited.
fn model(
    files: BTreeMap<String, Vec<u8>>,
    tree: Option<&Tree>,
    edited: &mut Edits,
) -> Result<(Model, BTreeSet<String>), String> {
    let meant: BTreeMap<&str, &str> = tree
        .into_iter()
        .flat_map(|tree| &tree.artifacts)
        .map(|artifact| (artifact.path.as_str(), artifact.content.as_ref()))
        .collect();
    let mut texts: Files =
        meant.iter().filter(|(path, _)| !files.contains_key(**path)).map(|(path, text)| own(path, text)).collect();
    let mut stand_ins: BTreeSet<String> = texts.keys().cloned().collect();
    for (path, bytes) in files {
        match (String::from_utf8(bytes), meant.get(path.as_str())) {
            (Ok(text), _) => drop(texts.insert(path, text)),
            (Err(_), Some(text)) => {
                stand_ins.insert(path.clone());
                texts.insert(path, (*text).to_owned());
            }
            (Err(_), None) => return Err(format!("{path} is not text")),
        }
    }
    for _ in 0..=meant.len() {
        let unreadable = match Model::of(texts.clone()) {
            Ok(model) => return Ok((model, stand_ins)),
            Err(unreadable) => unreadable,
        };
        let message = unreadable.told();
        let is_as_meant = |path: &str, text: &&str| texts.get(path).is_some_and(|found| found == text);
        match meant.get(unreadable.file.as_str()) {
            Some(text) if unreadable.file != INDEX && !is_as_meant(&unreadable.file, text) => {
                texts.insert(unreadable.file.clone(), (*text).to_owned());
            }
            // Two files that contradict each other.
            Some(_) => texts = meant.iter().map(|(path, text)| own(path, text)).collect(),
            None => return Err(message),
        }
        stand_ins.insert(unreadable.file.clone());
        let problem = message.split_once(": ").map_or(message.as_str(), |(_, problem)| problem);
        // A more specific problem has been reported already.
        if edited.get(&unreadable.file).is_none_or(|edit| *edit == Edit::File(OTHERWISE.to_owned())) {
            edited.insert(unreadable.file, Edit::File(format!("{OTHERWISE}: {problem}")));
        }
    }
    Err(format!("{INDEX} is malformed"))
}

fn own(path: &str, text: &str) -> (String, String) {
    (path.to_owned(), text.to_owned())
}
