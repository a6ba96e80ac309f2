//! What is told of a changed setting of a file.

use serde_json::Value;

/// What became of a setting, in words that follow the file's name. Of two lists, what one has and the
/// other lacks.
pub(super) fn told(pointer: &str, was: Option<&String>, is: Option<&String>) -> String {
    let (Some(was), Some(is)) = (was, is) else {
        return match is {
            Some(is) => format!("has `{is}` at `{pointer}`"),
            None => format!("no longer has `{}` at `{pointer}`", was.map_or("", String::as_str)),
        };
    };
    let list = |text: &str| serde_json::from_str::<Vec<Value>>(text).ok();
    let (Some(before), Some(after)) = (list(was), list(is)) else {
        return format!("has `{is}` at `{pointer}`, not `{was}`");
    };
    let without = |items: &[Value], others: &[Value]| -> Vec<String> {
        items.iter().filter(|item| !others.contains(item)).map(|item| format!("`{item}`")).collect()
    };
    let (added, dropped) = (without(&after, &before), without(&before, &after));
    match (added.is_empty(), dropped.is_empty()) {
        (false, true) => format!("also lists {} at `{pointer}`", added.join(", ")),
        (true, false) => format!("no longer lists {} at `{pointer}`", dropped.join(", ")),
        (false, false) => format!("lists {} at `{pointer}`, not {}", added.join(", "), dropped.join(", ")),
        (true, true) => format!("lists `{is}` at `{pointer}`, not `{was}`"),
    }
}
