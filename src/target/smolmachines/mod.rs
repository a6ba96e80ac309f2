//! smolmachines: the `Smolfile`. Keys that every supported release knows, unless the manifest
//! targets a later one. Behaviour was read in smolvm 1.9.3 and measured with 1.32.2 (2026-11).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::guards::{self, Row};
use super::{Backend, Emitted, Identity, Job, Target, Unreadable, network};
use crate::link::environment::{Environment, TRUST};
use crate::manifest::bottle::Bottle;
use crate::provider::ImageChoice;
use crate::provider::plan::AgentImage;
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError, Template};
use crate::value::guest;
use crate::value::isolation::{Files, Isolation, Part, Role, settings};
use crate::value::origin::{At, By, Origin, Origins};
use crate::value::release::SmolvmTarget;
use crate::value::variable::Binding;

/// The file of the machine.
const SMOLFILE: &str = "Smolfile";

/// The agent's image, which the user exports: a machine starts from an archive.
const ARCHIVE: &str = "image/agent.tar";

/// The only name that a machine may look up: any entry turns smolvm's DNS filter on, without one
/// every name is forwarded. The filter needs no other, since egress is called by its address.
const ONLY_NAME: &str = "host.smolvm.internal";

/// The rule that decides what no bottle does.
const HARDENING: &str = "machine-hardening";

/// What keeps the agent in its machine.
const GUARDS: [Row; 6] = [
    Row::enforce("a microVM reaches egress alone (`allow_cidrs`)", &["/network/allow_cidrs"]),
    Row::enforce("a microVM looks no name up (`allow_hosts`)", &["/network/allow_hosts"]),
    Row::enforce("a microVM's network filters (`net_backend`)", &["/net_backend"]),
    Row::enforce("a microVM sees `agent/` alone of the host (`volumes`)", &["/volumes"]),
    Row::enforce("a microVM has no SSH agent of the host (`auth`)", &["/auth"]),
    Row::enforce("a microVM gets each launch-time value from its own carrier (`secrets`)", &["/secrets"]),
];

/// What other parts of the model say.
const TOLD: [&str; 2] = ["/image", "/env"];

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
                    Diagnostic::new(
                        Code::Inexpressible,
                        format!("a Smolfile cannot hold the trailing blanks of `{name}`"),
                    )
                    .at(variable.value_span, "trailing blank")
                    .help("remove them, or build with --backend docker"),
                );
            }
        }
    }

    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let mut origins = Origins::of(HARDENING);
        let smolfile = Smolfile::of(Choices::of(job), &mut origins.top());
        let text = render::toml(SMOLFILE, &TEMPLATE, &smolfile)?;
        Ok(vec![Emitted::public(SMOLFILE, text).decided_by(origins)])
    }

    fn read(&self, files: &Files, bottle: &Identity) -> Result<Isolation, Unreadable> {
        let Some(text) = files.get(SMOLFILE) else { return Ok(Isolation::default()) };
        isolation(text, bottle).map_err(|problem| Unreadable::new(SMOLFILE, problem))
    }

    fn made_at_run_time(&self) -> &'static [&'static str] {
        &[ARCHIVE]
    }
}

/// What a bottle decides of the file; the rest is the same for all.
struct Choices {
    image: By<String>,
    release: By<SmolvmTarget>,
    /// Where the machine finds egress.
    egress: By<String>,
    /// Variables with their text.
    literal: Vec<(String, By<String>)>,
    /// Names that are bound at launch.
    bound: Vec<(String, By<()>)>,
}

impl Choices {
    /// Those of a bottle.
    fn of(job: &Job) -> Self {
        let Job { bottle, plan, .. } = job;
        let egress = network::machine_egress(bottle.subnet);
        let environment = Environment::of(bottle, plan, egress);
        // Always an archive: with a reference smolvm would open the registry's domains to the agent
        // until the first restart.
        let image = match &plan.image {
            AgentImage::Chosen(ImageChoice::Archive(path)) => format!("../../{path}"),
            AgentImage::Generated(_) | AgentImage::Chosen(ImageChoice::Reference(_) | ImageChoice::Dockerfile(_)) => {
                format!("./{ARCHIVE}")
            }
        };
        Choices {
            image: By::new(image, job.image_origin()),
            release: By::new(bottle.smolvm, Origin::written_or(bottle.places.smolvm, HARDENING)),
            egress: By::new(egress.to_string(), bottle.subnet_origin()),
            literal: environment.literals().map(|(name, by)| (name.to_string(), by.map(str::to_owned))).collect(),
            bound: environment.bound().map(|(name, by)| (name.to_string(), by)).collect(),
        }
    }

    /// Those that a file shows, of a machine that finds egress there.
    fn found(file: &Smolfile, egress: Option<Ipv4Addr>) -> Self {
        let release = if file.net_backend.is_none() { SmolvmTarget::V1_9 } else { SmolvmTarget::V1_33 };
        Choices {
            image: By::unsaid(file.image.clone()),
            release: By::unsaid(release),
            egress: By::unsaid(egress.map_or_else(|| network::EGRESS.to_owned(), |egress| egress.to_string())),
            literal: file.variables().map(|(name, text)| (name.to_owned(), By::unsaid(text.to_owned()))).collect(),
            bound: file.secrets.keys().map(|name| (name.clone(), By::unsaid(()))).collect(),
        }
    }
}

impl Smolfile {
    fn of(choices: Choices, at: &mut At) -> Smolfile {
        let Choices { image, release, egress, literal, bound } = choices;
        let text = str::to_owned;
        let net_backend = match release.value {
            SmolvmTarget::V1_9 => None,
            SmolvmTarget::V1_33 => Some(at.put("net_backend", release.map(|_| text("virtio-net")))),
        };
        let mut variables = at.below("env");
        variables.decided_by(Origin::BuiltIn(TRUST));
        let literal = literal.into_iter().map(|(name, by)| by.map(|value| format!("{name}={value}")));
        let env = variables.put_each(literal.enumerate()).map(|(_, entry)| entry).collect();
        let secret = |(name, ()): (String, ())| {
            let from_env = guest::carrier(&name);
            (name, Secret { from_env })
        };
        Smolfile {
            image: at.put("image", image),
            entrypoint: ["/bin/sh", "-c", guest::START, "bottle"].map(text).to_vec(),
            // The machine stays up; the agent is started in it with `smolvm machine exec`.
            cmd: ["sleep", "infinity"].map(text).to_vec(),
            workdir: text(guest::WORKSPACE),
            cpus: 2,
            memory: 4096,
            net: true,
            net_backend,
            env,
            volumes: vec![format!("./agent:{}:ro", guest::MOUNT)],
            network: Network {
                allow_cidrs: at.put("network/allow_cidrs", egress.map(|egress| vec![format!("{egress}/32")])),
                allow_hosts: vec![text(ONLY_NAME)],
            },
            auth: Auth { ssh_agent: false },
            restart: Restart { policy: text("never") },
            secrets: at.below("secrets").put_each(bound).map(secret).collect(),
        }
    }

    /// The variables with a text.
    fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env.iter().map(|entry| entry.split_once('=').unwrap_or((entry, "")))
    }
}

/// What the file keeps up around the machine.
///
/// # Errors
/// What is not such a file, in the words of the TOML reader.
fn isolation(text: &str, bottle: &Identity) -> Result<Isolation, String> {
    let mut file: Smolfile = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let egress = bottle.subnet.map(network::machine_egress);
    let meant = Smolfile::of(Choices::found(&file, egress), &mut Origins::of(HARDENING).top());
    let guards = guards::compare(&GUARDS, &file, &meant);
    let built: Vec<String> = egress.iter().map(ToString::to_string).collect();
    for entry in &mut file.env {
        if let Some((name, value)) = entry.split_once('=')
            && let Some(same) = network::without_address(name, value, &built)
        {
            *entry = format!("{name}={same}");
        }
    }
    if file.network.allow_cidrs == meant.network.allow_cidrs {
        file.network.allow_cidrs = vec![format!("{}/32", network::EGRESS)];
    }
    let literal = file.variables().map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
    let bound = file.secrets.keys().map(|name| (name.clone(), None));
    let value = serde_json::to_value(&file).unwrap_or_default();
    let mut settings = settings("", &value);
    settings.retain(|pointer, _| {
        let is_told = TOLD.iter().any(|told| guards::covers(told, pointer));
        !is_told && !GUARDS.iter().any(|row| row.holds(pointer))
    });
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
        environment: literal.chain(bound).collect(),
        guards,
        egress,
        bound_at: Some((SMOLFILE, "/secrets")),
        network_at: None,
    })
}
