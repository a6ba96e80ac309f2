//! Settings of a file as a flat list, so that two files can be held against each other.

use std::collections::BTreeMap;

use serde_json::Value;

/// Every scalar of a value by its JSON pointer below `at`. A list is one setting, an empty mapping too.
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
        _ => {
            found.insert(at, value.to_string());
        }
    }
}

/// What became of a setting, in words that follow the file's name. Of two lists, what one has and the
/// other lacks.
pub(super) fn told(pointer: &str, was: Option<&String>, is: Option<&String>) -> String {
    let (Some(was), Some(is)) = (was, is) else {
        return match is {
            Some(is) => format!("says `{is}` at `{pointer}`"),
            None => format!("no longer says `{}` at `{pointer}`", was.map_or("", String::as_str)),
        };
    };
    let list = |text: &str| serde_json::from_str::<Vec<Value>>(text).ok();
    let (Some(before), Some(after)) = (list(was), list(is)) else {
        return format!("says `{is}` at `{pointer}`, not `{was}`");
    };
    let without = |items: &[Value], others: &[Value]| -> Vec<String> {
        items.iter().filter(|item| !others.contains(item)).map(|item| format!("`{item}`")).collect()
    };
    let (added, dropped) = (without(&after, &before), without(&before, &after));
    match (added.is_empty(), dropped.is_empty()) {
        (false, true) => format!("lists {} at `{pointer}` too", added.join(", ")),
        (true, false) => format!("no longer lists {} at `{pointer}`", dropped.join(", ")),
        (false, false) => format!("lists {} at `{pointer}`, not {}", added.join(", "), dropped.join(", ")),
        (true, true) => format!("lists `{is}` at `{pointer}`, not `{was}`"),
    }
}
