//! Places of a manifest by what stands there: a JSON pointer (RFC 6901) that stays the same when lines move.

use crate::text::diagnostic::Findings;
use crate::text::source::{Sources, Span};
use crate::text::yaml::{self, Node, Value};

/// The texts of a manifest and its parents, read again for their places alone.
pub struct Places<'s>(Vec<Option<Node<'s>>>);

impl<'s> Places<'s> {
    /// Of a manifest without errors.
    pub fn of(sources: &'s Sources) -> Self {
        let read = |id| {
            let source = sources.get(id);
            let range = source.yaml()?;
            yaml::read(&source.text[range.clone()], id, range.start, &mut Findings::default())
        };
        Places(sources.ids().map(read).collect())
    }

    /// The pointer of the innermost key or value around a span, in its own text. A child's keys lie over its
    /// parent's under the same pointers, so it is that of the merged manifest too.
    pub fn pointer(&self, span: Span) -> String {
        let mut pointer = String::new();
        let mut node = self.0.get(usize::from(span.source.0)).and_then(Option::as_ref);
        while let Some(around) = node {
            node = None;
            match &around.value {
                Value::Mapping(entries) => {
                    // The next key ends a value, whatever of it has a place.
                    let next = entries.partition_point(|entry| entry.key.span.start <= span.start);
                    if let Some(entry) = next.checked_sub(1).and_then(|index| entries.get(index)) {
                        pointer.push('/');
                        pointer.push_str(&entry.key.name.replace('~', "~0").replace('/', "~1"));
                        node = (span.start >= entry.value.span.start).then_some(&entry.value);
                    }
                }
                Value::Sequence(items) => {
                    let next = items.partition_point(|item| item.span.start <= span.start);
                    if let Some(index) = next.checked_sub(1) {
                        pointer.push_str(&format!("/{index}"));
                        node = items.get(index);
                    }
                }
                _ => {}
            }
        }
        pointer
    }
}
