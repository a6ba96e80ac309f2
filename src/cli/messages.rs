//! The output of one bottle, buffered: bottles finish in any order and are reported in argument order.

use std::fmt::Arguments;
use std::io::Write as _;

use anyhow::{Context as _, Result};

use super::human::{self, Look};
use super::{Screen, mask_secrets};
use crate::text::diagnostic::{Diagnostic, Severity};
use crate::text::source::Sources;

/// Text for stdout and stderr, in the order in which it was added.
#[derive(Default)]
pub(super) struct Messages(Vec<Piece>);

enum Piece {
    Out(String),
    Tree(String),
    Err(String),
}

impl Messages {
    /// Adds a tree, which is printed byte for byte.
    pub(super) fn tree(&mut self, text: String) {
        self.0.push(Piece::Tree(text));
    }

    /// Adds a result; its colors are removed if stdout is not a terminal.
    pub(super) fn result(&mut self, text: String) {
        self.0.push(Piece::Out(text));
    }

    /// Adds a line on stderr, even with `--quiet`.
    pub(super) fn error(&mut self, line: Arguments) {
        self.0.push(Piece::Err(format!("{line}\n")));
    }

    /// Adds a status line, unless `--quiet` is set.
    pub(super) fn note(&mut self, screen: &Screen, line: Arguments) {
        if !screen.quiet {
            self.error(line);
        }
    }

    /// Adds findings; warnings are omitted with `--quiet`.
    pub(super) fn findings(&mut self, screen: &Screen, findings: &[Diagnostic], mut sources: Sources) {
        mask_secrets(findings, &mut sources);
        let look = Look::on(std::io::stderr());
        for diagnostic in findings {
            if diagnostic.severity == Severity::Error || !screen.quiet {
                self.error(format_args!("{}\n", human::render(diagnostic, &sources, &look)));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints everything. A closed stderr must not end the program; a closed stdout does.
    pub(super) fn print(self) -> Result<()> {
        for piece in self.0 {
            match piece {
                Piece::Out(text) => write(anstream::stdout().lock(), &text)?,
                Piece::Tree(text) => write(std::io::stdout().lock(), &text)?,
                Piece::Err(text) => {
                    let _ = anstream::stderr().write_all(text.as_bytes());
                }
            }
        }
        Ok(())
    }
}

fn write(mut stdout: impl std::io::Write, text: &str) -> Result<()> {
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")
}
