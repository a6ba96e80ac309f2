//! Where something of the model is in the files of a tree.

use ipnet::IpNet;

use super::change::Entry;
use super::reach::{Reach, Route, Tls, Value};
use crate::target::{agent, egress, pipelock};
use crate::value::host::Host;
use crate::value::isolation::Role;
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::TokenRef;

impl Reach {
    fn position(&self, host: &Host) -> Option<usize> {
        self.routes.iter().position(|route| route.host == *host)
    }

    /// A route on the wire, or a key of it.
    pub fn at_route(&self, host: &Host, key: &str) -> Option<Entry> {
        let index = self.position(host)?;
        Some(Entry { file: egress::WIRE, pointer: format!("/routes/{index}{key}") })
    }

    /// A prefix of a route; without one, the route.
    pub fn at_prefix(&self, host: &Host, prefix: Option<&PathPrefix>) -> Option<Entry> {
        let route = &self.routes[self.position(host)?];
        match prefix.and_then(|prefix| route.path_allowlist.values().iter().position(|own| own == prefix)) {
            Some(index) => self.at_route(host, &format!("/path_allowlist/{index}")),
            None => self.at_route(host, ""),
        }
    }

    /// A host in pipelock's list of those that it does not open.
    pub fn at_spliced(&self, host: &Host) -> Option<Entry> {
        let spliced = self.routes.iter().filter(|route| route.tls == Some(Tls::PassedThrough));
        let mut hosts: Vec<&str> = spliced.map(|route| route.host.as_str()).collect();
        hosts.sort_unstable();
        let index = hosts.iter().position(|other| *other == host.as_str())?;
        Some(Entry { file: pipelock::FILE, pointer: format!("/tls_interception/passthrough_domains/{index}") })
    }

    /// A range in pipelock's list of exceptions.
    pub fn at_range(&self, range: &IpNet) -> Option<Entry> {
        let mut ranges: Vec<String> = self.exceptions.iter().map(ToString::to_string).collect();
        ranges.sort_unstable();
        let index = ranges.iter().position(|other| *other == range.to_string())?;
        Some(Entry { file: pipelock::FILE, pointer: format!("/ssrf/ip_allowlist/{index}") })
    }

    /// The first route that is signed with a token.
    pub fn at_token(&self, token: &TokenRef) -> Option<Entry> {
        let is_signed = |route: &&Route| route.credential.as_ref().is_some_and(|held| held.token_ref == *token);
        let route = self.routes.iter().find(is_signed)?;
        self.at_route(&route.host, "/token_env")
    }

    /// A variable of the agent. One that gets its value at launch is in no env file.
    pub fn at_variable(&self, name: &str) -> Option<Entry> {
        let is_literal = self.variables.get(name)?.iter().any(|value| matches!(value, Value::Literal(_)));
        if is_literal {
            return Some(Entry { file: agent::ENV_FILE, pointer: format!("/{name}") });
        }
        let (file, above) = self.bound_at?;
        Some(Entry { file, pointer: format!("{above}/{name}") })
    }

    /// The bottle's name.
    pub fn at_name(&self) -> Option<Entry> {
        Some(Entry { file: pipelock::FILE, pointer: "/default_agent_identity".to_owned() })
    }

    /// The network that agent and egress share.
    pub fn at_subnet(&self) -> Option<Entry> {
        let (file, pointer) = self.network_at?;
        Some(Entry { file, pointer: pointer.to_owned() })
    }

    /// What the agent runs.
    pub fn at_agent_image(&self) -> Option<Entry> {
        let (name, _) = self.parts.iter().find(|(_, part)| part.role == Role::Agent)?;
        self.at_image(name)
    }

    /// What a part runs.
    pub fn at_image(&self, part: &str) -> Option<Entry> {
        let part = self.parts.get(part)?;
        Some(Entry { file: part.file, pointer: part.image_at.clone() })
    }
}
