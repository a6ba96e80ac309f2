//! Text that bottlec reads and writes: sources and their places, YAML, findings, templates and their quoting.

pub mod accept;
pub mod comment;
pub mod diagnostic;
pub(crate) mod front_matter;
pub mod render;
pub mod schema;
pub mod source;
pub mod suggest;
pub mod visible;
pub mod wrap;
pub mod yaml;
