//! The dummy `auth.json`: the host's file with everything replaced that is not on a short list.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::host_file::{self, HostFile};
use super::{host_secrets, jwt};
use crate::provider::PLACEHOLDER;
use crate::provider::facts::{HostCredentials, HostFacts};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError};
use crate::text::source::Span;
use crate::value::host_secrets::HostSecrets;
use crate::value::secret::{SecretJson, SecretMap};

/// The claim with the account, in both tokens.
pub(super) const AUTH_CLAIM: &str = "https://api.openai.com/auth";

/// Kept of [`AUTH_CLAIM`]: identifiers and the plan, no secrets. Current Codex refuses to start with
/// an account that the service does not know, and a wrong plan would switch an employer's policy off.
pub(super) const KEPT_TEXTS: [&str; 4] = ["chatgpt_account_id", "chatgpt_user_id", "user_id", "chatgpt_plan_type"];

/// Kept as well: it changes which hosts Codex may be routed to.
const KEPT_FLAG: &str = "chatgpt_account_is_fedramp";

/// Other credentials that the file may hold. Codex reads `null` as absent; a placeholder would be
/// taken for a credential or make the file unreadable.
pub(super) const CREDENTIALS: [&str; 5] =
    ["OPENAI_API_KEY", "agent_identity", "personal_access_token", "bedrock_api_key", "bedrock_access_keys"];

/// In the place of a `last_refresh` that Codex could not read. Without the key Codex sends no
/// credential at all; its value matters only if `exp` cannot be read.
const SOME_TIME: &str = "2026-01-01T00:00:00Z";

/// Makes the dummy, or says why the host's file does not allow one; and what of the file must be in no
/// other file either.
pub(super) fn build(
    host: &HostFacts,
    asked: Span,
    findings: &mut Findings,
) -> Result<Option<(String, HostSecrets)>, RenderError> {
    let Some(file) = host_file::read(host, asked, findings) else { return Ok(None) };
    let text = text(&file)?;
    if let Err(problem) = accepted(&text, file.expiry) {
        findings.push(
            Diagnostic::new(Code::HostCredentials, format!("Codex would not accept the dummy auth file: {problem}"))
                .at(asked, "asked for here")
                .help("run `codex login --device-auth` on the host and build again"),
        );
        return Ok(None);
    }
    let host_secrets = match host.credentials {
        HostCredentials::File { .. } => host_secrets::of(&file),
        HostCredentials::Prepared { .. } | HostCredentials::Synthetic | HostCredentials::NotRead => {
            HostSecrets::default()
        }
    };
    Ok(Some((text, host_secrets)))
}

/// The dummy of a host's file.
pub(super) fn text(file: &HostFile) -> Result<String, RenderError> {
    render::json(super::DUMMY, &redact(file))
}

fn redact(file: &HostFile) -> Value {
    let mut dummy: Map<String, Value> = Map::new();
    for (key, value) in file.root.iter() {
        let kept = match (key, value) {
            ("auth_mode", _) => json!("chatgpt"),
            ("last_refresh", _) => json!(readable_time(value).unwrap_or_else(|| SOME_TIME.to_owned())),
            ("tokens", SecretJson::Map(tokens)) => redact_tokens(file, tokens),
            (key, _) if CREDENTIALS.contains(&key) => Value::Null,
            _ => placeholder(value),
        };
        dummy.insert(key.to_owned(), kept);
    }
    dummy.entry("OPENAI_API_KEY").or_insert(Value::Null);
    dummy.entry("last_refresh").or_insert_with(|| json!(SOME_TIME));
    Value::Object(dummy)
}

fn redact_tokens(file: &HostFile, tokens: &SecretMap) -> Value {
    let mut dummy = Map::new();
    for (key, value) in tokens.iter() {
        let kept = match (key, value) {
            ("access_token" | "id_token", SecretJson::Text(token)) => {
                json!(jwt::unsigned(&claims(jwt::claims(token.expose()).as_ref(), file.expiry)))
            }
            ("account_id", SecretJson::Text(account)) => json!(account.expose()),
            ("account_id", _) => Value::Null,
            _ => placeholder(value),
        };
        dummy.insert(key.to_owned(), kept);
    }
    dummy.insert("refresh_token".into(), json!(PLACEHOLDER));
    Value::Object(dummy)
}

/// Both tokens end when the host's access token does: a dummy that ends earlier makes Codex refresh,
/// which must fail, and one that ends later hides that the real one has ended.
fn claims(host: Option<&SecretMap>, expiry: i64) -> Map<String, Value> {
    let mut dummy = Map::new();
    for (name, value) in host.into_iter().flat_map(SecretMap::iter) {
        let kept = match (name, value) {
            (AUTH_CLAIM, SecretJson::Map(claim)) => Value::Object(claim.iter().map(auth_claim).collect()),
            _ => placeholder(value),
        };
        dummy.insert(name.to_owned(), kept);
    }
    dummy.insert("exp".into(), json!(expiry));
    dummy
}

fn auth_claim((name, value): (&str, &SecretJson)) -> (String, Value) {
    let kept = match value {
        SecretJson::Text(text) if KEPT_TEXTS.contains(&name) => json!(text.expose()),
        SecretJson::Bool(flag) if name == KEPT_FLAG => json!(flag),
        _ => placeholder(value),
    };
    (name.to_owned(), kept)
}

/// A value of the same type that says nothing.
fn placeholder(value: &SecretJson) -> Value {
    match value {
        SecretJson::Null => Value::Null,
        SecretJson::Bool(_) => Value::Bool(false),
        SecretJson::Number(_) => json!(0),
        SecretJson::Text(_) => json!(PLACEHOLDER),
        SecretJson::List(_) => json!([]),
        SecretJson::Map(_) => json!({}),
    }
}

/// `last_refresh`, if Codex can read it.
pub(super) fn readable_time(value: &SecretJson) -> Option<String> {
    value.as_text()?.parse::<Timestamp>().ok().map(|time| time.to_string())
}

/// The file as Codex 0.169 was seen to read it (2026-11), so that what is written is a
/// login: a file that Codex cannot read makes it act as logged out without a word.
#[derive(Deserialize)]
struct AuthFile {
    auth_mode: AuthMode,
    #[serde(rename = "OPENAI_API_KEY")]
    api_key: Option<String>,
    tokens: Tokens,
    last_refresh: String,
}

#[derive(Deserialize, PartialEq)]
enum AuthMode {
    #[serde(rename = "chatgpt")]
    ChatGpt,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    access_token: String,
    refresh_token: String,
    #[serde(default)]
    #[expect(dead_code, reason = "read for its type alone")]
    account_id: Option<String>,
}

/// The claims that Codex reads of `id_token`, with the types that it insists on.
#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct IdClaims {
    email: Option<String>,
    #[serde(rename = "https://api.openai.com/profile")]
    profile: Option<Profile>,
    #[serde(rename = "https://api.openai.com/auth")]
    auth: Option<AuthClaim>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for its type alone")]
struct Profile {
    email: Option<String>,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "read for their types alone")]
struct AuthClaim {
    chatgpt_plan_type: Option<String>,
    chatgpt_user_id: Option<String>,
    user_id: Option<String>,
    chatgpt_account_id: Option<String>,
    chatgpt_account_is_fedramp: Option<bool>,
}

fn accepted(text: &str, expiry: i64) -> Result<(), String> {
    let file: AuthFile = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if file.auth_mode != AuthMode::ChatGpt || file.api_key.is_some() || file.tokens.refresh_token != PLACEHOLDER {
        return Err("not a ChatGPT login without secrets".into());
    }
    file.last_refresh.parse::<Timestamp>().map_err(|_| "`last_refresh` is not a time")?;
    for token in [&file.tokens.id_token, &file.tokens.access_token] {
        let claims = jwt::claims(token).ok_or("a token is not a JWT")?;
        if jwt::expiry(&claims) != Some(expiry) {
            return Err("a token does not expire when the host's does".into());
        }
    }
    let claims = jwt::payload(&file.tokens.id_token).ok_or("a token is not a JWT")?;
    serde_json::from_slice::<IdClaims>(&claims).map_err(|error| error.to_string())?;
    Ok(())
}
