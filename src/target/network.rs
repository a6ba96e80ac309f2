//! Which address of a bottle's /24 is whose. Containers have the lower half, a microVM the upper one.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::value::guest;
use crate::value::network::Subnet;

/// The addresses of a bottle, for `bottle.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The /24 of agent and egress.
    pub subnet: String,
    /// Where an agent in a container finds egress.
    egress: String,
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

/// What is in the files for the addresses of egress, so that those of two bottles can be compared.
pub(super) const EGRESS: &str = "<egress>";

/// The same name for the address of egress in the text of a variable that bottlec sets, if a build writes that text
/// for one of these addresses. The text of another variable is its author's, whatever it looks like.
pub(super) fn without_address(name: &str, text: &str, addresses: &[String]) -> Option<String> {
    let is_built = |address: &&String| guest::variable(name, address.as_str()).is_some_and(|own| own == text);
    addresses.iter().find(is_built).and_then(|_| guest::variable(name, EGRESS))
}
