//! What of the host's `auth.json` may be in no file: all of it but the short list that the dummy keeps.

use super::dummy::{AUTH_CLAIM, CREDENTIALS, KEPT_TEXTS, readable_time};
use super::host_file::{self, HostFile};
use super::jwt;
use crate::provider::PLACEHOLDER;
use crate::value::host_secrets::HostSecrets;
use crate::value::secret::{SecretJson, SecretMap};

/// The tokens, keys and particulars of a file.
pub(super) fn of(file: &HostFile) -> HostSecrets {
    let tokens = file.root.get("tokens").and_then(SecretJson::as_map);
    let token = |name: &str| tokens.and_then(|tokens| tokens.get(name)?.as_text());
    let claims: Vec<SecretMap> =
        [token("access_token"), token("id_token")].into_iter().flatten().filter_map(jwt::claims).collect();
    let time = file.root.get("last_refresh").and_then(readable_time);
    let mut found = Found { kept: vec![PLACEHOLDER], host_secrets: HostSecrets::default() };
    found.kept.extend(host_file::account(&file.root));
    found.kept.extend(time.as_deref());
    for claim in claims.iter().filter_map(|claims| claims.get(AUTH_CLAIM)?.as_map()) {
        found.kept.extend(KEPT_TEXTS.iter().filter_map(|name| claim.get(name)?.as_text()));
    }
    for (key, value) in file.root.iter() {
        match key {
            "last_refresh" if time.is_some() => {}
            key if CREDENTIALS.contains(&key) => texts(value, &mut |text| found.credential(text)),
            "tokens" => {}
            _ => texts(value, &mut |text| found.particular(text)),
        }
    }
    for (key, value) in tokens.into_iter().flat_map(SecretMap::iter) {
        match (key, value) {
            ("access_token" | "id_token", SecretJson::Text(token)) => {
                if let Some(signature) = jwt::signature(token.expose()) {
                    found.credential(token.expose());
                    found.credential(signature);
                }
            }
            ("refresh_token", value) => texts(value, &mut |text| found.credential(text)),
            (_, value) => texts(value, &mut |text| found.particular(text)),
        }
    }
    for (_, value) in claims.iter().flat_map(SecretMap::iter) {
        texts(value, &mut |text| found.particular(text));
    }
    found.host_secrets
}

struct Found<'f> {
    /// What the dummy may say.
    kept: Vec<&'f str>,
    host_secrets: HostSecrets,
}

impl Found<'_> {
    fn credential(&mut self, text: &str) {
        if text != PLACEHOLDER {
            self.host_secrets.credential(text);
        }
    }

    fn particular(&mut self, text: &str) {
        if !self.kept.iter().any(|kept| kept.contains(text)) {
            self.host_secrets.particular(text);
        }
    }
}

/// Every text of a value.
fn texts(value: &SecretJson, tell: &mut dyn FnMut(&str)) {
    match value {
        SecretJson::Text(text) => tell(text.expose()),
        SecretJson::List(items) => items.iter().for_each(|item| texts(item, tell)),
        SecretJson::Map(map) => map.iter().for_each(|(_, value)| texts(value, tell)),
        SecretJson::Null | SecretJson::Bool(_) | SecretJson::Number(_) => {}
    }
}
