//! JSON Web Tokens as far as Codex looks at them: three non-empty parts of unpadded base64url, the
//! middle one a JSON object. Signatures are neither checked nor made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::provider::PLACEHOLDER;

/// The claims of a token, if it is one.
pub(super) fn claims(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || header.is_empty() || signature.is_empty() {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    match serde_json::from_slice(&payload).ok()? {
        Value::Object(claims) => Some(claims),
        _ => None,
    }
}

/// The time that the token ends, in seconds since 1970.
pub(super) fn expiry(claims: &Map<String, Value>) -> Option<i64> {
    claims.get("exp")?.as_i64()
}

/// A token of these claims that nobody signed. The last part must not be empty for Codex.
pub(super) fn unsigned(claims: &Map<String, Value>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "none", "typ": "JWT" });
    format!("{}.{}.{}", encode(&header), encode(&Value::Object(claims.clone())), URL_SAFE_NO_PAD.encode(PLACEHOLDER))
}
