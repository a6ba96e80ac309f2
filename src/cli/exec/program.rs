//! Finds the program of a command the way a shell does, from the user's current directory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::text::diagnostic::Problem;

/// The exit code of shells if the command is not found.
pub(super) const NOT_FOUND: u8 = 127;
/// The exit code of shells if the command cannot be executed.
pub(super) const NOT_EXECUTABLE: u8 = 126;

/// The search path if `PATH` is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The absolute path of the program: the child has another working directory, where relative names, including
/// those in `PATH`, would refer to other programs.
pub(super) fn find(command: &OsStr, path: Option<OsString>, here: &Path) -> Result<PathBuf, (u8, Problem)> {
    let shown = Path::new(command).display();
    let candidates: Vec<PathBuf> = if command.as_bytes().contains(&b'/') {
        vec![here.join(command)]
    } else {
        let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
        std::env::split_paths(&path).map(|folder| here.join(folder).join(command)).collect()
    };
    let mut not_executable = None;
    for candidate in candidates {
        match fs::metadata(&candidate) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(_) => not_executable = not_executable.or(Some(candidate)),
            Err(_) => {}
        }
    }
    Err(match not_executable {
        Some(found) => (
            NOT_EXECUTABLE,
            Problem::new(
                format!("{shown} cannot be executed"),
                format!("{} is not an executable file", found.display()),
            ),
        ),
        None => {
            let help = "install it, or give its path; the command and its arguments follow `--`";
            (NOT_FOUND, Problem::new(format!("{shown}: command not found"), help))
        }
    })
}
