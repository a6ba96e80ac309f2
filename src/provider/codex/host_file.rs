//! The host's `auth.json`: what must be true of it before a dummy is made from it.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::jwt;
use crate::provider::facts::{FileProblem, HostCredentials, HostFacts};
use crate::text::diagnostic::{Code, Diagnostic, Findings, Problem};
use crate::text::source::Span;
use crate::value::secret::{Secret, SecretJson, SecretMap};

/// Newer releases refresh when fewer than five minutes are left; a bottle needs some time on top.
const SOON: i64 = 10 * 60;

/// When the made-up account's token ends: 2100-01-01.
const SYNTHETIC_EXPIRY: i64 = 4_102_444_800;

/// The host's file, checked.
pub(super) struct HostFile {
    /// Where it is, for messages.
    path: String,
    /// The whole file.
    pub(super) root: SecretMap,
    /// The claims of the access token.
    pub(super) access_claims: SecretMap,
    /// When the access token ends, in seconds since 1970.
    pub(super) expiry: i64,
}

/// Reads and checks the host's credentials for a build. What is wrong is a finding at the line that
/// asks for them; nothing of the file's content is in it.
pub(super) fn read(host: &HostFacts, asked: Span, findings: &mut Findings) -> Option<HostFile> {
    let mut report = |code, Problem { message, help, .. }| {
        findings.push(Diagnostic::new(code, message).at(asked, "asked for here").help(help));
    };
    open_to_others(host).into_iter().for_each(|warning| report(Code::HostCredentialsExposed, warning));
    match open(host) {
        Ok(file) => {
            file.ends_soon(host.now).into_iter().for_each(|warning| report(Code::HostCredentialsExpiring, warning));
            file.odd_account().into_iter().for_each(|warning| report(Code::HostAccount, warning));
            Some(file)
        }
        Err(refused) => {
            report(Code::HostCredentials, refused);
            None
        }
    }
}

/// Reads and checks the host's credentials. Nothing of the file's content is in the refusal.
pub(super) fn open(host: &HostFacts) -> Result<HostFile, Problem> {
    let (path, parsed) = match &host.credentials {
        HostCredentials::Synthetic => (String::new(), synthetic().ok_or(Refused::NotJson)),
        HostCredentials::Prepared { path, content } => (path.clone(), parse(content.expose())),
        HostCredentials::NotRead => ("auth.json".to_owned(), Err(Refused::Missing)),
        HostCredentials::File { path, content: Err(problem), .. } => (path.clone(), Err(Refused::from(*problem))),
        HostCredentials::File { path, content: Ok(secret), .. } => (path.clone(), parse(secret.expose())),
    };
    match parsed.and_then(|root| check(root, host.now)) {
        Ok((root, access_claims, expiry)) => Ok(HostFile { path, root, access_claims, expiry }),
        Err(refused) => Err(Problem::new(refused.message(&path), refused.help())),
    }
}

/// A warning if other users of the host can read the file or write to it.
pub(super) fn open_to_others(host: &HostFacts) -> Option<Problem> {
    let HostCredentials::File { path, mode: Some(mode), .. } = &host.credentials else { return None };
    let can = match (mode & 0o044 != 0, mode & 0o022 != 0) {
        (true, true) => "read and change",
        (true, false) => "read",
        (false, true) => "change",
        (false, false) => return None,
    };
    Some(Problem::new(
        format!("other users can {can} the Codex auth file {path}: its mode is {mode:04o}"),
        format!("run `chmod 600 {path}`; if others could have read it, sign in again"),
    ))
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
            Refused::NoPlace => "cannot find the Codex auth file: neither CODEX_HOME nor HOME is set".to_owned(),
            Refused::Unreadable => format!("the Codex auth file {path} cannot be read"),
            Refused::TooLarge => format!("{path} is too large for a Codex auth file"),
            Refused::NotJson => format!("the Codex auth file {path} is not a JSON object"),
            Refused::NoAuthMode => {
                format!("the Codex auth file {path} has no `auth_mode`: it is from an old release")
            }
            Refused::OtherAuthMode => {
                format!("the Codex auth file {path} is not from a ChatGPT login: its `auth_mode` is not `chatgpt`")
            }
            Refused::NoTokens => format!("the Codex auth file {path} has no `tokens`"),
            Refused::NoAccessToken => format!("the Codex auth file {path} has no `tokens.access_token`"),
            Refused::NotJwt => format!("`tokens.access_token` in {path} is not a JWT with `exp`"),
            Refused::NoIdToken => format!("`tokens.id_token` in {path} is not a JWT"),
            Refused::Expired(at) => format!("the Codex access token in {path} expired at {}", time(*at)),
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

fn parse(bytes: &[u8]) -> Result<SecretMap, Refused> {
    SecretMap::parse(bytes).ok_or(Refused::NotJson)
}

/// The file, the claims of its access token and when that ends.
type Checked = (SecretMap, SecretMap, i64);

fn check(root: SecretMap, now: i64) -> Result<Checked, Refused> {
    match root.get("auth_mode") {
        Some(SecretJson::Text(mode)) if mode.expose() == "chatgpt" => {}
        None | Some(SecretJson::Null) => return Err(Refused::NoAuthMode),
        Some(_) => return Err(Refused::OtherAuthMode),
    }
    let tokens = root.get("tokens").and_then(SecretJson::as_map).ok_or(Refused::NoTokens)?;
    let token = |name: &str| tokens.get(name).and_then(SecretJson::as_text).filter(|token| !token.is_empty());
    let access_claims = jwt::claims(token("access_token").ok_or(Refused::NoAccessToken)?).ok_or(Refused::NotJwt)?;
    let expiry = jwt::expiry(&access_claims).ok_or(Refused::NotJwt)?;
    token("id_token").and_then(jwt::claims).ok_or(Refused::NoIdToken)?;
    if expiry <= now {
        return Err(Refused::Expired(expiry));
    }
    Ok((root, access_claims, expiry))
}

impl HostFile {
    /// A warning if little time is left.
    pub(super) fn ends_soon(&self, now: i64) -> Option<Problem> {
        let HostFile { path, expiry, .. } = self;
        (expiry - now < SOON).then(|| {
            Problem::new(
                format!("the Codex access token in {path} expires in less than ten minutes, at {}", time(*expiry)),
                "run `codex` once on the host, which refreshes the token, and build again",
            )
        })
    }

    /// A warning if newer releases may not start with the account.
    fn odd_account(&self) -> Option<Problem> {
        let claimed = self
            .access_claims
            .get(super::dummy::AUTH_CLAIM)
            .and_then(|claim| claim.as_map()?.get("chatgpt_account_id"))
            .and_then(SecretJson::as_text);
        let problem = match (account(&self.root), claimed) {
            (None, _) => "has no `tokens.account_id`",
            (Some(account), _) if account.starts_with("org-") => {
                "names an organisation as `tokens.account_id`, not a workspace"
            }
            (Some(account), Some(claimed)) if account != claimed => {
                "names different accounts in `tokens.account_id` and in its token"
            }
            _ => return None,
        };
        Some(Problem::new(
            format!("the Codex auth file {} {problem}", self.path),
            "Codex 0.156 and later may not start with it; run `codex login --device-auth` on the host and build again",
        ))
    }

    /// The access token, taken out, if what was prepared for the agent still stands for it.
    pub(super) fn into_token(mut self, prepared: &Prepared) -> Result<Secret, Problem> {
        let Prepared { expiry, account: prepared } = prepared;
        let changed = |how: String| {
            Err(Problem::new(
                format!("the Codex login in {} changed since the bottle was built: {how}", self.path),
                "build the bottle again with `bottlec build`, then start it",
            ))
        };
        if self.expiry != *expiry {
            let (now, then) = (time(self.expiry), time(*expiry));
            return changed(format!("its token expires at {now}, the agent's at {then}"));
        }
        if account(&self.root) != prepared.as_deref() {
            return changed("it belongs to another account".to_owned());
        }
        let tokens = self.root.get_mut("tokens").and_then(SecretJson::as_map_mut);
        let token = tokens.and_then(|tokens| tokens.get_mut("access_token")?.take_text());
        token.ok_or_else(|| Problem::new(Refused::NoAccessToken.message(&self.path), Refused::NoAccessToken.help()))
    }
}

/// What was prepared for the agent, as far as it must be the host's.
pub(super) struct Prepared {
    expiry: i64,
    account: Option<String>,
}

impl Prepared {
    /// Reads the dummy that a build made.
    pub(super) fn parse(dummy: &[u8]) -> Option<Self> {
        let root = parse(dummy).ok()?;
        let token = root.get("tokens")?.as_map()?.get("access_token")?.as_text()?;
        let expiry = jwt::expiry(&jwt::claims(token)?)?;
        Some(Prepared { expiry, account: account(&root).map(str::to_owned) })
    }
}

/// The account that the file names.
pub(super) fn account(root: &SecretMap) -> Option<&str> {
    root.get("tokens")?.as_map()?.get("account_id")?.as_text()
}

/// The made-up account of `--hermetic`, as a host's file would hold it.
fn synthetic() -> Option<SecretMap> {
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
    SecretMap::parse(root.to_string().as_bytes())
}
