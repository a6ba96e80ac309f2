//! A compiled bottle with its model, whether it comes from a manifest or from a tree on disk.

use super::reach::Reach;
use crate::compile::index::{Index, NotAnIndex};
use crate::compile::tree::Tree;
use crate::value::artifact::INDEX;
use crate::value::isolation::{Files, Unreadable};

/// A compiled bottle, and what its agent can reach.
pub struct Model {
    /// Every text of the tree but the index.
    pub files: Files,
    /// The index.
    pub index: Index,
    /// What the agent can reach.
    pub reach: Reach,
}

impl Model {
    /// The model of these texts.
    ///
    /// # Errors
    /// A file that is missing, or that is not what a build writes.
    pub fn of(mut files: Files) -> Result<Model, Unreadable> {
        let unreadable = |problem: &str| Unreadable { file: INDEX.to_owned(), problem: problem.to_owned() };
        let index = files.remove(INDEX).ok_or_else(|| unreadable("is missing"))?;
        let index = Index::parse(index.as_bytes()).map_err(|problem| match problem {
            NotAnIndex::Malformed => unreadable("is not what a build writes"),
            NotAnIndex::OtherFormat(format) => {
                unreadable(&format!("has format {format}, which this release does not support"))
            }
        })?;
        Model::with(files, index)
    }

    fn with(files: Files, index: Index) -> Result<Model, Unreadable> {
        let reach = Reach::of(&files, &index)?;
        Ok(Model { files, index, reach })
    }

    /// The model of a tree in memory.
    ///
    /// # Errors
    /// As for [`Model::of`]: a defect of bottlec.
    pub fn of_tree(tree: &Tree) -> Result<Model, Unreadable> {
        let files = tree.artifacts.iter().filter(|file| file.path != INDEX);
        let texts = files.map(|file| (file.path.clone(), file.content.to_string())).collect();
        Model::with(texts, tree.index.clone())
    }
}
