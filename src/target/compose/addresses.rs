//! The addresses of a bottle as they stand in the file, and the names that stand for them where two files are compared.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::file::{Attachment, Compose, Interpolated};
use crate::manifest::bottle::Bottle;
use crate::target::network;
use crate::value::network::Subnet;
use crate::value::origin::{At, By, Origin};

/// The first three numbers of the addresses that agent and egress share.
const INSIDE: &str = "BOTTLE_NET";

/// The same of the network of a microVM. A checkout without a microVM gives its own: compose 1.29 makes
/// the network with all others, and the numbers that the Smolfile names are another checkout's then.
const MACHINE: &str = "BOTTLE_MACHINE_NET";

/// Every address and range in the file, and who decides them.
pub(super) struct Addresses {
    /// The range of `inside`.
    pub(super) inside: Interpolated,
    /// The agent's in it.
    pub(super) agent: Interpolated,
    /// That of egress in it.
    pub(super) egress: Interpolated,
    /// The range of `machine`.
    pub(super) machine: Interpolated,
    /// That of egress in it.
    pub(super) machine_egress: Interpolated,
    origin: Option<Origin>,
}

impl Addresses {
    /// As a build writes them. A subnet that the manifest does not name is another one in each checkout, so that two
    /// can run; `bottlec exec` sets it.
    pub(super) fn of(bottle: &Bottle) -> Self {
        let is_named = bottle.places.subnet.is_some();
        Addresses { origin: Some(bottle.subnet_origin()), ..Addresses::written(bottle.subnet, is_named) }
    }

    /// The names that stand for them.
    pub(super) fn named() -> Self {
        let name = |name: &str| Interpolated(name.to_owned());
        Addresses {
            inside: name("<inside>"),
            agent: name("<agent>"),
            egress: name(network::EGRESS),
            machine: name("<machine>"),
            machine_egress: name("<machine egress>"),
            origin: None,
        }
    }

    fn written(subnet: Subnet, is_named: bool) -> Self {
        let numbers = subnet.prefix();
        let start = |variable: &str| {
            if is_named { Interpolated::literal(&numbers) } else { Interpolated::variable(variable, &numbers) }
        };
        let address = |variable: &str, address: Ipv4Addr| start(variable).followed_by(&format!(".{}", last(address)));
        let range = |variable: &str, range: Ipv4Net| {
            address(variable, range.addr()).followed_by(&format!("/{}", range.prefix_len()))
        };
        Addresses {
            inside: range(INSIDE, network::inside(subnet)),
            agent: address(INSIDE, network::agent(subnet)),
            egress: address(INSIDE, network::egress(subnet)),
            machine: range(MACHINE, network::machine(subnet)),
            machine_egress: address(MACHINE, network::machine_egress(subnet)),
            origin: None,
        }
    }

    /// A network joined at one of these addresses.
    pub(super) fn join(&self, network: &str, address: &Interpolated, at: &mut At) -> (String, Attachment) {
        let address = By { value: address.clone(), origin: self.origin.clone() };
        let address = at.put(format_args!("networks/{network}/ipv4_address"), address);
        (network.to_owned(), Attachment { ipv4_address: Some(address) })
    }

    /// The range of a network.
    pub(super) fn range(&self, range: &Interpolated, at: &mut At) -> Interpolated {
        at.put("ipam", By { value: range.clone(), origin: self.origin.clone() })
    }

    fn all(&self) -> [&Interpolated; 5] {
        let Addresses { inside, agent, egress, machine, machine_egress, origin: _ } = self;
        [inside, agent, egress, machine, machine_egress]
    }
}

fn last(address: Ipv4Addr) -> u8 {
    address.octets()[3]
}

/// Puts the names where a build writes the addresses, in either form: two files can then be compared. A text anywhere
/// else is its author's, even if it looks like one of them.
pub(super) fn stand_in(compose: &mut Compose, subnet: Subnet) {
    let names = Addresses::named();
    let forms = [false, true].map(|is_named| Addresses::written(subnet, is_named));
    let name = |text: &mut Interpolated| {
        let known = forms.iter().flat_map(|form| form.all().into_iter().zip(names.all()));
        if let Some((_, name)) = known.into_iter().find(|(form, _)| **form == *text) {
            *text = name.clone();
        }
    };
    for service in compose.services.values_mut() {
        service.networks.values_mut().filter_map(|at| at.ipv4_address.as_mut()).for_each(name);
        service.healthcheck.iter_mut().flat_map(|check| &mut check.test).for_each(name);
    }
    let ranges = compose.networks.values_mut().filter_map(|network| network.ipam.as_mut());
    ranges.flat_map(|ipam| &mut ipam.config).for_each(|range| name(&mut range.subnet));
    let egress = forms.map(|form| form.egress.0);
    for (variable, text) in compose.services.get_mut("agent").into_iter().flat_map(|agent| &mut agent.environment) {
        if let Some(text) = text
            && let Some(same) = network::without_address(variable, &text.0, &egress)
        {
            text.0 = same;
        }
    }
}
