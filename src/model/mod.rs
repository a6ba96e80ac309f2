//! What an agent can reach, without a proxy or an engine: the model of a compiled bottle, what becomes of
//! one request, and what a change of the bottle gives or takes. Nothing in here asks which provider or
//! backend it is.

mod change;
mod compiled;
mod edits;
mod entry;
mod parts;
mod reach;
pub mod rebuild;
mod request;
mod restart;
pub mod review;
mod settings;
pub mod why;

pub use crate::value::restart::Restart;
pub use change::{Change, Direction, Entry, Topic, changes, rebuilt, sort};
pub use compiled::Model;
pub use edits::{Edit, Edits, edits, gone, manifest_gone, manifest_hidden, mended};
pub use reach::{Credential, Reach, Route, Tls, Value};
pub use request::{Authorization, Request, Rule, Verdict, judge};
pub use restart::restarts;
