//! Docker: `compose.yaml` and the agent's Dockerfile. Keys were checked with `docker-compose config`
//! 1.29.2, the oldest reader that is in use.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Backend, Job};
use crate::artifact::Artifact;
use crate::bottle::{Bottle, ImageChoice};
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::guest;
use crate::manifest::PipelockTarget;
use crate::pipelock;
use crate::plan::AgentImage;
use crate::render::{self, RenderError};

/// Stock mitmproxy, the release that the clients were measured with.
const EGRESS_IMAGE: &str = "mitmproxy/mitmproxy:11.0.2";
const PIPELOCK_IMAGE: &str = "ghcr.io/luckypipewrench/pipelock";

/// Text that compose interpolates when it reads the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
struct Interpolated(String);

impl Interpolated {
    /// Text that means itself.
    fn literal(text: &str) -> Self {
        Interpolated(text.replace('$', "$$"))
    }

    /// A variable of the compose process with a default of plain text.
    fn variable(name: &str, default: &str) -> Self {
        debug_assert!(!default.contains(['$', '}']));
        Interpolated(format!("${{{name}:-{default}}}"))
    }

    fn followed_by(self, text: &str) -> Self {
        Interpolated(self.0 + &Self::literal(text).0)
    }
}

fn literals<const N: usize>(words: [&str; N]) -> Vec<Interpolated> {
    words.map(Interpolated::literal).to_vec()
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Compose {
    services: BTreeMap<String, Service>,
    networks: BTreeMap<String, Network>,
    volumes: BTreeMap<String, Volume>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    image: Interpolated,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build: Option<Build>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<Interpolated>,
    entrypoint: Vec<Interpolated>,
    command: Vec<Interpolated>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_dir: Option<Interpolated>,
    /// A variable without a text takes its value from the compose process.
    #[serde(default)]
    environment: BTreeMap<String, Option<Interpolated>>,
    init: bool,
    stdin_open: bool,
    tty: bool,
    restart: Interpolated,
    read_only: bool,
    cap_drop: Vec<Interpolated>,
    security_opt: Vec<Interpolated>,
    pids_limit: u32,
    mem_limit: Interpolated,
    tmpfs: Vec<Interpolated>,
    volumes: Vec<Mount>,
    networks: BTreeMap<String, Attachment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    healthcheck: Option<Healthcheck>,
    #[serde(default)]
    depends_on: BTreeMap<String, Dependency>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    context: Interpolated,
    dockerfile: Interpolated,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mount {
    r#type: Interpolated,
    source: Interpolated,
    target: Interpolated,
    read_only: bool,
}

impl Mount {
    fn bind(source: &str, target: &str) -> Self {
        let [kind, source, target] = ["bind", source, target].map(Interpolated::literal);
        Mount { r#type: kind, source, target, read_only: true }
    }

    fn volume(source: &str, target: &str, read_only: bool) -> Self {
        let [kind, source, target] = ["volume", source, target].map(Interpolated::literal);
        Mount { r#type: kind, source, target, read_only }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Attachment {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipv4_address: Option<Interpolated>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Healthcheck {
    test: Vec<Interpolated>,
    interval: Interpolated,
    timeout: Interpolated,
    retries: u32,
    start_period: Interpolated,
}

impl Healthcheck {
    fn of<const N: usize>(test: [&str; N]) -> Self {
        let [interval, timeout, start_period] = ["5s", "3s", "10s"].map(Interpolated::literal);
        Healthcheck { test: literals(test), interval, timeout, retries: 12, start_period }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: Interpolated,
}

fn healthy(service: &str) -> BTreeMap<String, Dependency> {
    BTreeMap::from([(service.to_owned(), Dependency { condition: Interpolated::literal("service_healthy") })])
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    driver: Interpolated,
    internal: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ipam: Option<Ipam>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ipam {
    config: Vec<Range>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Range {
    subnet: Interpolated,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Volume {}

/// Reports what a container cannot be given.
pub(super) fn check(bottle: &Bottle, findings: &mut Findings) {
    if let Some(image) = &bottle.settings.image
        && let ImageChoice::Archive(_) = image.value
    {
        findings.push(
            Diagnostic::new(Code::Inexpressible, "compose starts no image from a local archive")
                .at(image.span, "an archive")
                .help("`docker load` it and write its reference here, or build with --backend smolmachines"),
        );
    }
}

/// `compose.yaml`, and `image/Dockerfile` when the manifest names none.
pub(super) fn render(job: &Job) -> Result<Vec<Artifact>, RenderError> {
    let mut artifacts = vec![Artifact::public("compose.yaml", render::template("compose.yaml", &compose(job))?)];
    if let AgentImage::Generated(recipe) = &job.plan.image {
        let words =
            BTreeMap::from([("package", recipe.package), ("version", recipe.version), ("workspace", guest::WORKSPACE)]);
        artifacts.push(Artifact::public("image/Dockerfile", render::unchecked("image.dockerfile", &words)?));
    }
    Ok(artifacts)
}

fn compose(job: &Job) -> Compose {
    let mut services = BTreeMap::from([("egress".to_owned(), egress(job)), ("pipelock".to_owned(), pipelock(job))]);
    let mut volumes = vec!["egress-ca", "pipelock-ca"];
    if job.wants(Backend::Docker) {
        services.insert("agent".to_owned(), agent(job));
        volumes.extend(["home", "workspace"]);
    }
    let network = |internal, ipam| Network { driver: Interpolated::literal("bridge"), internal, ipam };
    let subnet = Range { subnet: Interpolated::literal(&job.bottle.subnet.range().to_string()) };
    Compose {
        services,
        networks: BTreeMap::from([
            ("inside".to_owned(), network(true, Some(Ipam { config: vec![subnet] }))),
            ("uplink".to_owned(), network(true, None)),
            ("outside".to_owned(), network(false, None)),
        ]),
        volumes: volumes.into_iter().map(|name| (name.to_owned(), Volume {})).collect(),
    }
}

/// A service without any privilege; who makes one says the rest.
fn hardened(image: Interpolated) -> Service {
    Service {
        image,
        build: None,
        user: None,
        entrypoint: Vec::new(),
        command: Vec::new(),
        working_dir: None,
        environment: BTreeMap::new(),
        init: true,
        stdin_open: false,
        tty: false,
        restart: Interpolated::literal("unless-stopped"),
        read_only: true,
        cap_drop: literals(["ALL"]),
        security_opt: literals(["no-new-privileges:true"]),
        pids_limit: 256,
        mem_limit: Interpolated::literal("1g"),
        tmpfs: literals(["/tmp"]),
        volumes: Vec::new(),
        networks: BTreeMap::new(),
        healthcheck: None,
        depends_on: BTreeMap::new(),
    }
}

fn at(address: std::net::Ipv4Addr) -> Attachment {
    Attachment { ipv4_address: Some(Interpolated::literal(&address.to_string())) }
}

fn agent(job: &Job) -> Service {
    let generated = format!("bottle-{}-agent", job.bottle.name.as_str());
    let built = |context, dockerfile: &str| Some(Build { context, dockerfile: Interpolated::literal(dockerfile) });
    let (image, build) = match &job.plan.image {
        AgentImage::Generated(_) => (generated.as_str(), built(Interpolated::literal("./image"), "Dockerfile")),
        AgentImage::Chosen(ImageChoice::Reference(reference)) => (reference.as_str(), None),
        AgentImage::Chosen(ImageChoice::Archive(_)) => (generated.as_str(), None),
        AgentImage::Chosen(ImageChoice::Dockerfile(path)) => {
            let (folder, file) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, file)| (folder, file));
            let manifest_folder = Interpolated::variable("BOTTLE_MANIFEST_DIR", "../..");
            let context =
                if folder.is_empty() { manifest_folder } else { manifest_folder.followed_by(&format!("/{folder}")) };
            (generated.as_str(), built(context, file))
        }
    };
    let literal =
        job.environment.literal.iter().map(|(name, text)| (name.to_string(), Some(Interpolated::literal(text))));
    let bound = job.environment.bound_at_launch.iter().map(|name| (name.to_string(), None));
    let words = |words: &[String]| words.iter().map(|word| Interpolated::literal(word)).collect::<Vec<_>>();
    Service {
        build,
        // The owner of `agent/`, whose private files the agent must be able to read.
        user: Some(Interpolated("${BOTTLE_UID:-1000}:${BOTTLE_GID:-1000}".to_owned())),
        entrypoint: literals(["/bin/sh", "-c", guest::START, "bottle"]),
        command: words(&job.plan.command),
        working_dir: Some(Interpolated::literal(guest::WORKSPACE)),
        environment: literal.chain(bound).collect(),
        stdin_open: true,
        tty: true,
        restart: Interpolated::literal("no"),
        // An image of somebody else's may need to write elsewhere.
        read_only: matches!(job.plan.image, AgentImage::Generated(_)),
        pids_limit: 1024,
        mem_limit: Interpolated::literal("4g"),
        volumes: vec![
            Mount::bind("./agent", guest::MOUNT),
            Mount::volume("home", job.plan.home, false),
            Mount::volume("workspace", guest::WORKSPACE, false),
        ],
        networks: BTreeMap::from([("inside".to_owned(), at(job.bottle.subnet.agent()))]),
        depends_on: healthy("egress"),
        ..hardened(Interpolated::variable("BOTTLE_AGENT_IMAGE", image))
    }
}

fn egress(job: &Job) -> Service {
    let port = guest::EGRESS_PORT.to_string();
    let upstream = format!("upstream:http://pipelock:{}", pipelock::PORT);
    let probe = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()");
    Service {
        // The image's own entrypoint changes users, which takes capabilities.
        entrypoint: literals(["mitmdump"]),
        command: literals([
            "--mode",
            &upstream,
            "--listen-port",
            &port,
            "--set",
            "confdir=/egress-ca",
            "--set",
            "flow_detail=0",
            "--scripts",
            "/etc/egress/addon.py",
        ]),
        environment: job.egress.slots.keys().map(|slot| (slot.to_string(), None)).collect(),
        volumes: vec![Mount::bind("./egress", "/etc/egress"), Mount::volume("egress-ca", "/egress-ca", false)],
        networks: BTreeMap::from([
            ("inside".to_owned(), at(job.bottle.subnet.egress())),
            ("uplink".to_owned(), Attachment::default()),
        ]),
        healthcheck: Some(Healthcheck::of(["CMD", "python3", "-c", &probe])),
        depends_on: healthy("pipelock"),
        ..hardened(Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE))
    }
}

/// Has no variables at all: pipelock takes the value of any for a secret and refuses what holds it.
fn pipelock(job: &Job) -> Service {
    let release = match job.bottle.pipelock {
        PipelockTarget::V2_3 => "2.3.0",
        PipelockTarget::V3 => "3.3.0",
    };
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
        ..hardened(Interpolated::variable("BOTTLE_PIPELOCK_IMAGE", &format!("{PIPELOCK_IMAGE}:{release}")))
    }
}
