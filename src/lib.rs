//! bottlec compiles one manifest into every file that a sandboxed coding agent's proxy chain needs.
//!
//! The way of a manifest: [`manifest::load`] reads it and its parents, [`manifest::check`] makes a
//! [`bottle::Bottle`] of it, [`compile::compile`] turns that and [`facts::HostFacts`] into an
//! [`compile::tree::Tree`], and [`output`] writes the tree. Only `manifest`, `revision`, `facts` and `output`
//! touch the machine. Apart from that, [`launch`] finds the values that a compiled bottle leaves open,
//! and `bottlec exec` starts a program with them. `docs/architecture.md` has the map.

#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr)]

#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod compile;
pub mod config;
pub mod link;
pub mod manifest;
pub mod model;
#[cfg(not(target_family = "wasm"))]
pub mod output;
pub mod provider;
pub mod target;
pub mod text;
pub mod value;
