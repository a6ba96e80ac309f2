//! The compose file as a model. Keys were checked with `docker-compose config` 1.29.2, the oldest
//! reader that is in use.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::agent;
use crate::text::render::{self, Template};

/// Text that compose interpolates when it reads the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Interpolated(pub(super) String);

impl fmt::Display for Interpolated {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Interpolated {
    /// Text that means itself.
    pub(super) fn literal(text: &str) -> Self {
        Interpolated(if text.contains('$') { text.replace('$', "$$") } else { text.to_owned() })
    }

    /// A variable of the compose process with a default of plain text.
    pub(super) fn variable(name: &str, default: &str) -> Self {
        debug_assert!(!default.contains(['$', '}']));
        Interpolated(format!("${{{name}:-{default}}}"))
    }

    /// A variable of the compose process with nothing as its default.
    pub(super) fn empty_variable(name: &str) -> Self {
        Interpolated(format!("${{{name}-}}"))
    }

    /// The text that it means, if it has no variable.
    pub(super) fn plain(&self) -> String {
        self.0.replace("$$", "$")
    }

    pub(super) fn followed_by(self, text: &str) -> Self {
        self.joined(Self::literal(text))
    }

    pub(super) fn joined(self, other: Interpolated) -> Self {
        Interpolated(self.0 + &other.0)
    }
}

pub(super) fn literals<const N: usize>(words: [&str; N]) -> Vec<Interpolated> {
    words.map(Interpolated::literal).to_vec()
}

pub(super) static TEMPLATE: Template = render::template!("compose.yaml");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Compose {
    pub(super) services: BTreeMap<String, Service>,
    pub(super) networks: BTreeMap<String, Network>,
    pub(super) volumes: BTreeMap<String, Volume>,
}

/// What a hand left out of one is, to compose, nothing, false or empty.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Service {
    pub(super) image: Interpolated,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) build: Option<Build>,
    /// Only started when it is named, or its profile is.
    pub(super) profiles: Vec<Interpolated>,
    /// What compose compares beside the rest: a service with another label is created again.
    pub(super) labels: BTreeMap<String, Interpolated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<Interpolated>,
    pub(super) entrypoint: Vec<Interpolated>,
    pub(super) command: Vec<Interpolated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) working_dir: Option<Interpolated>,
    /// A variable without a text takes its value from the compose process.
    pub(super) environment: BTreeMap<String, Option<Interpolated>>,
    pub(super) init: bool,
    pub(super) stdin_open: bool,
    pub(super) tty: bool,
    pub(super) restart: Interpolated,
    pub(super) logging: Logging,
    pub(super) read_only: bool,
    pub(super) cap_drop: Vec<Interpolated>,
    pub(super) cap_add: Vec<Interpolated>,
    pub(super) security_opt: Vec<Interpolated>,
    pub(super) pids_limit: u32,
    pub(super) mem_limit: Interpolated,
    /// In processors; 0 sets no limit.
    pub(super) cpus: Interpolated,
    pub(super) ulimits: BTreeMap<String, u32>,
    pub(super) tmpfs: Vec<Interpolated>,
    pub(super) volumes: Vec<Mount>,
    /// `none`, in the place of networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) network_mode: Option<Interpolated>,
    pub(super) networks: BTreeMap<String, Attachment>,
    pub(super) dns: Vec<Interpolated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) healthcheck: Option<Healthcheck>,
    pub(super) depends_on: BTreeMap<String, Dependency>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Logging {
    pub(super) driver: Interpolated,
    pub(super) options: BTreeMap<String, Interpolated>,
}

impl Logging {
    /// What an agent makes the services say must not fill the host's disk.
    pub(super) fn bounded() -> Self {
        let options = [("max-file", "3"), ("max-size", "10m")];
        Logging {
            driver: Interpolated::literal("json-file"),
            options: options.map(|(name, value)| (name.to_owned(), Interpolated::literal(value))).into(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    pub(super) context: Interpolated,
    pub(super) dockerfile: Interpolated,
}

impl Build {
    /// Whether it is of the Dockerfile that bottlec writes.
    pub(super) fn is_generated(&self) -> bool {
        self.context.0 == agent::CONTEXT
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Mount {
    #[serde(rename = "type")]
    pub(super) kind: Interpolated,
    pub(super) source: Interpolated,
    pub(super) target: Interpolated,
    pub(super) read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) volume: Option<VolumeOptions>,
}

impl Mount {
    pub(super) fn bind(source: &str, target: &str) -> Self {
        let [kind, source, target] = ["bind", source, target].map(Interpolated::literal);
        Mount { kind, source, target, read_only: true, volume: None }
    }

    pub(super) fn volume(source: &str, target: &str, read_only: bool) -> Self {
        let [kind, source, target] = ["volume", source, target].map(Interpolated::literal);
        Mount { kind, source, target, read_only, volume: None }
    }

    /// A volume that stays as it is. The engine would copy the image's folder over an empty one, with
    /// its owner and mode, after the volume was handed to the agent's user.
    pub(super) fn own(source: &str, target: &str) -> Self {
        Mount { volume: Some(VolumeOptions { nocopy: true }), ..Mount::volume(source, target, false) }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct VolumeOptions {
    pub(super) nocopy: bool,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ipv4_address: Option<Interpolated>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Healthcheck {
    pub(super) test: Vec<Interpolated>,
    pub(super) interval: Interpolated,
    pub(super) timeout: Interpolated,
    pub(super) retries: u32,
    pub(super) start_period: Interpolated,
}

impl Healthcheck {
    pub(super) fn of<const N: usize>(test: [&str; N]) -> Self {
        let [interval, timeout, start_period] = ["2s", "3s", "10s"].map(Interpolated::literal);
        Healthcheck { test: literals(test), interval, timeout, retries: 30, start_period }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dependency {
    pub(super) condition: Condition,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Condition {
    #[serde(rename = "service_healthy")]
    Healthy,
    #[serde(rename = "service_completed_successfully")]
    Done,
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Condition::Healthy => "service_healthy",
            Condition::Done => "service_completed_successfully",
        })
    }
}

/// Other services and what must be true of them first.
pub(super) fn after<const N: usize>(services: [(&str, Condition); N]) -> BTreeMap<String, Dependency> {
    services.map(|(service, condition)| (service.to_owned(), Dependency { condition })).into()
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Network {
    pub(super) driver: Interpolated,
    pub(super) internal: bool,
    pub(super) enable_ipv6: bool,
    pub(super) driver_opts: BTreeMap<String, Interpolated>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ipam: Option<Ipam>,
}

impl Network {
    /// Without IPv6, whatever the engine's default is: the guards of these networks are for IPv4.
    pub(super) fn bridge(internal: bool, subnet: Option<Interpolated>) -> Self {
        Network {
            driver: Interpolated::literal("bridge"),
            internal,
            enable_ipv6: false,
            driver_opts: BTreeMap::new(),
            ipam: subnet.map(|subnet| Ipam { config: vec![Range { subnet }] }),
        }
    }

    /// A network in which the host has no address either. Being internal keeps the world out, but
    /// services of the host that listen on all addresses would answer on the bridge's. The option is
    /// as old as engine 20.10; in an internal network it does what engines from 28 on call the
    /// gateway mode `isolated` (moby/moby pull request 49262).
    pub(super) fn isolated(subnet: Option<Interpolated>) -> Self {
        let inhibit = ("com.docker.network.bridge.inhibit_ipv4".to_owned(), Interpolated::literal("true"));
        Network { driver_opts: BTreeMap::from([inhibit]), ..Network::bridge(true, subnet) }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ipam {
    pub(super) config: Vec<Range>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Range {
    pub(super) subnet: Interpolated,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Volume {}
