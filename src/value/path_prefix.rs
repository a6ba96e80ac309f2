//! `PathPrefix`: the start of a URL path, in the normal form that egress compares.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;
use crate::value::allowlist::Admits;

/// What a prefix may look like, for the schema. [`PathPrefix::parse`] says more.
pub const FORM: TextForm = TextForm {
    pattern: r"^/[!$&'()*+,./:=@A-Z_a-z~0-9-]*$",
    says: "start with `/`, and end the prefix before a query, `%`, `;`, a backslash or a character that URLs encode",
};

/// A prefix that is matched on the borders of path segments: `/a` admits `/a` and `/a/b`, not `/ab`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct PathPrefix(String);

closed!(PathPrefix);

impl PathPrefix {
    /// Reads a prefix as a manifest writes it.
    ///
    /// # Errors
    /// What is not in normal form and so could never match, or would match something else: no slash
    /// at the start, segments of dots alone, `//`, queries, percent-encoding, characters that a path
    /// does not carry unencoded (RFC 3986, 3.3). What egress refuses below every prefix: `git push`.
    pub fn parse(text: &str) -> Result<PathPrefix, Problem> {
        let refuse = |message: &str, help: &str| Err(Problem::new(message, help));
        if !text.starts_with('/') {
            return refuse("a path prefix must start with `/`", &format!("write `/{}`", text.escape_debug()));
        }
        if text.contains(['?', '#']) {
            return refuse(
                "a path prefix must not have a query or fragment",
                "write only the path; queries are not compared",
            );
        }
        if text.contains('%') {
            return refuse("a path prefix must not be percent-encoded", "end the prefix before the encoded segment");
        }
        if text.contains('\\') {
            return refuse("a path prefix must not have a backslash", "write `/`");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "!$&'()*+,./:;=@_~-".contains(c);
        if let Some(c) = text.chars().find(|&c| !allowed(c)) {
            return refuse(&format!("a path prefix must not contain `{}`", c.escape_debug()), FORM.says);
        }
        let mut segments = text[1..].split('/').peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "." | ".." => {
                    return refuse("a path prefix must not have a `.` or `..` segment", "write the path that you mean");
                }
                // Some file systems drop dots at the end.
                dots if !dots.is_empty() && dots.bytes().all(|b| b == b'.') => {
                    return refuse(
                        "egress refuses every path with a segment of dots",
                        "end the prefix before that segment",
                    );
                }
                "" if segments.peek().is_some() => return refuse("a path prefix must not have `//`", "write one `/`"),
                _ => {}
            }
        }
        if text.contains(';') {
            return refuse("a path prefix must not have `;` parameters", "end the prefix before the `;`");
        }
        if text.to_ascii_lowercase().contains("git-receive-pack") {
            return refuse("egress refuses `git push`, whatever the prefix", "remove it; push from outside the bottle");
        }
        Ok(PathPrefix(text.to_owned()))
    }

    /// The prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Admits for PathPrefix {
    type Asked = str;
    const ANY: &str = "any path";
    const WITHIN: &str = "below";

    /// Whether a path is the prefix or goes on after it with a new segment.
    fn admits(&self, path: &str) -> bool {
        let border = self.0.trim_end_matches('/');
        self.0 == path || path.strip_prefix(border).is_some_and(|rest| rest.starts_with('/'))
    }

    fn covers(&self, other: &PathPrefix) -> bool {
        self.admits(&other.0)
    }

    fn as_str(&self) -> &str {
        &self.0
    }
}
