//! Which address of a bottle's /24 is whose. Containers have the lower half, a microVM the upper one.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use super::Identity;
use crate::value::network::Subnet;

/// The addresses of a bottle, for `bottle.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The /24 of agent and egress.
    pub subnet: String,
    /// Where an agent in a container finds egress.
    pub egress: String,
    /// An agent in a container.
    agent: String,
    /// Where an agent in a microVM finds egress.
    machine_egress: String,
}

impl Addresses {
    /// Those of a subnet.
    pub fn of(subnet: Subnet) -> Self {
        Addresses {
            subnet: subnet.range().to_string(),
            egress: egress(subnet).to_string(),
            agent: agent(subnet).to_string(),
            machine_egress: machine_egress(subnet).to_string(),
        }
    }
}

/// The half that an agent in a container shares with egress; the host has no address in it.
pub(super) fn inside(subnet: Subnet) -> Ipv4Net {
    Ipv4Net::new_assert(subnet.address(0), 25)
}

/// The half that egress shares with the host alone: a microVM's connections come from there.
pub(super) fn machine(subnet: Subnet) -> Ipv4Net {
    Ipv4Net::new_assert(subnet.address(128), 25)
}

/// Where egress listens for an agent in a container.
pub(super) fn egress(subnet: Subnet) -> Ipv4Addr {
    subnet.address(2)
}

/// Where egress listens for an agent in a microVM.
pub(super) fn machine_egress(subnet: Subnet) -> Ipv4Addr {
    subnet.address(130)
}

/// The agent's own address: every service beside a fixed one needs one, or the engine may hand
/// out egress's to the agent that starts first.
pub(super) fn agent(subnet: Subnet) -> Ipv4Addr {
    subnet.address(3)
}

/// A file's text with a name in the place of each text that differs from bottle to bottle and means the same, the
/// longest first.
pub(super) fn with_stand_ins(text: &str, bottle: &Identity) -> String {
    let mut addresses = Vec::new();
    if let Some(subnet) = bottle.subnet {
        // They are others in each checkout, unless the manifest names them.
        let variable = |last: &str| format!("${{BOTTLE_NET:-{}}}.{last}", subnet.prefix());
        let microvm = |last: &str| format!("${{BOTTLE_MACHINE_NET:-{}}}.{last}", subnet.prefix());
        addresses.extend([
            (variable("0/25"), "<inside>"),
            (variable("3"), "<agent>"),
            (variable("2"), "<egress>"),
            (microvm("128/25"), "<machine>"),
            (microvm("130"), "<machine egress>"),
            (inside(subnet).to_string(), "<inside>"),
            (machine(subnet).to_string(), "<machine>"),
            (machine_egress(subnet).to_string(), "<machine egress>"),
            (agent(subnet).to_string(), "<agent>"),
            (egress(subnet).to_string(), "<egress>"),
        ]);
    }
    if let Some(name) = &bottle.name {
        addresses.push((format!("bottle-{}-agent", name.as_str()), "<agent image>"));
    }
    addresses.sort_by_key(|(address, _)| std::cmp::Reverse(address.len()));
    addresses.iter().fold(text.to_owned(), |text, (address, name)| text.replace(address.as_str(), name))
}
