//! Who decided what stands in the tree, as `bottle.json` says it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::text::source::Sources;
use crate::value::origin::{Origin, Origins};

/// Who decided a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The manifest or a parent: `file:line:column`, the file from the manifest's folder.
    Manifest(String),
    /// A rule of the provider.
    Provider {
        /// The provider's name.
        provider: Cow<'static, str>,
        /// The rule's name.
        rule: Cow<'static, str>,
        /// The manifest's route that narrows the provider's.
        #[serde(skip_serializing_if = "Option::is_none")]
        narrowed_at: Option<String>,
        /// What in the manifest makes the provider ask for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        asked_at: Option<String>,
    },
    /// A rule of bottlec itself.
    BuiltIn(Cow<'static, str>),
}

impl<'de> Deserialize<'de> for Provenance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Written)
    }
}

/// Takes a provenance as a file may have it.
struct Written;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Named {
    Manifest(String),
    Provider { provider: String, rule: String, narrowed_at: Option<String>, asked_at: Option<String> },
    BuiltIn(String),
}

impl<'de> Visitor<'de> for Written {
    type Value = Provenance;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("who decided a value")
    }

    /// Before built-in rules had names: bottlec's own variables of the agent.
    fn visit_str<E: Error>(self, word: &str) -> Result<Provenance, E> {
        match word {
            "built_in" => Ok(Provenance::BuiltIn(crate::link::environment::TRUST.into())),
            _ => Err(E::custom("unknown provenance")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Provenance, A::Error> {
        Ok(match Named::deserialize(MapAccessDeserializer::new(map))? {
            Named::Manifest(place) => Provenance::Manifest(place),
            Named::Provider { provider, rule, narrowed_at, asked_at } => {
                Provenance::Provider { provider: provider.into(), rule: rule.into(), narrowed_at, asked_at }
            }
            Named::BuiltIn(rule) => Provenance::BuiltIn(rule.into()),
        })
    }
}

impl Provenance {
    /// The same with places as artifacts have them.
    pub fn of(origin: &Origin, sources: &Sources) -> Self {
        let place = |span| sources.reference(span);
        match *origin {
            Origin::Manifest(span) => Provenance::Manifest(place(span)),
            Origin::Provider { provider, rule, narrowed_at, asked_at } => Provenance::Provider {
                provider: provider.into(),
                rule: rule.into(),
                narrowed_at: narrowed_at.map(place),
                asked_at: asked_at.map(place),
            },
            Origin::BuiltIn(rule) => Provenance::BuiltIn(rule.into()),
        }
    }

    /// The place of the manifest that decides it, or that makes the provider decide it:
    /// `file:line:column`. Nothing where the manifest has no say.
    pub fn place(&self) -> Option<&str> {
        match self {
            Provenance::Manifest(place) => Some(place),
            Provenance::Provider { narrowed_at, asked_at, .. } => narrowed_at.as_deref().or(asked_at.as_deref()),
            Provenance::BuiltIn(_) => None,
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Provenance::Manifest(place) => f.write_str(place),
            Provenance::Provider { provider, rule, .. } => write!(f, "provider {provider}, rule {rule}"),
            Provenance::BuiltIn(rule) => write!(f, "bottlec, rule {rule}"),
        }
    }
}

/// The entries of one file: JSON pointers with who decided what stands there and below.
pub(super) type Entries = BTreeMap<String, Provenance>;

pub(super) fn entries(origins: Origins, sources: &Sources) -> Entries {
    origins.into_iter().map(|(pointer, origin)| (pointer, Provenance::of(&origin, sources))).collect()
}
