//! Which program a command means: as a shell finds it, from where the user stands.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::text::diagnostic::Refusal;

/// What shells exit with when there is no such command.
pub(super) const NOT_FOUND: u8 = 127;
/// What shells exit with when the command cannot be executed.
pub(super) const NOT_EXECUTABLE: u8 = 126;

/// Where programs are when there is no `PATH`.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program's file, absolute: the child stands in another folder, where relative names, those in
/// `PATH` too, would mean other programs.
pub(super) fn find(command: &OsStr, path: Option<OsString>, here: &Path) -> Result<PathBuf, (u8, Refusal)> {
    let shown = Path::new(command).display();
    let candidates: Vec<PathBuf> = if command.as_bytes().contains(&b'/') {
        vec![here.join(command)]
    } else {
        let path = path.unwrap_or_else(|| DEFAULT_PATH.into());
        std::env::split_paths(&path).map(|folder| here.join(folder).join(command)).collect()
    };
    let mut there = None;
    for candidate in candidates {
        match fs::metadata(&candidate) {
            Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => return Ok(candidate),
            Ok(_) => there = there.or(Some(candidate)),
            Err(_) => {}
        }
    }
    Err(match there {
        Some(found) => (
            NOT_EXECUTABLE,
            Refusal::new(
                format!("{shown} cannot be executed"),
                format!("{} is not an executable file", found.display()),
            ),
        ),
        None => {
            let help = "install it, or give its path; what follows `--` is the command and its arguments";
            (NOT_FOUND, Refusal::new(format!("{shown}: command not found"), help))
        }
    })
}
