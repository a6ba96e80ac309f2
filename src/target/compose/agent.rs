//! The agent as a service: its image, its variables, its volumes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::file::{Build, Condition, Interpolated, Mount, Service, after, literals};
use super::{CHECKOUT, DOCKERFILE, EGRESS_IMAGE, Job, address, at, hardened, last, once};
use crate::provider::ImageChoice;
use crate::provider::plan::{AgentImage, Recipe};
use crate::target::network;
use crate::text::render::{self, RenderError, Template};
use crate::value::digest;
use crate::value::guest;
use crate::value::variable::VariableName;

static TEMPLATE: Template = render::template!("image.dockerfile");

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
    let AgentImage::Generated(Recipe { package, version }) = &job.plan.image else { return Ok(None) };
    let (package, version) = (package.as_str(), version.as_str());
    let image = Image { package, version, workspace: guest::WORKSPACE, home: job.plan.home };
    render::unchecked(DOCKERFILE, &TEMPLATE, &image).map(Some)
}

/// The owner of `agent/`, whose private files the agent must be able to read.
fn agent_owner() -> Interpolated {
    Interpolated::variable("BOTTLE_UID", "1000").followed_by(":").joined(Interpolated::variable("BOTTLE_GID", "1000"))
}

/// A text of the agent's environment. bottlec's own may hold egress's address.
fn text_for(job: &Job, name: &VariableName, text: &str) -> Interpolated {
    let egress = network::egress(job.bottle.subnet);
    let own = guest::environment(egress).get(name).is_some_and(|own| own == text);
    match text.split_once(&egress.to_string()) {
        Some((before, after)) if own => {
            Interpolated::literal(before).joined(address(job, last(egress))).followed_by(after)
        }
        _ => Interpolated::literal(text),
    }
}

/// The agent's service.
pub(super) fn agent(job: &Job, dockerfile: Option<&str>) -> Service {
    let own = format!("bottle-{}-agent", job.bottle.name.as_str());
    let chosen = |image: &str| Interpolated::variable("BOTTLE_AGENT_IMAGE", image);
    let built = |context, dockerfile: &str| Some(Build { context, dockerfile: Interpolated::literal(dockerfile) });
    let (image, build) = match &job.plan.image {
        // What the image is made of is in its name: another pinned client is another image.
        AgentImage::Generated(_) => {
            let content = digest::hash(dockerfile.unwrap_or_default().as_bytes());
            (chosen(&format!("{own}:{}", &content[..12])), built(Interpolated::literal("./image"), "Dockerfile"))
        }
        AgentImage::Chosen(ImageChoice::Reference(reference)) => (chosen(reference), None),
        AgentImage::Chosen(ImageChoice::Archive(_)) => (chosen(&own), None),
        AgentImage::Chosen(ImageChoice::Dockerfile(path)) => {
            let (folder, file) = path.rsplit_once('/').map_or(("", path.as_str()), |(folder, file)| (folder, file));
            let manifest_folder = Interpolated::variable("BOTTLE_MANIFEST_DIR", "../..");
            let context =
                if folder.is_empty() { manifest_folder } else { manifest_folder.followed_by(&format!("/{folder}")) };
            // What lies in the context is unknown here; `bottlec exec` builds it at each start.
            let tag = Interpolated::variable(CHECKOUT, "latest");
            (Interpolated::literal(&format!("{own}:")).joined(tag), built(context, file))
        }
    };
    let literal =
        job.environment.literal.iter().map(|(name, text)| (name.to_string(), Some(text_for(job, name, text))));
    let bound = job
        .environment
        .bound_at_launch
        .iter()
        .map(|name| (name.to_string(), Some(Interpolated::empty_variable(&guest::carrier(name.as_str())))));
    let words = |words: &[String]| words.iter().map(|word| Interpolated::literal(word)).collect::<Vec<_>>();
    Service {
        build,
        user: Some(agent_owner()),
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
        // An engine refuses more than its machine has, so any other default would stop some machine.
        cpus: Interpolated::variable("BOTTLE_AGENT_CPUS", "0"),
        volumes: vec![
            Mount::bind("./agent", guest::MOUNT),
            Mount::own("home", job.plan.home),
            Mount::own("workspace", guest::WORKSPACE),
        ],
        networks: BTreeMap::from([("inside".to_owned(), at(address(job, last(network::agent(job.bottle.subnet)))))]),
        // Nobody answers there. Engines before 25.0.5 ask the host's resolver for a container in an
        // internal network; egress is called by its address.
        dns: literals(["127.0.0.1"]),
        depends_on: after([("egress", Condition::Healthy), ("volumes", Condition::Done)]),
        ..hardened(image)
    }
}

/// Hands the agent's volumes to its user and ends. Has nothing else.
pub(super) fn volumes(job: &Job) -> Service {
    Service {
        user: Some(Interpolated::literal("0:0")),
        entrypoint: literals(["chown", "--"]),
        command: vec![agent_owner(), Interpolated::literal(job.plan.home), Interpolated::literal(guest::WORKSPACE)],
        cap_add: literals(["CHOWN"]),
        volumes: vec![Mount::own("home", job.plan.home), Mount::own("workspace", guest::WORKSPACE)],
        ..once(Interpolated::variable("BOTTLE_EGRESS_IMAGE", EGRESS_IMAGE))
    }
}
