//! The environment of the started program, apart from the bottle's values: which of the user's variables are
//! removed, and the variables that set a bottle's files, project and network.

use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use super::machine;
use super::starting::Start;
use crate::value::guest;

/// Variables set for every command, sorted.
pub(super) const OWN: [&str; 7] = [
    guest::CHECKOUT,
    "BOTTLE_MACHINE_NET",
    "BOTTLE_NET",
    "COMPOSE_DISABLE_ENV_FILE",
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    machine::NAME,
];

/// Variables of compose that change neither the files it reads nor the project.
const HARMLESS: [&str; 11] = [
    "COMPOSE_ANSI",
    "COMPOSE_API_VERSION",
    "COMPOSE_BAKE",
    "COMPOSE_DOCKER_CLI_BUILD",
    "COMPOSE_HTTP_TIMEOUT",
    "COMPOSE_INTERACTIVE_NO_CLI",
    "COMPOSE_MENU",
    "COMPOSE_PARALLEL_LIMIT",
    "COMPOSE_PROGRESS",
    "COMPOSE_STATUS_STDOUT",
    "COMPOSE_TLS_VERSION",
];

/// Prefixes of variables that may come from another bottle, if this one is started in its environment.
const OF_A_BOTTLE: [&str; 3] = ["EGRESS_", guest::CARRIER, "COMPOSE_"];

/// Sets the environment of a child process.
pub(super) fn set(child: &mut Command, start: &Start) {
    for (name, _) in std::env::vars_os() {
        let is = |prefix: &&str| name.as_bytes().starts_with(prefix.as_bytes());
        if OF_A_BOTTLE.iter().any(is) && !HARMLESS.iter().any(|harmless| name == *harmless) {
            child.env_remove(name);
        }
    }
    let project = start.project();
    let values = [
        start.checkout().id(),
        start.machine_net(),
        &project.net,
        "1",
        crate::target::CONTAINERS,
        &project.name,
        &project.name,
    ];
    child.envs(OWN.into_iter().zip(values));
    // Services for a microVM are in a profile, which compose ignores unless it is named.
    if start.is_about_what_runs() {
        child.env("COMPOSE_PROFILES", "machine");
    }
}
