//! What starts hundreds of processes: `cargo test --test slow leak` runs one.

mod support;

mod crash;
mod diff;
mod injection;
mod leak;
