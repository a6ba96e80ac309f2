//! Who decides what stands in a file: the manifest, a rule of the provider or a rule of bottlec.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::text::source::Span;

/// Who asked for a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The manifest, there.
    Manifest(Span),
    /// A rule of the provider, narrowed by the manifest if a place is given.
    Provider {
        /// The provider's name.
        provider: Arc<str>,
        /// The rule's name.
        rule: Arc<str>,
        /// Where the user's own definition of the agent has the rule, if it is not one of bottlec's.
        defined_at: Option<Span>,
        /// The manifest's route for the same host.
        narrowed_at: Option<Span>,
        /// What in the manifest makes the provider ask for it.
        asked_at: Option<Span>,
    },
    /// A rule of bottlec: a short name, stable.
    BuiltIn(&'static str),
}

impl Origin {
    /// The place in the manifest, or the built-in rule for what it leaves open.
    pub fn written_or(place: Option<Span>, rule: &'static str) -> Origin {
        place.map_or(Origin::BuiltIn(rule), Origin::Manifest)
    }

    /// The same for a part of a route that the manifest's narrowing has no say in.
    #[must_use]
    pub fn unnarrowed(mut self) -> Origin {
        if let Origin::Provider { narrowed_at, .. } = &mut self {
            *narrowed_at = None;
        }
        self
    }
}

/// Who decides the entries of one file, by JSON pointer (RFC 6901). What has no pointer of its own goes
/// with the nearest one above it. Names in pointers are made of letters, digits, `_` and `-`, so that
/// nothing has to be escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// A file that this built-in rule decides where nobody else does.
    pub fn of(rule: &'static str) -> Self {
        Origins(BTreeMap::from([(String::new(), Origin::BuiltIn(rule))]))
    }

    /// Says who decides what stands at the pointer and below, unless that follows from what was said
    /// of what is above it.
    pub fn set(&mut self, pointer: impl Into<String>, origin: Origin) {
        let pointer = pointer.into();
        if nearest(&self.0, &pointer) != Some(&origin) {
            self.0.insert(pointer, origin);
        }
    }
}

/// Every pointer with its origin.
impl IntoIterator for Origins {
    type Item = (String, Origin);
    type IntoIter = std::collections::btree_map::IntoIter<String, Origin>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// What is known of a JSON pointer: its own entry, or that of the nearest pointer above it.
pub fn nearest<'e, 'p, T>(entries: &'e BTreeMap<String, T>, pointer: &'p str) -> Option<&'e T> {
    let above = |pointer: &&'p str| Some(pointer.rsplit_once('/')?.0);
    std::iter::successors(Some(pointer), above).find_map(|pointer| entries.get(pointer))
}
