//! `bottlec init`: a starter manifest, and the schema beside it.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;

use super::config::{Configs, Isolation};
use super::{Screen, Status, batch};
use crate::manifest::schema;
use crate::manifest::which::{self, Kind};
use crate::provider;
use crate::value::name::{self, BottleName};

/// Write a commented starter manifest, and the schema with which editors check it; never overwrites a file
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
  bottlec init -

The bottle is named after the file, or after its folder if that is bottle.yaml or manifest.yaml.";

/// Where the schema lies beside the manifest, whose first line says so to editors.
const SCHEMA: &str = "bottle.schema.json";

const START: &str = "\
# yaml-language-server: $schema=bottle.schema.json
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
        let name = name_for(&self.path);
        let text = format!("{START}name: {}\n\n{}{END}", name.as_str(), provider.get().first_settings);
        if self.path.as_os_str() == "-" {
            std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
            return Ok(Status::Clean);
        }
        let shown = self.path.display();
        if !write_new(&self.path, &text)? {
            bail!("{shown} already exists; choose another path");
        }
        let beside = self.path.with_file_name(SCHEMA);
        let more = if write_new(&beside, schema::TEXT)? { format!(" and {}", beside.display()) } else { String::new() };
        screen.note(format_args!("wrote {shown}{more}; next: bottlec check {shown}"));
        let is_named = Configs::on_disk(&Isolation { isolated: false }).names(&self.path)?;
        if !is_named && which::kind(&self.path, || Ok(Some(text.into_bytes())))? != Kind::Bottle {
            screen.note(format_args!(
                "bottlec: checks of a folder, hooks and reviews do not look for this name; call it {}",
                batch::renamed(&self.path).display()
            ));
        }
        Ok(Status::Clean)
    }
}

/// Writes a file that is not there. Returns whether it was not.
fn write_new(path: &Path, text: &str) -> Result<bool> {
    let context = || format!("cannot write {}", path.display());
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => file.write_all(text.as_bytes()).with_context(context).map(|()| true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(context),
    }
}

/// The file's name, unless every bottle could have it, or the folder's.
fn name_for(path: &Path) -> BottleName {
    let stem = name::stem(path.file_name().and_then(OsStr::to_str).unwrap_or_default());
    let is_own = !["-", "bottle", "manifest"].contains(&stem);
    let folder = || std::path::absolute(path).ok()?.parent()?.file_name()?.to_str().map(named);
    let name = if is_own { Some(named(stem)) } else { folder() };
    name.flatten().unwrap_or_else(|| BottleName::parse("agent").expect("a name of letters"))
}

/// The nearest name of a bottle.
fn named(text: &str) -> Option<BottleName> {
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let plain: String = plain.skip_while(|c| !c.is_ascii_lowercase()).take(40).collect();
    BottleName::parse(plain.trim_end_matches('-')).ok()
}
