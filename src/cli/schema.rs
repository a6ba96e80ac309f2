//! `bottlec schema`: the JSON Schemas for manifests and for bottlec.toml.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use super::Status;
use crate::config;
use crate::manifest::schema;

/// Print the JSON Schema for manifests, or for bottlec.toml
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PrintSchema {
    /// Print the schema for bottlec.toml
    #[arg(long)]
    config: bool,
}

const EXAMPLES: &str = "\
Examples:
  bottlec schema > bottle.schema.json
  bottlec schema --config > bottlec.schema.json
  bottlec schema | jq '.properties | keys'";

impl PrintSchema {
    pub(super) fn run(&self) -> Result<Status> {
        let text = if self.config { config::schema::TEXT } else { schema::TEXT };
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}
