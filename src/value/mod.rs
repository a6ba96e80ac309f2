//! The small closed types that everything else is made of: names, hosts, paths, credentials, artifacts.

pub mod artifact;
pub mod credential;
pub mod credential_file;
pub mod digest;
pub mod guest;
pub mod host;
pub mod isolation;
pub mod name;
pub mod network;
pub mod origin;
pub mod path_prefix;
pub(crate) mod registry;
pub mod release;
pub mod secret;
pub mod slot;
pub mod variable;
pub mod withheld;
