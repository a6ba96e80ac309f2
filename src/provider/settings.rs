//! What a manifest says of its agent, checked.

use crate::text::source::Span;
use crate::text::yaml::Spanned;
use crate::value::variable::TokenRef;

/// The agent's settings.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Where the manifest chooses the agent, if it does.
    pub template: Option<Span>,
    /// The host variable with the agent's token.
    pub auth_token: Option<Spanned<TokenRef>>,
    /// Set when the host's credentials are forwarded; the place that asks for it.
    pub forward_host_credentials: Option<Span>,
    /// The image, if the manifest chooses one.
    pub image: Option<Spanned<ImageChoice>>,
}

/// Where the agent's image comes from, if not from bottlec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageChoice {
    /// An image reference.
    Reference(String),
    /// A local archive; the path from the manifest's folder.
    Archive(String),
    /// A Dockerfile; the path from the manifest's folder.
    Dockerfile(String),
}

impl ImageChoice {
    /// Whether it is a file beside the manifest.
    pub fn is_local(&self) -> bool {
        match self {
            ImageChoice::Reference(_) => false,
            ImageChoice::Archive(_) | ImageChoice::Dockerfile(_) => true,
        }
    }
}
