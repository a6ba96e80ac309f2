//! `Allowlist`: a set of admitted values, empty for any, with a partial order.

use serde::{Deserialize, Serialize};

/// What can stand in an [`Allowlist`]: a value that admits what is asked for, and may cover another value.
pub trait Admits {
    /// What is asked for.
    type Asked: ?Sized;
    /// The words for a list that admits everything.
    const ANY: &str;
    /// The words before the values of one that does not.
    const WITHIN: &str;

    /// Whether it admits what is asked for.
    fn admits(&self, asked: &Self::Asked) -> bool;
    /// Whether everything that `other` admits is admitted by this as well.
    fn covers(&self, other: &Self) -> bool;
    /// The value as a file has it.
    fn as_str(&self) -> &str;
}

/// Values of which each admits something. None of them stands for all that there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Allowlist<T>(Vec<T>);

impl<T> Default for Allowlist<T> {
    fn default() -> Self {
        Allowlist(Vec::new())
    }
}

impl<T> FromIterator<T> for Allowlist<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Allowlist(values.into_iter().collect())
    }
}

impl<T> Allowlist<T> {
    /// Whether it admits everything.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// The values; none if it admits everything.
    pub fn values(&self) -> &[T] {
        &self.0
    }
}

impl<T: Admits> Allowlist<T> {
    /// Whether it admits what is asked for.
    pub fn admits(&self, asked: &T::Asked) -> bool {
        self.is_any() || self.0.iter().any(|own| own.admits(asked))
    }

    /// Whether it admits all that the value does; without one, everything.
    pub fn covers(&self, value: Option<&T>) -> bool {
        self.is_any() || value.is_some_and(|value| self.0.iter().any(|own| own.covers(value)))
    }

    /// Whether it admits all that the other one does.
    pub fn admits_all_of(&self, other: &Self) -> bool {
        other.uncovered(self).is_empty()
    }

    /// Its values that the other one does not cover; nothing in the place of a value for everything.
    pub fn uncovered(&self, other: &Self) -> Vec<Option<&T>> {
        let all = if self.is_any() { vec![None] } else { self.0.iter().map(Some).collect() };
        all.into_iter().filter(|value| !other.covers(*value)).collect()
    }

    /// Adds a value, in the place of those that it covers.
    pub fn widen(&mut self, value: T) {
        self.0.retain(|own| !value.covers(own));
        self.0.push(value);
    }

    /// What it admits, in words.
    pub fn describe(&self) -> String {
        match self.0.as_slice() {
            [] => T::ANY.to_owned(),
            _ => format!("{} {}", T::WITHIN, self.quoted(", ")),
        }
    }

    /// The values in backticks.
    pub fn quoted(&self, separator: &str) -> String {
        self.0.iter().map(|value| format!("`{}`", value.as_str())).collect::<Vec<_>>().join(separator)
    }
}
