//! Credentials by name: where egress puts a token, in which form, and where the token comes from.

use serde::{Deserialize, Serialize};

use crate::text::diagnostic::Problem;
use crate::text::schema::TextForm;
use crate::value::header::HeaderName;
use crate::value::variable::{TokenRef, may_hold_token};

/// What the text before a token may look like, for the schema.
pub const PREFIX_FORM: TextForm = TextForm {
    pattern: "^[!-~]([ -~]{0,62}[ !-/:-@\\[-`{-~])?$",
    says: "write what stands before the token, with the blank between them, such as `\"Bot \"`",
};

/// What the name of a query parameter looks like.
pub const PARAMETER_FORM: TextForm = TextForm {
    pattern: "^[A-Za-z0-9._~$-]{1,64}$",
    says: "write the name of the parameter that the service reads its key from, such as `key`",
};

/// What the user of scheme `Basic` looks like.
pub const USERNAME_FORM: TextForm = TextForm {
    pattern: r"^[^:\u0000-\u001f\u007f]*$",
    says: "write only the username, without `:` or control characters",
};

/// Where egress puts a token, and in which form. What means the same is the same value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
pub enum Injection {
    /// `NAME: PREFIXTOKEN`; `Bearer` and `token` are such prefixes of `Authorization`.
    Header {
        /// The header.
        name: HeaderName,
        /// What stands before the token.
        prefix: Option<Prefix>,
    },
    /// `Authorization: Basic base64(USERNAME:TOKEN)`.
    Basic {
        /// The user.
        username: Username,
    },
    /// `?PARAMETER=TOKEN`.
    Query {
        /// The query parameter.
        parameter: Parameter,
    },
}

/// The keys of an injection in a file: those of one form, with the prefixes of `Authorization` that have a name as
/// `scheme`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Form {
    /// `Bearer`, `token` or `Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The user of `Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
    /// The header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<HeaderName>,
    /// What stands before the token in that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
    /// The query parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Parameter>,
}

/// Prefixes of `Authorization` that have a name.
const SCHEMES: [(&str, &str); 2] = [("Bearer", "Bearer "), ("token", "token ")];

impl Injection {
    /// `Authorization: Bearer TOKEN`.
    pub fn bearer() -> Injection {
        Injection::scheme("Bearer")
    }

    /// `Authorization: token TOKEN`.
    pub fn token() -> Injection {
        Injection::scheme("token")
    }

    fn scheme(name: &str) -> Injection {
        Injection::Header { name: HeaderName::authorization(), prefix: Some(Prefix(format!("{name} "))) }
    }

    /// The header, if it is one. Egress takes the agent's own out.
    pub fn header(&self) -> Option<HeaderName> {
        match self {
            Injection::Header { name, .. } => Some(name.clone()),
            Injection::Basic { .. } => Some(HeaderName::authorization()),
            Injection::Query { .. } => None,
        }
    }

    /// The query parameter, if it is one.
    pub fn parameter(&self) -> Option<&Parameter> {
        match self {
            Injection::Query { parameter } => Some(parameter),
            Injection::Header { .. } | Injection::Basic { .. } => None,
        }
    }

    /// The keys of a file.
    pub fn form(&self) -> Form {
        let form = Form::default();
        match self {
            Injection::Header { name, prefix } => {
                let of_authorization = prefix.as_ref().filter(|_| *name == HeaderName::authorization());
                let known =
                    of_authorization.and_then(|prefix| SCHEMES.iter().find(|(_, text)| prefix.as_str() == *text));
                match known {
                    Some((scheme, _)) => Form { scheme: Some((*scheme).to_owned()), ..form },
                    None => Form { header: Some(name.clone()), prefix: prefix.clone(), ..form },
                }
            }
            Injection::Basic { username } => {
                Form { scheme: Some("Basic".to_owned()), username: Some(username.clone()), ..form }
            }
            Injection::Query { parameter } => Form { query: Some(parameter.clone()), ..form },
        }
    }

    /// The key of a [`Form`] that says which form it is.
    pub fn key(&self) -> &'static str {
        match self.form() {
            Form { scheme: Some(_), .. } => "scheme",
            Form { header: Some(_), .. } => "header",
            _ => "query",
        }
    }

    /// The first key of its form that is other than that of another injection.
    pub fn differing_key(&self, other: &Injection) -> &'static str {
        let (own, others) = (self.form(), other.form());
        if own.scheme == others.scheme && own.username != others.username {
            "username"
        } else if own.header == others.header && own.prefix.is_some() && own.prefix != others.prefix {
            "prefix"
        } else {
            self.key()
        }
    }

    /// How egress signs, in words that follow "signs" or "is sent".
    pub fn describe(&self) -> String {
        match self.form() {
            Form { scheme: Some(scheme), username: Some(user), .. } => format!("as `{scheme}` of `{user}`"),
            Form { scheme: Some(scheme), .. } => format!("as `{scheme}`"),
            Form { header: Some(name), prefix: Some(prefix), .. } => {
                format!("in the header `{name}` after `{prefix}`")
            }
            Form { header: Some(name), .. } => format!("in the header `{name}`"),
            Form { query, .. } => {
                format!("in the query parameter `{}`", query.as_ref().map_or("", Parameter::as_str))
            }
        }
    }
}

impl From<Injection> for Form {
    fn from(injection: Injection) -> Form {
        injection.form()
    }
}

impl TryFrom<Form> for Injection {
    type Error = String;

    fn try_from(form: Form) -> Result<Injection, String> {
        let injection = match form.clone() {
            Form { scheme: Some(scheme), username: None, header: None, prefix: None, query: None }
                if SCHEMES.iter().any(|(name, _)| *name == scheme) =>
            {
                Injection::scheme(&scheme)
            }
            Form { scheme: Some(scheme), username: Some(username), header: None, prefix: None, query: None }
                if scheme == "Basic" =>
            {
                Injection::Basic { username }
            }
            Form { scheme: None, username: None, header: Some(name), prefix, query: None } => {
                Injection::Header { name, prefix }
            }
            Form { scheme: None, username: None, header: None, prefix: None, query: Some(parameter) } => {
                Injection::Query { parameter }
            }
            _ => return Err("the credential has a form that egress does not support".to_owned()),
        };
        if injection.form() == form {
            Ok(injection)
        } else {
            Err("the credential must be written with its scheme".to_owned())
        }
    }
}

/// The text before a token in a header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Prefix(String);

closed!(Prefix);

impl Prefix {
    /// Reads the text before a token.
    ///
    /// # Errors
    /// What a header cannot carry, and a text after which the token could not be told from it.
    pub fn parse(text: &str) -> Result<Prefix, Problem> {
        if may_hold_token(text) {
            return Err(Problem::new(
                "this looks like a token, not the text before one",
                "write what stands before the token, such as `\"Bot \"`; the token is named by `token_ref`",
            ));
        }
        if text.is_empty() || text.starts_with(' ') || text.bytes().any(|byte| !(b' '..=b'~').contains(&byte)) {
            return Err(Problem::new(
                "a prefix must be one line of ASCII and must not start with a blank",
                PREFIX_FORM.says,
            ));
        }
        if text.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            return Err(Problem::new(
                "the token would run into the prefix, with no blank between them",
                format!("write `\"{} \"` with the blank, in double quotes", text.escape_debug()),
            ));
        }
        Ok(Prefix(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The user of scheme `Basic`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Username(String);

closed!(Username);

impl Username {
    /// Reads a user.
    ///
    /// # Errors
    /// What could not be told from the password, or would not fit into a header.
    pub fn parse(text: &str) -> Result<Username, Problem> {
        if text.is_empty() || text.contains(':') || text.chars().any(char::is_control) {
            return Err(Problem::new(
                "a username for scheme `Basic` must not contain `:` or a control character",
                USERNAME_FORM.says,
            ));
        }
        Ok(Username(text.to_owned()))
    }

    /// The user.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a query parameter that can hold a token.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Parameter(String);

closed!(Parameter);

impl Parameter {
    /// Reads the name of a parameter.
    ///
    /// # Errors
    /// What would have to be encoded: servers differ in how they read that.
    pub fn parse(text: &str) -> Result<Parameter, Problem> {
        let help = PARAMETER_FORM.says;
        if may_hold_token(text) {
            return Err(Problem::new("this looks like a token, not the name of a query parameter", help));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~$-".contains(&byte);
        if text.is_empty() || !text.bytes().all(allowed) {
            let message =
                format!("`{}` is not a query parameter that can be sent without encoding", text.escape_debug());
            return Err(Problem::new(message, help));
        }
        Ok(Parameter(text.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A credential by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Where it is sent, and in which form.
    pub injection: Injection,
    /// Where its value comes from at launch.
    pub token_ref: TokenRef,
}
