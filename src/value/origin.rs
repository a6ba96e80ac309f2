//! Who decides what stands in a file: the manifest, a rule of the provider or a rule of bottlec.

use std::collections::BTreeMap;
use std::fmt::Display;
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
    pub fn unnarrowed(&self) -> Origin {
        let mut origin = self.clone();
        if let Origin::Provider { narrowed_at, .. } = &mut origin {
            *narrowed_at = None;
        }
        origin
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

    /// The top of the file.
    pub fn top(&mut self) -> At<'_> {
        At { origins: self, pointer: String::new() }
    }
}

/// Every pointer with its origin, but for those that go with the nearest one above them anyway.
impl IntoIterator for Origins {
    type Item = (String, Origin);
    type IntoIter = std::vec::IntoIter<(String, Origin)>;

    fn into_iter(self) -> Self::IntoIter {
        let says_more = |(pointer, origin): &(&String, &Origin)| {
            pointer.rsplit_once('/').and_then(|(above, _)| nearest(&self.0, above)) != Some(*origin)
        };
        let said = self.0.iter().filter(says_more).map(|(pointer, origin)| (pointer.clone(), origin.clone()));
        said.collect::<Vec<_>>().into_iter()
    }
}

/// A value, and who decides it if that is not whoever decides what is around it.
#[derive(Clone, Debug)]
pub struct By<T> {
    /// The value.
    pub value: T,
    /// Who decides it.
    pub origin: Option<Origin>,
}

impl<T> By<T> {
    /// A value that somebody decides.
    pub fn new(value: T, origin: Origin) -> Self {
        By { value, origin: Some(origin) }
    }

    /// A value that goes with what is around it.
    pub fn unsaid(value: T) -> Self {
        By { value, origin: None }
    }

    /// The same of what is made of the value.
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> By<U> {
        By { value: make(self.value), origin: self.origin }
    }
}

/// A place in a file that is being made. What is put there is said together with who decides it.
pub struct At<'o> {
    origins: &'o mut Origins,
    pointer: String,
}

impl At<'_> {
    /// A place below this one.
    pub fn below(&mut self, steps: impl Display) -> At<'_> {
        At { pointer: format!("{}/{steps}", self.pointer), origins: self.origins }
    }

    /// Says who decides all that is here.
    pub fn decided_by(&mut self, origin: Origin) {
        self.origins.0.insert(self.pointer.clone(), origin);
    }

    /// A value.
    pub fn put<T>(&mut self, steps: impl Display, By { value, origin }: By<T>) -> T {
        if let Some(origin) = origin {
            self.below(steps).decided_by(origin);
        }
        value
    }

    /// A value that may be left out.
    pub fn put_some<T>(&mut self, steps: impl Display, value: Option<T>, origin: Origin) -> Option<T> {
        value.map(|value| self.put(steps, By::new(value, origin)))
    }

    /// The entries of a mapping, or the items of a list by their index.
    pub fn put_each<K: Display, T>(
        &mut self,
        entries: impl IntoIterator<Item = (K, By<T>)>,
    ) -> impl Iterator<Item = (K, T)> {
        entries.into_iter().map(|(key, by)| {
            let value = self.put(&key, by);
            (key, value)
        })
    }
}

/// What is known of a JSON pointer: its own entry, or that of the nearest pointer above it.
pub fn nearest<'e, 'p, T>(entries: &'e BTreeMap<String, T>, pointer: &'p str) -> Option<&'e T> {
    let above = |pointer: &&'p str| Some(pointer.rsplit_once('/')?.0);
    std::iter::successors(Some(pointer), above).find_map(|pointer| entries.get(pointer))
}
