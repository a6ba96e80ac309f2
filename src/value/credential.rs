//! Credentials by name: how egress signs a request, and where the token comes from.

use crate::value::variable::TokenRef;

/// How egress signs a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scheme {
    /// `Bearer TOKEN`.
    Bearer,
    /// `token TOKEN`.
    Token,
    /// `Basic base64(USERNAME:TOKEN)`.
    Basic {
        /// The user.
        username: String,
    },
}

impl Scheme {
    /// The first word of the header's value.
    pub fn as_str(&self) -> &'static str {
        match self {
            Scheme::Bearer => "Bearer",
            Scheme::Token => "token",
            Scheme::Basic { .. } => "Basic",
        }
    }

    /// The user, of a scheme that has one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Scheme::Basic { username } => Some(username),
            Scheme::Bearer | Scheme::Token => None,
        }
    }
}

/// A credential by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// How it is sent.
    pub scheme: Scheme,
    /// Where its value comes from at launch.
    pub token_ref: TokenRef,
}
