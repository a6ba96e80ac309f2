//! The proxies as services: egress for either kind of agent, pipelock, and what prepares both.

use std::collections::BTreeMap;

use super::addresses::Addresses;
use super::file::{
    Attachment, Compose, Condition, Healthcheck, Interpolated, Mount, Network, Service, after, literals,
};
use super::hardened::{hardened, once};
use crate::target::guards::Row;
use crate::target::{Job, egress as addon, pipelock as firewall};
use crate::value::digest;
use crate::value::guest;
use crate::value::origin::{At, By, Origin};
use crate::value::release::PipelockTarget;
use crate::value::slot::{BINDING, Slot};

/// Stock mitmproxy, the release that the clients were measured with.
const EGRESS_IMAGE: &str = "mitmproxy/mitmproxy:11.0.2";
const PIPELOCK_IMAGE: &str = "ghcr.io/luckypipewrench/pipelock";

/// The rule that pins the proxies' releases.
const PINNED: &str = "pinned-image";

/// The profile of what only a microVM needs.
const MACHINE: &str = "machine";

/// The label with the fingerprint of the files that a service reads. compose does not see into files:
/// without it `up` would leave a service running that goes by the old ones.
const FILES_LABEL: &str = "bottlec.files";

/// Says which checkout a bottle runs from, by its id. Only `bottlec exec` sets it.
const CHECKOUT: &str = guest::CHECKOUT;

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

/// The volumes of the authorities.
pub(super) const VOLUMES: [&str; 2] = ["egress-ca", "pipelock-ca"];

/// What keeps the proxies between the agent and the rest.
pub(super) const GUARDS: &[Row] = &[
    Row::enforce(
        "the agent's network does not have the host (`inside`)",
        &[
            "/networks/inside/driver",
            "/networks/inside/enable_ipv6",
            "/networks/inside/driver_opts",
            "/networks/inside/ipam",
            "/networks/uplink/driver",
            "/networks/uplink/enable_ipv6",
            "/networks/uplink/driver_opts",
            "/networks/uplink/ipam",
        ],
    ),
    Row::enforce("a microVM's network leads nowhere else (`machine`)", &["/networks/machine"]),
    Row::enforce(
        "egress is where the agent looks for it",
        &["/services/egress/networks/inside/ipv4_address", "/services/machine-egress/networks/machine/ipv4_address"],
    ),
    Row::enforce(
        "the host finds no egress unless a microVM is asked for (`profiles`)",
        &["/services/*/networks/machine?", "/services/machine-egress/profiles"],
    ),
    Row::enforce(
        "egress reaches pipelock alone (`uplink`)",
        &["/services/egress/networks/*?", "/services/machine-egress/networks/*?", "/networks/uplink/internal"],
    ),
    Row::enforce("only pipelock reaches the internet (`outside`)", &["/services/pipelock/networks"]),
    Row::enforce("the proxies see their own folders alone", &["/services/!agent/volumes"]),
    Row::enforce(
        "egress runs its addon, in a folder of its own, and sends everything to pipelock",
        &[
            "/services/egress/entrypoint",
            "/services/egress/command",
            "/services/machine-egress/entrypoint",
            "/services/machine-egress/command",
        ],
    ),
    Row::enforce(
        "egress is given its slots and no other variable",
        &["/services/egress/environment", "/services/machine-egress/environment"],
    ),
    Row::enforce(
        "what runs as root imports nothing of the tree and starts by way of `bottlec exec` alone",
        &[
            "/services/prepare/entrypoint",
            "/services/prepare/command",
            "/services/prepare/environment",
            "/services/volumes/entrypoint",
            "/services/volumes/command",
        ],
    ),
    Row::enforce("a service whose files change is created again (`labels`)", &["/services/*/labels"]),
    Row::enforce("pipelock runs with its file", &["/services/pipelock/entrypoint", "/services/pipelock/command"]),
];

/// What a bottle decides of the proxies.
pub(super) struct Choices {
    /// Whether an agent in a container finds egress, and one in a microVM.
    pub(super) has: Agents,
    /// pipelock's image.
    pipelock: By<Interpolated>,
    /// The variables of egress.
    variables: Vec<(String, By<()>)>,
}

/// For which agents there is an egress.
#[derive(Clone, Copy)]
pub(super) struct Agents {
    /// One in a container.
    pub(super) container: bool,
    /// One in a microVM.
    pub(super) machine: bool,
}

impl Choices {
    /// Those of a bottle.
    pub(super) fn of(job: &Job, has: Agents) -> Self {
        let release = match job.bottle.pipelock {
            PipelockTarget::V2_3 => "2.3.0",
            PipelockTarget::V3 => "3.3.0",
        };
        let image = Interpolated::variable("BOTTLE_PIPELOCK_IMAGE", &format!("{PIPELOCK_IMAGE}:{release}"));
        Choices {
            has,
            pipelock: By::new(image, Origin::written_or(job.bottle.places.pipelock, PINNED)),
            variables: job.egress.variables().collect(),
        }
    }

    /// Those that a file shows.
    pub(super) fn found(compose: &Compose, has: Agents) -> Self {
        let service = |name: &str| compose.services.get(name);
        let egresses = ["egress", "machine-egress"].into_iter().filter_map(service);
        let is_slot = |name: &&String| Slot::parse(name).is_some() || *name == BINDING;
        let variables = egresses.flat_map(|egress| egress.environment.keys()).filter(is_slot);
        Choices {
            has,
            pipelock: By::unsaid(service("pipelock").map(|service| service.image.clone()).unwrap_or_default()),
            variables: variables.map(|name| (name.clone(), By::unsaid(()))).collect(),
        }
    }
}

/// The services.
pub(super) fn services(choices: &Choices, addresses: &Addresses, at: &mut At) -> Vec<(&'static str, Service)> {
    let Choices { has, pipelock: image, variables } = choices;
    let mut services = vec![
        ("pipelock", pipelock(image, at.below("services/pipelock"))),
        ("pipelock-ca", pipelock_ca(image, at.below("services/pipelock-ca"))),
        ("prepare", prepare(at.below("services/prepare"))),
    ];
    if has.container {
        let mut at = at.below("services/egress");
        let inside = addresses.join("inside", &addresses.egress, &mut at);
        services.push(("egress", egress(variables, inside, at)));
    }
    if has.machine {
        let mut at = at.below("services/machine-egress");
        let machine = addresses.join("machine", &addresses.machine_egress, &mut at);
        services.push(("machine-egress", machine_egress(variables, machine, &addresses.machine, at)));
    }
    services
}

/// The networks, which they have between them.
pub(super) fn networks(has: Agents, addresses: &Addresses, at: &mut At) -> Vec<(&'static str, Network)> {
    let mut networks = vec![("uplink", Network::isolated(None)), ("outside", Network::bridge(false, None))];
    if has.container {
        let range = addresses.range(&addresses.inside, &mut at.below("networks/inside"));
        networks.push(("inside", Network::isolated(Some(range))));
    }
    if has.machine {
        let range = addresses.range(&addresses.machine, &mut at.below("networks/machine"));
        networks.push(("machine", Network::bridge(true, Some(range))));
    }
    networks
}

/// The files that each service reads and that a build may change.
fn reads(service: &str) -> Vec<&'static str> {
    match service {
        "egress" | "machine-egress" => vec![addon::WIRE, addon::ADDON.path, addon::PROBE.path, firewall::FILE],
        "pipelock" => vec![firewall::FILE],
        "prepare" => vec![addon::PREPARE.path],
        _ => Vec::new(),
    }
}

/// One text for all files that a service reads, by their hashes.
pub(super) fn fingerprint(service: &str, hash: impl Fn(&str) -> Option<String>) -> BTreeMap<String, Interpolated> {
    let line = |path: &&str| format!("{path} {}\n", hash(path).unwrap_or_default());
    let lines: String = reads(service).iter().map(line).collect();
    if lines.is_empty() {
        return BTreeMap::new();
    }
    BTreeMap::from([(FILES_LABEL.to_owned(), Interpolated::literal(&digest::hash(lines.as_bytes())))])
}

/// The image of egress, which also runs what needs no other program.
pub(super) fn egress_image(at: &mut At) -> Interpolated {
    let image = Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE);
    at.put("image", By::new(image, Origin::BuiltIn(PINNED)))
}

fn egress(variables: &[(String, By<()>)], agents: (String, Attachment), mut at: At) -> Service {
    let port = guest::EGRESS_PORT.to_string();
    let upstream = format!("upstream:http://pipelock:{}", firewall::PORT);
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
        environment: at
            .below("environment")
            .put_each(variables.iter().cloned())
            .map(|(name, ())| (name, None))
            .collect(),
        volumes: vec![
            Mount::bind("./egress", "/etc/egress"),
            Mount::bind("./pipelock", "/etc/pipelock"),
            Mount::volume("egress-ca", "/egress-ca", true),
        ],
        networks: [agents, ("uplink".to_owned(), Attachment::default())].into(),
        healthcheck: Some(Healthcheck::of(PROBE)),
        depends_on: after([("pipelock", Condition::Healthy), ("prepare", Condition::Done)]),
        ..hardened(egress_image(&mut at))
    }
}

/// The same for an agent in a microVM, whose connections come from the host: whoever is there can use
/// it, so it runs only when it is asked for.
fn machine_egress(
    variables: &[(String, By<()>)],
    agents: (String, Attachment),
    range: &Interpolated,
    at: At,
) -> Service {
    let mut healthcheck = Healthcheck::of(PROBE);
    healthcheck.test.push(range.clone());
    Service { profiles: literals([MACHINE]), healthcheck: Some(healthcheck), ..egress(variables, agents, at) }
}

/// Runs `prepare.py` and ends. Has both authorities and nothing of the agent's but the folder for
/// public certificates.
fn prepare(mut at: At) -> Service {
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
        ..once(egress_image(&mut at))
    }
}

/// Makes an authority for pipelock and ends. The image has no shell to ask whether there is one
/// already; `prepare.py` keeps the first.
fn pipelock_ca(image: &By<Interpolated>, mut at: At) -> Service {
    Service {
        entrypoint: literals(["/pipelock"]),
        command: literals(["tls", "init", "--out", "/pipelock-ca/new", "--force"]),
        volumes: vec![Mount::volume("pipelock-ca", "/pipelock-ca", false)],
        ..once(at.put("image", image.clone()))
    }
}

/// Has no variables at all: pipelock takes the value of any for a secret and refuses what holds it.
fn pipelock(image: &By<Interpolated>, mut at: At) -> Service {
    Service {
        entrypoint: literals(["/pipelock"]),
        command: literals([
            "run",
            "--config",
            "/config/pipelock.yaml",
            "--listen",
            &format!("0.0.0.0:{}", firewall::PORT),
        ]),
        volumes: vec![Mount::bind("./pipelock", "/config"), Mount::volume("pipelock-ca", "/pipelock-ca", true)],
        networks: BTreeMap::from([
            ("uplink".to_owned(), Attachment::default()),
            ("outside".to_owned(), Attachment::default()),
        ]),
        healthcheck: Some(Healthcheck::of(["CMD", "/pipelock", "healthcheck"])),
        depends_on: after([("prepare", Condition::Done)]),
        ..hardened(at.put("image", image.clone()))
    }
}
