//! Who decides each entry of pipelock's file.

use std::collections::BTreeMap;

use super::Pipelock;
use crate::link::egress::{Egress, Route, Written};
use crate::manifest::bottle::Bottle;
use crate::value::origin::{Origin, Origins};
use crate::value::release::PipelockTarget;

impl Pipelock {
    /// Who decides the entries of `pipelock/pipelock.yaml`.
    pub(super) fn origins(&self, bottle: &Bottle, egress: &Egress) -> Origins {
        let mut origins = Origins::of("pipelock-hardening");
        origins.set("/default_agent_identity", bottle.name_origin());
        // A key that 3.x alone knows is there because the manifest targets it.
        match bottle.pipelock {
            PipelockTarget::V2_3 => {}
            PipelockTarget::V3 => origins.set(
                "/forward_proxy/sni_require_tls",
                Origin::written_or(bottle.places.pipelock, "pipelock-hardening"),
            ),
        }
        let routes: BTreeMap<&str, &Route> = egress.routes.iter().map(|route| (route.host.as_str(), route)).collect();
        let written = &Written::of(&bottle.routes);
        let mut set_hosts = |pointer: &str, hosts: &mut dyn Iterator<Item = &String>, of: &dyn Fn(&Route) -> Origin| {
            for (index, host) in hosts.enumerate() {
                if let Some(route) = routes.get(host.as_str()) {
                    origins.set(format!("{pointer}/{index}"), of(route));
                }
            }
        };
        set_hosts("/api_allowlist", &mut self.api_allowlist.iter(), &|route| route.origin.clone().unnarrowed());
        set_hosts(
            "/tls_interception/passthrough_domains",
            &mut self.tls_interception.passthrough_domains.iter(),
            &|route| route.passthrough_origin(written),
        );
        // A range that several routes name is in the file once: the first of them counts.
        let ranges = bottle.routes.iter().rev().flat_map(|route| route.ssrf_ip_allowlist.iter().rev());
        let ranges: BTreeMap<String, _> = ranges.map(|range| (range.value.to_string(), range)).collect();
        for (index, range) in self.ssrf.ip_allowlist.iter().enumerate() {
            if let Some(first) = ranges.get(range) {
                origins.set(format!("/ssrf/ip_allowlist/{index}"), Origin::Manifest(first.span));
            }
        }
        origins
    }
}
