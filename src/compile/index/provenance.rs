//! Who decided a value, with its place in the manifest.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use crate::text::source::Sources;
use crate::value::origin::Origin;

/// Who decided a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// The manifest or a parent: `file:line:column`, the file from the manifest's folder.
    Manifest(String),
    /// A rule of the provider.
    Provider {
        /// The provider's name.
        provider: String,
        /// The rule's name.
        rule: String,
        /// The rule in the user's own definition of the agent.
        #[serde(skip_serializing_if = "Option::is_none")]
        defined_at: Option<String>,
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

impl Provenance {
    /// The same with places as artifacts have them.
    pub fn of(origin: &Origin, sources: &Sources) -> Self {
        let place = |span| sources.reference(span);
        match origin {
            Origin::Manifest(span) => Provenance::Manifest(place(*span)),
            Origin::Provider { provider, rule, defined_at, narrowed_at, asked_at } => Provenance::Provider {
                provider: provider.to_string(),
                rule: rule.to_string(),
                defined_at: defined_at.map(place),
                narrowed_at: narrowed_at.map(place),
                asked_at: asked_at.map(place),
            },
            Origin::BuiltIn(rule) => Provenance::BuiltIn(Cow::Borrowed(rule)),
        }
    }

    /// The place of the manifest that decides it, or that makes the provider decide it:
    /// `file:line:column`. `None` where the manifest has no say.
    pub fn place(&self) -> Option<&str> {
        match self {
            Provenance::Manifest(place) => Some(place),
            Provenance::Provider { defined_at, narrowed_at, asked_at, .. } => {
                narrowed_at.as_deref().or(defined_at.as_deref()).or(asked_at.as_deref())
            }
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
