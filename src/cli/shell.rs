//! `bottlec completions` and `bottlec man`: shell completions and man pages.

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::{CommandFactory as _, ValueEnum as _};
use clap_complete::Shell;

use super::{Arguments, Status};

/// Print a shell completion script
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  bottlec completions bash > ~/.local/share/bash-completion/completions/bottlec
  bottlec completions zsh > ~/.zfunc/_bottlec
  bottlec completions fish > ~/.config/fish/completions/bottlec.fish")]
pub(super) struct Completions {
    /// Shell that will load the script [default: the one of $SHELL]
    shell: Option<Shell>,
}

impl Completions {
    pub(super) fn run(&self) -> Result<Status> {
        let Some(shell) = self.shell.or_else(Shell::from_env) else {
            let shells: Vec<String> = Shell::value_variants().iter().map(ToString::to_string).collect();
            bail!("cannot tell the shell from $SHELL: name one of {}", shells.join(", "));
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Arguments::command(), "bottlec", &mut script);
        std::io::stdout().write_all(&script).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}

/// Print the man page, or write one page per command to a folder
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  bottlec man | man -l -
  bottlec man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// Folder to write the pages to
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(&self) -> Result<Status> {
        let command = Arguments::command();
        match &self.folder {
            Some(folder) => clap_mangen::generate_to(command, folder)
                .with_context(|| format!("cannot write to {}", folder.display()))?,
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(command).render(&mut page).context("cannot render the man page")?;
                std::io::stdout().write_all(&page).context("cannot write to stdout")?;
            }
        }
        Ok(Status::Clean)
    }
}
