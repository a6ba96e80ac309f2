//! What starts hundreds of processes: `cargo test --test slow leak` runs one.

mod support;

mod crash;
mod diff;
mod edits;
mod injection;
mod leak;
