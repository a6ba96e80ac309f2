//! JSON Web Tokens as far as Codex looks at them: three non-empty parts of unpadded base64url, the
//! middle one a JSON object. Signatures are neither checked nor made.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::provider::PLACEHOLDER;
use crate::value::secret::{SecretJson, SecretMap};

/// The claims of a token, if it is one.
pub(super) fn claims(token: &str) -> Option<SecretMap> {
    SecretMap::parse(&payload(token)?)
}

/// The text of a token's claims, if it looks like one.
pub(super) fn payload(token: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut parts = token.split('.');
    let (header, payload, signature) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() || header.is_empty() || signature.is_empty() {
        return None;
    }
    let mut bytes = Zeroizing::new(vec![0; payload.len()]);
    let length = URL_SAFE_NO_PAD.decode_slice(payload, &mut bytes).ok()?;
    bytes.truncate(length);
    Some(bytes)
}

/// The signature of a token, unless it is one of ours, which nobody signed.
pub(super) fn signature(token: &str) -> Option<&str> {
    let (_, signature) = token.rsplit_once('.')?;
    (signature != URL_SAFE_NO_PAD.encode(PLACEHOLDER)).then_some(signature)
}

/// The time that the token ends, in seconds since 1970.
pub(super) fn expiry(claims: &SecretMap) -> Option<i64> {
    if let SecretJson::Number(seconds) = claims.get("exp")? { *seconds } else { None }
}

/// A token of these claims that nobody signed. The last part must not be empty for Codex.
pub(super) fn unsigned(claims: &Map<String, Value>) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "none", "typ": "JWT" });
    format!("{}.{}.{}", encode(&header), encode(&Value::Object(claims.clone())), URL_SAFE_NO_PAD.encode(PLACEHOLDER))
}
