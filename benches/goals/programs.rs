//! The programs that are measured: bottlec as it is installed, as it is released, and the floor.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// bottlec as `cargo install` makes it.
pub(crate) fn bottlec() -> Command {
    start(Path::new(env!("CARGO_BIN_EXE_bottlec")))
}

/// A program that finds nothing in its environment.
pub(crate) fn start(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command
}

/// The folder of the profile, which holds what cargo builds.
fn folder() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_bottlec")).parent().expect("a folder")
}

/// cargo's folder, of all profiles.
pub(crate) fn target() -> &'static Path {
    folder().parent().expect("a folder")
}

/// The profile of Cargo.toml that bottlec is built in: `release`, unless cargo was told another one.
pub(crate) fn profile() -> &'static str {
    match folder().file_name().and_then(|name| name.to_str()).expect("a profile") {
        "debug" => "dev",
        profile => profile,
    }
}

/// `benches/goals/floor.rs`. An example, since cargo builds those as it builds programs, without what benches need to panic.
pub(crate) fn floor() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--profile", profile(), "--example", "floor"]);
        let status = build.current_dir(root()).status().expect("cargo starts");
        assert!(status.success(), "the floor cannot be built: {status}");
        folder().join("examples/floor")
    });
    start(program)
}

/// bottlec as a release has it for this machine, static.
pub(crate) fn released() -> Result<Command, String> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        if !cfg!(target_os = "linux") {
            return Err("there are static programs on Linux only".to_owned());
        }
        let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let releases = target().join("goals-release");
        let status = Command::new(root().join("release/build"))
            .arg(&triple)
            .arg(&releases)
            .env("CARGO_TARGET_DIR", target())
            .status();
        match status {
            Ok(status) if status.success() => Ok(releases.join(format!("bottlec-{triple}"))),
            other => Err(format!("`release/build {triple}` failed: {other:?}")),
        }
    });
    built.as_deref().map(start).map_err(Clone::clone)
}

/// Where to build: a folder of cargo's.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}
