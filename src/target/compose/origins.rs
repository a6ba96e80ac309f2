//! Who decides each entry of `compose.yaml`.

use super::super::{Backend, Job};
use crate::link::environment::TRUST;
use crate::provider::ImageChoice;
use crate::provider::plan::AgentImage;
use crate::value::origin::{Origin, Origins};

/// The rule that pins the proxies' releases.
const PINNED: &str = "pinned-image";

pub(super) fn origins(job: &Job) -> Origins {
    let mut origins = Origins::of("container-hardening");
    for service in ["egress", "machine-egress", "prepare", "volumes"] {
        origins.set(format!("/services/{service}/image"), Origin::BuiltIn(PINNED));
    }
    for service in ["pipelock", "pipelock-ca"] {
        let target = Origin::written_or(job.bottle.places.pipelock, PINNED);
        origins.set(format!("/services/{service}/image"), target);
    }
    for (slot, origin) in job.egress.slot_origins(&job.bottle.routes) {
        for service in egresses(job) {
            origins.set(format!("/services/{service}/environment/{slot}"), origin.clone());
        }
    }
    let subnet = job.bottle.subnet_origin();
    if job.wants(Backend::Docker) {
        agent(job, &mut origins);
        for service in ["agent", "egress"] {
            origins.set(format!("/services/{service}/networks/inside/ipv4_address"), subnet.clone());
        }
        origins.set("/networks/inside/ipam", subnet.clone());
    }
    if job.wants(Backend::Smolmachines) {
        origins.set("/services/machine-egress/networks/machine/ipv4_address", subnet.clone());
        origins.set("/networks/machine/ipam", subnet);
    }
    origins
}

/// The services that run the addon.
fn egresses(job: &Job) -> impl Iterator<Item = &'static str> {
    let all = [("egress", Backend::Docker), ("machine-egress", Backend::Smolmachines)];
    all.into_iter().filter(|(_, backend)| job.wants(*backend)).map(|(name, _)| name)
}

fn agent(job: &Job, origins: &mut Origins) {
    let image = job.image_origin();
    let mut set = |key: &str, origin| origins.set(format!("/services/agent/{key}"), origin);
    set("image", image.clone());
    match &job.plan.image {
        AgentImage::Generated(_) => set("build", image),
        AgentImage::Chosen(choice) => {
            if let ImageChoice::Dockerfile(_) = choice {
                set("build", image.clone());
            }
            set("read_only", image);
        }
    }
    set("command", job.plan.origin("command"));
    set("environment", Origin::BuiltIn(TRUST));
    for name in job.environment.literal.keys().chain(&job.environment.bound_at_launch) {
        set(&format!("environment/{name}"), job.environment.origin(name));
    }
}
