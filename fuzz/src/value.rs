//! Any text in a place of a manifest that takes text: it comes out as it went in, or is refused at its place. The
//! first byte says which place.

use bottlec::text::diagnostic::Findings;
use bottlec::text::source::{Source, Sources};
use bottlec::text::yaml;

use super::manifest;

/// The places, `@` for the text.
const PLACES: [&str; 14] = [
    "env:\n  PLACE: @\n",
    "env:\n  @: x\n",
    "name: @\n",
    "extends: @\n",
    "agent_provider:\n  template: @\n",
    "agent_provider:\n  auth_token: @\n",
    "agent_provider:\n  dockerfile: @\n",
    "agent_provider:\n  image: @\n",
    "network:\n  subnet: @\n",
    "egress:\n  routes:\n    - host: @\n",
    "egress:\n  routes:\n    - host: a.example\n      path_allowlist: [@]\n",
    "egress:\n  routes:\n    - host: a.example\n      auth: { scheme: Basic, token_ref: T, username: @ }\n      pipelock: { tls_passthrough: true }\n",
    "egress:\n  routes:\n    - host: a.example\n      auth: { scheme: Bearer, token_ref: @ }\n      pipelock: { tls_passthrough: true }\n",
    "egress:\n  routes:\n    - host: a.example\n      pipelock: { ssrf_ip_allowlist: [@] }\n",
];

/// Puts the text into the place, in double quotes, and judges the manifest.
pub fn run(bytes: &[u8]) {
    let Some((&place, text)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let quoted = quoted(text);
    let mut sources = Sources::default();
    let id = sources.add(Source { path: String::new(), reference: String::new(), text: quoted.clone() });
    let read = yaml::read(&quoted, id, 0, &mut Findings::default()).expect("a text in quotes");
    assert_eq!(read.to_json(), text, "the reader of manifests reads another text");
    manifest::run(PLACES[usize::from(place) % PLACES.len()].replace('@', &quoted).as_bytes());
}

/// In YAML's double quotes, every character outside printable ASCII by its number.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c => quoted.push_str(&format!("\\U{:08X}", c as u32)),
        }
    }
    quoted + "\""
}
