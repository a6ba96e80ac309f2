//! Any text as the access token of a login: it is taken if an independent reader finds claims with a time to end,
//! and the dummy ends at that time.

use bottlec::provider::facts::HostFacts;
use serde_json::{Value, json};

use super::login;

/// Puts the text into a login. Text that starts with `{` stands for claims; in other text `<<CLAIMS>>` does.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let token = if text.starts_with('{') { login::signed(text) } else { login::with_tokens(text) };
    let file = json!({ "auth_mode": "chatgpt", "tokens": { "access_token": token, "id_token": token } }).to_string();
    let login::Built { tree, findings, is_withheld } =
        login::built(HostFacts { now: login::NOW, credentials: login::file(file.as_bytes()) });
    let expiry = login::claims(&token).and_then(|claims| claims.get("exp").and_then(Value::as_i64));
    if tree.is_some() {
        assert!(expiry.is_some_and(|expiry| expiry > login::NOW), "{findings:?}");
    } else if !is_withheld && expiry.is_some_and(|expiry| expiry > login::NOW) {
        // What is left are claims that Codex would not read.
        assert!(findings.iter().any(|found| found.message.contains("Codex would not accept")), "{findings:?}");
    }
    login::judge(file.as_bytes());
}
