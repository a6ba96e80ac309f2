//! The agent as a service: its image, its variables, its volumes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::addresses::Addresses;
use super::file::{Build, Compose, Condition, Interpolated, Mount, Service, after, literals};
use super::hardened::{hardened, once};
use super::proxies::egress_image;
use crate::link::environment::TRUST;
use crate::manifest::bottle::Bottle;
use crate::provider::ImageChoice;
use crate::provider::plan::{AgentImage, NpmPackage};
use crate::target::guards::Row;
use crate::target::{Job, network};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError, Template};
use crate::value::digest;
use crate::value::guest;
use crate::value::name::BottleName;
use crate::value::origin::{At, By, Origin};
use crate::value::variable::VariableName;

/// How the agent's image is made, when the manifest does not say.
pub(super) const DOCKERFILE: &str = "image/Dockerfile";

/// Where that is built.
pub(super) const CONTEXT: &str = "./image";

/// The volumes of the agent.
pub(super) const VOLUMES: [&str; 2] = ["home", "workspace"];

static TEMPLATE: Template = render::template!("image.dockerfile");

/// What keeps the agent in its container.
pub(super) const GUARDS: &[Row] = &[
    Row::enforce(
        "the agent's network leads nowhere else (`inside`)",
        &["/services/agent/networks", "/networks/inside/internal"],
    ),
    Row::enforce("an image that bottlec wrote is read-only (`read_only`)", &["/services/agent/read_only"]),
    Row::enforce("the agent sees `agent/` alone of the tree", &["/services/agent/volumes"]),
    Row::enforce(
        "the agent's texts are plain: no value of the host is put in",
        &["/services/agent/environment", "/services/agent/command"],
    ),
    Row::enforce("the agent asks no name server (`dns`)", &["/services/agent/dns"]),
    Row::enforce("the agent's start copies its home and no more", &["/services/agent/entrypoint"]),
    Row::enforce(
        "the agent starts behind a healthy egress, which has probed the walls (`depends_on`, `healthcheck`)",
        &["/services/agent/depends_on", "/services/egress/healthcheck", "/services/machine-egress/healthcheck"],
    ),
];

/// What a bottle decides of the agent.
#[derive(Debug)]
pub(super) struct Choices {
    image: By<Interpolated>,
    build: Option<By<Build>>,
    read_only: By<bool>,
    command: By<Vec<Interpolated>>,
    environment: BTreeMap<String, By<Interpolated>>,
    home: &'static str,
}

/// What is chosen in a generated Dockerfile.
#[derive(Serialize)]
struct Image<'i> {
    package: &'i str,
    version: &'i str,
    workspace: &'i str,
    home: &'i str,
}

/// `image/Dockerfile`, when the manifest names none.
pub(super) fn dockerfile(job: &Job) -> Result<Option<String>, RenderError> {
    let AgentImage::Generated(NpmPackage { package, version }) = &job.plan.image else { return Ok(None) };
    let (package, version) = (package.as_str(), version.as_str());
    let image = Image { package, version, workspace: guest::WORKSPACE, home: job.plan.home };
    render::unchecked(DOCKERFILE, &TEMPLATE, &image).map(Some)
}

/// Reports what a container cannot be given.
pub(super) fn check(bottle: &Bottle, findings: &mut Findings) {
    if let Some(image) = &bottle.settings.image
        && let ImageChoice::Archive(_) = image.value
    {
        findings.push(
            Diagnostic::new(Code::Inexpressible, "compose cannot start an image from a local archive")
                .at(image.span, "an archive")
                .help("`docker load` it and use its reference here, or build with --backend smolmachines"),
        );
    }
}

impl Choices {
    /// Those of a bottle.
    pub(super) fn of(job: &Job, dockerfile: Option<&str>, addresses: &Addresses) -> Self {
        let (image, build) = image(job, dockerfile);
        let by = job.image_origin();
        let literal = job
            .environment
            .literals()
            .map(|(name, text)| (name.to_string(), text.map(|text| text_for(job, name, text, addresses))));
        let bound =
            job.environment.bound().map(|(name, bound)| (name.to_string(), bound.map(|()| carried(name.as_str()))));
        Choices {
            image: By::new(image, by.clone()),
            build: build.map(|build| By::new(build, by.clone())),
            // An image of somebody else's may need to write elsewhere.
            read_only: match job.plan.image {
                AgentImage::Generated(_) => By::unsaid(true),
                AgentImage::Chosen(_) => By::new(false, by),
            },
            command: By::new(
                job.plan.command.iter().map(|word| Interpolated::literal(word)).collect(),
                job.plan.origin("command"),
            ),
            environment: literal.chain(bound).collect(),
            home: job.plan.home,
        }
    }

    /// Those that a service shows, of which every text means itself.
    pub(super) fn found(service: &Service) -> Self {
        let plain = |text: &Interpolated| Interpolated::literal(&text.plain());
        let environment = service.environment.iter().map(|(name, text)| {
            let own = carried(name);
            let text = match text {
                Some(text) if *text == own => own,
                text => text.as_ref().map(plain).unwrap_or_default(),
            };
            (name.clone(), By::unsaid(text))
        });
        Choices {
            image: By::unsaid(service.image.clone()),
            build: service.build.clone().map(By::unsaid),
            read_only: By::unsaid(service.read_only || service.build.as_ref().is_some_and(Build::is_generated)),
            command: By::unsaid(service.command.iter().map(plain).collect()),
            environment: environment.collect(),
            home: guest::HOME,
        }
    }
}

/// The text of a variable that is bound at launch.
fn carried(name: &str) -> Interpolated {
    Interpolated::empty_variable(&guest::carrier(name))
}

/// The variables of the agent: `None` for a value that is taken at launch.
pub(super) fn environment(service: &Service) -> BTreeMap<String, Option<String>> {
    let plain = |(name, text): (&String, &Option<Interpolated>)| {
        let text = text.as_ref().filter(|text| **text != carried(name));
        (name.clone(), text.map(Interpolated::plain))
    };
    service.environment.iter().map(plain).collect()
}

/// The owner of `agent/`, whose private files the agent must be able to read.
fn agent_owner() -> Interpolated {
    Interpolated::variable("BOTTLE_UID", "1000").followed_by(":").joined(Interpolated::variable("BOTTLE_GID", "1000"))
}

/// A text of the agent's environment. bottlec's own may hold egress's address.
fn text_for(job: &Job, name: &VariableName, text: &str, addresses: &Addresses) -> Interpolated {
    let egress = network::egress(job.bottle.subnet);
    let own = guest::environment(egress).get(name).is_some_and(|own| own == text);
    match text.split_once(&egress.to_string()) {
        Some((before, after)) if own => {
            Interpolated::literal(before).joined(addresses.egress.clone()).followed_by(after)
        }
        _ => Interpolated::literal(text),
    }
}

/// The name of an image that is built for the bottle.
fn own_image(name: &BottleName) -> String {
    format!("bottle-{}-agent", name.as_str())
}

/// The image, and what it is built from.
fn image(job: &Job, dockerfile: Option<&str>) -> (Interpolated, Option<Build>) {
    let own = own_image(&job.bottle.name);
    let chosen = |image: &str| Interpolated::variable("BOTTLE_AGENT_IMAGE", image);
    let built = |context, dockerfile: &str| Some(Build { context, dockerfile: Interpolated::literal(dockerfile) });
    match &job.plan.image {
        // What the image is made of is in its name: another pinned client is another image.
        AgentImage::Generated(_) => {
            let content = digest::hash(dockerfile.unwrap_or_default().as_bytes());
            (chosen(&format!("{own}:{}", &content[..12])), built(Interpolated::literal(CONTEXT), "Dockerfile"))
        }
        AgentImage::Chosen(ImageChoice::Reference(reference)) => (chosen(reference), None),
        AgentImage::Chosen(ImageChoice::Archive(_)) => (chosen(&own), None),
        AgentImage::Chosen(ImageChoice::Dockerfile(path)) => {
            let (folder, file) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, file)| (folder, file));
            let manifest_folder = Interpolated::variable("BOTTLE_MANIFEST_DIR", "../..");
            let context =
                if folder.is_empty() { manifest_folder } else { manifest_folder.followed_by(&format!("/{folder}")) };
            // What lies in the context is unknown here; `bottlec exec` builds it at each start.
            let tag = Interpolated::variable(guest::CHECKOUT, "latest");
            (Interpolated::literal(&format!("{own}:")).joined(tag), built(context, file))
        }
    }
}

/// Puts a name in place of the bottle's in that of an image that is built for it: two files can then be compared.
pub(super) fn stand_in(compose: &mut Compose, bottle: &BottleName) {
    let Some(agent) = compose.services.get_mut("agent") else { return };
    let own = own_image(bottle);
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

/// The agent, and what prepares its volumes.
pub(super) fn services(choices: Choices, addresses: &Addresses, at: &mut At) -> [(&'static str, Service); 2] {
    [
        ("volumes", volumes(choices.home, at.below("services/volumes"))),
        ("agent", agent(choices, addresses, at.below("services/agent"))),
    ]
}

fn agent(choices: Choices, addresses: &Addresses, mut at: At) -> Service {
    let Choices { image, build, read_only, command, environment, home } = choices;
    let mut variables = at.below("environment");
    variables.decided_by(Origin::BuiltIn(TRUST));
    let environment = variables.put_each(environment).map(|(name, text)| (name, Some(text))).collect();
    Service {
        build: build.map(|build| at.put("build", build)),
        user: Some(agent_owner()),
        entrypoint: literals(["/bin/sh", "-c", guest::START, "bottle"]),
        command: at.put("command", command),
        working_dir: Some(Interpolated::literal(guest::WORKSPACE)),
        environment,
        stdin_open: true,
        tty: true,
        restart: Interpolated::literal("no"),
        read_only: at.put("read_only", read_only),
        pids_limit: 1024,
        mem_limit: Interpolated::literal("4g"),
        // An engine refuses more than its machine has, so any other default would stop some machine.
        cpus: Interpolated::variable("BOTTLE_AGENT_CPUS", "0"),
        volumes: vec![
            Mount::bind("./agent", guest::MOUNT),
            Mount::own("home", home),
            Mount::own("workspace", guest::WORKSPACE),
        ],
        networks: [addresses.join("inside", &addresses.agent, &mut at)].into(),
        // Nobody answers there. Engines before 25.0.5 ask the host's resolver for a container in an
        // internal network; egress is called by its address.
        dns: literals(["127.0.0.1"]),
        depends_on: after([("egress", Condition::Healthy), ("volumes", Condition::Done)]),
        ..hardened(at.put("image", image))
    }
}

/// Hands the agent's volumes to its user and ends. Has nothing else.
fn volumes(home: &str, mut at: At) -> Service {
    Service {
        user: Some(Interpolated::literal("0:0")),
        entrypoint: literals(["chown", "--"]),
        command: vec![agent_owner(), Interpolated::literal(home), Interpolated::literal(guest::WORKSPACE)],
        cap_add: literals(["CHOWN"]),
        volumes: vec![Mount::own("home", home), Mount::own("workspace", guest::WORKSPACE)],
        ..once(egress_image(&mut at))
    }
}
