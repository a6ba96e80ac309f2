//! What the work on one bottle has to say, kept until its turn: bottles are done in any order and told
//! of in that of the arguments.

use std::fmt::Arguments;
use std::io::Write as _;

use annotate_snippets::Renderer;
use anyhow::{Context as _, Result};

use super::{Screen, human, mask_secrets};
use crate::text::diagnostic::{Diagnostic, Severity};
use crate::text::source::Sources;

/// Texts for stdout and stderr, in their order.
#[derive(Default)]
pub(super) struct Said(Vec<Piece>);

enum Piece {
    Out(String),
    Tree(String),
    Err(String),
}

impl Said {
    /// A tree, whose bytes go out as they are.
    pub(super) fn tree(&mut self, text: String) {
        self.0.push(Piece::Tree(text));
    }

    /// A result; colours end at a pipe.
    pub(super) fn result(&mut self, text: String) {
        self.0.push(Piece::Out(text));
    }

    /// A line on stderr, whatever was asked for.
    pub(super) fn error(&mut self, line: Arguments) {
        self.0.push(Piece::Err(format!("{line}\n")));
    }

    /// A line about the work done; none with `--quiet`.
    pub(super) fn note(&mut self, screen: &Screen, line: Arguments) {
        if !screen.quiet {
            self.error(line);
        }
    }

    /// Findings, each a block of lines; warnings are left out with `--quiet`.
    pub(super) fn findings(&mut self, screen: &Screen, findings: &[Diagnostic], mut sources: Sources) {
        mask_secrets(findings, &mut sources);
        let renderer = Renderer::styled();
        for diagnostic in findings {
            if diagnostic.severity == Severity::Error || !screen.quiet {
                self.error(format_args!("{}\n", human::render(diagnostic, &sources, &renderer)));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Prints it. A closed stderr must not end the program, a closed stdout does.
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
