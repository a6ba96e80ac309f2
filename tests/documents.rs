//! Documents tell the truth about the code, as far as a program can tell.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bottlec::diagnostic::{Code, Example};

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
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_bottlec"))
            .args(["check", "--strict"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(run.status.success() && run.stdout.is_empty(), "{}", String::from_utf8_lossy(&run.stdout));
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn every_rule_has_a_page_whose_examples_do_what_it_says() {
    // About the bytes of the file, the host, several bottles at once, or a defect: no manifest shows them.
    let without_manifest = ["BTL105", "BTL006", "BTL008", "BTL303", "BTL304", "BTL305", "BTL403", "BTL502"];
    let pages = fs::read_dir(root().join("docs/rules")).unwrap().count();
    assert_eq!(pages, Code::ALL.len(), "a page a rule");
    for code in Code::ALL {
        let page = code.page();
        let name = code.as_str();
        assert!(page.text().starts_with(&format!("# {name}: ")), "{name}");
        assert!(page.what().len() > 20, "{name}");
        let examples = page.examples();
        if without_manifest.contains(&name) {
            assert!(examples.is_empty(), "{name}");
            continue;
        }
        let bad = examples.iter().filter(|example| example.breached_at.is_some()).count();
        assert_eq!((bad, examples.len()), (1, 2), "{name}: a bad and a good manifest");
        for Example { breached_at, text } in examples {
            let (manifest, parents) = text.split_once("# file: ").unwrap_or((&text, ""));
            let (parent, parent_text) = parents.split_once('\n').unwrap_or(("unused.yaml", ""));
            let folder = support::folder(&[("bottle.yaml", manifest), (parent, parent_text)]);
            let run = support::bottlec(folder.path(), &["check", "--format", "concise", "bottle.yaml"]);
            let said = String::from_utf8(run.stdout).unwrap();
            match breached_at {
                Some(place) => {
                    let severity = code.severity().as_str();
                    assert!(said.starts_with(&format!("bottle.yaml:{place}: {severity}[{name}] ")), "{name} {said}");
                    assert_eq!(said.lines().count(), 1, "{name} {said}");
                }
                None => assert_eq!(said, "", "{name}"),
            }
        }
    }
}

#[test]
fn codes_are_unique_and_in_order() {
    let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    let distinct: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(distinct.len(), codes.len());
    assert!(codes.iter().all(|code| code.len() == 6 && code.starts_with("BTL")));
}
