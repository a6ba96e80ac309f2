//! Reads the YAML that templates write, and nothing else: one document of block mappings and lists, two
//! spaces a level, text in double quotes. Whatever it accepts, every reader of YAML 1.1 and 1.2 reads
//! alike; a property test holds two of them against it.

use std::fmt;

use serde::de::value::{Error, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use crate::text::visible::is_hidden;

/// The longest key, in bytes: readers look 1,024 characters ahead for the colon.
const MAX_KEY: usize = 1000;

/// Words that readers of YAML 1.1 or 1.2 take for something else than text, in lower case.
const NOT_TEXT: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];

/// Reads a text.
///
/// # Errors
/// What is no such text, with its line.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, NotStrict> {
    let mut reader = Reader { text, at: 0 };
    if text.starts_with('#') {
        let comment = reader.line();
        if comment.contains(|c: char| c.is_control() || is_hidden(c)) {
            return Err(reader.fails(&Error::custom("a comment with hidden characters")));
        }
    }
    let value = T::deserialize(Block { reader: &mut reader, indent: 0 }).map_err(|error| reader.fails(&error))?;
    if reader.at < text.len() {
        return Err(reader.fails(&Error::custom("the text goes on after its end")));
    }
    Ok(value)
}

/// Why a text is not in the strict form.
#[derive(Debug)]
pub struct NotStrict {
    /// The line, counted from one, at which reading stopped.
    pub line: usize,
    problem: String,
}

impl fmt::Display for NotStrict {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn fails(&self, error: &Error) -> NotStrict {
        let before = &self.text.as_bytes()[..self.at];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        NotStrict { line, problem: error.to_string() }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word);
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    /// The rest of the line; its break is passed over.
    fn line(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find('\n').unwrap_or(rest.len());
        self.at += (end + 1).min(rest.len());
        &rest[..end]
    }

    fn line_ends(&mut self) -> Result<(), Error> {
        if self.takes("\n") { Ok(()) } else { Err(Error::custom("the line goes on")) }
    }

    /// How far the next line is indented; nothing at the end of the text.
    fn indent(&self) -> Option<usize> {
        let rest = self.rest().as_bytes();
        let indent = rest.iter().take_while(|byte| **byte == b' ').count();
        (indent < rest.len()).then_some(indent)
    }

    /// Goes to the next entry of a mapping or list of this indentation. False at its end.
    fn goes_on(&mut self, indent: usize) -> Result<bool, Error> {
        match self.indent() {
            Some(found) if found == indent => {
                self.at += indent;
                Ok(true)
            }
            Some(found) if found > indent => Err(Error::custom("the line is indented too far")),
            _ => Ok(false),
        }
    }

    /// A key, with the colon after it.
    fn key(&mut self) -> Result<Text<'t>, Error> {
        let start = self.at;
        let key = if self.takes("\"") {
            self.quoted()?
        } else {
            let rest = self.rest();
            let end = rest.bytes().position(|b| !b.is_ascii_lowercase() && !b.is_ascii_digit() && b != b'_');
            let word = &rest[..end.unwrap_or(rest.len())];
            if !word.starts_with(|c: char| c.is_ascii_lowercase()) || NOT_TEXT.contains(&word) {
                return Err(Error::custom("expected a key"));
            }
            self.at += word.len();
            Text::Plain(word)
        };
        if self.at - start > MAX_KEY {
            return Err(Error::custom("the key is too long"));
        }
        if self.takes(":") { Ok(key) } else { Err(Error::custom("expected a colon after the key")) }
    }

    /// Text whose opening quote has been passed over, to the closing one.
    fn quoted(&mut self) -> Result<Text<'t>, Error> {
        let rest = self.rest();
        let printable = |byte: &u8| (0x20..0x7f).contains(byte) && !b"\"\\".contains(byte);
        let plain = rest.bytes().position(|byte| !printable(&byte)).unwrap_or(rest.len());
        if rest.as_bytes().get(plain) == Some(&b'"') {
            self.at += plain + 1;
            return Ok(Text::Plain(&rest[..plain]));
        }
        let mut unescaped = String::new();
        let mut characters = rest.char_indices();
        let mut plain = 0;
        while let Some((at, c)) = characters.next() {
            match c {
                '"' => {
                    self.at += at + 1;
                    unescaped.push_str(&rest[plain..at]);
                    return Ok(Text::Unescaped(unescaped));
                }
                '\\' => {
                    unescaped.push_str(&rest[plain..at]);
                    let escape = &rest[at + 1..];
                    let (character, length) = unescape(escape).ok_or_else(|| Error::custom("an unknown escape"))?;
                    unescaped.push(character);
                    plain = at + 1 + length;
                    // All of an escape is ASCII.
                    characters.nth(length - 1);
                }
                c if c.is_ascii_control() || (!c.is_ascii() && is_hidden(c)) => {
                    return Err(Error::custom("a hidden character between quotes"));
                }
                _ => {}
            }
        }
        Err(Error::custom("expected a closing quote"))
    }
}

/// The character of an escape, and the escape's length after its backslash.
fn unescape(escape: &str) -> Option<(char, usize)> {
    let digits = match escape.as_bytes().first()? {
        b'"' => return Some(('"', 1)),
        b'\\' => return Some(('\\', 1)),
        b'u' => escape.get(1..5)?,
        b'U' => escape.get(1..9)?,
        _ => return None,
    };
    let is_hexadecimal = digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F'));
    let number = is_hexadecimal.then(|| u32::from_str_radix(digits, 16).ok())??;
    Some((char::from_u32(number)?, 1 + digits.len()))
}

enum Text<'t> {
    Plain(&'t str),
    Unescaped(String),
}

impl Text<'_> {
    fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Text::Plain(text) => visitor.visit_str(text),
            Text::Unescaped(text) => visitor.visit_string(text),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Text::Plain(text) => text,
            Text::Unescaped(text) => text,
        }
    }
}

/// A mapping or list whose first line begins here.
struct Block<'r, 't> {
    reader: &'r mut Reader<'t>,
    indent: usize,
}

/// The entries of a mapping or list.
struct Entries<'r, 't> {
    reader: &'r mut Reader<'t>,
    indent: usize,
    is_first: bool,
    keys: Keys<'t>,
}

/// The keys of a mapping so far: names of ours or names from elsewhere, never both, none of them twice.
enum Keys<'t> {
    None,
    Plain(Vec<&'t str>),
    /// The last one; they are sorted.
    Quoted(Text<'t>),
}

impl<'t> Entries<'_, 't> {
    fn next(&mut self) -> Result<bool, Error> {
        if std::mem::take(&mut self.is_first) { Ok(true) } else { self.reader.goes_on(self.indent) }
    }
}

impl<'de> serde::Deserializer<'de> for Block<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Block { reader, indent } = self;
        let is_list = reader.rest().starts_with("- ");
        let entries = Entries { reader, indent, is_first: true, keys: Keys::None };
        if is_list { visitor.visit_seq(entries) } else { visitor.visit_map(entries) }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, 't> MapAccess<'de> for Entries<'_, 't> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if !self.next()? {
            return Ok(None);
        }
        let is_quoted = self.reader.rest().starts_with('"');
        let key = self.reader.key()?;
        let deserializer: StrDeserializer<Error> = key.as_str().into_deserializer();
        let value = seed.deserialize(deserializer)?;
        match (&mut self.keys, key) {
            (keys @ Keys::None, Text::Plain(key)) if !is_quoted => *keys = Keys::Plain(vec![key]),
            (Keys::Plain(known), Text::Plain(key)) if !is_quoted && !known.contains(&key) => known.push(key),
            (keys @ Keys::None, key) if is_quoted => *keys = Keys::Quoted(key),
            (Keys::Quoted(last), key) if is_quoted && last.as_str() < key.as_str() => *last = key,
            _ => return Err(Error::custom("a key twice, out of order or of another kind than the ones before it")),
        }
        Ok(Some(value))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let reader = &mut *self.reader;
        if reader.takes(" ") {
            return seed.deserialize(Inline { reader });
        }
        reader.line_ends()?;
        match reader.indent() {
            Some(indent) if indent == self.indent + 2 => {
                reader.at += indent;
                seed.deserialize(Block { reader, indent })
            }
            Some(indent) if indent > self.indent => Err(Error::custom("the line is indented too far")),
            _ => seed.deserialize(Null),
        }
    }
}

impl<'de> SeqAccess<'de> for Entries<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if !self.next()? {
            return Ok(None);
        }
        let reader = &mut *self.reader;
        if !reader.takes("- ") {
            return Err(Error::custom("expected `- `"));
        }
        // A key is a word of letters; of the scalars, only `true` and `false` are, at the end of a line.
        let word = reader.rest().split('\n').next().unwrap_or_default();
        if word.starts_with(|c: char| c.is_ascii_lowercase()) && !matches!(word, "true" | "false") {
            let indent = self.indent + 2;
            return seed.deserialize(Block { reader, indent }).map(Some);
        }
        seed.deserialize(Inline { reader }).map(Some)
    }
}

/// A value on the line of its key.
struct Inline<'r, 't> {
    reader: &'r mut Reader<'t>,
}

impl<'de> serde::Deserializer<'de> for Inline<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let reader = self.reader;
        let start = reader.at;
        if reader.takes("\"") {
            let text = reader.quoted()?;
            reader.line_ends()?;
            return text.visit(visitor);
        }
        let line = reader.line();
        if !reader.text[..reader.at].ends_with('\n') {
            reader.at = start;
            return Err(Error::custom("expected a line break"));
        }
        let value = match line {
            "true" => visitor.visit_bool(true),
            "false" => visitor.visit_bool(false),
            "[]" => visitor.visit_seq(Empty),
            "{}" => visitor.visit_map(Empty),
            word => number(word, visitor),
        };
        if value.is_err() {
            reader.at = start;
        }
        value
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let reader = self.reader;
        if !reader.takes("\"") {
            return Err(Error::custom("expected text in quotes"));
        }
        let text = reader.quoted()?;
        reader.line_ends()?;
        let deserializer: StrDeserializer<Error> = text.as_str().into_deserializer();
        visitor.visit_enum(deserializer)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Decimal, without a sign, and without what could be octal, a time or a date.
fn number<'de, V: Visitor<'de>>(word: &str, visitor: V) -> Result<V::Value, Error> {
    let is_digits = |part: &str| !part.is_empty() && part.len() < 16 && part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = word.split_once('.').map_or((word, None), |(whole, part)| (whole, Some(part)));
    if !is_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) || !fraction.is_none_or(is_digits) {
        return Err(Error::custom("expected text in quotes, a number, `true`, `false`, `[]` or `{}`"));
    }
    match fraction {
        None => visitor.visit_u64(word.parse().map_err(Error::custom)?),
        Some(_) => visitor.visit_f64(word.parse().map_err(Error::custom)?),
    }
}

/// `[]` or `{}`.
struct Empty;

impl<'de> SeqAccess<'de> for Empty {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, _: T) -> Result<Option<T::Value>, Error> {
        Ok(None)
    }
}

impl<'de> MapAccess<'de> for Empty {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, _: K) -> Result<Option<K::Value>, Error> {
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is no value"))
    }
}

/// A key without a value.
struct Null;

impl<'de> serde::Deserializer<'de> for Null {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_none()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
