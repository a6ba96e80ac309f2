//! `bottlec allow`: agrees beforehand to what a bottle does with the host's credentials.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use annotate_snippets::Level;
use anyhow::{Context as _, Result};

use super::consent::{Agreements, Answer, told};
use super::exec::show;
use super::{Screen, Status, unfit};
use crate::cli::agreement::{Subject, uses};
use crate::cli::terminal::Terminal;
use crate::output::{self, Unfit, Verified};
use crate::text::diagnostic::Refusal;

/// Allow a bottle to use credentials: which token goes to which host
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Allow {
    /// The bottle's folder, which has bottle.json
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Allow all that is new without asking, for scripts
    #[arg(short, long, conflicts_with_all = ["list", "forget"])]
    yes: bool,
    /// Print what was allowed and what would be new, and change nothing
    #[arg(long, conflicts_with = "forget")]
    list: bool,
    /// Take back all that was allowed in this folder; `exec` asks again
    #[arg(long)]
    forget: bool,
}

const EXAMPLES: &str = "\
Examples:
  bottlec allow out/review
  bottlec allow --yes out/review && bottlec exec out/review -- docker compose up -d
  bottlec allow --list out/review
  bottlec allow --forget out/review

A bottle sends no token to a host, and gives no credential to its agent, before you agreed to that
in the bottle's folder. `exec` asks on the terminal; this command does it beforehand, and for starts
without a terminal. No token is read. The answer is kept in bottlec's configuration folder
($XDG_CONFIG_HOME/bottlec, else ~/.config/bottlec) and holds for this folder alone: another clone of
the same repository asks again, and a rebuild asks for what it adds.

Exit codes: 0 all is allowed, 1 something is not, or the folder is not as a build wrote it, 2 usage,
input/output or internal error, 130 after ^C at the question.";

impl Allow {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.forget {
            Agreements::of(&self.folder)?.forget()?;
            screen.note(format_args!("bottlec: nothing is allowed in {} any more", self.folder.display()));
            return Ok(Status::Clean);
        }
        let bottle = match output::verify(&self.folder)? {
            Ok(bottle) => bottle,
            Err(unfit) => {
                show(&Level::ERROR, &unfit::explain(&self.folder, &unfit));
                return Ok(if unfit == Unfit::NoIndex { Status::Exit(2) } else { Status::Findings });
            }
        };
        if self.list {
            return self.print(&bottle);
        }
        self.agree(&bottle, screen)
    }

    fn agree(&self, bottle: &Verified, screen: &Screen) -> Result<Status> {
        let uses = match uses(bottle) {
            Ok(uses) => uses,
            Err(problem) => {
                show(&Level::ERROR, &problem);
                return Ok(Status::Findings);
            }
        };
        let mut agreements = Agreements::of(&self.folder)?;
        let new = agreements.new_among(uses);
        if new.is_empty() {
            screen.note(format_args!("bottlec: nothing new to allow in {}", self.folder.display()));
            return Ok(Status::Clean);
        }
        if self.yes {
            agreements.add(&new)?;
            new.iter().for_each(|one| screen.note(format_args!("bottlec: allowed: {}", told(one))));
            return Ok(Status::Clean);
        }
        if Terminal::open().is_none() {
            let refusal = Refusal::new(
                "there is no terminal to ask on, and this would be new:",
                format!("if that is as it should be, run `bottlec allow --yes {}`", self.folder.display()),
            );
            show(&Level::ERROR, &refusal.listing(new.iter().map(told)));
            return Ok(Status::Findings);
        }
        Ok(match agreements.ask(bottle, &self.folder, &new)? {
            Answer::Allowed => Status::Clean,
            Answer::Refused(status) => {
                screen.note(format_args!("bottlec: nothing was allowed"));
                status
            }
        })
    }

    /// What the bottle uses, then what was allowed and is no longer used.
    fn print(&self, bottle: &Verified) -> Result<Status> {
        let uses = match uses(bottle) {
            Ok(uses) => uses,
            Err(problem) => {
                show(&Level::ERROR, &problem);
                return Ok(Status::Findings);
            }
        };
        let Agreements { checkout: _, agreed } = Agreements::of(&self.folder)?;
        let mut status = Status::Clean;
        let mut text = String::new();
        for one in &uses {
            let is_allowed = agreed.covers(&one.subject);
            if !is_allowed {
                status = Status::Findings;
            }
            text += &format!("{:9}{}\n", if is_allowed { "allowed" } else { "new" }, told(one));
        }
        let used: BTreeSet<&Subject> = uses.iter().map(|one| &one.subject).collect();
        for subject in agreed.subjects().filter(|subject| !used.contains(subject)) {
            text += &format!("{:9}{subject}\n", "unused");
        }
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(status)
    }
}
