//! The JSON Schema of a manifest: made from the types, committed, and compiled into the validator.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::Manifest;
use crate::provider;
use crate::text::diagnostic::{Code, Findings};
use crate::text::schema::{self, Vocabulary};
use crate::text::yaml::{Node, Step, Value};

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
};

/// Checks a tree against the schema, reports in our words what does not fit, and takes it out of use.
pub(super) fn validate(root: &mut Node, findings: &mut Findings) {
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
        "bottlec does not set up git remotes; let the agent push through a gate of your own",
    ),
    (
        "git-gate",
        Code::UnsupportedKey,
        "the key `git-gate` is not supported",
        "bottlec does not set up a git gate; let the agent push through one of your own",
    ),
    (
        "supervise",
        Code::UnsupportedKey,
        "the key `supervise` is not supported",
        "bottlec does not set up a supervisor; remove the key",
    ),
    (
        "skills",
        Code::UnsupportedKey,
        "the key `skills` is not supported",
        "skills belong to an agent, not to its bottle; put them in the image",
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
