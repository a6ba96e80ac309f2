//! The command line: arguments, global options and exit codes.

pub mod agreement;
mod allow;
mod batch;
mod build;
mod check;
pub(crate) mod checkout;
mod config;
mod consent;
mod diff;
mod exec;
mod facts;
pub mod human;
mod init;
mod invalid_tree;
pub mod launch;
mod messages;
mod plan;
mod progress;
mod providers;
mod rule;
mod schema;
mod shell;
mod side;
pub(crate) mod terminal;
mod values;
mod why;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use crate::text::diagnostic::Diagnostic;
use crate::text::source::Sources;
use crate::text::visible;

/// Compile one manifest into every file that a sandboxed coding agent's proxy chain needs
#[derive(Parser)]
#[command(name = "bottlec", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    screen: Screen,
}

/// Options of every command.
#[derive(clap::Args)]
struct Screen {
    /// When to use colors; NO_COLOR disables them
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Show errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Show more, such as each file that is written
    #[arg(short, long, global = true)]
    verbose: bool,
}

#[derive(Subcommand)]
enum Command {
    Build(build::Build),
    Check(check::Check),
    Diff(diff::Diff),
    Why(why::Why),

    Plan(plan::Plan),
    Exec(exec::Exec),
    Allow(allow::Allow),
    Init(init::Init),
    Rule(rule::Rule),
    Providers(providers::Providers),
    Schema(schema::PrintSchema),
    Completions(shell::Completions),
    Man(shell::Man),
}

const EXIT_CODES: &str = "Exit codes: 0 clean, 1 findings or differences, 2 usage, I/O or internal error.";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Clean,
    Findings,
    /// This exit code; the reason has been printed.
    Exit(u8),
}

/// Runs bottlec.
#[must_use]
pub fn main() -> ExitCode {
    keep_memory_private();
    let arguments = Arguments::parse();
    let screen = arguments.screen;
    screen.choose_color();
    let result = match arguments.command {
        Command::Build(build) => build.run(&screen),
        Command::Check(check) => check.run(&screen),
        Command::Diff(diff) => diff.run(&screen),
        Command::Why(why) => why.run(&screen),

        Command::Plan(plan) => plan.run(&screen),
        Command::Providers(providers) => providers.run(),
        Command::Exec(exec) => exec.run(&screen),
        Command::Allow(allow) => allow.run(&screen),
        Command::Init(init) => init.run(&screen),
        Command::Rule(rule) => rule.run(),
        Command::Schema(schema) => schema.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match result {
        Ok(Status::Clean) => ExitCode::SUCCESS,
        Ok(Status::Findings) => ExitCode::from(1),
        Ok(Status::Exit(code)) => ExitCode::from(code),
        // The reader has closed the pipe, as in `bottlec … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // It may contain the name of a file in an untrusted tree.
            say(format_args!("bottlec: {}", visible::lines(&format!("{error:#}"))));
            ExitCode::from(2)
        }
    }
}

/// Disables core dumps and tracing by the same user, so that neither reveals what is read here or what the
/// environment holds. A program started by `exec` is not affected: exec(2) resets this.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Cannot fail for this value, and everything else works without it.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Prints a line to stderr. A closed stderr must not end the program.
fn say(line: std::fmt::Arguments) {
    use std::io::Write as _;
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Masks the source text of findings that may point at a secret.
fn mask_secrets(findings: &[Diagnostic], sources: &mut Sources) {
    for secret in findings.iter().filter(|diagnostic| diagnostic.code.may_point_at_secret()) {
        secret.span().into_iter().for_each(|span| sources.mask(span));
    }
}

impl Screen {
    fn choose_color(&self) {
        match self.color {
            ColorChoice::Auto => anstream::ColorChoice::Auto,
            ColorChoice::Always => anstream::ColorChoice::Always,
            ColorChoice::Never => anstream::ColorChoice::Never,
        }
        .write_global();
    }

    /// Prints a status line, unless `--quiet` is set.
    fn note(&self, line: std::fmt::Arguments) {
        if !self.quiet {
            say(line);
        }
    }

    /// Prints findings; warnings are omitted with `--quiet`.
    fn show(&self, findings: &[Diagnostic], sources: Sources) {
        let mut messages = messages::Messages::default();
        messages.findings(self, findings, sources);
        // Only stderr is written to, which may be closed.
        let _ = messages.print();
    }
}
