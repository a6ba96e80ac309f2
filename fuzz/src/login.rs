//! Any bytes as the host's login file: it is refused in words of ours alone, or a dummy is made that holds
//! nothing of it but what names the account. `<<CLAIMS>>` stands for a token, so that claims can be changed letter
//! by letter and no file of the corpus looks like a secret.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bottlec::compile::compile;
use bottlec::compile::tree::Tree;
use bottlec::manifest::{self, Loaded};
use bottlec::provider::facts::{HostCredentials, HostFacts};
use bottlec::target::Backend;
use bottlec::text::diagnostic::{Diagnostic, Findings};
use bottlec::value::secret::Secret;
use serde_json::{Map, Value, json};

/// The time of the host: 2027-01-15.
pub const NOW: i64 = 1_800_000_000;

const MANIFEST: &str = "name: codex\nagent_provider: { template: codex, forward_host_credentials: true }\n";
const DUMMY: &str = "agent/home/.codex/auth.json";
const CLAIM: &str = "https://api.openai.com/auth";
/// What names the account: it may be in the dummy as it is.
const NAMES: [&str; 5] =
    ["chatgpt_account_id", "chatgpt_user_id", "user_id", "chatgpt_plan_type", "chatgpt_account_is_fedramp"];

/// The words that bottlec has for logins: of the made-up one, and of those that it refuses.
static OWN_WORDS: LazyLock<String> = LazyLock::new(|| {
    let logins = [
        "",
        "{}",
        r#"{"auth_mode":"apikey"}"#,
        r#"{"auth_mode":"chatgpt"}"#,
        r#"{"auth_mode":"chatgpt","tokens":{}}"#,
        r#"{"auth_mode":"chatgpt","tokens":{"access_token":"a"}}"#,
    ];
    let claims = |exp: i64| json!({ "exp": exp }).to_string();
    let login = |exp: i64, id: &str| {
        json!({ "auth_mode": "chatgpt", "tokens": { "access_token": signed(&claims(exp)), "id_token": id } })
            .to_string()
    };
    let soon = login(NOW + 1, &signed(&claims(NOW + 1)));
    let late = [login(NOW + 1, ""), login(NOW - 1, &signed("{}")), soon];
    let mut words = String::new();
    for login in logins.into_iter().map(str::to_owned).chain(late) {
        let Built { tree, findings, .. } = built(HostFacts { now: NOW, credentials: file(login.as_bytes()) });
        words.extend(told(&findings));
        words.extend(texts(&tree));
    }
    words.extend(texts(&built(HostFacts::hermetic()).tree));
    words
});

/// Builds a bottle with the bytes as the host's login.
pub fn run(bytes: &[u8]) {
    match std::str::from_utf8(bytes) {
        Ok(text) => judge(with_tokens(text).as_bytes()),
        Err(_) => judge(bytes),
    }
}

/// Puts a token in the place of each `<<CLAIMS>>`.
pub fn with_tokens(text: &str) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, (claims, after))) =
        rest.split_once("<<").and_then(|(before, after)| Some((before, after.split_once(">>")?)))
    {
        out += before;
        out += &signed(claims);
        rest = after;
    }
    out + rest
}

/// Builds a bottle with a login and looks for what came out of it.
pub fn judge(bytes: &[u8]) {
    let Built { tree, findings, .. } = built(HostFacts { now: NOW, credentials: file(bytes) });
    let host = serde_json::from_slice::<Value>(bytes).unwrap_or_default();
    let mut kept = BTreeSet::new();
    if let Some(tree) = &tree {
        let text = tree.artifacts.iter().find(|file| file.path == DUMMY).map(|file| &*file.content);
        let dummy: Value = serde_json::from_str(text.expect("a dummy")).expect("JSON");
        redacted(&host, &dummy, &mut kept);
    }
    // Nothing else of the file is anywhere: short texts are there by chance.
    let own = &*OWN_WORDS;
    let mut held = BTreeSet::new();
    strings(&host, &mut held);
    let said: String = told(&findings).chain(texts(&tree)).collect();
    for text in held.iter().filter(|text| text.len() >= 12 && !own.contains(text.as_str())) {
        let is_kept = kept.iter().any(|kept: &String| kept.contains(text.as_str()));
        assert!(is_kept || !said.contains(text.as_str()), "a text of the login file comes out: {text:?}");
    }
}

/// The file with these bytes.
pub fn file(bytes: &[u8]) -> HostCredentials {
    HostCredentials::File { path: "auth.json".to_owned(), mode: None, content: Ok(Secret::new(bytes.to_vec())) }
}

/// What becomes of the bottle of a forwarded login.
pub struct Built {
    pub tree: Option<Tree>,
    pub findings: Vec<Diagnostic>,
    /// The search of what is about to be written found something of the login: a key that is a value elsewhere.
    pub is_withheld: bool,
}

/// The bottle of a forwarded login.
pub fn built(host: HostFacts) -> Built {
    let Loaded { sources, manifest, mut findings, .. } =
        manifest::load_bytes(Path::new("bottle.yaml"), MANIFEST.as_bytes().to_vec()).expect("it names no other file");
    let manifest = manifest.expect("a manifest");
    let bottle = manifest::check(&manifest, &sources, &mut findings).expect("a bottle");
    let both = [Backend::Docker, Backend::Smolmachines];
    let mut told = Findings::default();
    assert!(!findings.has_errors());
    match compile(&bottle, &sources, &host, &both, &mut told) {
        Ok(tree) => {
            assert_eq!(tree.is_none(), told.has_errors());
            Built { tree, findings: told.into_sorted(), is_withheld: false }
        }
        Err(error) => {
            assert!(error.to_string().contains("would hold a secret of the host's login file"), "{error}");
            Built { tree: None, findings: Vec::new(), is_withheld: true }
        }
    }
}

/// A token of these claims with some signature.
pub fn signed(claims: &str) -> String {
    format!("e30.{}.c2lnbmVk", URL_SAFE_NO_PAD.encode(claims))
}

fn told(findings: &[Diagnostic]) -> impl Iterator<Item = String> {
    findings.iter().flat_map(|found| {
        let words = [found.message.clone(), found.help.clone().unwrap_or_default()];
        super::manifest::one_line(&[&words[0], &words[1]]);
        words
    })
}

fn texts(tree: &Option<Tree>) -> impl Iterator<Item = String> {
    tree.iter().flat_map(|tree| &tree.artifacts).map(|file| file.content.to_string())
}

/// Every text of the file, of the claims in its tokens and the tokens' parts; names of keys are no secrets.
fn strings(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            if let Some(claims) = claims(text) {
                found.extend(text.split('.').map(str::to_owned));
                strings(&Value::Object(claims), found);
            }
            found.insert(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(entries) => entries.values().for_each(|item| strings(item, found)),
        _ => {}
    }
}

/// The claims of a token, read without the code that is under test.
pub fn claims(token: &str) -> Option<Map<String, Value>> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { return None };
    if header.is_empty() || signature.is_empty() {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

/// The dummy holds what names the account, times and placeholders.
fn redacted(host: &Value, dummy: &Value, kept: &mut BTreeSet<String>) {
    let host_tokens = host["tokens"].as_object().expect("tokens");
    let dummy_tokens = dummy["tokens"].as_object().expect("tokens");
    let access = host_tokens["access_token"].as_str().and_then(claims).expect("claims");
    let expiry = access["exp"].as_i64().expect("a number");
    assert!(expiry > NOW, "an old login was taken");
    for (key, value) in dummy.as_object().expect("a mapping") {
        kept.insert(key.clone());
        match key.as_str() {
            "auth_mode" => assert_eq!(value, "chatgpt"),
            "last_refresh" => {
                let time = value.as_str().expect("a text");
                assert!(time.bytes().all(|b| b"0123456789TZ:.+-".contains(&b)), "{time}");
                kept.insert(time.to_owned());
            }
            "tokens" => {}
            "OPENAI_API_KEY" => assert_eq!(*value, Value::Null),
            _ => says_nothing(value),
        }
    }
    for (key, value) in dummy_tokens {
        kept.insert(key.clone());
        match (key.as_str(), value) {
            ("account_id", Value::String(account)) => {
                assert_eq!(host_tokens["account_id"], *account);
                kept.insert(account.clone());
            }
            ("access_token" | "id_token", Value::String(token)) => {
                kept.insert(token.clone());
                let host = host_tokens[key].as_str().and_then(claims).expect("claims");
                let (header, signature) = (token.split('.').next(), token.rsplit('.').next());
                assert_eq!(header, Some(URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#).as_str()));
                assert_eq!(signature, Some(URL_SAFE_NO_PAD.encode("egress-placeholder").as_str()));
                token_redacted(&host, &claims(token).expect("claims"), expiry, kept);
            }
            _ => says_nothing(value),
        }
    }
    assert_eq!(dummy_tokens["refresh_token"], "egress-placeholder");
}

fn token_redacted(host: &Map<String, Value>, dummy: &Map<String, Value>, expiry: i64, kept: &mut BTreeSet<String>) {
    let names = |claims: &Map<String, Value>| claims.keys().cloned().chain(["exp".to_owned()]).collect::<BTreeSet<_>>();
    assert_eq!(names(host), names(dummy));
    for (claim, value) in dummy {
        match (claim.as_str(), value) {
            ("exp", value) => assert_eq!(*value, json!(expiry), "the dummy ends when the host's token does"),
            (CLAIM, Value::Object(entries)) => {
                let host: BTreeMap<_, _> = host[CLAIM].as_object().expect("a mapping").iter().collect();
                for (name, value) in entries {
                    if NAMES.contains(&name.as_str()) && (value.is_string() || value.is_boolean()) {
                        assert!(host[name] == value || says_so_little(value));
                        kept.extend(value.as_str().map(str::to_owned));
                    } else {
                        says_nothing(value);
                    }
                }
            }
            (_, value) => says_nothing(value),
        }
    }
}

fn says_so_little(value: &Value) -> bool {
    [json!(null), json!(false), json!(0), json!("egress-placeholder"), json!([]), json!({})].contains(value)
}

fn says_nothing(value: &Value) {
    assert!(says_so_little(value), "a value of the login file is kept: {value}");
}
