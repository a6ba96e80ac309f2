//! What every agent finds inside its container or microVM, whatever its provider: where things are
//! and which variables lead it to egress.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::egress::SLOT_PREFIX;
use crate::variable::VariableName;

/// Where `agent/` is mounted, read-only.
pub const MOUNT: &str = "/bottle";
/// The certificate of egress alone: for variables that *add* to a client's roots.
pub const EGRESS_CA: &str = "/bottle/ca/egress.pem";
/// The public roots and egress's certificate: for variables that *replace* a client's roots.
pub const CA_BUNDLE: &str = "/bottle/ca/bundle.pem";
/// The agent's home: writable, filled from `agent/home` at start.
pub const HOME: &str = "/home/node";
/// Where the agent works. smolvm keeps a folder of this name on the machine's own disk.
pub const WORKSPACE: &str = "/workspace";
/// The port that egress listens on.
pub const EGRESS_PORT: u16 = 9099;

/// Copies the prepared home over the agent's and becomes the agent. Clients rewrite these files, so
/// they cannot be mounted; a fresh copy at each start brings the current placeholder.
pub const START: &str = r#"cp -R /bottle/home/. "$HOME"/ && exec "$@""#;

/// The variables that bottlec sets in every agent.
const VARIABLES: [&str; 12] = [
    "HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// Variables that lead every client to egress, at this address, and make it trust egress's
/// certificate.
pub fn environment(egress: Ipv4Addr) -> BTreeMap<VariableName, String> {
    let proxy = format!("http://{egress}:{EGRESS_PORT}");
    let direct = "localhost,127.0.0.1,::1".to_owned();
    let value = |variable: &str| match variable {
        "HOME" => HOME.to_owned(),
        "NO_PROXY" | "no_proxy" => direct.clone(),
        "NODE_EXTRA_CA_CERTS" => EGRESS_CA.to_owned(),
        "SSL_CERT_FILE" | "REQUESTS_CA_BUNDLE" | "CURL_CA_BUNDLE" | "GIT_SSL_CAINFO" => CA_BUNDLE.to_owned(),
        _ => proxy.clone(),
    };
    let name = |variable: &str| VariableName::parse(variable).expect("a name of letters");
    VARIABLES.iter().map(|variable| (name(variable), value(variable))).collect()
}

/// Whether bottlec sets the variable in every agent.
pub fn owns(name: &VariableName) -> bool {
    VARIABLES.contains(&name.as_str())
}

/// Whether a manifest must leave a variable of this name alone though the plan does not set it: it
/// would lead clients around egress, take roots away, or be mistaken for a token slot.
pub fn is_reserved(name: &VariableName) -> bool {
    const NAMES: [&str; 6] = [
        "ALL_PROXY",
        "FTP_PROXY",
        "SSL_CERT_DIR",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "GIT_SSL_NO_VERIFY",
        "NODE_USE_SYSTEM_CA",
    ];
    let upper = name.as_str().to_ascii_uppercase();
    NAMES.contains(&upper.as_str()) || upper.starts_with(SLOT_PREFIX)
}
