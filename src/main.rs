//! Arguments in, exit code out.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The static program's: musl's own takes more time than all else that a build does.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    bottlec::cli::main()
}
