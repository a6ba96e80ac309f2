//! Names for what differs from bottle to bottle and means the same, put where a build writes it: two files can then be
//! compared. A text anywhere else is its author's, even if it looks like one of them.

use super::file::{Compose, Interpolated};
use super::{Identity, MACHINE_NETWORK, NETWORK, last, network};
use crate::value::network::Subnet;

pub(super) fn stand_in(compose: &mut Compose, bottle: &Identity) {
    if let Some(subnet) = bottle.subnet {
        addresses(compose, subnet);
    }
    let Some(name) = &bottle.name else { return };
    if let Some(agent) = compose.services.get_mut("agent") {
        let own = format!("bottle-{}-agent", name.as_str());
        // Named after the content, after the checkout, or by what was loaded.
        for before in ["${BOTTLE_AGENT_IMAGE:-", ""] {
            let built = format!("{before}{own}");
            let rest = agent.image.0.strip_prefix(&built).filter(|rest| rest.starts_with([':', '}']));
            if let Some(named) = rest.map(|rest| format!("{before}<agent image>{rest}")) {
                agent.image.0 = named;
                break;
            }
        }
    }
}

/// Every address in the two forms that a build writes: of a network that the manifest names, and of one that is another
/// in each checkout.
fn addresses(compose: &mut Compose, subnet: Subnet) {
    let forms = |variable: &str, rest: &str| {
        let prefix = subnet.prefix();
        [Interpolated::literal(&prefix), Interpolated::variable(variable, &prefix)]
            .map(|prefix| prefix.followed_by(&format!(".{rest}")).0)
    };
    let (inside, machine) = (network::inside(subnet), network::machine(subnet));
    let range = |range: ipnet::Ipv4Net| format!("{}/{}", last(range.addr()), range.prefix_len());
    let egress = forms(NETWORK, &last(network::egress(subnet)).to_string());
    let known = [
        (forms(NETWORK, &range(inside)), "<inside>"),
        (forms(NETWORK, &last(network::agent(subnet)).to_string()), "<agent>"),
        (egress.clone(), network::EGRESS),
        (forms(MACHINE_NETWORK, &range(machine)), "<machine>"),
        (forms(MACHINE_NETWORK, &last(network::machine_egress(subnet)).to_string()), "<machine egress>"),
    ];
    let name = |text: &mut Interpolated| {
        if let Some((_, name)) = known.iter().find(|(forms, _)| forms.contains(&text.0)) {
            text.0 = (*name).to_owned();
        }
    };
    for service in compose.services.values_mut() {
        service.networks.values_mut().filter_map(|at| at.ipv4_address.as_mut()).for_each(name);
        service.healthcheck.iter_mut().flat_map(|check| &mut check.test).for_each(name);
    }
    let ranges = compose.networks.values_mut().filter_map(|network| network.ipam.as_mut());
    ranges.flat_map(|ipam| &mut ipam.config).for_each(|range| name(&mut range.subnet));
    for (variable, text) in compose.services.get_mut("agent").into_iter().flat_map(|agent| &mut agent.environment) {
        if let Some(text) = text
            && let Some(same) = network::without_address(variable, &text.0, &egress)
        {
            text.0 = same;
        }
    }
}
