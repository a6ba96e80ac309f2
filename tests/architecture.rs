//! What `docs/architecture.md` promises of the sources: their layers, who touches the machine, and the tree of folders.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The folders of `src/`, a layer each. What is used in one lies in it or further down.
const LAYERS: [&str; 11] =
    ["cli", "output", "model", "config", "compile", "target", "link", "manifest", "provider", "value", "text"];

/// What may open files, look at the clock or ask for the environment.
const EDGES: [&str; 4] = ["src/main.rs", "src/cli/", "src/output/", "src/manifest/load/"];

/// How a source would touch the machine.
const MACHINE: [&str; 9] = [
    "std::fs",
    "std::env",
    "std::process",
    "std::net::Tcp",
    "std::os::",
    "SystemTime",
    "Instant::now",
    "::now()",
    "rustix::",
];

/// Every source: its path and its code, comments left out.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
            found.push((path.strip_prefix(root).unwrap().display().to_string(), code.join("\n")));
        }
    }
    assert!(found.len() > 100, "the sources were not found");
    found
}

/// The modules of the root that a source names: `crate::a::…` and `use crate::{a::…, b::…}`.
fn named(code: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let name = |text: &'_ str| text.find(|c| !is_name(c)).unwrap_or(text.len());
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(&rest[..name(rest)]);
            continue;
        };
        let mut depth = 0;
        let mut is_start = true;
        for (at, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => is_start = true,
                _ if is_start && is_name(c) => {
                    found.insert(&group[at..at + name(&group[at..])]);
                    is_start = false;
                }
                _ => {}
            }
        }
    }
    found
}

#[test]
fn a_layer_uses_what_lies_below_it_only() {
    let layer = |name: &str| LAYERS.iter().position(|layer| *layer == name);
    let mut upward = Vec::new();
    for (path, code) in sources() {
        let Some(own) = path.split('/').nth(1).and_then(layer) else { continue };
        upward.extend(
            named(&code)
                .into_iter()
                .filter(|name| layer(name).is_some_and(|it| it < own))
                .map(|name| format!("{path} uses {name}")),
        );
    }
    assert!(upward.is_empty(), "{upward:#?}");
    assert_eq!(
        named("use crate::{text::yaml, value::{host, slot}}; crate::cli::main()"),
        ["cli", "text", "value"].into()
    );
}

#[test]
fn only_the_named_edges_touch_the_machine() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        if EDGES.iter().any(|edge| path.starts_with(edge)) {
            continue;
        }
        found.extend(MACHINE.iter().filter(|word| code.contains(**word)).map(|word| format!("{path} has {word}")));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_the_command_knows_clap_and_the_terminal() {
    let mut found = Vec::new();
    for (path, code) in sources() {
        if !path.starts_with("src/cli/") {
            let words = ["clap", "anstream", "annotate_snippets", "termios"];
            found.extend(words.iter().filter(|word| code.contains(**word)).map(|word| format!("{path} has {word}")));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_page_has_every_folder_of_the_sources_and_no_other() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let told: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("    src/")?.split_whitespace().next())
        .map(|name| name.trim_end_matches('/').to_owned())
        .collect();
    let mut there: BTreeSet<String> = fs::read_dir(root.join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(there.len() <= 13, "the root of src has {} entries", there.len());
    there.retain(|name| !name.ends_with(".rs"));
    assert_eq!(told, there);
    let order: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    src/")?.split('/').next()).collect();
    assert_eq!(order, LAYERS, "the page has the layers in another order");
}
