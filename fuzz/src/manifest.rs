//! Any bytes as a manifest: findings are plain lines with a place, and what compiles means what the manifest says.

use std::path::{Path, PathBuf};

use bottlec::cli::human;
use bottlec::manifest::{self, Loaded};
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use bottlec::text::diagnostic::located::Located;
use bottlec::text::diagnostic::{Diagnostic, Findings, concise, github, json, sarif};
use bottlec::text::source::Sources;
use bottlec::{compile, compile::rules, compile::rules::allow, text::accept};
use serde_json::Value;

use super::meaning;

/// Reads the bytes as a manifest; as Markdown too if they start like front matter.
pub fn run(bytes: &[u8]) {
    judge("bottle.yaml", bytes);
    if bytes.starts_with(b"---") {
        judge("bottle.md", bytes);
    }
}

/// The folder that the manifest lies in, with a parent and a Dockerfile to name.
fn project() -> PathBuf {
    // The root of this package, or of the one that replays the corpora.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("project");
    if own.is_dir() { own } else { root.join("fuzz/project") }
}

fn judge(name: &str, bytes: &[u8]) {
    let Loaded { mut sources, manifest, mut findings, .. } =
        manifest::load_bytes(&project().join(name), bytes.to_vec()).expect("the folder is there");
    if let Some(manifest) = &manifest
        && let Some(bottle) = manifest::check(manifest, &sources, &mut findings)
    {
        let host = HostFacts::hermetic();
        let both = [Backend::Docker, Backend::Smolmachines];
        let errors = findings.error_count();
        let tree = compile::compile(&bottle, &sources, &host, &both, &mut findings).expect("it reads back");
        assert_eq!(tree.is_some(), findings.error_count() == 0, "a tree and errors, or neither");
        let mut unheard = Findings::default();
        let linked = compile::link(&bottle, &host, &both, &mut unheard).expect("it reads back");
        assert_eq!(unheard.error_count() + errors, findings.error_count());
        rules::lint(&bottle, &linked, &sources, &mut findings);
        if let Some(tree) = tree {
            meaning::holds(bottle, &sources, &tree, bytes.len());
        }
    }
    let silenced = allow::silence(&sources, &mut findings);
    allow::report(&silenced, &mut findings);
    accept::acceptances(&sources, &mut findings);
    told(findings, &mut sources);
}

/// Findings can be told in every format, and nothing of the manifest reaches the reader as anything but text.
fn told(findings: Findings, sources: &mut Sources) {
    let findings = findings.into_sorted();
    let located: Vec<Located> = findings.iter().map(|found| Located::of(found, sources)).collect();
    for Diagnostic { message, help, labels, .. } in &findings {
        one_line(&[message, help.as_deref().unwrap_or_default()]);
        labels.iter().for_each(|label| one_line(&[&label.text]));
    }
    for text in [concise::render(&located), github::render(&located)] {
        assert_eq!(text.lines().count(), findings.len(), "a line a finding: {text:?}");
    }
    let report: Value = serde_json::from_str(&json::render(&located)).expect("JSON");
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(findings.len()));
    let report: Value = serde_json::from_str(&sarif::render(&located)).expect("JSON");
    assert_eq!(report["runs"][0]["results"].as_array().map(Vec::len), Some(findings.len()));
    for found in &findings {
        let block = human::render(found, sources, &human::Look::plain());
        let odd = block.chars().find(|&c| c.is_control() && c != '\n');
        assert_eq!(odd, None, "a terminal would obey {block:?}");
    }
}

/// Words for a reader: one line, and nothing that a terminal obeys.
pub fn one_line(texts: &[&str]) {
    for text in texts {
        assert!(!text.chars().any(char::is_control), "a message has a control character: {text:?}");
    }
}
