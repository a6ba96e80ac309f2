//! smolmachines: the `Smolfile`. Keys that every supported release knows, unless the manifest
//! targets a later one. Behaviour was read in smolvm 1.9.3 and measured with 1.32.2 (2026-11).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Backend, Emitted, Identity, Job, Target, Unreadable, network};
use crate::link::environment::{Environment, TRUST};
use crate::manifest::bottle::Bottle;
use crate::provider::ImageChoice;
use crate::provider::plan::AgentImage;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError, Template};
use crate::value::guest;
use crate::value::isolation::{Files, Guard, Isolation, Part, Role, settings};
use crate::value::origin::{Origin, Origins};
use crate::value::release::SmolvmTarget;
use crate::value::variable::Binding;

/// The file of the machine.
const SMOLFILE: &str = "Smolfile";

/// The agent's image, which the user exports: a machine starts from an archive.
const ARCHIVE: &str = "image/agent.tar";

/// The only name that a machine may look up: any entry turns smolvm's DNS filter on, without one
/// every name is forwarded. The filter needs no other, since egress is called by its address.
const ONLY_NAME: &str = "host.smolvm.internal";

static TEMPLATE: Template = render::template!("Smolfile.toml");

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Smolfile {
    image: String,
    entrypoint: Vec<String>,
    cmd: Vec<String>,
    workdir: String,
    cpus: u8,
    memory: u32,
    net: bool,
    /// Known from 1.33 on; the only backend that enforces an allow-list, and what earlier releases
    /// choose by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    net_backend: Option<String>,
    env: Vec<String>,
    volumes: Vec<String>,
    network: Network,
    auth: Auth,
    restart: Restart,
    #[serde(default)]
    secrets: BTreeMap<String, Secret>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Network {
    allow_cidrs: Vec<String>,
    allow_hosts: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    ssh_agent: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Restart {
    policy: String,
}

/// A value that smolvm takes from the host's environment at each start.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    from_env: String,
}

/// The `Smolfile`.
pub(super) struct Machine;

impl Target for Machine {
    fn name(&self) -> &'static str {
        "smolmachines"
    }

    fn is_wanted(&self, backends: &[Backend]) -> bool {
        backends.contains(&Backend::Smolmachines)
    }

    /// Reports values that the file cannot carry: smolvm trims each `NAME=value`.
    fn check(&self, bottle: &Bottle, _backends: &[Backend], findings: &mut Findings) {
        for (name, variable) in &bottle.env {
            if let Binding::Literal(text) = &variable.binding
                && text.ends_with(char::is_whitespace)
            {
                findings.push(
                    Diagnostic::new(Code::Inexpressible, format!("a Smolfile drops the blanks at the end of `{name}`"))
                        .at(variable.value_span, "ends with a blank")
                        .help("remove them, or build with --backend docker"),
                );
            }
        }
    }

    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let text = render::toml(SMOLFILE, &TEMPLATE, &smolfile(job))?;
        Ok(vec![Emitted::public(SMOLFILE, text).decided_by(origins(job))])
    }

    fn read(&self, files: &Files, bottle: &Identity) -> Result<Isolation, Unreadable> {
        let Some(text) = files.get(SMOLFILE) else { return Ok(Isolation::default()) };
        isolation(text, bottle).map_err(|problem| Unreadable::new(SMOLFILE, problem))
    }

    fn made_at_run_time(&self) -> &'static [&'static str] {
        &[ARCHIVE]
    }
}

fn smolfile(job: &Job) -> Smolfile {
    let text = str::to_owned;
    let egress = network::machine_egress(job.bottle.subnet);
    let environment = Environment::of(job.bottle, job.plan, egress);
    Smolfile {
        // Always an archive: with a reference smolvm would open the registry's domains to the agent
        // until the first restart.
        image: match &job.plan.image {
            AgentImage::Chosen(ImageChoice::Archive(path)) => format!("../../{path}"),
            AgentImage::Generated(_) | AgentImage::Chosen(ImageChoice::Reference(_) | ImageChoice::Dockerfile(_)) => {
                format!("./{ARCHIVE}")
            }
        },
        entrypoint: ["/bin/sh", "-c", guest::START, "bottle"].map(text).to_vec(),
        // The machine stays up; the agent is started in it with `smolvm machine exec`.
        cmd: ["sleep", "infinity"].map(text).to_vec(),
        workdir: text(guest::WORKSPACE),
        cpus: 2,
        memory: 4096,
        net: true,
        net_backend: match job.bottle.smolvm {
            SmolvmTarget::V1_9 => None,
            SmolvmTarget::V1_33 => Some(text("virtio-net")),
        },
        env: environment.literal.iter().map(|(name, value)| format!("{name}={value}")).collect(),
        volumes: vec![format!("./agent:{}:ro", guest::MOUNT)],
        network: Network { allow_cidrs: vec![format!("{egress}/32")], allow_hosts: vec![text(ONLY_NAME)] },
        auth: Auth { ssh_agent: false },
        restart: Restart { policy: text("never") },
        secrets: environment
            .bound_at_launch
            .iter()
            .map(|name| (name.to_string(), Secret { from_env: guest::carrier(name.as_str()) }))
            .collect(),
    }
}

/// What the file keeps up around the machine.
///
/// # Errors
/// What is not such a file, in the words of the TOML reader.
fn isolation(text: &str, bottle: &Identity) -> Result<Isolation, String> {
    let mut file: Smolfile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let egress = bottle.subnet.map(network::machine_egress);
    let only = |list: &[String], item: &str| list.iter().map(String::as_str).eq([item]);
    let reaches_egress = egress.is_some_and(|own| only(&file.network.allow_cidrs, &format!("{own}/32")));
    let built: Vec<String> = egress.iter().map(ToString::to_string).collect();
    for entry in &mut file.env {
        if let Some((name, value)) = entry.split_once('=')
            && let Some(same) = network::without_address(name, value, &built)
        {
            *entry = format!("{name}={same}");
        }
    }
    if reaches_egress {
        file.network.allow_cidrs = vec![format!("{}/32", network::EGRESS)];
    }
    let literal = |entry: &String| {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        (name.to_owned(), Some(value.to_owned()))
    };
    let bound = file.secrets.keys().map(|name| (name.clone(), None));
    let value = serde_json::to_value(&file).unwrap_or_default();
    let mut settings = settings("", &value);
    let told = ["image", "env", "secrets", "network", "net_backend", "volumes", "auth"];
    settings.retain(|pointer, _| !told.contains(&pointer.split('/').nth(1).unwrap_or_default()));
    let part = Part {
        file: SMOLFILE,
        role: Role::Agent,
        image: Some(format!("`{}`", file.image)),
        image_at: "/image".to_owned(),
        settings,
        whole: value.to_string(),
    };
    Ok(Isolation {
        parts: BTreeMap::from([("machine".to_owned(), part)]),
        environment: file.env.iter().map(literal).chain(bound).collect(),
        guards: vec![
            Guard::enforce("a microVM reaches egress alone (`allow_cidrs`)", reaches_egress),
            Guard::enforce("a microVM looks no name up (`allow_hosts`)", only(&file.network.allow_hosts, ONLY_NAME)),
            Guard::enforce(
                "a microVM's network filters (`net_backend`)",
                file.net_backend.as_deref().is_none_or(|name| name == "virtio-net"),
            ),
            Guard::enforce(
                "a microVM sees `agent/` alone of the host (`volumes`)",
                only(&file.volumes, &format!("./agent:{}:ro", guest::MOUNT)),
            ),
            Guard::enforce("a microVM has no SSH agent of the host (`auth`)", !file.auth.ssh_agent),
            Guard::enforce(
                "a microVM gets each launch-time value from its own carrier (`secrets`)",
                file.secrets.iter().all(|(name, secret)| secret.from_env == guest::carrier(name)),
            ),
        ],
        egress,
        bound_at: Some((SMOLFILE, "/secrets")),
        network_at: None,
    })
}

/// Who decides the entries of the `Smolfile`.
fn origins(job: &Job) -> Origins {
    let mut origins = Origins::of("machine-hardening");
    origins.top().below("image").decided_by(job.image_origin());
    match job.bottle.smolvm {
        SmolvmTarget::V1_9 => {}
        SmolvmTarget::V1_33 => {
            origins
                .top()
                .below("net_backend")
                .decided_by(Origin::written_or(job.bottle.places.smolvm, "machine-hardening"));
        }
    }
    origins.top().below("env").decided_by(Origin::BuiltIn(TRUST));
    // The items of `env` are in the order of the names.
    for (index, name) in job.environment.literal.keys().enumerate() {
        origins.top().below(format_args!("env/{index}")).decided_by(job.environment.origin(name));
    }
    for name in &job.environment.bound_at_launch {
        origins.top().below(format_args!("secrets/{name}")).decided_by(job.environment.origin(name));
    }
    origins.top().below("network/allow_cidrs").decided_by(job.bottle.subnet_origin());
    origins
}
