//! A compiled tree judged by what it was made from: its index keeps the manifest, which is compiled again
//! and compared with what lies there, byte for byte. No hash has to be believed. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::compile::index::Index;
use crate::compile::tree::Tree;
use crate::compile::{Linked, compile_under};
use crate::config::policy::Breach;
use crate::manifest::bottle::Bottle;
use crate::manifest::{self, written};
use crate::model::{Model, changes};
use crate::provider::facts::{HostCredentials, HostFacts};
use crate::target;
use crate::target::agent;
use crate::text::diagnostic::{Findings, Grade, Severity};
use crate::text::render;
use crate::value::artifact::{INDEX, PENDING, final_name};
use crate::value::secret::Secret;

/// What a tree must be, and how it is otherwise.
pub struct Rebuilt {
    /// What this release writes from the same manifest. `None` if the index does not tell.
    pub tree: Option<Tree>,
    /// What is wrong with a file, by path: words to be put after the path.
    pub deviations: BTreeMap<String, String>,
    /// What the policies forbid that it was judged by.
    pub against_policy: Vec<Breach>,
}

/// What is wrong with an entry that no build writes.
pub const FOREIGN: &str = "is in the bottle's folder but is not part of the build";
/// A file that says something else than a build writes.
pub const OTHERWISE: &str = "is not what a build of this release writes";

/// Compiles the tree of an index again and compares it with its files. The index is among them.
pub fn rebuild(index: &Index, files: &BTreeMap<String, Vec<u8>>) -> Rebuilt {
    rebuild_under(index, files, |_| Vec::new())
}

/// The same, judged by policies.
pub fn rebuild_under(
    index: &Index,
    files: &BTreeMap<String, Vec<u8>>,
    policy: impl FnOnce(&Linked) -> Vec<Breach>,
) -> Rebuilt {
    let mut against_policy = Vec::new();
    let tree = match compiled(index, files, |linked| against_policy = policy(linked)) {
        Ok(tree) => tree,
        Err(problem) => {
            let deviations = BTreeMap::from([(INDEX.to_owned(), problem)]);
            return Rebuilt { tree: None, deviations, against_policy };
        }
    };
    let mut deviations = BTreeMap::new();
    for artifact in tree.artifacts.iter().filter(|artifact| artifact.path != INDEX) {
        let problem = match files.get(&artifact.path) {
            None => format!("is not listed in {INDEX}"),
            Some(found) if found.as_slice() == artifact.content.as_bytes() => continue,
            Some(_) => OTHERWISE.to_owned(),
        };
        deviations.insert(artifact.path.clone(), problem);
    }
    if let Some(problem) = of_index(index, &tree, files) {
        deviations.insert(INDEX.to_owned(), problem);
    }
    Rebuilt { tree: Some(tree), deviations, against_policy }
}

fn compiled(index: &Index, files: &BTreeMap<String, Vec<u8>>, policy: impl FnOnce(&Linked)) -> Result<Tree, String> {
    if !index.is_of_this_release() {
        return Err("is from another release of bottlec: rebuild it".to_owned());
    }
    let variables = files.get(agent::ENV_FILE).map(|file| String::from_utf8_lossy(file)).unwrap_or_default();
    let texts: BTreeMap<&str, &str> = variables.split('\n').filter_map(|line| line.split_once('=')).collect();
    let mut findings = Findings::default();
    let read = written::read(index.manifest(), |name| texts.get(name).map(|text| (*text).to_owned()), &mut findings);
    let checked = read.and_then(|(manifest, sources)| {
        let bottle = manifest::check(&manifest, &sources, &mut findings)?;
        Some((bottle, sources))
    });
    let tree = checked.map(|(bottle, sources)| {
        let facts = facts(index, &bottle, files);
        compile_under(&bottle, &sources, &facts, index.backends(), &mut findings, |linked, _| policy(linked))
    });
    match tree {
        Some(Ok(Some(tree))) if !findings.has_errors() => Ok(tree),
        _ => {
            let error = findings.into_sorted().into_iter().find(|finding| finding.severity == Severity::Error);
            let error = error.map_or_else(String::new, |error| format!(": {}", error.message));
            Err(format!("has a manifest that does not compile{error}"))
        }
    }
}

/// The facts that made the tree, as far as it shows them. A login file holds nothing but what a build keeps
/// of the host's: made from itself it must come out the same.
fn facts(index: &Index, bottle: &Bottle, files: &BTreeMap<String, Vec<u8>>) -> HostFacts {
    let forwarded = bottle.settings.forward_host_credentials.and_then(|_| bottle.provider.agent().credential_file());
    let credentials = match forwarded {
        _ if index.is_hermetic() => HostCredentials::Synthetic,
        None => HostCredentials::NotRead,
        Some(file) => {
            let path = format!("{}{}", agent::HOME, file.in_home);
            let content = Secret::new(files.get(&path).cloned().unwrap_or_default());
            HostCredentials::Prepared { path, content }
        }
    };
    HostFacts { now: 0, credentials }
}

fn of_index(index: &Index, tree: &Tree, files: &BTreeMap<String, Vec<u8>>) -> Option<String> {
    let keys = index.differing(&tree.index);
    if !keys.is_empty() {
        let keys = keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        return Some(format!("{OTHERWISE}: {keys}"));
    }
    // A key that no release of ours knows is not in what was read.
    let text = render::json(INDEX, index).ok()?;
    let found = files.get(INDEX)?;
    (found.as_slice() != text.as_bytes()).then(|| format!("{OTHERWISE}: its formatting differs"))
}

impl Rebuilt {
    /// The paths that the folder may hold. Where the index does not tell of what it was made, those that it
    /// lists: it is refused anyway.
    pub fn closed(&self, index: &Index) -> Closed {
        self.tree.as_ref().map_or_else(|| Closed::listed(index), Closed::of)
    }

    /// What the deviations mean for the agent, a sentence each, as far as the files can be read.
    pub fn meaning(&self, files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
        let texts = files.iter().map(|(path, text)| (path.clone(), String::from_utf8_lossy(text).into_owned()));
        let Some(Ok(meant)) = self.tree.as_ref().map(Model::of_tree) else { return Vec::new() };
        let found = match Model::of(texts.collect()) {
            Ok(found) => found,
            Err(unreadable) => return vec![unreadable.told()],
        };
        let told = changes(&meant.reach, &found.reach).into_iter().filter(|change| change.grade() > Grade::Info);
        told.map(|change| change.message).collect()
    }
}

/// What a path is to a bottle's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A build writes it.
    Written,
    /// It is made when the bottle is prepared or runs.
    MadeAtRunTime,
    /// A folder with one of them below.
    Above,
    /// It has no business there.
    Foreign,
}

/// The paths that a bottle's folder may hold.
pub struct Closed {
    written: BTreeSet<String>,
    made: Vec<&'static str>,
}

impl Closed {
    /// Those of a tree. The index has no say in it: whoever adds a file can list it.
    pub fn of(tree: &Tree) -> Self {
        let written = tree.artifacts.iter().map(|artifact| artifact.path.clone()).collect();
        Closed { written, made: tree.made_at_run_time.clone() }
    }

    /// Those that an index lists, where no more can be known.
    pub fn listed(index: &Index) -> Self {
        let written = index.files.iter().map(|file| file.path.clone()).chain([INDEX.to_owned()]).collect();
        Closed { written, made: target::made_at_run_time(index.backends()) }
    }

    /// What a path from the bottle's folder is.
    pub fn standing(&self, path: &str) -> Standing {
        let is_below = |known: &str| known != path && Path::new(known).starts_with(path);
        match path {
            path if self.written.contains(path) => Standing::Written,
            path if self.made.contains(&path) || self.is_left_over(path) => Standing::MadeAtRunTime,
            _ if self.written.iter().map(String::as_str).chain(self.made.iter().copied()).any(is_below) => {
                Standing::Above
            }
            _ => Standing::Foreign,
        }
    }

    /// Whether it is what an interrupted build left of a file. The next build removes it, and nobody reads it.
    fn is_left_over(&self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
        final_name(name).is_some_and(|name| match folder {
            "" => name == PENDING || self.written.contains(name),
            folder => self.written.contains(&format!("{folder}/{name}")),
        })
    }
}
