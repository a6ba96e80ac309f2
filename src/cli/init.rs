//! `bottlec init`: a starter manifest.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;

use super::{Screen, Status};
use crate::provider;

/// Write a commented starter manifest; never overwrites a file
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Init {
    /// File to write; `-` prints to stdout
    #[arg(value_name = "PATH", default_value = "bottle.yaml")]
    path: PathBuf,
    /// Agent that runs in the bottle
    #[arg(long, value_name = "PROVIDER", default_value = provider::default_name(), value_parser = PossibleValuesParser::new(provider::names(|_| true)))]
    template: String,
}

const EXAMPLES: &str = "\
Examples:
  bottlec init
  bottlec init bottles/review.bottle.yaml
  bottlec init -";

const START: &str = "\
# yaml-language-server: $schema=bottle.schema.json
# (For editors: `bottlec schema > bottle.schema.json` writes the schema next to this file.)
#
# A bottle: which agent runs in it, what it can reach, and with which credentials.
# `bottlec check` validates it, `bottlec build THIS_FILE -o out/` compiles it.

";

const END: &str = "
# Environment of the agent: plain text, a host variable (`${NAME}`) or a question (`?Which one`).
# The last two are resolved at launch and never written to a file.
env: {}

# Hosts in addition to those that the agent itself needs. Credentials are referenced by name:
#
#   - host: git.example.com
#     path_allowlist: [/api/v1/repos/team/project]
#     auth: { scheme: token, token_ref: FORGE_TOKEN }
#     pipelock: { tls_passthrough: true }
egress:
  routes: []
";

impl Init {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let Some(provider) = provider::find(Some(&self.template)) else { bail!("unknown provider {}", self.template) };
        let text = format!("{START}{}{END}", provider.get().first_settings);
        if self.path.as_os_str() == "-" {
            std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
            return Ok(Status::Clean);
        }
        let shown = self.path.display();
        let mut file = match std::fs::OpenOptions::new().write(true).create_new(true).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!("{shown} already exists; choose another path")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write {shown}")),
        };
        file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))?;
        screen.note(format_args!("wrote {shown}; next: bottlec check {shown}"));
        Ok(Status::Clean)
    }
}
