//! `Host`: an exact DNS name, in the one spelling that all hops compare.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;

/// What a host may look like before it is lower-cased, for the schema. [`Host::parse`] says more.
pub const FORM: TextForm = TextForm {
    pattern: r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$",
    says: "write a DNS name such as `api.example.com`, without scheme, port, path or wildcard",
};

/// An exact DNS name: ASCII or `xn--` labels of RFC 1123, lower case, without a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Host(String);

closed!(Host);

impl Host {
    /// Reads a host as a manifest writes it.
    ///
    /// # Errors
    /// Everything but an exact name: schemes, ports, paths, wildcards, addresses, bad labels.
    pub fn parse(text: &str) -> Result<Host, Problem> {
        let refuse = |message: String, help: &str| Err(Problem::new(message, help));
        if text.is_empty() {
            return refuse("a host must not be empty".into(), FORM.says);
        }
        if let Some((_, rest)) = text.split_once("://") {
            let host = rest.split(['/', ':']).next().unwrap_or_default();
            return refuse(
                "a host must not have a scheme".into(),
                &format!("write `{host}`; egress speaks https on port 443 only"),
            );
        }
        if let Some((host, _)) = text.split_once('/') {
            return refuse(
                "a host must not have a path".into(),
                &format!("write `{host}` and put the path under `path_allowlist`"),
            );
        }
        if text.contains('*') {
            return refuse("a host must not have a wildcard".into(), "add a route for each host that the agent needs");
        }
        if text.starts_with('[') || text.matches(':').count() > 1 {
            return refuse("an IPv6 address is not a DNS name".into(), "a route needs a DNS name; give the server one");
        }
        if let Some((host, _)) = text.split_once(':') {
            return refuse(
                "a host must not have a port".into(),
                &format!("write `{host}`; egress speaks https on port 443 only"),
            );
        }
        if !text.is_ascii() {
            return refuse("a host must be ASCII".into(), "write the name's `xn--` form");
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.len() > 253 {
            return refuse(
                format!("a DNS name must not have more than 253 characters; this one has {}", name.len()),
                "check the name",
            );
        }
        for label in name.split('.') {
            if let Some(why) = label_problem(label) {
                return refuse(format!("`{}` is not a DNS name: {why}", text.escape_debug()), FORM.says);
            }
        }
        // Each label may be well, and one that is written from the right beside one that begins with a digit not.
        if name.contains("xn--") && !idna::domain_to_ascii(&name).is_ok_and(|ascii| ascii == name) {
            return refuse(
                format!("`{name}` is not a valid name: clients cannot resolve labels that are combined like this"),
                "check the `xn--` labels; a name must not mix writing directions",
            );
        }
        if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
            return refuse("an address is not a DNS name".into(), "a route needs a DNS name; give the server one");
        }
        Ok(Host(name))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn label_problem(label: &str) -> Option<String> {
    if label.is_empty() {
        return Some("it has an empty label".into());
    }
    if label.len() > 63 {
        return Some("it has a label of more than 63 characters".into());
    }
    if let Some(c) = label.chars().find(|c| !c.is_ascii_alphanumeric() && *c != '-') {
        return Some(format!("`{}` is not allowed in a label", c.escape_debug()));
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Some("it has a label that starts or ends with `-`".into());
    }
    let is_misread = label.starts_with("xn--") && !is_read_alike(label);
    is_misread.then(|| format!("`{label}` is not valid in IDNA 2003, which egress uses"))
}

/// Whether an `xn--` label is what all its readers make of the letters that it stands for. mitmproxy decodes it by
/// IDNA 2003 and takes a tunnel to any other for malformed: there the last four letters are written otherwise, and
/// a label with Hebrew or Arabic ends with it. Letters of such scripts that are newer than 2003 are not looked at.
fn is_read_alike(label: &str) -> bool {
    let letters = label.strip_prefix("xn--").and_then(idna::punycode::decode_to_string).unwrap_or_default();
    let from_the_right = |c| matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}');
    idna::domain_to_ascii(&letters).is_ok_and(|ascii| ascii == label)
        && !letters.contains(['\u{df}', '\u{3c2}', '\u{200c}', '\u{200d}'])
        && (!letters.contains(from_the_right) || letters.ends_with(from_the_right))
}
