//! Docker: `compose.yaml` and the agent's Dockerfile.

mod compose;
mod origins;
mod walls;

use std::collections::BTreeMap;

use askama::Template;
use compose::{
    Attachment, Build, Compose, Condition, Healthcheck, Interpolated, Logging, Mount, Network, Service, Volume, after,
    literals,
};

pub(super) use origins::origins;

use super::{Backend, Job};
use crate::artifact::Artifact;
use crate::bottle::Bottle;
use crate::diagnostic::{Code, Diagnostic, Findings};
use crate::environment;
use crate::guest;
use crate::pipelock;
use crate::plan::AgentImage;
use crate::provider::ImageChoice;
use crate::release::PipelockTarget;
use crate::render::{self, RenderError};
pub(super) use walls::walls;

/// The file of the services.
pub(super) const COMPOSE: &str = "compose.yaml";

/// How the agent's image is made, when the manifest does not say.
const DOCKERFILE: &str = "image/Dockerfile";

/// What is chosen in a generated Dockerfile.
#[derive(Template)]
#[template(path = "image.dockerfile")]
struct Image<'i> {
    package: &'i str,
    version: &'i str,
    workspace: &'i str,
    home: &'i str,
}

/// Stock mitmproxy, the release that the clients were measured with.
const EGRESS_IMAGE: &str = "mitmproxy/mitmproxy:11.0.2";
const PIPELOCK_IMAGE: &str = "ghcr.io/luckypipewrench/pipelock";

/// A user that owns nothing else.
const NOBODY: &str = "65534:65534";

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
    let mut artifacts = vec![Artifact::public(COMPOSE, render::yaml(COMPOSE, &compose(job))?)];
    if let AgentImage::Generated(recipe) = &job.plan.image {
        let image = Image {
            package: recipe.package,
            version: recipe.version,
            workspace: guest::WORKSPACE,
            home: job.plan.home,
        };
        artifacts.push(Artifact::public(DOCKERFILE, render::unchecked(DOCKERFILE, &image)?));
    }
    Ok(artifacts)
}

fn compose(job: &Job) -> Compose {
    let mut services = BTreeMap::from([
        ("egress", egress(job)),
        ("pipelock", pipelock(job)),
        ("pipelock-ca", pipelock_ca(job)),
        ("prepare", prepare(job)),
    ]);
    let subnet = job.bottle.subnet;
    let mut networks = BTreeMap::from([("uplink", Network::isolated(None)), ("outside", Network::bridge(false, None))]);
    let mut volumes = vec!["egress-ca", "pipelock-ca"];
    if job.wants(Backend::Docker) {
        services.insert("agent", agent(job));
        networks.insert("inside", Network::isolated(Some(subnet.inside())));
        volumes.extend(["home", "workspace"]);
    }
    if job.wants(Backend::Smolmachines) {
        networks.insert("machine", Network::bridge(true, Some(subnet.machine())));
    }
    Compose {
        services: services.into_iter().map(|(name, service)| (name.to_owned(), service)).collect(),
        networks: networks.into_iter().map(|(name, network)| (name.to_owned(), network)).collect(),
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
        logging: Logging::bounded(),
        read_only: true,
        cap_drop: literals(["ALL"]),
        cap_add: Vec::new(),
        security_opt: literals(["no-new-privileges:true"]),
        pids_limit: 256,
        mem_limit: Interpolated::literal("1g"),
        tmpfs: literals(["/tmp"]),
        volumes: Vec::new(),
        network_mode: None,
        networks: BTreeMap::new(),
        dns: Vec::new(),
        healthcheck: None,
        depends_on: BTreeMap::new(),
    }
}

fn agent_user() -> Interpolated {
    Interpolated::variable("BOTTLE_UID", "1000")
}

fn agent_group() -> Interpolated {
    Interpolated::variable("BOTTLE_GID", "1000")
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
        user: Some(agent_user().followed_by(":").joined(agent_group())),
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
        // Nobody answers there. Engines before 25.0.5 ask the host's resolver for a container in an
        // internal network; egress is called by its address.
        dns: literals(["127.0.0.1"]),
        depends_on: after([("egress", Condition::Healthy)]),
        ..hardened(Interpolated::variable("BOTTLE_AGENT_IMAGE", image))
    }
}

fn egress(job: &Job) -> Service {
    let port = guest::EGRESS_PORT.to_string();
    let upstream = format!("upstream:http://pipelock:{}", pipelock::PORT);
    let probe = format!("import socket; socket.create_connection(('127.0.0.1', {port}), 2).close()");
    let mut networks = BTreeMap::from([("uplink".to_owned(), Attachment::default())]);
    if job.wants(Backend::Docker) {
        networks.insert("inside".to_owned(), at(job.bottle.subnet.egress()));
    }
    if job.wants(Backend::Smolmachines) {
        networks.insert("machine".to_owned(), at(job.bottle.subnet.machine_egress()));
    }
    Service {
        user: Some(Interpolated::literal(NOBODY)),
        // mitmproxy loads a script again when its file changes and drops one that does not load; the
        // copy cannot change. The image's own entrypoint changes users, which takes capabilities.
        entrypoint: literals(["/bin/sh", "-ec", "cp /etc/egress/addon.py /tmp/ && exec mitmdump \"$@\"", "egress"]),
        command: literals([
            "--mode",
            &upstream,
            "--listen-port",
            &port,
            "--set",
            "confdir=/egress-ca",
            "--set",
            "ssl_verify_upstream_trusted_ca=/egress-ca/upstream.pem",
            "--set",
            "flow_detail=0",
            "--set",
            "termlog_verbosity=error",
            "--scripts",
            "/tmp/addon.py",
        ]),
        environment: environment::egress_names(job.egress).into_iter().map(|name| (name, None)).collect(),
        volumes: vec![Mount::bind("./egress", "/etc/egress"), Mount::volume("egress-ca", "/egress-ca", true)],
        networks,
        healthcheck: Some(Healthcheck::of(["CMD", "python3", "-c", &probe])),
        depends_on: after([("pipelock", Condition::Healthy), ("prepare", Condition::Done)]),
        ..hardened(Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE))
    }
}

/// Runs `prepare.py` and ends.
fn prepare(job: &Job) -> Service {
    let mut volumes = vec![
        Mount::bind("./egress", "/etc/egress"),
        Mount { read_only: false, ..Mount::bind("./agent/ca", "/agent-ca") },
        Mount::volume("egress-ca", "/egress-ca", false),
        Mount::volume("pipelock-ca", "/pipelock-ca", false),
    ];
    if job.wants(Backend::Docker) {
        volumes.push(Mount::volume("home", "/agent-home", false));
        volumes.push(Mount::volume("workspace", "/agent-workspace", false));
    }
    Service {
        user: Some(Interpolated::literal("0:0")),
        entrypoint: literals(["python3", "/etc/egress/prepare.py"]),
        command: vec![agent_user(), agent_group()],
        // To give volumes to their owners, and to write into a folder of the host's user.
        cap_add: literals(["CHOWN", "DAC_OVERRIDE"]),
        volumes,
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
