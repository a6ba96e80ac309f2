//! Permission to use the host's credentials: each new use is asked for once and remembered per checkout.

use std::path::Path;

use annotate_snippets::Level;
use anyhow::{Context as _, Result};

use super::exec::{INTERRUPTED, show};
use super::{Screen, Status};
use crate::cli::agreement::{Agreed, Use, uses};
use crate::cli::checkout::Checkout;
use crate::cli::terminal::{Terminal, Unanswered};
use crate::output::Verified;
use crate::text::diagnostic::Problem;
use crate::text::visible;

/// The name under which agreements are stored.
const NAME: &str = "allowed";

/// What is allowed in a bottle's folder.
pub(super) struct Agreements {
    pub(super) checkout: Checkout,
    pub(super) agreed: Agreed,
}

/// The outcome of asking for permission.
pub(super) enum Answer {
    Allowed,
    /// With this exit status; the reason has been printed.
    Refused(Status),
}

/// Asks for each use of a credential that is not allowed yet. Must be called before any value is read.
/// Returns the exit status if the bottle must not start.
pub(super) fn consent(bottle: &Verified, folder: &Path, screen: &Screen) -> Result<Option<Status>> {
    // A hermetic bottle never starts.
    if bottle.index.is_hermetic() {
        return Ok(None);
    }
    let answer = match uses(bottle) {
        Ok(uses) if uses.is_empty() => Answer::Allowed,
        Ok(uses) => {
            let mut agreements = Agreements::of(folder)?;
            let new = agreements.new_among(uses);
            if new.is_empty() { Answer::Allowed } else { agreements.ask(bottle, folder, &new)? }
        }
        Err(problem) => {
            show(&Level::ERROR, &problem);
            Answer::Refused(Status::Findings)
        }
    };
    Ok(match answer {
        Answer::Allowed => None,
        Answer::Refused(status) => {
            screen.note(format_args!("bottlec: nothing was started"));
            Some(status)
        }
    })
}

impl Agreements {
    pub(super) fn of(folder: &Path) -> Result<Agreements> {
        let checkout = Checkout::of(folder)?;
        let agreed = checkout.recall(NAME)?.unwrap_or_default();
        Ok(Agreements { checkout, agreed })
    }

    /// The uses that are not allowed yet.
    pub(super) fn new_among(&self, mut uses: Vec<Use>) -> Vec<Use> {
        uses.retain(|one| !self.agreed.covers(&one.subject));
        uses
    }

    /// Allows these uses.
    pub(super) fn add(&mut self, uses: &[Use]) -> Result<()> {
        uses.iter().for_each(|one| self.agreed.add(&one.subject));
        self.keep()
    }

    /// Revokes everything.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.agreed = Agreed::default();
        self.keep()
    }

    fn keep(&mut self) -> Result<()> {
        self.agreed.folder = self.checkout.folder.display().to_string();
        self.checkout.remember(NAME, &self.agreed)
    }

    /// Asks on the terminal whether to allow new uses.
    pub(super) fn ask(&mut self, bottle: &Verified, folder: &Path, new: &[Use]) -> Result<Answer> {
        let name = visible::line(bottle.index.name());
        let Some(terminal) = Terminal::open() else {
            let refusal = Problem::new(
                format!("bottle {name} uses credentials that are not allowed in this folder:"),
                format!("if this is intended, run `bottlec allow {}`", folder.display()),
            );
            show(&Level::ERROR, &refusal.listing(new.iter().map(describe)));
            return Ok(Answer::Refused(Status::Findings));
        };
        let here = self.checkout.folder.display().to_string();
        let list: String = new.iter().map(|one| format!("  {}\n", describe(one))).collect();
        let question = format!(
            "bottlec: bottle {name} in {} wants to use your credentials:\n\n{list}\nbottlec: allow {} in this \
             folder from now on? [y/N]",
            visible::line(&here),
            if new.len() == 1 { "it".to_owned() } else { format!("these {}", new.len()) },
        );
        match terminal.confirm(&question) {
            Ok(true) => {
                self.add(new)?;
                Ok(Answer::Allowed)
            }
            Ok(false) => Ok(Answer::Refused(Status::Findings)),
            Err(Unanswered::Interrupted) => Ok(Answer::Refused(Status::Exit(INTERRUPTED))),
            Err(Unanswered::Failed(error)) => Err(error).context("cannot ask on the terminal"),
        }
    }
}

/// A use and what requests it, on one line.
pub(super) fn describe(one: &Use) -> String {
    if one.asked_by.is_empty() { one.message.clone() } else { format!("{} ({})", one.message, one.asked_by) }
}
