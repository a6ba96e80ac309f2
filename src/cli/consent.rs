//! Whether a bottle may use the host's credentials: what is new is asked once, and remembered by checkout.

use std::path::Path;

use annotate_snippets::Level;
use anyhow::{Context as _, Result};

use super::exec::{INTERRUPTED, show};
use super::{Screen, Status};
use crate::cli::agreement::{Agreed, Use, uses};
use crate::cli::checkout::Checkout;
use crate::cli::terminal::{Terminal, Unanswered};
use crate::output::Verified;
use crate::text::diagnostic::Refusal;
use crate::text::visible;

/// Under which name agreements are kept.
const NAME: &str = "allowed";

/// What was agreed to in a bottle's folder.
pub(super) struct Agreements {
    pub(super) checkout: Checkout,
    pub(super) agreed: Agreed,
}

/// How a question to allow something ended.
pub(super) enum Answer {
    Allowed,
    /// With this status; why was said.
    Refused(Status),
}

/// Lets a start go on that uses nothing but what its owner agreed to, and asks for the rest. To be called
/// before any value is looked at. Gives the status to end with where there is to be no start.
pub(super) fn consent(bottle: &Verified, folder: &Path, screen: &Screen) -> Result<Option<Status>> {
    // Such a bottle does not start at all.
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

    /// What of it was not agreed to.
    pub(super) fn new_among(&self, mut uses: Vec<Use>) -> Vec<Use> {
        uses.retain(|one| !self.agreed.covers(&one.subject));
        uses
    }

    /// Agrees to all of it.
    pub(super) fn add(&mut self, uses: &[Use]) -> Result<()> {
        uses.iter().for_each(|one| self.agreed.add(&one.subject));
        self.keep()
    }

    /// Forgets all of it.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.agreed = Agreed::default();
        self.keep()
    }

    fn keep(&mut self) -> Result<()> {
        self.agreed.folder = self.checkout.folder.display().to_string();
        self.checkout.remember(NAME, &self.agreed)
    }

    /// Asks on the terminal for what is new.
    pub(super) fn ask(&mut self, bottle: &Verified, folder: &Path, new: &[Use]) -> Result<Answer> {
        let name = visible::line(bottle.index.name());
        let Some(terminal) = Terminal::open() else {
            let refusal = Refusal::new(
                format!("the bottle {name} uses credentials that were not allowed in this folder:"),
                format!("if that is as it should be, run `bottlec allow {}`", folder.display()),
            );
            show(&Level::ERROR, &refusal.listing(new.iter().map(told)));
            return Ok(Answer::Refused(Status::Findings));
        };
        let here = self.checkout.folder.display().to_string();
        let list: String = new.iter().map(|one| format!("  {}\n", told(one))).collect();
        let question = format!(
            "bottlec: the bottle {name} in {} wants to use credentials of yours:\n\n{list}\nbottlec: allow {} in this \
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

/// A use and who asks for it, on one line.
pub(super) fn told(one: &Use) -> String {
    if one.asked_by.is_empty() { one.says.clone() } else { format!("{} ({})", one.says, one.asked_by) }
}
