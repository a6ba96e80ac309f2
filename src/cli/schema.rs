//! `bottlec schema`: the JSON Schema for manifests.

use std::io::Write as _;

use anyhow::{Context as _, Result};

use super::Status;
use crate::manifest::schema;

/// Print the JSON Schema for manifests
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct PrintSchema {}

const EXAMPLES: &str = "\
Examples:
  bottlec schema > bottle.schema.json
  bottlec schema | jq '.properties | keys'";

impl PrintSchema {
    #[expect(clippy::unused_self, reason = "every command has the same signature")]
    pub(super) fn run(&self) -> Result<Status> {
        std::io::stdout().write_all(schema::TEXT.as_bytes()).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}
