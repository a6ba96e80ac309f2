//! The reader that holds our YAML against the plan: what it accepts, two other readers read alike, and
//! it accepts nothing that readers of YAML could disagree on.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use bottlec::text::diagnostic::Findings;
use bottlec::text::render::strict_yaml;
use bottlec::text::source::{Source, Sources};
use bottlec::text::yaml;
use proptest::prelude::*;
use serde_json::Value;

/// Every YAML file of the goldens, with its text.
static GOLDENS: LazyLock<Vec<(PathBuf, String)>> = LazyLock::new(|| {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "yaml")
                && path.components().any(|part| part.as_os_str() == "out")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    let text = |path: &PathBuf| fs::read_to_string(path).unwrap();
    files.iter().map(|path| (path.clone(), text(path))).collect()
});

/// The reader of manifests.
fn saphyr(text: &str) -> Option<Value> {
    let mut sources = Sources::default();
    let id = sources.add(Source { path: "x".into(), reference: "x".into(), text: text.to_owned() });
    let mut findings = Findings::default();
    let node = yaml::read(text, id, 0, &mut findings)?;
    (!findings.has_errors()).then(|| node.to_json())
}

/// Holds both other readers against the strict one, for what it accepts.
fn agree(text: &str) -> Result<bool, TestCaseError> {
    let Ok(strict) = strict_yaml::from_str::<Value>(text) else { return Ok(false) };
    let libyaml = serde_yaml::from_str::<Value>(text).ok();
    prop_assert_eq!(Some(&strict), libyaml.as_ref(), "{}", text);
    prop_assert_eq!(Some(strict), saphyr(text), "{}", text);
    Ok(true)
}

#[test]
fn every_golden_is_read_as_the_others_read_it() {
    assert!(GOLDENS.len() >= 40, "{}", GOLDENS.len());
    for (path, text) in GOLDENS.iter() {
        assert!(agree(text).unwrap(), "{}", path.display());
    }
}

#[test]
fn what_is_not_in_the_strict_form_is_refused_at_its_line() {
    let cases = [
        ("a: text\n", 1, "plain text"),
        ("a: 'text'\n", 1, "single quotes"),
        ("a: \"x\" # note\n", 1, "a comment after a value"),
        ("a: \"x\"\n# note\n", 2, "a comment between lines"),
        ("a: \"x\"\n\nb: \"y\"\n", 2, "an empty line"),
        ("a: \"x\" \n", 1, "a blank at the end"),
        ("a: \"x", 1, "an open quote"),
        ("a: \"x\ny\"\n", 1, "a text over two lines"),
        ("a: \"\\n\"\n", 1, "an escape that is not ours"),
        ("a: \"\\u00e4\"\n", 1, "an escape in lower case"),
        ("a: \"\\uD800\"\n", 1, "half a character"),
        ("a: \"\u{85}\"\n", 1, "a hidden character"),
        ("a: \"\t\"\n", 1, "a tab"),
        ("a:\t\"x\"\n", 1, "a tab after the colon"),
        ("a:\n    b: \"x\"\n", 2, "four spaces"),
        ("a:\n   b: \"x\"\n", 2, "three spaces"),
        ("a:\n- \"x\"\n", 2, "a list that is not indented"),
        ("  a: \"x\"\n", 1, "an indented start"),
        ("a: \"x\"\n  b: \"y\"\n", 2, "a mapping after a value"),
        ("a: [\"x\"]\n", 1, "a list in one line"),
        ("a: 010\n", 1, "octal"),
        ("a: +1\n", 1, "a sign"),
        ("a: 1_000\n", 1, "an underscore"),
        ("a: 1:30\n", 1, "a time"),
        ("a: 1.\n", 1, "half a float"),
        ("a: 1e3\n", 1, "an exponent"),
        ("a: True\n", 1, "another spelling of true"),
        ("a: ~\n", 1, "another spelling of null"),
        ("a: null\n", 1, "null as a word"),
        ("a: true", 1, "no line break at the end"),
        ("y: 1\n", 1, "a key that is a word of YAML 1.1"),
        ("no: 1\n", 1, "another"),
        ("A: 1\n", 1, "a key in upper case"),
        ("\"b\": 1\n\"a\": 1\n", 2, "keys out of order"),
        ("\"a\": 1\n\"a\": 1\n", 2, "a key twice"),
        ("\"a\": 1\nb: 1\n", 2, "keys of both kinds"),
        ("a: 1\na: 1\n", 2, "a plain key twice"),
        ("a: 1\n---\nb: 1\n", 2, "a second document"),
        ("a: 1\n...\n", 2, "the end of a document"),
        ("%YAML 1.1\n", 1, "a directive"),
        ("a: &x 1\n", 1, "an anchor"),
        ("a: *x\n", 1, "an alias"),
        ("a: !!str 1\n", 1, "a tag"),
        ("a: |\n  x\n", 1, "a block text"),
        ("? a\n", 1, "a complex key"),
        ("", 1, "nothing"),
    ];
    for (text, line, what) in cases {
        let Err(error) = strict_yaml::from_str::<Value>(text) else { panic!("{what}: {text:?} was read") };
        assert_eq!(error.line, line, "{what}: {error}");
    }
    let long = format!("\"{}\": 1\n", "k".repeat(1024));
    assert!(strict_yaml::from_str::<Value>(&long).is_err(), "a key that readers do not look ahead for");
}

/// Lines of our files and of nobody's, indented anyhow.
fn line() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "a:",
        "b:",
        "\"a\":",
        "\"b\":",
        "a: 1",
        "b: 2.50",
        "a: true",
        "a: \"x\"",
        "b: \"\\u0041\\\"\"",
        "a: []",
        "b: {}",
        "- a: 1",
        "- \"x\"",
        "- 1",
        "- false",
        "- {}",
        "- - 1",
        "-",
        "a: x",
        "a: 'x'",
        "true: 1",
        "\"\": \"\"",
        "a: 01",
        "# c",
        "",
        "--- 1",
        "a: \"é\"",
        "a: \"🦀\"",
        "- \"a\": 1",
        "a : 1",
        "a:  1",
        "on: 1",
    ]);
    (0usize..6, words).prop_map(|(indent, word)| format!("{}{word}\n", " ".repeat(indent)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_accepted_of_any_lines_is_read_alike(lines in prop::collection::vec(line(), 1..8)) {
        agree(&lines.concat())?;
    }

    #[test]
    fn what_is_accepted_of_a_damaged_golden_is_read_alike(
        file in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        length in 0usize..4,
        new in "[\"\\\\:\\-\\[\\]{}#&*!|>'%@`,?~=<a0 .\n\tU+\u{85}\u{e9}]{0,3}",
    ) {
        let mut text = file.get(&GOLDENS).1.clone();
        let borders: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let start = at.index(borders.len());
        let end = borders.get(start + length).copied().unwrap_or(text.len());
        text.replace_range(borders[start]..end, &new);
        agree(&text)?;
    }
}
