//! Compose: `compose.yaml`, with the proxies and the agent, and the agent's Dockerfile. Each part has its services,
//! who decides them and its guards in a file of its own.

mod addresses;
mod agent;
mod file;
mod hardened;
mod isolation;
mod proxies;

use addresses::Addresses;
use file::{Compose, Service, Volume};
use proxies::Agents;

use super::{Backend, Emitted, Files, Identity, Isolation, Job, Target, Unreadable};
use crate::manifest::bottle::Bottle;
use crate::text::diagnostic::Findings;
use crate::text::render::{self, RenderError};
use crate::value::artifact::Artifact;
use crate::value::origin::{At, Origins};

/// The file of the services.
pub const COMPOSE: &str = "compose.yaml";

/// The rule that decides what no bottle does.
const HARDENING: &str = "container-hardening";

/// `compose.yaml`, and `image/Dockerfile` when the manifest names none. The proxies run in containers whatever runs
/// the agent.
pub(super) struct ComposeProject;

impl Target for ComposeProject {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn check(&self, bottle: &Bottle, backends: &[Backend], findings: &mut Findings) {
        if backends.contains(&Backend::Docker) {
            agent::check(bottle, findings);
        }
    }

    fn emit(&self, job: &Job, earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let dockerfile = agent::dockerfile(job)?;
        let mut origins = Origins::of(HARDENING);
        let hash =
            |path: &str| earlier.iter().map(|file| &file.artifact).find(|file| file.path == path).map(Artifact::sha256);
        let compose = compose(Choices::of(job, dockerfile.as_deref()), hash, &mut origins.top());
        let text = render::yaml(COMPOSE, &file::TEMPLATE, &compose)?;
        let mut emitted = vec![Emitted::public(COMPOSE, text).decided_by(origins)];
        emitted.extend(dockerfile.map(|text| Emitted::public(agent::DOCKERFILE, text)));
        Ok(emitted)
    }

    fn read(&self, files: &Files, bottle: &Identity) -> Result<Isolation, Unreadable> {
        let Some(text) = files.get(COMPOSE) else { return Ok(Isolation::default()) };
        isolation::isolation(files, text, bottle).map_err(|problem| Unreadable::new(COMPOSE, problem))
    }
}

/// What a bottle decides of the file; the rest is the same for all.
struct Choices {
    addresses: Addresses,
    proxies: proxies::Choices,
    /// `None` where the agent is no container.
    agent: Option<agent::Choices>,
}

impl Choices {
    fn of(job: &Job, dockerfile: Option<&str>) -> Self {
        let has = Agents { container: job.wants(Backend::Docker), machine: job.wants(Backend::Smolmachines) };
        let addresses = Addresses::of(job.bottle);
        Choices {
            agent: has.container.then(|| agent::Choices::of(job, dockerfile, &addresses)),
            proxies: proxies::Choices::of(job, has),
            addresses,
        }
    }

    /// Those that a file shows in which names stand for the addresses.
    fn found(compose: &Compose) -> Self {
        let has = |name: &&str| compose.services.contains_key(*name);
        let container = ["agent", "egress", "volumes"].iter().any(has);
        let none = Service::default();
        let agent = compose.services.get("agent").unwrap_or(&none);
        Choices {
            addresses: Addresses::named(),
            proxies: proxies::Choices::found(compose, Agents { container, machine: has(&"machine-egress") }),
            agent: container.then(|| agent::Choices::found(agent)),
        }
    }
}

/// The file, for files with these hashes.
fn compose(choices: Choices, hash: impl Fn(&str) -> Option<String>, at: &mut At) -> Compose {
    let Choices { addresses, proxies, agent } = choices;
    let mut services = proxies::services(&proxies, &addresses, at);
    let networks = proxies::networks(proxies.has, &addresses, at);
    let mut volumes = proxies::VOLUMES.to_vec();
    if let Some(agent) = agent {
        services.extend(agent::services(agent, &addresses, at));
        volumes.extend(agent::VOLUMES);
    }
    for (name, service) in &mut services {
        service.labels = proxies::fingerprint(name, &hash);
    }
    Compose {
        services: services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect(),
        networks: networks.into_iter().map(|(name, network)| (name.to_owned(), network)).collect(),
        volumes: volumes.into_iter().map(|name| (name.to_owned(), Volume {})).collect(),
    }
}

/// How a bottle's agent is a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// It runs in a microVM, not in a container.
    Absent,
    /// Its image follows from the tree.
    Given,
    /// Its image is built from the user's own Dockerfile.
    BuiltFromOwn,
}

/// How the agent is started by what this text of [`COMPOSE`] says.
pub fn agent_of(text: &[u8]) -> Agent {
    let compose: Option<Compose> = serde_yaml::from_slice(text).ok();
    match compose.and_then(|mut compose| compose.services.remove("agent")) {
        None => Agent::Absent,
        Some(Service { build: Some(build), .. }) if !build.is_generated() => Agent::BuiltFromOwn,
        Some(_) => Agent::Given,
    }
}
