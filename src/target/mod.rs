//! Backends: what runs the agent. What is known of docker or smolmachines is in their files here.

mod docker;
pub mod pipelock;
mod smolmachines;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::link::egress::Egress;
use crate::link::environment::Environment;
use crate::manifest::bottle::Bottle;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::Findings;
use crate::text::render::RenderError;
use crate::value::artifact::Artifact;
use crate::value::guest;
use crate::value::isolation::{Files, Isolation, Unreadable};
use crate::value::origin::{Origin, Origins};

/// What runs the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A container: the agent is a service of `compose.yaml`.
    Docker,
    /// A microVM: the agent is a machine of the `Smolfile`, the proxies are services of `compose.yaml`.
    Smolmachines,
}

impl Backend {
    /// Every backend, in the order of the documents.
    pub const ALL: [Backend; 2] = [Backend::Docker, Backend::Smolmachines];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Backend::Docker => "docker",
            Backend::Smolmachines => "smolmachines",
        }
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

/// What the backends are given.
pub struct Job<'j> {
    /// The manifest, checked.
    pub bottle: &'j Bottle,
    /// The provider's plan.
    pub plan: &'j AgentProvisionPlan,
    /// The merged routes.
    pub egress: &'j Egress,
    /// The agent's variables.
    pub environment: &'j Environment,
    /// The backends that are asked for.
    pub backends: &'j [Backend],
    /// The hashes of the files that the proxies read, by path.
    pub hashes: &'j BTreeMap<String, String>,
}

impl Job<'_> {
    fn wants(&self, backend: Backend) -> bool {
        self.backends.contains(&backend)
    }

    /// Who chooses what the agent runs in.
    fn image_origin(&self) -> Origin {
        self.bottle
            .settings
            .image
            .as_ref()
            .map_or_else(|| self.plan.origin("image"), |image| Origin::Manifest(image.span))
    }
}

/// Reports what a chosen backend cannot express.
pub fn check(bottle: &Bottle, backends: &[Backend], findings: &mut Findings) {
    if backends.contains(&Backend::Docker) {
        docker::check(bottle, findings);
    }
    if backends.contains(&Backend::Smolmachines) {
        smolmachines::check(bottle, findings);
    }
}

/// The files of the chosen backends. The proxies run in containers whatever runs the agent.
///
/// # Errors
/// When a file does not read back: a defect of bottlec.
pub fn render(job: &Job) -> Result<Vec<Artifact>, RenderError> {
    let mut artifacts = docker::render(job)?;
    if job.wants(Backend::Smolmachines) {
        artifacts.push(smolmachines::render(job)?);
    }
    Ok(artifacts)
}

/// What may lie in a tree that these backends run though no build writes it: it is made at run time.
pub fn made_at_run_time(backends: &[Backend]) -> Vec<&'static str> {
    let archive = backends.contains(&Backend::Smolmachines).then_some(smolmachines::ARCHIVE);
    guest::CERTIFICATES.into_iter().chain(archive).collect()
}

/// Reads the isolation out of a file's text; the other files are there for what the file names.
type Reader = fn(&Files, &str) -> Result<Isolation, String>;

/// The file of the containers.
pub const CONTAINERS: &str = docker::COMPOSE;

/// How the agent is started by what this text of [`CONTAINERS`] says.
pub fn agent(text: &[u8]) -> Agent {
    docker::agent_of(text)
}

/// What the backends' files in a tree keep up around the agent. `addresses` are texts that differ from
/// bottle to bottle and mean the same, with a name for each.
///
/// # Errors
/// A file that is not what a build writes.
pub fn isolation(files: &Files, addresses: &[(String, &str)]) -> Result<Vec<Isolation>, Unreadable> {
    let mut all = Vec::new();
    let readers: [(&str, Reader); 2] =
        [(docker::COMPOSE, docker::isolation), (smolmachines::SMOLFILE, smolmachines::isolation)];
    for (path, read) in readers {
        let Some(text) = files.get(path) else { continue };
        let same = addresses.iter().fold(text.clone(), |text, (address, name)| text.replace(address.as_str(), name));
        all.push(read(files, &same).map_err(|problem| Unreadable::new(path, problem))?);
    }
    Ok(all)
}

/// Who decides the entries of the backends' files, by the file's path.
pub fn origins(job: &Job) -> BTreeMap<&'static str, Origins> {
    let mut origins = BTreeMap::from([(docker::COMPOSE, docker::origins(job))]);
    if job.wants(Backend::Smolmachines) {
        origins.insert(smolmachines::SMOLFILE, smolmachines::origins(job));
    }
    origins
}
