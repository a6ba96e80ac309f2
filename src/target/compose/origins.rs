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
        origins.top().below(format_args!("services/{service}/image")).decided_by(Origin::BuiltIn(PINNED));
    }
    for service in ["pipelock", "pipelock-ca"] {
        let target = Origin::written_or(job.bottle.places.pipelock, PINNED);
        origins.top().below(format_args!("services/{service}/image")).decided_by(target);
    }
    for service in egresses(job) {
        let mut top = origins.top();
        let mut at = top.below(format_args!("services/{service}/environment"));
        at.put_each(job.egress.variables()).for_each(drop);
    }
    let subnet = job.bottle.subnet_origin();
    if job.wants(Backend::Docker) {
        agent(job, &mut origins);
        for service in ["agent", "egress"] {
            origins.top().below(format_args!("services/{service}/networks/inside/ipv4_address")).decided_by(subnet);
        }
        origins.top().below("networks/inside/ipam").decided_by(subnet);
    }
    if job.wants(Backend::Smolmachines) {
        origins.top().below("services/machine-egress/networks/machine/ipv4_address").decided_by(subnet);
        origins.top().below("networks/machine/ipam").decided_by(subnet);
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
    let mut set = |key: &str, origin| origins.top().below(format_args!("services/agent/{key}")).decided_by(origin);
    set("image", image);
    match &job.plan.image {
        AgentImage::Generated(_) => set("build", image),
        AgentImage::Chosen(choice) => {
            if let ImageChoice::Dockerfile(_) = choice {
                set("build", image);
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
