//! `HeaderName`, and the headers of a request that egress knows by name: those that say where it ends, those that it
//! drops on every route, and those in which an agent could bring a credential of its own. Each entry has its source.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;
use crate::value::variable::may_hold_token;

/// What the name of a header may look like, for the schema. [`HeaderName::parse`] says more.
pub const FORM: TextForm = TextForm {
    pattern: r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$",
    says: "write the name of the header that the service reads its key from, such as `x-api-key`",
};

/// Headers that say where a request ends.
pub const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];

/// Headers that no credential can be in, beside those that are dropped: they are for one connection, say where the
/// request goes and how it is read, or are judged before it is signed.
pub const NO_CREDENTIAL: [(&str, &str); 12] = [
    ("host", "RFC 9110 section 7.2"),
    ("connection", "RFC 9110 section 7.6.1"),
    ("keep-alive", "the same"),
    ("te", "the same"),
    ("trailer", "RFC 9110 section 6.6.2"),
    ("upgrade", "RFC 9110 section 7.8"),
    ("expect", "RFC 9110 section 10.1.1"),
    ("content-*", "RFC 9110 section 8"),
    ("transfer-encoding", "RFC 9112 section 6.1"),
    ("accept", "a rule looks for a git push in it"),
    ("accept-encoding", "RFC 9110 section 12.5.3"),
    ("sec-*", "developer.mozilla.org/docs/Glossary/Forbidden_request_header"),
];

/// The name of a header, in small letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderName(String);

closed!(HeaderName);

impl HeaderName {
    /// Reads the name of a header that can hold a credential.
    ///
    /// # Errors
    /// What is not a token of RFC 9110, and headers that mean something to the hops or to a rule of egress.
    pub fn parse(text: &str) -> Result<HeaderName, Problem> {
        let help = FORM.says;
        if may_hold_token(text) {
            return Err(Problem::new("this looks like a token, not the name of a header", help));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            return Err(Problem::new(format!("`{}` is not a valid header name", text.escape_debug()), help));
        }
        let name = text.to_ascii_lowercase();
        let folded = folded(&name);
        if NO_CREDENTIAL.iter().chain(&DROPPED).any(|(pattern, _)| matches(pattern, &folded)) {
            let message = format!("the header `{name}` cannot hold a credential: proxies and servers act on it");
            return Err(Problem::new(message, help));
        }
        Ok(HeaderName(name))
    }

    /// `Authorization`.
    pub fn authorization() -> HeaderName {
        HeaderName("authorization".to_owned())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A header's name as servers read it that take every sign for the same one.
pub fn folded(name: &str) -> String {
    name.chars().map(|char| if char.is_ascii_alphanumeric() { char.to_ascii_lowercase() } else { '-' }).collect()
}

/// Whether a folded name is that of an entry; one with `*` at its end is for all that begin so.
fn matches(pattern: &str, folded: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == folded, |start| folded.starts_with(start))
}

/// What is dropped on every route: it is for the way to the service, or against what was judged.
pub const DROPPED: [(&str, &str); 17] = [
    ("proxy-*", "RFC 9110 section 11.7; old clients say Proxy-Connection"),
    ("forwarded", "RFC 7239"),
    ("via", "RFC 9110 section 7.6.3"),
    ("x-forwarded-*", "developer.mozilla.org/docs/Web/HTTP/Reference/Headers/X-Forwarded-Host and its siblings"),
    ("x-real-ip", "nginx.org/en/docs/http/ngx_http_realip_module.html"),
    ("x-client-ip", "httpd.apache.org/docs/2.4/mod/mod_remoteip.html"),
    ("true-client-ip", "developers.cloudflare.com/fundamentals/reference/http-headers"),
    ("cf-connecting-ip", "the same"),
    ("x-host", "portswigger.net/web-security/host-header/exploiting"),
    ("x-http-host-override", "the same"),
    ("x-original-host", "learn.microsoft.com/azure/application-gateway/how-application-gateway-works"),
    ("x-original-url", "symfony.com/blog/cve-2018-14773-remove-support-for-legacy-and-risky-http-headers"),
    ("x-rewrite-url", "the same"),
    ("x-http-method", "learn.microsoft.com, [MS-ODATA] section 2.2.5.8"),
    ("x-http-method-override", "cloud.google.com/apis/docs/system-parameters"),
    ("x-method-override", "expressjs.com/en/resources/middleware/method-override.html"),
    ("sec-websocket-extensions", "RFC 7692; a compressed message of some KB fills egress's memory"),
];

/// Where a credential may be. Egress sends its own alone, and where the login is the agent's, `Authorization` alone.
pub const CREDENTIALS: [(&str, &str); 20] = [
    ("authorization", "RFC 9110 section 11.6.2"),
    ("x-authorization", "read in the place of Authorization behind fronts that take that one away"),
    ("x-api-key", "docs.aws.amazon.com/apigateway, API keys"),
    ("api-key", "learn.microsoft.com/azure/search/search-security-api-keys"),
    ("apikey", "supabase.com/docs/guides/api"),
    ("x-goog-api-key", "cloud.google.com/apis/docs/system-parameters"),
    ("x-token", "pipelock's list of headers that hold secrets"),
    ("private-token", "docs.gitlab.com/api/rest/authentication"),
    ("job-token", "the same"),
    ("deploy-token", "docs.gitlab.com/user/packages/generic_packages"),
    ("x-auth-token", "docs.openstack.org/api-ref/identity/v3"),
    ("x-auth-key", "developers.cloudflare.com/fundamentals/api/get-started/keys"),
    ("x-access-token", "read by jwt middleware in the place of Authorization"),
    ("ocp-apim-subscription-key", "learn.microsoft.com/azure/api-management/api-management-subscriptions"),
    ("x-amz-security-token", "docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-authentication-methods.html"),
    ("x-vault-token", "developer.hashicorp.com/vault/api-docs"),
    ("x-nuget-apikey", "learn.microsoft.com/nuget/api/package-publish-resource"),
    ("x-jfrog-art-api", "jfrog.com/help, Artifactory REST API"),
    ("xi-api-key", "elevenlabs.io/docs/api-reference/authentication"),
    ("x-subscription-token", "api-dashboard.search.brave.com/documentation"),
];
