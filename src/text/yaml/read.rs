//! Events of saphyr-parser into the spanned tree, with a sentence for each thing that the subset
//! leaves out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks};

use super::node::{Entry, Key, Node, Value};
use super::scalar;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::{SourceId, Span};

/// The longest manifest that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// How many refused features and repeated keys are reported; a text with more is not meant for bottlec.
const MAX_REFUSALS: usize = 100;
/// How deep lists and mappings may nest.
pub const MAX_DEPTH: usize = 64;

/// Reads the YAML in `text`, which starts at byte `offset` of its source; without a document it is
/// null. Returns nothing when no tree can be made of it. What is wrong is in `findings` either way.
pub fn read<'s>(text: &'s str, source: SourceId, offset: usize, findings: &mut Findings) -> Option<Node<'s>> {
    let place = |start: usize, end: usize| Span {
        source,
        start: u32::try_from(offset + start).unwrap_or(u32::MAX),
        end: u32::try_from(offset + end).unwrap_or(u32::MAX),
    };
    if let Some((at, c)) = text.char_indices().find(|&(at, c)| is_refused(c) && !(at == 0 && c == '\u{feff}')) {
        findings.push(
            Diagnostic::new(
                Code::ControlCharacter,
                format!("the file contains the control character U+{:04X}", c as u32),
            )
            .at(place(at, at + c.len_utf8()), "this invisible character")
            .help(format!("remove it, or write \"\\u{:04X}\" inside double quotes", c as u32)),
        );
        return None;
    }
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let marks = CharacterMarks::new(body, text.len() - body.len());
    let mut builder = Builder {
        findings,
        text,
        marks: &marks,
        place: &place,
        open: Vec::new(),
        root: None,
        documents: 0,
        refusals: 0,
    };
    let mut parser = Parser::new_from_str(body);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, at)) => {
                if builder.event(event, at).is_break() || builder.refusals > MAX_REFUSALS {
                    return None;
                }
            }
            Err(error) => {
                let at = marks.byte(error.marker().index());
                let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
                let diagnostic = Diagnostic::new(Code::YamlSyntax, format!("invalid YAML: {}", error.info()))
                    .at(place(at, end), "parsing stopped here");
                findings.push(match remedy(error.info()) {
                    Some(remedy) => diagnostic.help(remedy),
                    None => diagnostic,
                });
                return None;
            }
        }
    }
    builder.root.or(Some(Node { span: place(0, 0), value: Value::Null }))
}

/// What usually mends a mistake that the parser reports in these words.
fn remedy(said: &str) -> Option<&'static str> {
    const REMEDIES: [(&str, &str); 7] = [
        ("tabs disallowed", "indent with spaces"),
        ("mapping values are not allowed", "put the value in double quotes: it contains `: `"),
        ("did not find expected key", "indent the line like its neighbours"),
        ("did not find expected '-'", "indent the line like its neighbours"),
        ("quoted scalar", "close the quotes on the same line"),
        ("node content", "close the bracket, or write what is missing before it"),
        ("did not find expected ','", "close the bracket, or put a comma between the items"),
    ];
    REMEDIES.iter().find(|(words, _)| said.contains(words)).map(|(_, remedy)| *remedy)
}

/// Where the scalars of a text are, in bytes: what is inside of one is no comment. As far as the text
/// can be read.
pub fn scalar_ranges(text: &str) -> Vec<std::ops::Range<usize>> {
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let marks = CharacterMarks::new(body, text.len() - body.len());
    let mut parser = Parser::new_from_str(body);
    let mut ranges = Vec::new();
    while let Some(Ok((event, at))) = parser.next_event() {
        if let Event::Scalar(_, style, ..) = event {
            let range = marks.byte(at.start.index())..marks.byte(at.end.index());
            ranges.push(range.start..scalar::end(text, &range, style));
        }
    }
    ranges
}

/// The keys at the top of a text that may be any YAML.
#[derive(Debug, PartialEq, Eq)]
pub enum TopKeys {
    /// Those of the first document; none if it is not a mapping.
    Names(Vec<String>),
    /// The first document cannot be parsed.
    NotYaml,
}

/// The keys of the first document.
pub fn top_keys(text: &str) -> TopKeys {
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut names = Vec::new();
    let mut depth = 0;
    // Between a key at the top and its value.
    let mut is_value = false;
    while let Some(event) = parser.next_event() {
        let Ok((event, _)) = event else { return TopKeys::NotYaml };
        match event {
            Event::Scalar(name, ..) if depth == 1 && !is_value => names.push(name.into_owned()),
            // The items of a list at the top are no keys.
            Event::SequenceStart(..) if depth == 0 => break,
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                depth += 1;
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => depth -= 1,
            Event::Scalar(..) | Event::Alias(_) => {}
            Event::DocumentEnd => break,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) => continue,
        }
        // A whole node has ended.
        if depth == 1 {
            is_value = !is_value;
        }
    }
    TopKeys::Names(names)
}

/// Characters that readers of YAML forbid, fold or hide: all of C0 but tab and line breaks, DEL,
/// C1, the Unicode line breaks, the byte order mark and non-characters.
fn is_refused(c: char) -> bool {
    match c {
        '\t' | '\n' | '\r' => false,
        '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => true,
        c => c.is_control(),
    }
}

/// The parser counts characters; spans count bytes.
enum CharacterMarks {
    Ascii { offset: usize, length: usize },
    Table(Vec<usize>),
}

impl CharacterMarks {
    fn new(text: &str, offset: usize) -> Self {
        if text.is_ascii() {
            return CharacterMarks::Ascii { offset, length: text.len() };
        }
        let ends = std::iter::once(text.len());
        CharacterMarks::Table(text.char_indices().map(|(at, _)| at).chain(ends).map(|at| at + offset).collect())
    }

    fn byte(&self, index: usize) -> usize {
        match self {
            CharacterMarks::Ascii { offset, length } => offset + index.min(*length),
            CharacterMarks::Table(table) => table.get(index).or(table.last()).copied().unwrap_or(0),
        }
    }
}

type Flow = std::ops::ControlFlow<()>;

/// The key that waits for its value.
enum PendingKey<'s> {
    /// The next event is a key.
    None,
    /// The key has been reported; its value is dropped.
    Refused,
    Some(Key<'s>),
}

/// A container whose end has not been seen.
enum Open<'s> {
    Sequence {
        start: Span,
        items: Vec<Node<'s>>,
    },
    Mapping {
        start: Span,
        entries: Vec<Entry<'s>>,
        key: PendingKey<'s>,
        seen: BTreeMap<Cow<'s, str>, Span>,
    },
    /// A mapping or list in the place of a key: reported, its inside thrown away.
    ComplexKey {
        depth: usize,
    },
}

struct Builder<'a, 's, P: Fn(usize, usize) -> Span> {
    findings: &'a mut Findings,
    text: &'s str,
    marks: &'a CharacterMarks,
    place: &'a P,
    open: Vec<Open<'s>>,
    root: Option<Node<'s>>,
    documents: usize,
    refusals: usize,
}

impl<'s, P: Fn(usize, usize) -> Span> Builder<'_, 's, P> {
    fn span(&self, marks: Marks) -> Span {
        (self.place)(self.marks.byte(marks.start.index()), self.marks.byte(marks.end.index()))
    }

    fn refuse(&mut self, code: Code, at: Span, message: &str, help: &str) {
        self.refusals += 1;
        self.findings.push(Diagnostic::new(code, message).at(at, "here").help(help));
    }

    fn event(&mut self, event: Event<'s>, marks: Marks) -> Flow {
        let span = self.span(marks);
        if let Some(Open::ComplexKey { depth }) = self.open.last_mut() {
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => *depth += 1,
                Event::SequenceEnd | Event::MappingEnd => *depth -= 1,
                _ => {}
            }
            if *depth == 0 {
                self.open.pop();
                self.set_key(PendingKey::Refused);
            }
            return Flow::Continue(());
        }
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    self.refuse(
                        Code::YamlFeature,
                        span,
                        "a manifest must be a single YAML document",
                        "keep one bottle per file: remove this `---` and what follows",
                    );
                    return Flow::Break(());
                }
            }
            Event::Alias(_) => {
                self.refuse(
                    Code::YamlFeature,
                    span,
                    "YAML aliases (`*name`) are not supported",
                    "write the value out; quote a string that starts with `*`",
                );
                self.scalar(Node { span, value: Value::Invalid }, None);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let range = self.marks.byte(marks.start.index())..self.marks.byte(marks.end.index());
                let span = (self.place)(range.start, scalar::end(self.text, &range, style));
                let refused = self.refuse_anchor_and_tag(span, anchor, tag.is_some());
                let value = match style {
                    _ if refused => Value::Invalid,
                    ScalarStyle::Plain => scalar::resolve(text.clone()),
                    _ => Value::String(text.clone()),
                };
                let plain = (style == ScalarStyle::Plain).then_some(text);
                self.scalar(Node { span, value }, plain);
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if self.refuse_anchor_and_tag(span, anchor, tag.is_some()) && self.awaits_key() =>
            {
                self.open.push(Open::ComplexKey { depth: 1 });
            }
            Event::SequenceStart(..) => return self.start(span, Open::Sequence { start: span, items: Vec::new() }),
            Event::MappingStart(..) => {
                return self.start(
                    span,
                    Open::Mapping { start: span, entries: Vec::new(), key: PendingKey::None, seen: BTreeMap::new() },
                );
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
        }
        Flow::Continue(())
    }

    fn refuse_anchor_and_tag(&mut self, span: Span, anchor: usize, tag: bool) -> bool {
        if anchor != 0 {
            self.refuse(
                Code::YamlFeature,
                span,
                "YAML anchors (`&name`) are not supported",
                "remove the anchor; share settings between bottles with `extends`. Quote a string that starts with `&`",
            );
        }
        if tag {
            self.refuse(
                Code::YamlFeature,
                span,
                "YAML tags (`!name`) are not supported",
                "remove the tag; quote a string that starts with `!`",
            );
        }
        anchor != 0 || tag
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Mapping { key: PendingKey::None, .. }))
    }

    fn start(&mut self, span: Span, container: Open<'s>) -> Flow {
        if self.awaits_key() {
            self.refuse(
                Code::YamlFeature,
                span,
                "a key must be a string, not a list or mapping",
                "use a string as the key; quote a string that starts with `{` or `[`",
            );
            self.open.push(Open::ComplexKey { depth: 1 });
        } else if self.open.len() == MAX_DEPTH {
            self.refuse(
                Code::Limit,
                span,
                &format!("nested deeper than {MAX_DEPTH} levels"),
                "no key of a manifest is deeper than six levels",
            );
            return Flow::Break(());
        } else {
            self.open.push(container);
        }
        Flow::Continue(())
    }

    fn end(&mut self, end: Span) {
        // The end mark of a block container is the next token's; its last child says where it ends.
        let close = |start: Span, last: Option<Span>, flow: bool| Span {
            end: if flow { end.end } else { last.map_or(start.end, |last| last.end) },
            ..start
        };
        let is_flow = |start: Span| start.end > start.start;
        let node = match self.open.pop() {
            Some(Open::Sequence { start, items }) => Node {
                span: close(start, items.last().map(|item| item.span), is_flow(start)),
                value: Value::Sequence(items),
            },
            Some(Open::Mapping { start, entries, .. }) => Node {
                span: close(start, entries.last().map(|entry| entry.value.span), is_flow(start)),
                value: Value::Mapping(entries),
            },
            Some(Open::ComplexKey { .. }) | None => return,
        };
        self.insert(node);
    }

    /// A scalar is a key or a value; `plain` is its text if it was not quoted.
    fn scalar(&mut self, node: Node<'s>, plain: Option<Cow<'s, str>>) {
        if let Some(text) = &plain
            && matches!(node.value, Value::String(_))
            && !(self.awaits_key() && text == "<<")
            && scalar::differs_in_yaml_1_1(text)
        {
            self.findings.push(
                Diagnostic::new(Code::AmbiguousScalar, format!("YAML 1.1 readers do not take `{text}` as a string"))
                    .at(node.span, "needs quotes")
                    .help(format!("write \"{text}\"")),
            );
        }
        if !self.awaits_key() {
            return self.insert(node);
        }
        let name = match (node.value, plain) {
            (Value::String(text), Some(_)) if text == "<<" => {
                self.refuse(
                    Code::YamlFeature,
                    node.span,
                    "YAML merge keys (`<<`) are not supported",
                    "write the keys out, or share settings between bottles with `extends`",
                );
                None
            }
            (Value::String(text), _) => Some(text),
            (Value::Invalid, _) => None,
            (other, text) => {
                let text = text.unwrap_or_default();
                self.refuse(
                    Code::WrongType,
                    node.span,
                    &format!("a key must be a string; this is {}", other.kind()),
                    &format!("write \"{text}\" if you mean the string"),
                );
                None
            }
        };
        self.set_key(name.map_or(PendingKey::Refused, |name| PendingKey::Some(Key { span: node.span, name })));
    }

    fn set_key(&mut self, new: PendingKey<'s>) {
        let Some(Open::Mapping { key, seen, .. }) = self.open.last_mut() else { return };
        *key = new;
        let PendingKey::Some(Key { span, name }) = key else { return };
        if let Some(first) = seen.insert(name.clone(), *span) {
            self.refusals += 1;
            self.findings.push(
                Diagnostic::new(Code::DuplicateKey, format!("duplicate key `{}`", name.escape_debug()))
                    .at(*span, "second")
                    .and(first, "first")
                    .help("keep one of the two"),
            );
            *key = PendingKey::Refused;
        }
    }

    fn insert(&mut self, node: Node<'s>) {
        match self.open.last_mut() {
            Some(Open::Sequence { items, .. }) => items.push(node),
            Some(Open::Mapping { entries, key, .. }) => {
                if let PendingKey::Some(key) = std::mem::replace(key, PendingKey::None) {
                    entries.push(Entry { key, value: node });
                }
            }
            Some(Open::ComplexKey { .. }) => {}
            None => self.root = Some(node),
        }
    }
}
