//! Environment variables: their names, what a manifest may bind them to, and names that a manifest
//! must leave alone.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;

const NAME: &str = "^[A-Za-z_][A-Za-z0-9_]*$";

/// What a variable's name looks like.
pub const FORM: TextForm =
    TextForm { pattern: NAME, says: "use letters, digits and `_`; the first character must not be a digit" };

/// What the name of a token looks like.
pub const TOKEN_FORM: TextForm =
    TextForm { pattern: NAME, says: "write the name of the host variable that holds the token, such as `GITEA_TOKEN`" };

/// The longest line of an env file that `docker run --env-file` reads, in bytes: Go's
/// `bufio.MaxScanTokenSize` less one for the line break.
const MAX_LINE: usize = 64 * 1024 - 1;

/// The name of an environment variable, `[A-Za-z_][A-Za-z0-9_]*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct VariableName(String);

closed!(VariableName);

impl VariableName {
    /// Reads a name.
    ///
    /// # Errors
    /// Anything that a shell would not take as a name.
    pub fn parse(text: &str) -> Result<VariableName, Problem> {
        let mut bytes = text.bytes();
        let first = bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        if first && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            return Ok(VariableName(text.to_owned()));
        }
        Err(Problem::new(format!("`{}` is not a valid variable name", text.escape_debug()), FORM.says))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The *name* of the host variable that holds a token. The token itself is never here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TokenRef(VariableName);

closed!(TokenRef);

impl TokenRef {
    /// Reads the name of a host variable.
    ///
    /// # Errors
    /// What is not a name, and what looks like a token put in the place of its name. The text is
    /// not repeated in the message: it may be a secret.
    pub fn parse(text: &str) -> Result<TokenRef, Problem> {
        let help = TOKEN_FORM.says;
        if looks_like_token(text) || text.len() > 100 {
            return Err(Problem::new("this looks like a token, not the name of a variable", help));
        }
        VariableName::parse(text)
            .map(TokenRef)
            .map_err(|_| Problem::new("this is not the name of a host variable", help))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Whether a text has the shape of a token that some service gives out.
pub fn looks_like_token(text: &str) -> bool {
    const SHAPES: [&str; 17] = [
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat",
        "xoxb",
        "xoxp",
        "sk_live_",
        "AKIA",
        "eyJ",
        "sk-",
        "npm_",
        "pypi-",
        "AIza",
        "-----BEGIN",
    ];
    SHAPES.iter().any(|shape| text.starts_with(shape))
}

/// Whether a text that should be a short name or a word or two is, or has in it, what looks like a token.
pub fn may_hold_token(text: &str) -> bool {
    text.len() > 64 || text.split(' ').any(looks_like_token)
}

/// What a variable of the agent is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Text that the manifest gives.
    Literal(String),
    /// The host's variable of that name, at launch.
    Host(VariableName),
    /// The answer to a question, at launch.
    Prompt(String),
}

impl Binding {
    /// Reads a value: `${HOST_VAR}`, `?`, `?question`, or text in which `$$` stands for `$`.
    ///
    /// # Errors
    /// References inside a longer text, and text that an environment or an env file cannot carry.
    pub fn parse(text: &str) -> Result<Binding, Problem> {
        if let Some(question) = text.strip_prefix('?') {
            return match question.chars().find(|c| c.is_control()) {
                Some(_) => Err(Problem::new("a question must be a single line", "remove the line break")),
                None => Ok(Binding::Prompt(question.trim().to_owned())),
            };
        }
        if let Some(name) = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'))
            && let Ok(name) = VariableName::parse(name)
        {
            return Ok(Binding::Host(name));
        }
        let mut literal = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            if tail.starts_with('{') {
                return Err(Problem::new(
                    "a host variable must be the whole value",
                    "write `${NAME}` alone, or `$${` for the text `${`",
                ));
            }
            literal.push('$');
            rest = tail.strip_prefix('$').unwrap_or(tail);
        }
        literal.push_str(rest);
        carriable(&literal)?;
        Ok(Binding::Literal(literal))
    }
}

/// Whether an env file can carry a text.
///
/// # Errors
/// Line breaks, and what is too long for a line.
pub(crate) fn carriable(value: &str) -> Result<(), Problem> {
    if value.contains(['\n', '\r', '\0']) {
        return Err(Problem::new(
            "an env file cannot hold a value with a line break or NUL",
            "encode the value, base64 for example, and decode it in the bottle",
        ));
    }
    if value.len() > MAX_LINE - 256 {
        return Err(Problem::new("the value is too long for a line of an env file", "put it in a file in the image"));
    }
    Ok(())
}
