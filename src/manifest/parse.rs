//! One text into a manifest, or into a user's own definition of an agent: front matter, YAML, schema, types. Says all
//! that is wrong in one go.

use serde::Deserialize;

use super::{Manifest, schema};
use crate::provider::Provider;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::source::{SourceId, Sources, Span};
use crate::text::yaml;

/// Reads one source. What cannot be used is reported and left out of the manifest; nothing comes
/// back when the text is not YAML at all. In a file that is shared with the reference system, the keys that only
/// that one has are ignored with a warning.
pub fn parse(sources: &Sources, id: SourceId, is_shared: bool, findings: &mut Findings) -> Option<Manifest> {
    let source = sources.get(id);
    is_small(sources, id, "a manifest describes one bottle; is this the right file?", findings)?;
    let Some(range) = source.yaml() else {
        findings.push(
            Diagnostic::new(Code::FrontMatter, "the Markdown file has no YAML front matter")
                .at(at_start(sources, id), "expected a line `---`")
                .help("put the manifest between two lines `---` at the top, or name the file `.yaml`"),
        );
        return None;
    };
    let text = source.text.as_str();
    let mut root = yaml::read(&text[range.clone()], id, range.start, findings)?;
    if root.value == yaml::Value::Null {
        findings.push(
            Diagnostic::new(Code::MissingKey, "the manifest is empty")
                .at(at_start(sources, id), "expected a key")
                .help("add `name: NAME`; `bottlec init -` prints a manifest to start from"),
        );
        return None;
    }
    if is_shared {
        schema::ignore_unsupported(&mut root, findings);
    }
    schema::validate(&mut root, findings);
    if !root.is_valid() {
        return None;
    }
    match Manifest::deserialize(&root) {
        Ok(manifest) => Some(manifest),
        Err(error) => {
            // Out of reach as long as schema and types agree; never silent if they do not.
            if !findings.has_errors() {
                findings.push(Diagnostic::new(Code::WrongForm, error.to_string()).at(root.span, ""));
            }
            None
        }
    }
}

/// Reads a source as a user's own definition of an agent. Nothing comes back when something is wrong with it.
pub fn parse_definition(sources: &Sources, id: SourceId, findings: &mut Findings) -> Option<Provider> {
    let source = sources.get(id);
    is_small(sources, id, "a definition is one agent; is this another file?", findings)?;
    let mut own = Findings::default();
    let root = yaml::read(&source.text, id, 0, &mut own);
    let provider = root.and_then(|root| Provider::own(source.reference.clone(), root, &mut own));
    findings.append(own);
    provider
}

/// Something, unless the file is too large.
fn is_small(sources: &Sources, id: SourceId, help: &str, findings: &mut Findings) -> Option<()> {
    if sources.get(id).text.len() <= yaml::MAX_BYTES {
        return Some(());
    }
    findings.push(
        Diagnostic::new(Code::Limit, format!("the file is larger than {} bytes", yaml::MAX_BYTES))
            .at(at_start(sources, id), "")
            .help(help),
    );
    None
}

fn at_start(sources: &Sources, id: SourceId) -> Span {
    let first = sources.get(id).text.chars().next().map_or(0, char::len_utf8);
    Span { source: id, start: 0, end: u32::try_from(first).unwrap_or(0) }
}
