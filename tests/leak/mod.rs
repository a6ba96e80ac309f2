//! Nothing of a secret gets out of bottlec: every secret that it could come by is a canary, and whatever
//! it writes, prints or starts is searched for them in every form.
//!
//! `BOTTLEC_CASES=500 cargo test --test slow leak` tries more generated manifests.

mod canary;
mod commands;
mod detector;
mod host_secrets;
mod launch;
mod logins;
mod memory;
mod terminal;
mod trouble;
