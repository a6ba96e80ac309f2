//! `bottlec providers`: the supported agents.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use super::Status;
use crate::provider;
use crate::value::credential_file::CredentialFile;

/// List the supported agents and how each one signs in
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Providers {}

const EXAMPLES: &str = "\
Examples:
  bottlec providers
  bottlec init --template NAME bottle.yaml";

impl Providers {
    pub(super) fn run(&self) -> Result<Status> {
        let mut text = String::new();
        for provider in &provider::ALL {
            let mut ways = Vec::new();
            if provider.get().takes_auth_token() {
                ways.push("auth_token: HOST_VARIABLE".to_owned());
            }
            if let Some(CredentialFile { folder_variable, name, in_home, .. }) = provider.get().credential_file() {
                ways.push(format!("forward_host_credentials: true (${folder_variable}/{name}, else ~/{in_home})"));
            }
            ways.push("a login inside the bottle".to_owned());
            let default = if provider.name() == provider::default_name() { " (default)" } else { "" };
            text += &format!("{}{default}\n", provider.name());
            text.extend(ways.iter().map(|way| format!("  {way}\n")));
        }
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}
