//! Texts into YAML, and YAML into values by two readers.

use bottlec::text::diagnostic::Findings;
use bottlec::text::source::{Source, Sources};
use bottlec::text::yaml;
use serde_json::Value;

/// A text in YAML's double quotes, every character outside printable ASCII by its number.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    quoted + "\""
}

/// What a file of ours says, by the reader that checked it and by the reader of manifests, which must agree.
pub(crate) fn read_yaml(text: &str) -> Value {
    let one: Value = serde_yaml::from_str(text).unwrap();
    let mut sources = Sources::default();
    let id = sources.add(Source { path: "x".into(), reference: "x".into(), text: text.to_owned() });
    let mut findings = Findings::default();
    let other = yaml::read(text, id, 0, &mut findings).unwrap().to_json();
    assert!(!findings.has_errors());
    assert_eq!(one, other, "two readers of YAML differ");
    one
}
