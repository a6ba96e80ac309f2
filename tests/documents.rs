//! Documents tell the truth about the code, as far as a program can tell.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

#[test]
fn every_direct_dependency_has_a_line() {
    let manifest: toml::Table = toml::from_str(&read("Cargo.toml")).unwrap();
    let names = |section: &str| manifest[section].as_table().unwrap().keys().cloned().collect::<BTreeSet<String>>();
    let page = read("docs/dependencies.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|row| row.split_once(" |"));
    let documented: BTreeSet<String> = rows
        .flat_map(|(crates, _)| {
            crates
                .split(", ")
                .map(|name| name.trim_matches('`').split('`').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(documented, names("dependencies").union(&names("dev-dependencies")).cloned().collect::<BTreeSet<_>>());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut pages: Vec<PathBuf> = vec![root().join("README.md")];
    let mut open = vec![root().join("docs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { pages.push(path) }
        }
    }
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if !target.starts_with("http") {
                links += 1;
                assert!(page.parent().unwrap().join(target).exists(), "{} links to {target}", page.display());
            }
        }
    }
    assert!(links > 8);
}

#[test]
fn examples_compile_without_a_finding() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let out = tempfile::tempdir().unwrap();
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_bottlec"))
            .arg("build")
            .arg(&path)
            .args(["--hermetic", "-q", "-o"])
            .arg(out.path())
            .output()
            .unwrap();
        assert!(run.status.success() && run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn codes_are_unique_and_in_order() {
    let codes: Vec<&str> = bottlec::diagnostic::Code::ALL.iter().map(|code| code.as_str()).collect();
    let distinct: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(distinct.len(), codes.len());
    assert!(codes.iter().all(|code| code.len() == 6 && code.starts_with("BTL")));
}
