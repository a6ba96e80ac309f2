//! `Secret`: text that must not be shown, stored or sent. `SecretJson`: the same, parsed.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

/// Text of a credential. It can be looked at where it is needed and in no other way: there is no
/// `Debug`, `Display`, `Serialize` or `Clone`, and the memory is overwritten when it goes.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Secret(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever parses them. Nothing of them may go into a message.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// JSON out of a credential. Each text is overwritten when it goes, those of a document that turns
/// out to be none as well: `serde_json::Value` would leave them in memory.
pub enum SecretJson {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, if it is a whole one.
    Number(Option<i64>),
    /// A text.
    Text(SecretText),
    /// A list.
    List(Vec<SecretJson>),
    /// An object.
    Map(SecretMap),
}

/// A text of a [`SecretJson`].
pub struct SecretText(Zeroizing<String>);

/// An object of a [`SecretJson`]. Of a key that stands twice the last one counts.
pub struct SecretMap(Vec<(SecretText, SecretJson)>);

impl SecretText {
    /// The text. Nothing of it may go into a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl SecretMap {
    /// Reads an object; `None` if the bytes are something else.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        match serde_json::from_slice(bytes) {
            Ok(SecretJson::Map(map)) => Some(map),
            _ => None,
        }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&SecretJson> {
        self.0.iter().rev().find(|(name, _)| name.expose() == key).map(|(_, value)| value)
    }

    /// The value of a key, to be taken out.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut SecretJson> {
        self.0.iter_mut().rev().find(|(name, _)| name.expose() == key).map(|(_, value)| value)
    }

    /// Keys and values as they are written.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &SecretJson)> {
        self.0.iter().map(|(name, value)| (name.expose(), value))
    }
}

impl SecretJson {
    /// The text, if it is one. Nothing of it may go into a message.
    pub fn as_text(&self) -> Option<&str> {
        if let SecretJson::Text(text) = self { Some(text.expose()) } else { None }
    }

    /// The object, if it is one.
    pub fn as_map(&self) -> Option<&SecretMap> {
        if let SecretJson::Map(map) = self { Some(map) } else { None }
    }

    /// The object, if it is one.
    pub fn as_map_mut(&mut self) -> Option<&mut SecretMap> {
        if let SecretJson::Map(map) = self { Some(map) } else { None }
    }

    /// Takes the text out, if it is one. It is not copied.
    pub fn take_text(&mut self) -> Option<Secret> {
        let SecretJson::Text(SecretText(text)) = self else { return None };
        Some(Secret::new(std::mem::take(&mut **text).into_bytes()))
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(Reader)? {
            SecretJson::Text(text) => Ok(text),
            _ => Err(serde::de::Error::custom("not a string")),
        }
    }
}

impl<'de> Deserialize<'de> for SecretJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Makes a [`SecretJson`] of whatever comes.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = SecretJson;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<SecretJson, E> {
        Ok(SecretJson::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<SecretJson, E> {
        Ok(SecretJson::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<SecretJson, E> {
        Ok(SecretJson::Number(Some(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<SecretJson, E> {
        Ok(SecretJson::Number(i64::try_from(value).ok()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<SecretJson, E> {
        Ok(SecretJson::Number(None))
    }

    fn visit_str<E>(self, value: &str) -> Result<SecretJson, E> {
        Ok(SecretJson::Text(SecretText(Zeroizing::new(value.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<SecretJson, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(SecretJson::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<SecretJson, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(SecretJson::Map(SecretMap(map)))
    }
}
