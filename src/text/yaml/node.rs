//! The spanned tree: what a YAML text says and where it says so.

use std::borrow::Cow;

use crate::text::source::Span;

/// One value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node<'s> {
    /// The bytes of the value; of a container, from its first to the end of its last child.
    pub span: Span,
    /// What is there.
    pub value: Value<'s>,
}

/// A YAML value of the core schema.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'s> {
    /// Already reported; whoever reads the tree leaves it out.
    Invalid,
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    String(Cow<'s, str>),
    /// A list.
    Sequence(Vec<Node<'s>>),
    /// Keys and values in the order of the text.
    Mapping(Vec<Entry<'s>>),
}

/// One key of a mapping with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'s> {
    /// The key.
    pub key: Key<'s>,
    /// What it holds.
    pub value: Node<'s>,
}

/// A key and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Key<'s> {
    /// The bytes of the key.
    pub span: Span,
    /// Its text.
    pub name: Cow<'s, str>,
}

impl Value<'_> {
    /// What the value is, in words for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Invalid => "something that cannot be read",
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float(_) => "a number",
            Value::String(_) => "a string",
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a mapping",
        }
    }
}

impl<'s> Node<'s> {
    /// Whether the value can be used.
    pub fn is_valid(&self) -> bool {
        self.value != Value::Invalid
    }

    /// Takes the value out of use; whoever calls has reported why.
    pub fn invalidate(&mut self) {
        self.value = Value::Invalid;
    }

    /// The node that a path leads to, to be changed.
    pub fn at_mut(&mut self, steps: &[Step]) -> Option<&mut Node<'s>> {
        steps.iter().try_fold(self, |node, step| match (&mut node.value, step) {
            (Value::Mapping(entries), Step::Key(name)) => {
                entries.iter_mut().find(|entry| entry.key.name == *name).map(|entry| &mut entry.value)
            }
            (Value::Sequence(items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        })
    }

    /// The node that a JSON pointer's steps lead to.
    pub fn at<'n>(&'n self, steps: &[Step]) -> Option<&'n Node<'s>> {
        steps.iter().try_fold(self, |node, step| match (&node.value, step) {
            (Value::Mapping(entries), Step::Key(name)) => {
                entries.iter().find(|entry| entry.key.name == *name).map(|entry| &entry.value)
            }
            (Value::Sequence(items), Step::Index(index)) => items.get(*index),
            _ => None,
        })
    }

    /// How many items or entries it has.
    pub(super) fn len(&self) -> usize {
        match &self.value {
            Value::Sequence(items) => items.len(),
            Value::Mapping(entries) => entries.len(),
            _ => 0,
        }
    }

    /// An item, or the value of an entry, by its position.
    pub(super) fn child(&self, index: usize) -> Option<&Node<'s>> {
        match &self.value {
            Value::Sequence(items) => items.get(index),
            Value::Mapping(entries) => entries.get(index).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The entry of that name, if this is a mapping that has it.
    pub fn entry(&self, name: &str) -> Option<&Entry<'s>> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| entry.key.name == name),
            _ => None,
        }
    }

    /// The same tree as JSON, for the schema's validator; an invalid value is `null` there.
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match &self.value {
            Value::Invalid | Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Integer(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::String(value) => Json::from(value.as_ref()),
            Value::Sequence(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Mapping(entries) => {
                Json::Object(entries.iter().map(|entry| (entry.key.name.to_string(), entry.value.to_json())).collect())
            }
        }
    }
}

/// One step of a path into the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}
