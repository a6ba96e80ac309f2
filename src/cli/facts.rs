//! Reads the host facts: the clock, and the agent's credential file where the manifest asks for it.

use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::manifest::load::regular;
use crate::provider::facts::{FileProblem, HostCredentials, HostFacts};
use crate::value::credential_file::CredentialFile;
use crate::value::secret::Secret;

/// The largest credential file that is read, in bytes.
const MAX_CREDENTIALS: usize = 1 << 20;

/// The facts of this host. The credential file is opened only if the provider has one to
/// forward; `chosen` takes the place of the paths that the provider knows.
pub(super) fn read(file: Option<&CredentialFile>, chosen: Option<&Path>) -> HostFacts {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
    let credentials = match file {
        None => HostCredentials::NotRead,
        Some(file) => match chosen.map(Path::to_owned).or_else(|| default_path(file)) {
            Some(path) => {
                let mut mode = None;
                let content = read_secret(&path, &mut mode);
                HostCredentials::File { path: path.display().to_string(), mode, content }
            }
            None => {
                let content = Err(FileProblem::NoPlace);
                HostCredentials::File { path: file.in_home.to_owned(), mode: None, content }
            }
        },
    };
    HostFacts { now, credentials }
}

fn default_path(file: &CredentialFile) -> Option<PathBuf> {
    let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    match std::env::var_os(file.folder_variable).filter(|folder| !folder.is_empty()) {
        Some(folder) => {
            let folder = PathBuf::from(folder);
            let expanded = folder.strip_prefix("~").ok().and_then(|rest| home().map(|home| home.join(rest)));
            Some(expanded.unwrap_or(folder).join(file.name))
        }
        None => home().map(|home| home.join(file.in_home)),
    }
}

fn read_secret(path: &Path, mode: &mut Option<u32>) -> Result<Secret, FileProblem> {
    let problem = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => FileProblem::Missing,
        _ => FileProblem::Unreadable,
    };
    let (file, found) = regular::open(path).map_err(problem)?;
    *mode = Some(found.permissions().mode() & 0o7777);
    // Room for all that is read, whatever length the file has: a vector that grows leaves copies behind.
    let mut bytes = Vec::with_capacity(MAX_CREDENTIALS + 64);
    let length = file.take(MAX_CREDENTIALS as u64 + 1).read_to_end(&mut bytes);
    let secret = Secret::new(bytes);
    match length {
        Ok(length) if length > MAX_CREDENTIALS => Err(FileProblem::TooLarge),
        Ok(_) => Ok(secret),
        Err(error) => Err(problem(error)),
    }
}
