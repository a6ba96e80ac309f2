//! `bottlec allow`: allows a bottle, before it starts, to use the host's credentials.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::PathBuf;

use annotate_snippets::Level;
use anyhow::{Context as _, Result};

use super::consent::{Agreements, Answer, describe};
use super::exec::show;
use super::{Screen, Status, invalid_tree};
use crate::cli::agreement::{Subject, uses};
use crate::cli::terminal::Terminal;
use crate::output::{self, Verified};
use crate::text::diagnostic::Problem;

/// Allow a bottle to use credentials: which token may be sent to which host
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Allow {
    /// The bottle's folder, which contains bottle.json
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Allow everything new without asking, for scripts
    #[arg(short, long, conflicts_with_all = ["list", "forget"])]
    yes: bool,
    /// List what is allowed and what is new; change nothing
    #[arg(long, conflicts_with = "forget")]
    list: bool,
    /// Revoke everything allowed in this folder; `exec` will ask again
    #[arg(long)]
    forget: bool,
}

const EXAMPLES: &str = "\
Examples:
  bottlec allow out/review
  bottlec allow --yes out/review && bottlec exec out/review -- docker compose up -d
  bottlec allow --list out/review
  bottlec allow --forget out/review

A bottle sends no token to a host, and passes no credential to its agent, until you have allowed it \
in the bottle's folder. `exec` asks on the terminal; use this command to answer beforehand, or for \
starts without a terminal. No token is read. The answer is stored in bottlec's configuration folder \
($XDG_CONFIG_HOME/bottlec, or ~/.config/bottlec) and applies to this folder only: another clone of \
the same repository asks again, and after a rebuild only what is new is asked for.

Exit codes: 0 everything is allowed, 1 something is not, or the folder is not what a build wrote, \
2 usage, I/O or internal error, 130 interrupted with ^C.";

impl Allow {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        if self.forget {
            Agreements::of(&self.folder)?.forget()?;
            screen.note(format_args!("bottlec: revoked everything that was allowed in {}", self.folder.display()));
            return Ok(Status::Clean);
        }
        let bottle = match output::verify(&self.folder)? {
            Ok(bottle) => bottle,
            Err(invalid) => {
                show(&Level::ERROR, &invalid_tree::explain(&self.folder, &invalid));
                return Ok(if invalid.is_no_bottle() { Status::Exit(2) } else { Status::Findings });
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
            new.iter().for_each(|one| screen.note(format_args!("bottlec: allowed: {}", describe(one))));
            return Ok(Status::Clean);
        }
        if Terminal::open().is_none() {
            let refusal = Problem::new(
                "cannot ask without a terminal; not allowed yet:",
                format!("if this is intended, run `bottlec allow --yes {}`", self.folder.display()),
            );
            show(&Level::ERROR, &refusal.listing(new.iter().map(describe)));
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

    /// Lists what the bottle uses, then what is allowed but no longer used.
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
            text += &format!("{:9}{}\n", if is_allowed { "allowed" } else { "new" }, describe(one));
        }
        let used: BTreeSet<&Subject> = uses.iter().map(|one| &one.subject).collect();
        for subject in agreed.subjects().filter(|subject| !used.contains(subject)) {
            text += &format!("{:9}{subject}\n", "unused");
        }
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(status)
    }
}
