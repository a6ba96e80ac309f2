//! The small closed types that everything else is made of: names, hosts, paths, credentials, artifacts.

/// Closes a newtype over text: what serde reads goes through `parse` and has the one spelling that a build writes, so
/// that nothing out of form comes from an edited file either. The type says `#[serde(try_from = "String")]`.
macro_rules! closed {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let value = $type::parse(&text).map_err(|refusal| refusal.message)?;
                if value.as_str() == text { Ok(value) } else { Err(format!("`{text}` must be written `{value}`")) }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed;

pub mod allowlist;
pub mod artifact;
pub mod credential;
pub mod credential_file;
pub mod digest;
pub mod guest;
pub mod header;
pub mod host;
pub mod host_secrets;
pub mod isolation;
pub mod name;
pub mod network;
pub mod origin;
pub mod path_prefix;
pub(crate) mod registry;
pub mod release;
pub mod restart;
pub mod secret;
pub mod slot;
pub mod variable;
