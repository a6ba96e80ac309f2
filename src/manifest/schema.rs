//! The JSON Schema of a manifest: made from the types, committed, and compiled into the validator.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::Manifest;
use crate::provider;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::schema::{self, Typed, Vocabulary};
use crate::text::source::Span;
use crate::text::yaml::{Node, Step, Value};
use crate::value::host::Host;
use crate::value::name::BottleName;
use crate::value::network::{Subnet, parse_ssrf_exception};
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::TokenRef;

/// The schema as committed: `schema/bottle.schema.json`.
pub const TEXT: &str = include_str!("../../schema/bottle.schema.json");

/// The validator that is made from the committed schema when bottlec is built. It leaves `pattern`s to
/// the types that parse those values, which accept nothing that a pattern refuses (a test compares
/// them): compiling regular expressions took more time than the rest of a check.
#[jsonschema::validator(path = "schema/validator.schema.json", methods = { is_valid = false, validate = false, iter_errors = true })]
struct Validator;

/// Makes the schema from the types.
pub fn generate() -> String {
    let mut schema = schema::generate::<Manifest>();
    schema.insert("$id".into(), "urn:bottlec:schema:1".into());
    schema::text(&schema)
}

/// The schema that the validator is made from.
pub fn generate_for_validator() -> String {
    schema::text(&schema::for_validator(schema::generate::<Manifest>()))
}

static WORDS: Vocabulary = Vocabulary {
    schema: LazyLock::new(|| serde_json::from_str(TEXT).expect("the committed schema is JSON")),
    whole: "a bottle",
    former: FORMER_KEYS,
    typed: TYPED_KEYS,
};

/// Checks a tree against the schema, reports in our words what does not fit, and takes it out of use.
pub(super) fn validate(root: &mut Node, findings: &mut Findings) {
    if let Some((at, message, help)) = other_document(root) {
        findings.push(Diagnostic::new(Code::OtherDocument, message).at(at, "").help(help));
        root.invalidate();
        return;
    }
    let json: Json = root.to_json();
    schema::validate(root, Validator::iter_errors(&json), &WORDS, findings);
    // An unknown provider stays in the tree: without it the default one would be judged.
    let template = [Step::Key("agent_provider".to_owned()), Step::Key("template".to_owned())];
    if let Some(node) = root.at(&template)
        && let Value::String(text) = &node.value
        && !provider::is_path(text)
        && provider::find(Some(text)).is_none()
    {
        findings.push(provider::unknown(text, node.span));
    }
}

/// Takes out the keys at the top that only the reference system has, with a warning for each.
pub(super) fn ignore_unsupported(root: &mut Node, findings: &mut Findings) {
    let Value::Mapping(entries) = &mut root.value else { return };
    entries.retain(|entry| {
        let name = entry.key.name.as_ref();
        let row = FORMER_KEYS.iter().find(|(former, code, ..)| *former == name && *code == Code::UnsupportedKey);
        if row.is_some() {
            findings.push(
                Diagnostic::new(Code::IgnoredKey, format!("the key `{name}` is ignored: only bot-bottle has it"))
                    .at(entry.key.span, "no effect in bottlec")
                    .help(format!(
                        "nothing to do if bot-bottle needs it; `# bottlec: allow {} reason` silences this",
                        Code::IgnoredKey.as_str()
                    )),
            );
        }
        row.is_none()
    });
}

/// Where a document says that it is another one than a bottle, what it is, and what to do.
fn other_document(root: &Node) -> Option<(Span, &'static str, String)> {
    let Value::Mapping(entries) = &root.value else { return None };
    let (entry, message, help) =
        OTHER_DOCUMENTS.iter().find_map(|(key, message, help)| Some((root.entry(key)?, *message, help)))?;
    // Reads the schema, which a bottle need not wait for.
    if entries.iter().any(|entry| entry.key.name != "name" && is_key(&entry.key.name)) {
        return None;
    }
    let name = match &entry.value.value {
        Value::String(name) => BottleName::parse(name).ok(),
        _ => None,
    };
    let help = help.replace("NAME", name.as_ref().map_or("NAME", BottleName::as_str));
    Some((entry.key.span, message, help))
}

/// Other documents of the reference system: the key by which each is known, what it is, and what to do. `NAME` stands
/// for what the key holds, if that is the name of a bottle.
const OTHER_DOCUMENTS: &[(&str, &str, &str)] = &[
    (
        "bottle",
        "this is an agent of bot-bottle, not a bottle",
        "name the file of its bottle, `bottles/NAME.md`; choose bottlec's agent there, under `agent_provider`",
    ),
    ("bottles", "this is bot-bottle's list of bottles; each bottle needs a file of its own", LIST_HELP),
    ("agents", "this is bot-bottle's list of agents, not a bottle", LIST_HELP),
];

const LIST_HELP: &str = "write each entry of `bottles` to a file of its own, such as `NAME.bottle.yaml`";

/// Keys whose value may stand alone where their mapping or list should, the likeliest first, and whether a text is a
/// value of theirs.
const TYPED_KEYS: &[Typed] = &[
    ("template", |text| provider::is_path(text) || provider::find(Some(text)).is_some()),
    ("host", |text| Host::parse(text).is_ok()),
    // `Basic` needs a `username` too.
    ("scheme", |text| ["Bearer", "token"].contains(&text)),
    ("token_ref", |text| TokenRef::parse(text).is_ok()),
    ("subnet", |text| Subnet::parse(text).is_ok()),
    ("path_allowlist", |text| PathPrefix::parse(text).is_ok()),
    ("ssrf_ip_allowlist", |text| parse_ssrf_exception(text).is_ok()),
];

/// Whether a manifest has such a key at its top.
pub fn is_key(name: &str) -> bool {
    WORDS.keys(&[]).iter().any(|key| key == name)
}

/// Keys that users of the reference system know, and what became of them.
const FORMER_KEYS: &[(&str, Code, &str, &str)] = &[
    (
        "git",
        Code::UnsupportedKey,
        "the key `git` is not supported",
        "bottlec does not set up git remotes; let the agent push through a gate of your own. Remove the key; in `.bot-bottle/bottles/`, where bot-bottle reads the file too, it is ignored",
    ),
    (
        "git-gate",
        Code::UnsupportedKey,
        "the key `git-gate` is not supported",
        "bottlec does not set up a git gate; let the agent push through one of your own. Remove the key; in `.bot-bottle/bottles/`, where bot-bottle reads the file too, it is ignored",
    ),
    (
        "supervise",
        Code::UnsupportedKey,
        "the key `supervise` is not supported",
        "bottlec does not set up a supervisor. Remove the key; in `.bot-bottle/bottles/`, where bot-bottle reads the file too, it is ignored",
    ),
    (
        "skills",
        Code::UnsupportedKey,
        "the key `skills` is not supported",
        "skills belong to an agent, not to its bottle; put them in the image. Remove the key; in `.bot-bottle/bottles/`, where bot-bottle reads the file too, it is ignored",
    ),
    (
        "auth_role",
        Code::RemovedKey,
        "the key `auth_role` was removed",
        "the provider has its own credential: use `agent_provider.auth_token`",
    ),
    (
        "role",
        Code::RemovedKey,
        "unknown role",
        "remove this route: the provider adds it. To sign in, write `auth_token: NAME_OF_A_HOST_VARIABLE` or `forward_host_credentials: true` under `agent_provider`",
    ),
    (
        "git_user",
        Code::RemovedKey,
        "the key `git_user` was removed",
        "set the user's name and e-mail with `env`: GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL",
    ),
    (
        "cred_proxy",
        Code::RemovedKey,
        "the key `cred_proxy` was removed",
        "write each host as a route under `egress.routes`, with `auth`",
    ),
    (
        "tokens",
        Code::RemovedKey,
        "the key `tokens` was removed",
        "name each token where it is sent: `egress.routes[].auth.token_ref`",
    ),
];
