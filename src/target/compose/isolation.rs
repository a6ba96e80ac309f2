//! What a compose file keeps up around the agent: which invariants are satisfied, what runs, and the rest.

use serde::Serialize;

use super::file::{Compose, Interpolated, Service};
use super::hardened::hardened;
use super::{COMPOSE, Choices, HARDENING, Identity, addresses, agent, compose, proxies};
use crate::target::guards::{self, Row};
use crate::target::network;
use crate::value::digest::hash;
use crate::value::isolation::{Files, Guard, Isolation, Part, Role, settings};
use crate::value::origin::Origins;

/// What keeps every service from the host.
const GUARDS: &[Row] = &[
    Row::enforce("no service has a capability (`cap_drop`)", &["/services/*/cap_drop"]),
    Row::enforce("no running service gets a capability back (`cap_add`)", &["/services/*/cap_add"]),
    Row::enforce("no service gains privileges (`security_opt`)", &["/services/*/security_opt"]),
    Row::enforce(
        "one-shot services have no network (`network_mode`)",
        &[
            "/services/*/network_mode",
            "/services/pipelock-ca/networks",
            "/services/prepare/networks",
            "/services/volumes/networks",
        ],
    ),
];

/// What other parts of the model say or a guard holds, and which half of the subnet a backend asks for.
const TOLD: [&str; 18] = [
    "/services/*/image",
    "/services/*/build",
    "/services/agent/environment",
    "/services/agent/command",
    "/services/agent/read_only",
    "/services/egress/environment",
    "/services/machine-egress/environment",
    "/services/prepare/volumes",
    "/services/volumes/volumes",
    "/services/egress/networks/inside",
    "/services/egress/networks/machine",
    "/services/machine-egress/networks/inside",
    "/services/machine-egress/networks/machine",
    "/services/machine-egress/healthcheck/test",
    "/networks/inside",
    "/networks/machine",
    "/volumes/home",
    "/volumes/workspace",
];

/// What the file says.
///
/// # Errors
/// What is not such a file, in the words of the YAML reader.
pub(super) fn isolation(files: &Files, text: &str, bottle: &Identity) -> Result<Isolation, String> {
    let mut compose: Compose = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    if let Some(subnet) = bottle.subnet {
        addresses::stand_in(&mut compose, subnet);
    }
    if let Some(name) = &bottle.name {
        agent::stand_in(&mut compose, name);
    }
    let mut isolation = Isolation { guards: guards(&compose, files), ..Isolation::default() };
    for (name, service) in &compose.services {
        let at = format!("/services/{name}");
        let image_at = format!("{at}/{}", if service.build.is_some() { "build" } else { "image" });
        isolation.parts.insert(
            name.clone(),
            Part { role: role(name), image: Some(image(service, files)), image_at, ..part(&at, service) },
        );
    }
    let networks = part("/networks", &compose.networks);
    isolation.parts.insert("networks".to_owned(), Part { role: Role::Network, ..networks });
    isolation.network_at = Some((COMPOSE, "/networks/machine/ipam/config/0/subnet"));
    // A name that no service can have: one of them is `volumes`.
    isolation.parts.insert("named volumes".to_owned(), part("/volumes", &compose.volumes));
    if let Some(agent) = compose.services.get("agent") {
        isolation.network_at = Some((COMPOSE, "/networks/inside/ipam/config/0/subnet"));
        isolation.bound_at = Some((COMPOSE, "/services/agent/environment"));
        isolation.egress = bottle.subnet.map(network::egress);
        isolation.environment = agent::environment(agent);
    }
    Ok(isolation)
}

fn role(service: &str) -> Role {
    match service {
        "agent" => Role::Agent,
        "egress" | "machine-egress" => Role::Egress,
        "pipelock" => Role::Pipelock,
        _ => Role::Other,
    }
}

fn part(at: &str, what: &impl Serialize) -> Part {
    let mut value = serde_json::to_value(what).unwrap_or_default();
    // They follow from the files, which a guard compares.
    value.as_object_mut().map(|entries| entries.remove("labels"));
    let mut settings = settings(at, &value);
    settings.retain(|pointer, _| !TOLD.iter().any(|told| guards::covers(told, pointer)));
    Part { file: COMPOSE, role: Role::Other, image: None, image_at: String::new(), settings, whole: value.to_string() }
}

/// The image's reference, or what it is built from with the hash of a Dockerfile that bottlec wrote; in
/// words.
fn image(service: &Service, files: &Files) -> String {
    let Some(build) = &service.build else { return format!("`{}`", with_defaults(&service.image.0)) };
    let path = format!("{}/{}", with_defaults(&build.context.0).trim_start_matches("./"), build.dockerfile.0);
    match files.get(&path) {
        Some(text) => format!("what `{path}` makes (sha256 {}…)", &hash(text.as_bytes())[..12]),
        None => format!("what `{path}` makes"),
    }
}

/// The text with the variables of the host that choose images left alone. Another variable stays: it
/// was not a build that wrote it.
fn with_defaults(text: &str) -> String {
    let variables = ["BOTTLE_AGENT_IMAGE", "BOTTLE_EGRESS_IMAGE", "BOTTLE_PIPELOCK_IMAGE", "BOTTLE_MANIFEST_DIR"];
    let start = variables.iter().find_map(|name| text.strip_prefix(&format!("${{{name}:-")));
    start
        .and_then(|rest| rest.split_once('}'))
        .map_or_else(|| text.to_owned(), |(default, rest)| format!("{default}{rest}"))
}

/// What of the file is as a build writes it for the same choices.
fn guards(file: &Compose, files: &Files) -> Vec<Guard> {
    let hash = |path: &str| files.get(path).map(|text| hash(text.as_bytes()));
    let mut meant = compose(Choices::found(file), hash, &mut Origins::of(HARDENING).top());
    let are_known = file.services.keys().all(|name| meant.services.contains_key(name));
    // What is not there keeps nobody in, and gives nothing to anybody.
    meant.services.retain(|name, _| file.services.contains_key(name));
    meant.networks.retain(|name, _| file.networks.contains_key(name));
    for name in file.services.keys() {
        meant.services.entry(name.clone()).or_insert_with(|| hardened(Interpolated::default()));
    }
    let tables = GUARDS.iter().chain(proxies::GUARDS).chain(agent::GUARDS);
    let mut guards = guards::compare(tables, file, &meant);
    guards.push(Guard::enforce("only the services of a bottle run", are_known));
    guards
}
