//! Settings of a file as a flat list, so that two files can be held against each other.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every scalar of a value by its JSON pointer below `at`. A list of scalars is one setting, an empty
/// mapping too.
pub fn settings(at: &str, value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(at.to_owned(), value, &mut found);
    found
}

fn collect(at: String, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let step = key.replace('~', "~0").replace('/', "~1");
                collect(format!("{at}/{step}"), value, found);
            }
        }
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (index, value) in items.iter().enumerate() {
                collect(format!("{at}/{index}"), value, found);
            }
        }
        _ => {
            found.insert(at, value.to_string());
        }
    }
}
