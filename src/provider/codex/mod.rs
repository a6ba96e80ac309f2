//! The login of Codex: a dummy file in the place of the host's. Measured with releases 0.135.0 and 0.169.0, run
//! against a fake service (2026-11).

mod dummy;
mod host_file;
mod host_secrets;
mod jwt;

use super::LaunchToken;
use super::hook::{HostLogin, Prepared};
use crate::provider::facts::HostFacts;
use crate::text::diagnostic::Problem;
use crate::value::credential_file::CredentialFile;

/// The dummy auth file in the agent's home.
const DUMMY: &str = ".codex/auth.json";

static CREDENTIAL_FILE: CredentialFile = CredentialFile {
    folder_variable: "CODEX_HOME",
    name: "auth.json",
    in_home: ".codex/auth.json",
    token_pointer: "/tokens/access_token",
};

/// A `chatgpt` login.
pub(super) static LOGIN: HostLogin = HostLogin {
    file: &CREDENTIAL_FILE,
    prepared: DUMMY,
    token_ref: "BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN",
    token: launch_token,
    prepare: dummy::build,
};

fn launch_token(host: &HostFacts, prepared: Prepared) -> Result<LaunchToken, Problem> {
    let file = host_file::open(host)?;
    let again = "build the bottle again with `bottlec build`, then start it";
    let missing = || Problem::new("the bottle has no Codex auth file for the agent", again);
    let found = prepared(DUMMY).ok_or_else(missing)?;
    let prepared = host_file::Prepared::parse(&found).ok_or_else(missing)?;
    // Of a login that did not change, a build makes this file and no other.
    let expected = dummy::text(&file).map_err(|error| Problem::new(error.to_string(), again))?;
    let warnings = host_file::open_to_others(host).into_iter().chain(file.ends_soon(host.now)).collect();
    let token = file.into_token(&prepared)?;
    if found != expected.as_bytes() {
        let message = format!("the agent's Codex auth file ({DUMMY}) is not the one that a build makes of the host's");
        return Err(Problem::new(message, again));
    }
    Ok(LaunchToken { token, warnings })
}
