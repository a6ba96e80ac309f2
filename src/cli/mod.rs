//! The command line: what was typed, and what each command's exit code means.

pub mod agreement;
mod allow;
mod batch;
mod build;
mod check;
pub(crate) mod checkout;
mod consent;
mod diff;
mod exec;
mod facts;
pub mod human;
mod init;
pub mod launch;
mod plan;
mod progress;
mod providers;
mod rule;
mod said;
mod schema;
mod shell;
mod side;
pub(crate) mod terminal;
mod unfit;
mod values;
mod why;

use std::process::ExitCode;

use clap::{ColorChoice, Parser, Subcommand};

use crate::text::diagnostic::Diagnostic;
use crate::text::source::Sources;
use crate::text::visible;

/// Compiles one manifest into every file that a sandboxed coding agent's proxy chain needs.
#[derive(Parser)]
#[command(name = "bottlec", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    screen: Screen,
}

/// What to show, and how.
#[derive(clap::Args)]
struct Screen {
    /// When to use colours; NO_COLOR turns them off
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: ColorChoice,
    /// Show errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Show each file
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

const EXIT_CODES: &str = "Exit codes: 0 clean, 1 findings or differences, 2 usage, input/output or internal error.";

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Clean,
    Findings,
    /// With this code, after saying why.
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
        // Whoever reads our output has seen enough: `bottlec … | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // It may repeat the name of a file of a tree from anywhere.
            say(format_args!("bottlec: {}", visible::lines(&format!("{error:#}"))));
            ExitCode::from(2)
        }
    }
}

/// No core file, and no debugger of this user, gets what is read here or what the environment holds. A
/// program that `exec` starts is as always: exec(2) undoes this.
fn keep_memory_private() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        // Fails for no value that there is; without it everything else still works.
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// One line on stderr. A closed stderr must not end the program.
fn say(line: std::fmt::Arguments) {
    use std::io::Write as _;
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Puts asterisks over what findings say may be a secret.
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

    /// A line about the work done; none with `--quiet`.
    fn note(&self, line: std::fmt::Arguments) {
        if !self.quiet {
            say(line);
        }
    }

    /// Findings, each a block of lines; warnings are left out with `--quiet`.
    fn show(&self, findings: &[Diagnostic], sources: Sources) {
        let mut said = said::Said::default();
        said.findings(self, findings, sources);
        // To stderr alone, which may be closed.
        let _ = said.print();
    }
}
