//! Slots: the variables of egress that hold tokens.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// How the names of slots begin. No other variable's does.
pub const PREFIX: &str = "EGRESS_TOKEN_";

/// The variable of the egress process that says which slots its tokens are for.
pub const BINDING: &str = "EGRESS_SLOTS";

/// The variable of the egress process that holds one token: `EGRESS_TOKEN_<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(pub usize);

impl Slot {
    /// Reads the name of a slot.
    pub fn parse(text: &str) -> Option<Slot> {
        let number = text.strip_prefix(PREFIX)?;
        let slot = Slot(number.parse().ok()?);
        // One spelling for each: neither `+1` nor `01`.
        (slot.to_string() == text).then_some(slot)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0)
    }
}

impl Serialize for Slot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Slot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Slot, D::Error> {
        let text = String::deserialize(deserializer)?;
        Slot::parse(&text).ok_or_else(|| de::Error::custom(format!("`{}` is not a slot", text.escape_debug())))
    }
}
