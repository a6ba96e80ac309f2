//! Slots: the variables of egress that hold tokens, and what binds them to their tokens and hosts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::value::digest;
use crate::value::variable::TokenRef;

/// How the names of slots begin. No other variable's does.
pub const PREFIX: &str = "EGRESS_TOKEN_";

/// The variable of the egress process that says which tokens it was given: the [`Binding`].
pub const BINDING: &str = "EGRESS_SLOTS";

/// How the names of all variables of egress begin.
pub const FAMILY: &str = "EGRESS_";

/// The variable of the egress process that holds one token: `EGRESS_TOKEN_<n>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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

impl From<Slot> for String {
    fn from(slot: Slot) -> String {
        slot.to_string()
    }
}

impl TryFrom<String> for Slot {
    type Error = String;

    fn try_from(text: String) -> Result<Slot, String> {
        Slot::parse(&text).ok_or_else(|| format!("`{}` is not a slot, such as `{PREFIX}0`", text.escape_debug()))
    }
}

/// Which token each slot holds and which hosts it is for, as a fingerprint. The routes have it, and `bottlec exec`
/// gives it to egress together with the tokens; egress signs only while the two are the same, so that no token
/// goes where another build's routes would send it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Binding(String);

impl Binding {
    /// The fingerprint of slots with the names of their tokens and their hosts; the order of neither matters.
    /// `None` if there is no slot.
    pub fn of<'s>(slots: impl IntoIterator<Item = (Slot, &'s TokenRef, Vec<&'s str>)>) -> Option<Binding> {
        let mut lines: Vec<(Slot, String)> = slots
            .into_iter()
            .map(|(slot, token_ref, mut hosts)| {
                hosts.sort_unstable();
                (slot, format!("{slot}={token_ref}@{}\n", hosts.join(",")))
            })
            .collect();
        lines.sort();
        let text: String = lines.into_iter().map(|(_, line)| line).collect();
        if text.is_empty() { None } else { Some(Binding(digest::hash(text.as_bytes()))) }
    }

    /// 64 hexadecimal digits in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Binding {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Binding, &'static str> {
        let is_digest = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_digest { Ok(Binding(text)) } else { Err("`slots` is not a SHA-256") }
    }
}
