//! What tests share: a manifest in a folder of its own, compiled through the public interface.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod agents;
pub(crate) mod goldens;
pub(crate) mod impatient;
pub(crate) mod repository;
pub(crate) mod texts;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bottlec::compile::compile;
use bottlec::compile::tree::Tree;
use bottlec::manifest::{self, Loaded};
use bottlec::model::Model;
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use tempfile::TempDir;

/// Both backends, as `build` has them by default.
pub(crate) const BOTH: [Backend; 2] = [Backend::Docker, Backend::Smolmachines];

/// A compiled manifest.
pub(crate) struct Compiled {
    /// The tree, if there was no error.
    pub(crate) tree: Option<Tree>,
    /// `CODE line:column` of every finding, in order.
    pub(crate) codes: Vec<String>,
    /// The messages and helps, in the same order.
    pub(crate) messages: Vec<String>,
}

impl Compiled {
    /// The text of a file of the tree.
    pub(crate) fn file(&self, path: &str) -> &str {
        let tree = self.tree.as_ref().unwrap_or_else(|| panic!("no tree: {:?} {:?}", self.codes, self.messages));
        let artifact = tree.artifacts.iter().find(|artifact| artifact.path == path);
        &artifact.unwrap_or_else(|| panic!("no file {path}")).content
    }
}

/// Compiles a manifest that stands alone, with the made-up account.
pub(crate) fn compile_text(text: &str) -> Compiled {
    compile_with(text, &HostFacts::hermetic(), &BOTH)
}

/// Compiles a manifest that stands alone.
pub(crate) fn compile_with(text: &str, host: &HostFacts, backends: &[Backend]) -> Compiled {
    let folder = folder(&[("bottle.yaml", text)]);
    compile_file(&folder.path().join("bottle.yaml"), host, backends)
}

/// Compiles the manifest of an agent's way to sign in, with more lines.
pub(crate) fn compile_way(way: &agents::Way, more: &str) -> Compiled {
    let text = way.manifest() + more;
    let folder = folder(&way.files(&text));
    compile_file(&folder.path().join("bottle.yaml"), &HostFacts::hermetic(), &BOTH)
}

/// Compiles a manifest where it lies.
pub(crate) fn compile_file(path: &Path, host: &HostFacts, backends: &[Backend]) -> Compiled {
    let Loaded { sources, manifest, mut findings, .. } = manifest::load(path).unwrap();
    let bottle = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings));
    let tree = bottle.and_then(|bottle| compile(&bottle, &sources, host, backends, &mut findings).unwrap());
    let sorted = findings.into_sorted();
    let codes = sorted.iter().map(|found| match found.span() {
        Some(span) => {
            let at = sources.position(span);
            format!("{} {}:{}", found.code.as_str(), at.line, at.column)
        }
        None => found.code.as_str().to_owned(),
    });
    let codes = codes.collect();
    let messages = sorted
        .iter()
        .map(|found| format!("{} ({})", found.message, found.help.as_deref().unwrap_or_default()))
        .collect();
    Compiled { tree, codes, messages }
}

/// What the agent of a manifest that stands alone and has no errors can reach.
pub(crate) fn model(text: &str) -> Model {
    let compiled = compile_text(text);
    let tree = compiled.tree.unwrap_or_else(|| panic!("{text}: {:?}", compiled.messages));
    Model::of_tree(&tree).unwrap_or_else(|problem| panic!("{text}: {problem}"))
}

/// A folder with these files, which is a project of its own.
pub(crate) fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Every file below a folder, sorted; none if it is not there. Links are not followed.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let is_folder = |path: &Path| path.is_dir() && !path.is_symlink();
    let mut files: Vec<PathBuf> =
        entries.flat_map(|path| if is_folder(&path) { files_below(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// Every file below a folder with its content, by its path from there.
pub(crate) fn contents_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let content = |path: PathBuf| (path.strip_prefix(folder).unwrap().to_owned(), fs::read(&path).unwrap());
    files_below(folder).into_iter().map(content).collect()
}

/// Runs bottlec in a folder, with an environment of nothing but `HOME`, which is that folder.
pub(crate) fn bottlec(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap()
}

/// The programs that a variable names, separated by colons.
pub(crate) fn programs(variable: &str) -> Vec<PathBuf> {
    let Some(paths) = std::env::var_os(variable) else {
        let required = std::env::var_os("BOTTLEC_CONSUMERS").is_some_and(|value| value == "required");
        assert!(!required, "{variable} is not set");
        skipped(&format!("{variable} is not set"));
        return Vec::new();
    };
    std::env::split_paths(&paths).collect()
}

/// Says that something was not tested, past the harness, which keeps what passing tests print.
pub(crate) fn skipped(what: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    std::io::stderr().write_all(format!("SKIPPED: {test}: {what}\n").as_bytes()).unwrap();
}

/// What a run printed on stderr.
pub(crate) fn screen(run: &Output) -> String {
    String::from_utf8(run.stderr.clone()).unwrap()
}

/// What a run printed on stdout.
pub(crate) fn stdout(run: &Output) -> String {
    String::from_utf8(run.stdout.clone()).unwrap()
}

/// Runs bottlec in a folder with a text on its stdin.
pub(crate) fn with_stdin(folder: &Path, arguments: &[&str], text: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}
