//! Compose: `compose.yaml`, with the proxies and the agent, and the agent's Dockerfile.

mod agent;
mod file;
mod isolation;
mod origins;
mod stand_in;

use std::collections::BTreeMap;

use file::{
    Attachment, Compose, Condition, Healthcheck, Interpolated, Logging, Mount, Network, Service, Volume, after,
    literals,
};

use super::{Backend, Emitted, Files, Identity, Isolation, Job, Target, Unreadable};
use crate::manifest::bottle::Bottle;
use crate::target::{egress as addon, network, pipelock};
use crate::text::diagnostic::Findings;
use crate::text::render::{self, RenderError};
use crate::value::artifact::Artifact;
use crate::value::digest;
use crate::value::guest;
use crate::value::release::PipelockTarget;

/// The file of the services.
pub const COMPOSE: &str = "compose.yaml";

/// How the agent's image is made, when the manifest does not say.
const DOCKERFILE: &str = "image/Dockerfile";

/// Stock mitmproxy, the release that the clients were measured with.
const EGRESS_IMAGE: &str = "mitmproxy/mitmproxy:11.0.2";
const PIPELOCK_IMAGE: &str = "ghcr.io/luckypipewrench/pipelock";

/// The profile of what only a microVM needs.
const MACHINE: &str = "machine";

/// The label with the fingerprint of the files that a service reads. compose does not see into files:
/// without it `up` would leave a service running that goes by the old ones.
const FILES_LABEL: &str = "bottlec.files";

/// The files that each service reads and that a build may change.
fn reads(service: &str) -> Vec<&'static str> {
    match service {
        "egress" | "machine-egress" => vec![addon::WIRE, addon::ADDON.path, addon::PROBE.path, pipelock::FILE],
        "pipelock" => vec![pipelock::FILE],
        "prepare" => vec![addon::PREPARE.path],
        _ => Vec::new(),
    }
}

/// One text for all files that a service reads, by their hashes.
fn fingerprint(service: &str, hash: impl Fn(&str) -> Option<String>) -> BTreeMap<String, Interpolated> {
    let line = |path: &&str| format!("{path} {}\n", hash(path).unwrap_or_default());
    let lines: String = reads(service).iter().map(line).collect();
    if lines.is_empty() {
        return BTreeMap::new();
    }
    BTreeMap::from([(FILES_LABEL.to_owned(), Interpolated::literal(&digest::hash(lines.as_bytes())))])
}

/// Says which checkout a bottle runs from, by its id. Only `bottlec exec` sets it.
const CHECKOUT: &str = crate::value::guest::CHECKOUT;

/// The first three numbers of the addresses that agent and egress share.
const NETWORK: &str = "BOTTLE_NET";

/// The same of the network of a microVM. A checkout without a microVM gives its own: compose 1.29 makes
/// the network with all others, and the numbers that the Smolfile names are another checkout's then.
const MACHINE_NETWORK: &str = "BOTTLE_MACHINE_NET";

/// mitmproxy loads a script again when its file changes and drops one that does not load; the copy
/// cannot change. What lies beside the script can be imported and what lies beside the authority is
/// read as settings, so both get a folder of their own, which is new at each start. The image's own
/// entrypoint changes users, which takes capabilities.
const EGRESS_START: &str = r#"mkdir -m 700 /tmp/egress && cp /etc/egress/addon.py /egress-ca/mitmproxy-ca.pem /tmp/egress/ && cp /etc/egress/probe.py /tmp/ && exec mitmdump "$@""#;

/// Isolated (`-I`): Python would import what lies beside a script in place of its own modules.
const PROBE: [&str; 4] = ["CMD", "python3", "-I", "/tmp/probe.py"];
const PREPARE: [&str; 3] = ["python3", "-I", "/etc/egress/prepare.py"];

/// A user that owns nothing else.
const NOBODY: &str = "65534:65534";

/// `compose.yaml`, and `image/Dockerfile` when the manifest names none. The proxies run in containers whatever runs
/// the agent.
pub(super) struct ComposeProject;

impl Target for ComposeProject {
    fn name(&self) -> &'static str {
        "compose"
    }

    fn check(&self, bottle: &Bottle, backends: &[Backend], findings: &mut Findings) {
        if backends.contains(&Backend::Docker) {
            agent::check(bottle, findings);
        }
    }

    fn emit(&self, job: &Job, earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let dockerfile = agent::dockerfile(job)?;
        let text = render::yaml(COMPOSE, &file::TEMPLATE, &compose(job, dockerfile.as_deref(), earlier))?;
        let mut emitted = vec![Emitted::public(COMPOSE, text).decided_by(origins::origins(job))];
        emitted.extend(dockerfile.map(|text| Emitted::public(DOCKERFILE, text)));
        Ok(emitted)
    }

    fn read(&self, files: &Files, bottle: &Identity) -> Result<Isolation, Unreadable> {
        let Some(text) = files.get(COMPOSE) else { return Ok(Isolation::default()) };
        isolation::isolation(files, text, bottle).map_err(|problem| Unreadable::new(COMPOSE, problem))
    }
}

fn compose(job: &Job, dockerfile: Option<&str>, earlier: &[Emitted]) -> Compose {
    let mut services =
        BTreeMap::from([("pipelock", pipelock(job)), ("pipelock-ca", pipelock_ca(job)), ("prepare", prepare())]);
    let mut networks = BTreeMap::from([("uplink", Network::isolated(None)), ("outside", Network::bridge(false, None))]);
    let mut volumes = vec!["egress-ca", "pipelock-ca"];
    if job.wants(Backend::Docker) {
        services.extend([
            ("agent", agent::agent(job, dockerfile)),
            ("egress", egress(job)),
            ("volumes", agent::volumes(job)),
        ]);
        networks.insert("inside", Network::isolated(Some(address(job, "0/25"))));
        volumes.extend(["home", "workspace"]);
    }
    if job.wants(Backend::Smolmachines) {
        services.insert("machine-egress", machine_egress(job));
        networks.insert("machine", Network::bridge(true, Some(machine_range(job))));
    }
    for (name, service) in &mut services {
        service.labels = fingerprint(name, |path| {
            earlier.iter().map(|file| &file.artifact).find(|file| file.path == path).map(Artifact::sha256)
        });
    }
    Compose {
        services: services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect(),
        networks: networks.into_iter().map(|(name, network)| (name.to_owned(), network)).collect(),
        volumes: volumes.into_iter().map(|name| (name.to_owned(), Volume {})).collect(),
    }
}

/// How a bottle's agent is a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// It runs in a microVM, not in a container.
    Absent,
    /// Its image follows from the tree.
    Given,
    /// Its image is built from the user's own Dockerfile.
    BuiltFromOwn,
}

/// How the agent is started by what this text of [`COMPOSE`] says.
pub fn agent_of(text: &[u8]) -> Agent {
    let compose: Option<Compose> = serde_yaml::from_slice(text).ok();
    match compose.and_then(|mut compose| compose.services.remove("agent")) {
        None => Agent::Absent,
        Some(Service { build: Some(build), .. }) if build.context.0 != "./image" => Agent::BuiltFromOwn,
        Some(_) => Agent::Given,
    }
}

/// A service without any privilege; who makes one says the rest.
fn hardened(image: Interpolated) -> Service {
    Service {
        image,
        build: None,
        profiles: Vec::new(),
        labels: BTreeMap::new(),
        user: None,
        entrypoint: Vec::new(),
        command: Vec::new(),
        working_dir: None,
        environment: BTreeMap::new(),
        init: true,
        stdin_open: false,
        tty: false,
        restart: Interpolated::literal("unless-stopped"),
        logging: Logging::bounded(),
        read_only: true,
        cap_drop: literals(["ALL"]),
        cap_add: Vec::new(),
        security_opt: literals(["no-new-privileges:true"]),
        pids_limit: 256,
        mem_limit: Interpolated::literal("1g"),
        // What every machine has. egress is one Python process; more would be taken from its user.
        cpus: Interpolated::literal("1.0"),
        // A core file of egress would hold tokens. No other limit is set: an engine without privileges
        // starts nothing whose limit for files is above its own, and `nproc` counts what the host's user runs,
        // which `pids_limit` does not.
        ulimits: BTreeMap::from([("core".to_owned(), 0)]),
        tmpfs: literals(["/tmp"]),
        volumes: Vec::new(),
        network_mode: None,
        networks: BTreeMap::new(),
        dns: Vec::new(),
        healthcheck: None,
        depends_on: BTreeMap::new(),
    }
}

fn at(address: Interpolated) -> Attachment {
    Attachment { ipv4_address: Some(address) }
}

/// What comes first of the addresses of a network. A subnet that the manifest does not name is another
/// one in each checkout, so that two can run; `bottlec exec` sets it.
fn prefix(job: &Job, variable: &str) -> Interpolated {
    let prefix = job.bottle.subnet.prefix();
    if job.bottle.places.subnet.is_some() {
        Interpolated::literal(&prefix)
    } else {
        Interpolated::variable(variable, &prefix)
    }
}

/// An address or a range of `inside`, by its last number.
fn address(job: &Job, last: impl std::fmt::Display) -> Interpolated {
    prefix(job, NETWORK).followed_by(&format!(".{last}"))
}

/// The range of `machine`.
fn machine_range(job: &Job) -> Interpolated {
    let range = network::machine(job.bottle.subnet);
    prefix(job, MACHINE_NETWORK).followed_by(&format!(".{}/{}", last(range.addr()), range.prefix_len()))
}

fn last(address: std::net::Ipv4Addr) -> u8 {
    address.octets()[3]
}

fn egress(job: &Job) -> Service {
    let port = guest::EGRESS_PORT.to_string();
    let upstream = format!("upstream:http://pipelock:{}", pipelock::PORT);
    let address = at(address(job, last(network::egress(job.bottle.subnet))));
    let networks = [("inside".to_owned(), address), ("uplink".to_owned(), Attachment::default())];
    Service {
        user: Some(Interpolated::literal(NOBODY)),
        entrypoint: literals(["/bin/sh", "-ec", EGRESS_START, "egress"]),
        command: literals([
            "--mode",
            &upstream,
            "--listen-port",
            &port,
            "--set",
            "confdir=/tmp/egress",
            "--set",
            "ssl_verify_upstream_trusted_ca=/egress-ca/upstream.pem",
            "--set",
            "flow_detail=0",
            "--set",
            "termlog_verbosity=error",
            "--scripts",
            "/tmp/egress/addon.py",
        ]),
        environment: job.egress.variables().map(|(name, _)| (name, None)).collect(),
        volumes: vec![
            Mount::bind("./egress", "/etc/egress"),
            Mount::bind("./pipelock", "/etc/pipelock"),
            Mount::volume("egress-ca", "/egress-ca", true),
        ],
        networks: networks.into(),
        healthcheck: Some(Healthcheck::of(PROBE)),
        depends_on: after([("pipelock", Condition::Healthy), ("prepare", Condition::Done)]),
        ..hardened(Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE))
    }
}

/// The same for an agent in a microVM, whose connections come from the host: whoever is there can use
/// it, so it runs only when it is asked for.
fn machine_egress(job: &Job) -> Service {
    let own = last(network::machine_egress(job.bottle.subnet));
    let address = at(prefix(job, MACHINE_NETWORK).followed_by(&format!(".{own}")));
    let networks = [("machine".to_owned(), address), ("uplink".to_owned(), Attachment::default())];
    let mut healthcheck = Healthcheck::of(PROBE);
    healthcheck.test.push(machine_range(job));
    Service { profiles: literals([MACHINE]), networks: networks.into(), healthcheck: Some(healthcheck), ..egress(job) }
}

/// Runs `prepare.py` and ends. Has both authorities and nothing of the agent's but the folder for
/// public certificates.
fn prepare() -> Service {
    Service {
        user: Some(Interpolated::literal("0:0")),
        entrypoint: literals(PREPARE),
        // Unset, it was not `bottlec exec` that started this.
        environment: BTreeMap::from([(CHECKOUT.to_owned(), None)]),
        // To give the authority to egress, and to write into a folder of the host's user.
        cap_add: literals(["CHOWN", "DAC_OVERRIDE"]),
        volumes: vec![
            Mount::bind("./egress", "/etc/egress"),
            Mount { read_only: false, ..Mount::bind("./agent/ca", "/agent-ca") },
            Mount::volume("egress-ca", "/egress-ca", false),
            Mount::volume("pipelock-ca", "/pipelock-ca", false),
        ],
        depends_on: after([("pipelock-ca", Condition::Done)]),
        ..once(Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE))
    }
}

/// A service that does its work without a network and ends.
fn once(image: Interpolated) -> Service {
    Service {
        restart: Interpolated::literal("no"),
        network_mode: Some(Interpolated::literal("none")),
        ..hardened(image)
    }
}

fn pipelock_image(job: &Job) -> Interpolated {
    let release = match job.bottle.pipelock {
        PipelockTarget::V2_3 => "2.3.0",
        PipelockTarget::V3 => "3.3.0",
    };
    Interpolated::variable("BOTTLE_PIPELOCK_IMAGE", &format!("{PIPELOCK_IMAGE}:{release}"))
}

/// Makes an authority for pipelock and ends. The image has no shell to ask whether there is one
/// already; `prepare.py` keeps the first.
fn pipelock_ca(job: &Job) -> Service {
    Service {
        entrypoint: literals(["/pipelock"]),
        command: literals(["tls", "init", "--out", "/pipelock-ca/new", "--force"]),
        volumes: vec![Mount::volume("pipelock-ca", "/pipelock-ca", false)],
        ..once(pipelock_image(job))
    }
}

/// Has no variables at all: pipelock takes the value of any for a secret and refuses what holds it.
fn pipelock(job: &Job) -> Service {
    Service {
        entrypoint: literals(["/pipelock"]),
        command: literals([
            "run",
            "--config",
            "/config/pipelock.yaml",
            "--listen",
            &format!("0.0.0.0:{}", pipelock::PORT),
        ]),
        volumes: vec![Mount::bind("./pipelock", "/config"), Mount::volume("pipelock-ca", "/pipelock-ca", true)],
        networks: BTreeMap::from([
            ("uplink".to_owned(), Attachment::default()),
            ("outside".to_owned(), Attachment::default()),
        ]),
        healthcheck: Some(Healthcheck::of(["CMD", "/pipelock", "healthcheck"])),
        depends_on: after([("prepare", Condition::Done)]),
        ..hardened(pipelock_image(job))
    }
}
