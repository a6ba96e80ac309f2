//! Targets: what a bottle is compiled into. Each folder here is one: it emits files, reads them back, and is all that
//! knows the program that goes by them. Another one is a folder here and its line in [`ALL`].

pub mod agent;
mod compose;
pub mod egress;
mod env_file;
mod guards;
mod network;
pub mod pipelock;
mod smolmachines;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::link::egress::Egress;
use crate::link::environment::Environment;
use crate::manifest::bottle::Bottle;
use crate::provider::plan::AgentProvisionPlan;
use crate::text::diagnostic::Findings;
use crate::text::render::RenderError;
use crate::value::artifact::{Artifact, StaticFile};
use crate::value::isolation::{Files, Isolation, Unreadable};
use crate::value::name::BottleName;
use crate::value::network::Subnet;
use crate::value::origin::{Origin, Origins};
use crate::value::restart::Restart;

pub use compose::{Agent, COMPOSE as CONTAINERS, agent_of};
pub use network::Addresses;

/// Every target, behind those whose files it refers to.
pub static ALL: &[&dyn Target] = &[
    &egress::EgressFolder,
    &pipelock::PipelockFolder,
    &agent::AgentFolder,
    &compose::ComposeProject,
    &smolmachines::Machine,
];

/// Something that a bottle is compiled into.
pub trait Target: Sync {
    /// Its name, which is its folder's.
    fn name(&self) -> &'static str;

    /// Whether these backends go by its files.
    fn is_wanted(&self, _backends: &[Backend]) -> bool {
        true
    }

    /// Reports what its files cannot express of a bottle that these backends run.
    fn check(&self, _bottle: &Bottle, _backends: &[Backend], _findings: &mut Findings) {}

    /// Its files. `earlier` are those of the targets before it.
    ///
    /// # Errors
    /// A file does not read back: a defect of bottlec.
    fn emit(&self, job: &Job, earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError>;

    /// Those of its files that are the same in every bottle.
    fn fixed(&self) -> &'static [&'static StaticFile] {
        &[]
    }

    /// What its files in a tree keep up around the agent, compared with what a build writes for this bottle. A tree
    /// that was built for other backends does not have them.
    ///
    /// # Errors
    /// A file that is missing, or that is not what a build writes.
    fn read(&self, files: &Files, bottle: &Identity) -> Result<Isolation, Unreadable>;

    /// What a bottle that runs with the old files needs before it goes by the new ones of this target.
    fn restart(&self, _old: &Files, _new: &Files) -> Option<Restart> {
        None
    }

    /// What lies in a tree though no build writes it: it is made when the bottle is prepared or runs.
    fn made_at_run_time(&self) -> &'static [&'static str] {
        &[]
    }
}

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

    /// Where the agent finds egress.
    fn egress(self, subnet: Subnet) -> Ipv4Addr {
        match self {
            Backend::Docker => network::egress(subnet),
            Backend::Smolmachines => network::machine_egress(subnet),
        }
    }
}

/// Where `agent/agent.env` leads its reader: to the egress of the first of these backends.
pub fn egress_address(subnet: Subnet, backends: &[Backend]) -> Ipv4Addr {
    backends.iter().min().copied().unwrap_or(Backend::Docker).egress(subnet)
}

/// What the targets are given.
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

/// A file of a target.
pub struct Emitted {
    /// Its path, text and permissions.
    pub artifact: Artifact,
    /// Who decides its entries, of a configuration file.
    pub origins: Option<Origins>,
}

impl Emitted {
    fn fixed(file: &'static StaticFile) -> Self {
        Emitted::from(Artifact::fixed(file))
    }

    fn public(path: &str, content: String) -> Self {
        Emitted::from(Artifact::public(path, content))
    }

    fn decided_by(self, origins: Origins) -> Self {
        Emitted { origins: Some(origins), ..self }
    }
}

impl From<Artifact> for Emitted {
    fn from(artifact: Artifact) -> Self {
        Emitted { artifact, origins: None }
    }
}

/// Which bottle a tree is, as its index says. The index may be from anywhere: `None` is what could be no bottle's.
pub struct Identity {
    /// Its name.
    pub name: Option<BottleName>,
    /// Its network.
    pub subnet: Option<Subnet>,
}

/// Reports what the targets of these backends cannot express.
pub fn check(bottle: &Bottle, backends: &[Backend], findings: &mut Findings) {
    wanted(backends).for_each(|target| target.check(bottle, backends, findings));
}

/// The files of every target that the backends go by.
///
/// # Errors
/// A file does not read back: a defect of bottlec.
pub fn emit(job: &Job) -> Result<Vec<Emitted>, RenderError> {
    let mut emitted = Vec::new();
    for target in wanted(job.backends) {
        let files = target.emit(job, &emitted)?;
        emitted.extend(files);
    }
    Ok(emitted)
}

/// What a bottle that runs with the old files needs before it goes by the new ones.
pub fn restarts<'f>(old: &'f Files, new: &'f Files) -> impl Iterator<Item = Restart> + 'f {
    ALL.iter().filter_map(move |target| target.restart(old, new))
}

/// Whether this is a file that is the same in every bottle, with the text that it has there.
pub fn is_fixed(path: &str, text: &str) -> bool {
    ALL.iter().flat_map(|target| target.fixed()).any(|file| file.path == path && file.text == text)
}

/// What may lie in a tree that these backends run though no build writes it.
pub fn made_at_run_time(backends: &[Backend]) -> Vec<&'static str> {
    wanted(backends).flat_map(Target::made_at_run_time).copied().collect()
}

fn wanted(backends: &[Backend]) -> impl Iterator<Item = &'static dyn Target> {
    ALL.iter().copied().filter(|target| target.is_wanted(backends))
}

/// A file that every tree has.
fn file<'f>(files: &'f Files, path: &str) -> Result<&'f str, Unreadable> {
    files.get(path).map(String::as_str).ok_or_else(|| Unreadable::new(path, "is missing"))
}
