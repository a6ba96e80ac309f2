//! The host's `auth.json`: what must be true of it before a dummy is made from it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::jwt;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::facts::{FileProblem, HostCredentials, HostFacts};
use crate::source::Span;

/// Newer releases refresh when fewer than five minutes are left; a bottle needs some time on top.
const SOON: i64 = 10 * 60;

/// When the made-up account's token ends: 2100-01-01.
const SYNTHETIC_EXPIRY: i64 = 4_102_444_800;

/// The host's file, checked.
pub(super) struct HostFile {
    /// The whole file.
    pub(super) root: Map<String, Value>,
    /// The claims of the access token.
    pub(super) access_claims: Map<String, Value>,
    /// When the access token ends, in seconds since 1970.
    pub(super) expiry: i64,
}

/// Reads and checks the host's credentials. What is wrong is a finding at the line that asks for
/// them; nothing of the file's content is in it.
pub(super) fn read(host: &HostFacts, asked: Span, findings: &mut Findings) -> Option<HostFile> {
    let (path, parsed) = match &host.credentials {
        HostCredentials::Synthetic => (String::new(), Ok(synthetic())),
        HostCredentials::NotRead => ("auth.json".to_owned(), Err(Refused::Missing)),
        HostCredentials::File { path, content: Err(problem) } => (path.clone(), Err(Refused::from(*problem))),
        HostCredentials::File { path, content: Ok(secret) } => (path.clone(), parse(secret.expose())),
    };
    match parsed.and_then(|root| check(root, host.now)) {
        Ok(file) => {
            warn(&file, &path, host.now, asked, findings);
            Some(file)
        }
        Err(refused) => {
            findings.push(
                Diagnostic::new(Code::HostCredentials, refused.message(&path))
                    .at(asked, "asked for here")
                    .help(refused.help()),
            );
            None
        }
    }
}

/// Why the file is refused.
enum Refused {
    Missing,
    NoPlace,
    Unreadable,
    TooLarge,
    NotJson,
    NoAuthMode,
    OtherAuthMode,
    NoTokens,
    NoAccessToken,
    NotJwt,
    NoIdToken,
    Expired(i64),
}

impl From<FileProblem> for Refused {
    fn from(problem: FileProblem) -> Self {
        match problem {
            FileProblem::Missing => Refused::Missing,
            FileProblem::NoPlace => Refused::NoPlace,
            FileProblem::Unreadable => Refused::Unreadable,
            FileProblem::TooLarge => Refused::TooLarge,
        }
    }
}

impl Refused {
    fn message(&self, path: &str) -> String {
        match self {
            Refused::Missing => format!("there is no Codex auth file at {path}"),
            Refused::NoPlace => {
                "it is not known where the Codex auth file is: neither CODEX_HOME nor HOME is set".to_owned()
            }
            Refused::Unreadable => format!("the Codex auth file {path} cannot be read"),
            Refused::TooLarge => format!("{path} is too large for a Codex auth file"),
            Refused::NotJson => format!("the Codex auth file {path} is not a JSON object"),
            Refused::NoAuthMode => {
                format!("the Codex auth file {path} has no `auth_mode`, as logins of old releases do not")
            }
            Refused::OtherAuthMode => {
                format!("the Codex auth file {path} is not of a ChatGPT login: its `auth_mode` is not `chatgpt`")
            }
            Refused::NoTokens => format!("the Codex auth file {path} has no `tokens`"),
            Refused::NoAccessToken => format!("the Codex auth file {path} has no `tokens.access_token`"),
            Refused::NotJwt => format!("`tokens.access_token` in {path} is not a JWT with `exp`"),
            Refused::NoIdToken => format!("`tokens.id_token` in {path} is not a JWT"),
            Refused::Expired(at) => format!("the Codex access token in {path} ended at {}", time(*at)),
        }
    }

    fn help(&self) -> &'static str {
        match self {
            Refused::Missing | Refused::NoPlace => {
                "run `codex login --device-auth` on the host (if Codex keeps its credentials in the keyring, set `cli_auth_credentials_store = \"file\"` first), name the file with --host-credentials, compare with --hermetic, or remove `forward_host_credentials`"
            }
            Refused::Unreadable => {
                "let the user who runs bottlec read it, or name another file with --host-credentials"
            }
            Refused::TooLarge => "name the right file with --host-credentials",
            Refused::Expired(_) => {
                "run `codex` once on the host, which refreshes the token, or `codex login --device-auth`; then build again"
            }
            _ => "run `codex login --device-auth` on the host and build again",
        }
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| format!("second {seconds}"), |time| time.to_string())
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(root)) => Ok(root),
        _ => Err(Refused::NotJson),
    }
}

fn check(root: Map<String, Value>, now: i64) -> Result<HostFile, Refused> {
    match root.get("auth_mode") {
        Some(Value::String(mode)) if mode == "chatgpt" => {}
        None | Some(Value::Null) => return Err(Refused::NoAuthMode),
        Some(_) => return Err(Refused::OtherAuthMode),
    }
    let tokens = root.get("tokens").and_then(Value::as_object).ok_or(Refused::NoTokens)?;
    let token = |name: &str| tokens.get(name).and_then(Value::as_str).filter(|token| !token.is_empty());
    let access_claims = jwt::claims(token("access_token").ok_or(Refused::NoAccessToken)?).ok_or(Refused::NotJwt)?;
    let expiry = jwt::expiry(&access_claims).ok_or(Refused::NotJwt)?;
    token("id_token").and_then(jwt::claims).ok_or(Refused::NoIdToken)?;
    if expiry <= now {
        return Err(Refused::Expired(expiry));
    }
    Ok(HostFile { root, access_claims, expiry })
}

fn warn(file: &HostFile, path: &str, now: i64, asked: Span, findings: &mut Findings) {
    if file.expiry - now < SOON {
        findings.push(
            Diagnostic::new(
                Code::HostCredentialsExpiring,
                format!("the Codex access token in {path} ends in less than ten minutes, at {}", time(file.expiry)),
            )
            .at(asked, "asked for here")
            .help("run `codex` once on the host, which refreshes the token, and build again"),
        );
    }
    let account = file.root.get("tokens").and_then(|tokens| tokens.get("account_id")).and_then(Value::as_str);
    let claimed = file
        .access_claims
        .get(super::dummy::AUTH_CLAIM)
        .and_then(|claim| claim.get("chatgpt_account_id"))
        .and_then(Value::as_str);
    let problem = match (account, claimed) {
        (None, _) => Some("has no `tokens.account_id`"),
        (Some(account), _) if account.starts_with("org-") => {
            Some("names an organisation as `tokens.account_id`, not a workspace")
        }
        (Some(account), Some(claimed)) if account != claimed => {
            Some("names one account as `tokens.account_id` and another in its token")
        }
        _ => None,
    };
    if let Some(problem) = problem {
        findings.push(
            Diagnostic::new(Code::HostAccount, format!("the Codex auth file {path} {problem}"))
                .at(asked, "asked for here")
                .help("Codex from 0.156 on may not start with it; run `codex login --device-auth` on the host and build again"),
        );
    }
}

/// The made-up account of `--hermetic`, as a host's file would hold it.
fn synthetic() -> Map<String, Value> {
    let account = "00000000-0000-4000-8000-000000000000";
    let claim = serde_json::json!({
        "chatgpt_account_id": account,
        "chatgpt_plan_type": "plus",
        "chatgpt_user_id": "user-hermetic",
    });
    let token = |email: bool| {
        let mut claims = Map::new();
        claims.insert("exp".into(), SYNTHETIC_EXPIRY.into());
        claims.insert(super::dummy::AUTH_CLAIM.into(), claim.clone());
        if email {
            claims.insert("email".into(), "hermetic@bottle.invalid".into());
        }
        Value::String(jwt::unsigned(&claims))
    };
    let root = serde_json::json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": token(true),
            "access_token": token(false),
            "refresh_token": "hermetic",
            "account_id": account,
        },
        "last_refresh": "2026-01-01T00:00:00Z",
    });
    match root {
        Value::Object(root) => root,
        _ => Map::new(),
    }
}
