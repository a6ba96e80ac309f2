//! Who decides each entry of pipelock's file.

use super::Pipelock;
use crate::bottle::Bottle;
use crate::egress::{Egress, Route};
use crate::manifest::PipelockTarget;
use crate::origin::{Origin, Origins};

impl Pipelock {
    /// Who decides the entries of `pipelock/pipelock.yaml`.
    pub fn origins(&self, bottle: &Bottle, egress: &Egress) -> Origins {
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
        let route_of = |host: &String| egress.routes.iter().find(|route| route.host.as_str() == host);
        let mut set_hosts = |pointer: &str, hosts: &mut dyn Iterator<Item = &String>, of: &dyn Fn(&Route) -> Origin| {
            for (index, host) in hosts.enumerate() {
                if let Some(route) = route_of(host) {
                    origins.set(format!("{pointer}/{index}"), of(route));
                }
            }
        };
        set_hosts("/api_allowlist", &mut self.api_allowlist.iter(), &|route| route.origin.unnarrowed());
        set_hosts(
            "/tls_interception/passthrough_domains",
            &mut self.tls_interception.passthrough_domains.iter(),
            &|route| route.passthrough_origin(&bottle.routes),
        );
        // A range that several routes name is in the file once: the first of them counts.
        let written: Vec<_> = bottle.routes.iter().flat_map(|route| &route.ssrf_ip_allowlist).collect();
        for (index, range) in self.ssrf.ip_allowlist.iter().enumerate() {
            if let Some(first) = written.iter().find(|written| written.value.to_string() == *range) {
                origins.set(format!("/ssrf/ip_allowlist/{index}"), Origin::Manifest(first.span));
            }
        }
        origins
    }
}
