//! Takes an entry out of a manifest's text: a key with its value or an item of a list, with the lines that it fills and
//! the comment beside it. Everything else stays as it is, byte for byte.

use std::ops::Range;

use super::node::{Node, Value};
use super::read::read;
use crate::text::diagnostic::{Edit, Findings, apply};
use crate::text::source::{Source, Span};

/// An entry, taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// In the order of the text.
    pub edits: Vec<Edit>,
    /// Whether a comment goes with it.
    pub takes_comment: bool,
}

/// Takes out the entry whose value stands there, and what would be empty without it: an empty list or mapping means
/// something else than none. Returns `None` where the layout does not say what is the entry's own.
pub fn without(source: &Source, value: Span) -> Option<Removal> {
    remove(source, value, 0)
}

/// The same for the entry whose list or mapping holds that value.
pub fn without_holder(source: &Source, value: Span) -> Option<Removal> {
    remove(source, value, 1)
}

fn remove(source: &Source, value: Span, levels: usize) -> Option<Removal> {
    let text = source.text.as_str();
    let root = tree(source, value)?;
    let mut path = path_to(&root, value)?;
    path.truncate(path.len().checked_sub(levels)?);
    let (mut index, above) = path.split_last()?;
    let mut path = above;
    while at(&root, path).len() == 1 {
        (index, path) = path.split_last()?;
    }
    let container = at(&root, path);
    let is_flow = text[container.span.start as usize..].starts_with(['{', '[']);
    let layout = Layout { text, container, index: *index };
    let (first, second, takes_comment) = if is_flow { layout.cut_flow()? } else { layout.cut_block()? };
    let place = |at: usize| u32::try_from(at).ok();
    let edit = |range: Range<usize>| {
        Some(Edit {
            span: Span { source: value.source, start: place(range.start)?, end: place(range.end)? },
            text: String::new(),
        })
    };
    let edits: Vec<Edit> = [Some(first), second].into_iter().flatten().map(edit).collect::<Option<_>>()?;
    // Read back: the entry is gone, and nothing else.
    let mut meant = root.clone();
    match at_mut(&mut meant, path) {
        Value::Sequence(items) => drop(items.remove(*index)),
        Value::Mapping(entries) => drop(entries.remove(*index)),
        _ => return None,
    }
    let edited = Source {
        path: source.path.clone(),
        reference: source.reference.clone(),
        text: apply(&edits, value.source, text),
    };
    let read_back = tree(&edited, value)?;
    (read_back.to_json() == meant.to_json()).then_some(Removal { edits, takes_comment })
}

/// The text as a tree, if there is nothing to say against it as YAML.
fn tree(source: &Source, of: Span) -> Option<Node<'_>> {
    let range = source.yaml()?;
    let mut findings = Findings::default();
    read(&source.text[range.clone()], of.source, range.start, &mut findings).filter(|_| !findings.has_errors())
}

/// The way to the value that stands there, as positions in its lists and mappings.
fn path_to(node: &Node, value: Span) -> Option<Vec<usize>> {
    if node.span == value {
        return Some(Vec::new());
    }
    (0..node.len()).find_map(|index| {
        let mut path = path_to(node.child(index)?, value)?;
        path.insert(0, index);
        Some(path)
    })
}

fn at<'n, 's>(root: &'n Node<'s>, path: &[usize]) -> &'n Node<'s> {
    path.iter().fold(root, |node, index| node.child(*index).unwrap_or(node))
}

fn at_mut<'n, 's>(root: &'n mut Node<'s>, path: &[usize]) -> &'n mut Value<'s> {
    path.iter().fold(&mut root.value, |value, index| match value {
        Value::Sequence(items) => &mut items[*index].value,
        Value::Mapping(entries) => &mut entries[*index].value.value,
        other => other,
    })
}

/// One entry of a list or mapping of two at least, in the text.
struct Layout<'t> {
    text: &'t str,
    container: &'t Node<'t>,
    index: usize,
}

/// What goes, at one place or two, and whether a comment does.
type Removed = (Range<usize>, Option<Range<usize>>, bool);

impl Layout<'_> {
    /// From the key, or the value of an item, to the end of the value.
    fn entry(&self, index: usize) -> Option<Range<usize>> {
        let value = self.container.child(index)?.span;
        let start = match &self.container.value {
            Value::Mapping(entries) => entries.get(index)?.key.span.start,
            _ => value.start,
        } as usize;
        let end = start + self.text[start..value.end as usize].trim_end().len();
        (start < end).then_some(start..end)
    }

    fn cut_block(&self) -> Option<Removed> {
        let Range { mut start, end } = self.entry(self.index)?;
        if matches!(self.container.value, Value::Sequence(_)) {
            start = self.text[..start].trim_end_matches([' ', '\t']).strip_suffix('-')?.len();
        }
        let line = self.line_start(start);
        let (next, has_comment) = self.rest_of_line(end)?;
        let takes_comment = has_comment || self.text[start..end].contains('#');
        if is_blank(&self.text[line..start]) {
            return Some((line..next, None, takes_comment));
        }
        // The first key beside the dash of an item: the second one takes its place.
        let second = self.entry(self.index + 1)?.start;
        let is_beside_dash = is_blank(self.text[line..start].trim_end().strip_suffix('-')?);
        (is_beside_dash && is_blank(self.text.get(next..second)?)).then_some((start..second, None, takes_comment))
    }

    fn cut_flow(&self) -> Option<Removed> {
        let Range { start, end } = self.entry(self.index)?;
        let inside = self.text[start..end].contains('#');
        let line = self.line_start(start);
        let is_first_on_line = is_blank(&self.text[line..start]);
        if let Some(comma) = self.comma_after(end) {
            if !is_blank(&self.text[end..comma]) {
                return None;
            }
            return Some(match self.rest_of_line(comma + 1) {
                Some((next, has_comment)) if is_first_on_line => (line..next, None, has_comment || inside),
                _ => (start..self.skip_blanks(comma + 1), None, inside),
            });
        }
        // The last one: the comma before it goes.
        let comma = self.comma_after(self.entry(self.index.checked_sub(1)?)?.end)?;
        if is_blank(&self.text[comma + 1..start]) {
            return Some((comma..end, None, inside));
        }
        let (own, has_comment) = match self.rest_of_line(end) {
            Some((next, has_comment)) if is_first_on_line => (line..next, has_comment),
            _ => (start..end, false),
        };
        Some((comma..comma + 1, Some(own), has_comment || inside))
    }

    /// The comma that follows, if nothing but space, breaks and comments stand before it.
    fn comma_after(&self, mut at: usize) -> Option<usize> {
        loop {
            at += self.text[at..].len() - self.text[at..].trim_start().len();
            match self.text[at..].chars().next()? {
                ',' => return Some(at),
                '#' => at += self.text[at..].find(['\n', '\r'])?,
                _ => return None,
            }
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind(['\n', '\r']).map_or(0, |end| end + 1)
    }

    fn skip_blanks(&self, at: usize) -> usize {
        at + self.text[at..].len() - self.text[at..].trim_start_matches([' ', '\t']).len()
    }

    /// Where the next line starts and whether this one ends with a comment; `None` if there is anything else.
    fn rest_of_line(&self, at: usize) -> Option<(usize, bool)> {
        let rest = &self.text[at..];
        let (rest, line_break) = match rest.find(['\n', '\r']) {
            Some(length) if rest[length..].starts_with("\r\n") => (&rest[..length], 2),
            Some(length) => (&rest[..length], 1),
            None => (rest, 0),
        };
        let is_comment = rest.starts_with([' ', '\t']) && rest.trim_start().starts_with('#');
        (is_comment || is_blank(rest)).then_some((at + rest.len() + line_break, is_comment))
    }
}

fn is_blank(text: &str) -> bool {
    text.chars().all(|c| c == ' ' || c == '\t')
}
