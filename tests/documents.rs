//! Documents tell the truth about the code, as far as a program can tell.

use crate::support;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bottlec::compile::rules;
use bottlec::text::diagnostic::{Example, Shows};

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
    let targets = manifest["target"].as_table().unwrap().values();
    let of_targets = targets.flat_map(|target| target["dependencies"].as_table().unwrap().keys().cloned());
    let direct = names("dependencies").into_iter().chain(names("dev-dependencies")).chain(of_targets);
    assert_eq!(documented, direct.collect());
}

#[test]
fn links_between_documents_lead_somewhere() {
    let others = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "fuzz/README.md"];
    let pages = support::files_below(&root().join("docs")).into_iter().chain(others.map(|page| root().join(page)));
    let mut links = 0;
    for page in pages {
        // What git ignores may be there too, such as pictures.
        let Ok(text) = fs::read_to_string(&page) else { continue };
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            if !target.starts_with("http") {
                links += 1;
                let file = target.split('#').next().unwrap();
                let file = page.parent().unwrap().join(file.replace('\n', " "));
                assert!(file.exists(), "{} links to {target}", page.display());
            }
        }
    }
    assert!(links > 8);
}

#[test]
fn the_index_has_every_document() {
    let index = read("docs/README.md");
    let mut seen = 0;
    for path in support::files_below(&root().join("docs")) {
        let path = path.strip_prefix(root().join("docs")).unwrap().to_owned();
        // A folder with a page per rule, and what a page shows.
        if path.extension().is_none_or(|end| end != "md") || path.starts_with("rules") || path == Path::new("README.md")
        {
            continue;
        }
        seen += 1;
        assert!(
            index.contains(&format!("]({})", path.display())),
            "docs/README.md does not link to {}",
            path.display()
        );
    }
    assert!(seen > 30, "{seen}");
    assert!(read("README.md").contains("](docs/README.md)"));
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
fn the_agent_on_its_page_is_built_and_every_key_is_told() {
    let page = read("docs/agents.md");
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block).collect();
    let file = |block: &str| block.lines().next().unwrap().trim_start_matches("# ").to_owned();
    let files: Vec<(String, &str)> = blocks.iter().map(|block| (file(block), *block)).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let folder = support::folder(&files);
    let run = support::bottlec(folder.path(), &["check", "--strict", "bottle.yaml"]);
    assert!(run.status.success() && run.stdout.is_empty(), "{}", support::stdout(&run));
    let run = support::bottlec(folder.path(), &["build", "bottle.yaml", "-o", "out"]);
    assert!(run.status.success(), "{}", support::screen(&run));
    let schema: serde_json::Value = serde_json::from_str(&read("schema/agent.schema.json")).unwrap();
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("\n| `{key}` | ")), "{key}");
    }
}

#[test]
fn every_rule_has_a_page_whose_examples_do_what_it_says() {
    // About the bytes of the file, its name, the host, several bottles at once, what a hand does to a tree, the day,
    // the project's configuration of another day, or a defect: no manifest shows them.
    let without_manifest = [
        "BTL105", "BTL006", "BTL008", "BTL009", "BTL108", "BTL303", "BTL304", "BTL305", "BTL306", "BTL403", "BTL502",
        "BTL705", "BTL803", "BTL804", "BTL816", "BTL825", "BTL851", "BTL852", "BTL853", "BTL861", "BTL862",
    ];
    let pages = fs::read_dir(root().join("docs/rules")).unwrap().count();
    assert_eq!(pages, rules::all().len(), "a page a rule");
    for code in rules::all() {
        let page = code.page();
        let name = code.as_str();
        assert!(page.text().starts_with(&format!("# {name}: ")), "{name}");
        assert!(page.what().len() > 20, "{name}");
        let blocks = page.text().lines().filter(|line| line.starts_with("```yaml")).count();
        let examples = page.examples();
        assert_eq!(examples.len(), blocks, "{name}: each manifest says what it shows");
        match examples.as_slice() {
            [] => assert!(without_manifest.contains(&name), "{name} has no example"),
            _ if without_manifest.contains(&name) => panic!("{name}: has a manifest after all"),
            [Example { shows: Shows::Bad(place), text: bad }, Example { shows: Shows::Good, text: good }] => {
                let severity = code.severity().as_str();
                let said = checked(bad);
                // A place in the other file has its name.
                let file = if place.matches(':').count() == 1 { "bottle.yaml:" } else { "" };
                assert!(said.starts_with(&format!("{file}{place}: {severity}[{name}] ")), "{name} {said}");
                assert_eq!(said.lines().count(), 1, "{name} {said}");
                assert_eq!(checked(good), "", "{name}");
            }
            [Example { shows: Shows::Before, text: before }, Example { shows: Shows::After, text: after }] => {
                assert!(code.grade().is_some(), "{name} grades nothing");
                assert!(changes(before, after).contains(name), "{name} {:?}", changes(before, after));
            }
            other => panic!("{name}: a bad and a good manifest, or one before and one after: {other:?}"),
        }
    }
}

/// The files of an example: the manifest, and the one that it names.
fn files(text: &str) -> [(&str, &str); 2] {
    let (manifest, others) = text.split_once("# file: ").unwrap_or((text, ""));
    [("bottle.yaml", manifest), others.split_once('\n').unwrap_or(("unused.yaml", ""))]
}

/// What `check` says of an example.
fn checked(text: &str) -> String {
    let folder = support::folder(&files(text));
    let run = support::bottlec(folder.path(), &["check", "--format", "concise", "bottle.yaml"]);
    String::from_utf8(run.stdout).unwrap()
}

/// The codes of the changes that `diff` finds between two examples.
fn changes(before: &str, after: &str) -> BTreeSet<String> {
    let sides = [("before", before), ("after", after)]
        .map(|(side, text)| files(text).map(|(path, text)| (format!("{side}/{path}"), text.to_owned())));
    let files = sides.as_flattened();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let folder = support::folder(&files);
    let run = support::bottlec(folder.path(), &["diff", "before/bottle.yaml", "after/bottle.yaml", "--format", "json"]);
    let report: serde_json::Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", support::screen(&run)));
    let changes = report["bottles"][0]["changes"].as_array().unwrap();
    changes.iter().map(|change| change["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn codes_are_unique_and_in_order() {
    let codes: Vec<&str> = rules::all().iter().map(|code| code.as_str()).collect();
    let distinct: BTreeSet<&str> = codes.iter().copied().collect();
    assert_eq!(distinct.len(), codes.len());
    assert!(codes.iter().all(|code| code.len() == 6 && code.starts_with("BTL")));
}
