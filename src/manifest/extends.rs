//! `extends`: how a child's keys lie over its parent's.

use std::collections::BTreeSet;

use super::{AgentProvider, Egress, Manifest, Network, Targets};

/// The most bottles that one chain of `extends` may have.
pub const MAX_CHAIN: usize = 16;

/// The parent with the child over it.
#[must_use]
pub fn overlay(child: Manifest, parent: Manifest) -> Manifest {
    let Manifest { name, extends, agent_provider, network, env, egress, targets } = child;
    Manifest {
        name,
        extends,
        agent_provider: both(agent_provider, parent.agent_provider, overlay_provider),
        network: both(network, parent.network, |child, parent| {
            let Network { subnet } = child;
            Network { subnet: subnet.or(parent.subnet) }
        }),
        env: both(env, parent.env, |child, mut merged| {
            let own: BTreeSet<&str> = child.keys().map(|name| name.value.as_str()).collect();
            merged.retain(|name, _| !own.contains(name.value.as_str()));
            merged.extend(child);
            merged
        }),
        egress: both(egress, parent.egress, |child, parent| {
            let Egress { routes } = child;
            Egress { routes: routes.or(parent.routes) }
        }),
        targets: both(targets, parent.targets, |child, parent| {
            let Targets { pipelock, smolvm } = child;
            Targets { pipelock: pipelock.or(parent.pipelock), smolvm: smolvm.or(parent.smolvm) }
        }),
    }
}

fn overlay_provider(child: AgentProvider, parent: AgentProvider) -> AgentProvider {
    let AgentProvider { template, own: _, auth_token, forward_host_credentials, dockerfile, image } = child;
    // `dockerfile` and `image` are one choice: a child that makes it replaces the parent's whole.
    let chosen = dockerfile.is_some() || image.is_some();
    AgentProvider {
        template: template.or(parent.template),
        // Read when it is known whose `template` counts.
        own: None,
        auth_token: auth_token.or(parent.auth_token),
        forward_host_credentials: forward_host_credentials.or(parent.forward_host_credentials),
        dockerfile: if chosen { dockerfile } else { parent.dockerfile },
        image: if chosen { image } else { parent.image },
    }
}

fn both<T>(child: Option<T>, parent: Option<T>, merge: impl FnOnce(T, T) -> T) -> Option<T> {
    match (child, parent) {
        (Some(child), Some(parent)) => Some(merge(child, parent)),
        (child, parent) => child.or(parent),
    }
}
