//! bottlec compiles one manifest into every file that a sandboxed coding agent's proxy chain needs.
//!
//! The way of a manifest: [`manifest::load`] reads it and its parents, [`manifest::check`] makes a
//! [`bottle::Bottle`] of it, [`compile::compile`] turns that and [`facts::HostFacts`] into an
//! [`artifact::Tree`], and [`output`] writes the tree. Only `manifest`, `revision`, `facts` and `output`
//! touch the machine. Apart from that, [`launch`] finds the values that a compiled bottle leaves open,
//! and `bottlec exec` starts a program with them. `docs/architecture.md` has the map.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

pub mod accept;
pub mod allow;
pub mod artifact;
pub mod backend;
pub mod bottle;
pub mod checkout;
pub mod command;
pub mod comment;
pub mod compile;
pub mod consent;
pub mod credential;
pub mod credential_file;
pub mod diagnostic;
pub mod digest;
pub mod egress;
pub mod environment;
pub mod facts;
pub mod guest;
pub mod host;
pub mod host_credential;
pub mod index;
pub mod launch;
pub mod lint;
pub mod manifest;
pub mod name;
pub mod network;
pub mod origin;
pub mod output;
pub mod path_prefix;
pub mod pipelock;
pub mod plan;
pub mod policy;
pub mod provider;
pub mod rebuild;
mod registry;
mod regular;
pub mod release;
pub mod render;
pub mod review;
pub mod revision;
pub mod secret;
pub mod slot;
pub mod source;
mod terminal;
pub mod variable;
pub mod visible;
pub mod why;
pub mod withheld;
pub mod yaml;
