//! What a plain (unquoted) scalar means: the core schema of YAML 1.2.2, section 10.3.2, and where
//! readers of YAML 1.1 would see something else. Where a quoted one ends.

use std::borrow::Cow;
use std::ops::Range;

use saphyr_parser::ScalarStyle;

use super::node::Value;

/// The value of a plain scalar in the core schema.
pub(super) fn resolve(text: Cow<'_, str>) -> Value<'_> {
    match text.as_ref() {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        other => match number(other) {
            Some(value) => value,
            None => Value::String(text),
        },
    }
}

fn number(text: &str) -> Option<Value<'static>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    match digits {
        ".inf" | ".Inf" | ".INF" => return Some(Value::Float(f64::INFINITY)),
        ".nan" | ".NaN" | ".NAN" if digits.len() == text.len() => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return i64::from_str_radix(rest, radix).ok().map(Value::Integer);
        }
    }
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().map_or_else(|_| Value::Float(text.parse().unwrap_or(f64::INFINITY)), Value::Integer));
    }
    // `f64::from_str` takes more than the core schema does ("1_0", "inf", "nan" are out by now).
    let shape = digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'));
    shape.then(|| text.parse().ok().map(Value::Float)).flatten()
}

/// Whether a plain scalar that is text in YAML 1.2 is something else in YAML 1.1 (its type
/// repository: bool, int, float, timestamp, merge, value).
pub(super) fn differs_in_yaml_1_1(text: &str) -> bool {
    const WORDS: [&str; 7] = ["y", "n", "yes", "no", "on", "off", "="];
    if WORDS.contains(&text.to_ascii_lowercase().as_str()) || text == "<<" {
        return true;
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let only = |extra: &[u8]| digits.bytes().all(|b| b.is_ascii_digit() || extra.contains(&b));
    let has_digit = digits.bytes().any(|b| b.is_ascii_digit());
    let binary = digits.strip_prefix("0b").is_some_and(|rest| rest.bytes().all(|b| matches!(b, b'0' | b'1' | b'_')));
    let hexadecimal =
        digits.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'_'));
    let sexagesimal = digits.contains(':') && only(b":._");
    let grouped = has_digit && only(b"_.eE+-") && digits.contains('_');
    binary || hexadecimal || sexagesimal || grouped || timestamp(text)
}

/// `2001-12-14` and everything that starts like it and goes on with a time.
fn timestamp(text: &str) -> bool {
    let mut parts = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let digits =
        |part: &str, least, most| (least..=most).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    let day_end = rest.bytes().take_while(u8::is_ascii_digit).count();
    digits(year, 4, 4)
        && digits(month, 1, 2)
        && (1..=2).contains(&day_end)
        && (day_end == rest.len() || rest[day_end..].starts_with(['T', 't', ' ', '\t']))
}

/// Where a scalar ends: the parser takes a comment behind the quotes for a part of it.
pub(super) fn end(text: &str, range: &Range<usize>, style: ScalarStyle) -> usize {
    let quote = match style {
        ScalarStyle::SingleQuoted => b'\'',
        ScalarStyle::DoubleQuoted => b'"',
        _ => return range.end,
    };
    let bytes = text.as_bytes().get(range.clone()).unwrap_or_default();
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match *byte {
            b'\\' if quote == b'"' => at += 1,
            // Doubled, it stands for itself.
            b'\'' if quote == b'\'' && bytes.get(at + 1) == Some(&b'\'') => at += 1,
            byte if byte == quote => return range.start + at + 1,
            _ => {}
        }
        at += 1;
    }
    range.end
}
