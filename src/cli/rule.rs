//! `bottlec rule`: the documentation of each code.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};

use super::{Status, human};
use crate::compile::rules;
use crate::text::diagnostic::Grade;
use crate::text::suggest;

/// Explain a rule, or list all of them
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Rule {
    /// Code of a finding, such as BTL203
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  bottlec rule BTL203
  bottlec rule";

impl Rule {
    pub(super) fn run(&self) -> Result<Status> {
        let text = match &self.code {
            None => rules::all()
                .iter()
                .map(|code| {
                    let weight = code.grade().map_or(code.severity().as_str(), Grade::as_str);
                    format!("{}  {weight:8}  {}\n", code.as_str(), code.page().title())
                })
                .collect(),
            Some(written) => match rules::find(written) {
                Some(code) => code.page().plain(human::width(std::io::stdout())),
                None => {
                    let known = rules::all();
                    let known = known.iter().map(|code| code.as_str());
                    match suggest::nearest(&written.to_ascii_uppercase(), known) {
                        Some(near) => bail!("unknown rule {written}; did you mean {near}?"),
                        None => bail!("unknown rule {written}; run `bottlec rule` to list all rules"),
                    }
                }
            },
        };
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}
