//! What a compose file says of the agent's walls: which guards stand, what runs, and the rest.

use serde::Serialize;

use super::COMPOSE;
use super::compose::{Compose, Interpolated, Mount, Network, Service};
use crate::digest::hash;
use crate::guest;
use crate::policy::{Files, Guard, Part, Purpose, Walls, settings};

const SERVICES: [&str; 5] = ["agent", "egress", "pipelock", "pipelock-ca", "prepare"];

/// The volumes that are made ready before the proxies start, and where.
const PREPARED: [(&str, &str); 4] = [
    ("egress-ca", "/egress-ca"),
    ("pipelock-ca", "/pipelock-ca"),
    ("home", "/agent-home"),
    ("workspace", "/agent-workspace"),
];

/// What the file says.
///
/// # Errors
/// What is not such a file, in the words of the YAML reader.
pub(in crate::backend) fn walls(files: &Files, text: &str) -> Result<Walls, String> {
    let compose: Compose = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    let mut walls = Walls { guards: guards(&compose), ..Walls::default() };
    for (name, service) in &compose.services {
        let at = format!("/services/{name}");
        let image_at = format!("{at}/{}", if service.build.is_some() { "build" } else { "image" });
        walls.parts.insert(name.clone(), Part { image: Some(image(service, files)), image_at, ..part(&at, service) });
    }
    walls.parts.insert("networks".to_owned(), part("/networks", &compose.networks));
    walls.parts.insert("volumes".to_owned(), part("/volumes", &compose.volumes));
    if let Some(agent) = compose.services.get("agent") {
        let plain = |text: &Interpolated| text.0.replace("$$", "$");
        walls.environment =
            agent.environment.iter().map(|(name, text)| (name.clone(), text.as_ref().map(plain))).collect();
    }
    Ok(walls)
}

fn part(at: &str, what: &impl Serialize) -> Part {
    let value = serde_json::to_value(what).unwrap_or_default();
    let mut settings = settings(at, &value);
    settings.retain(|pointer, _| {
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        // What other parts of the model say or a guard holds, and which half of the subnet a backend asks for.
        !matches!(
            steps.as_slice(),
            ["services", _, "image" | "build", ..]
                | ["services", "agent", "environment" | "command" | "read_only", ..]
                | ["services", "egress", "environment", ..]
                | ["services", "prepare", "volumes", ..]
                | ["services", "egress", "networks", "inside" | "machine", ..]
                | ["networks", "inside" | "machine", ..]
                | ["volumes", "home" | "workspace", ..]
        )
    });
    Part { file: COMPOSE, image: None, image_at: String::new(), settings, whole: value.to_string() }
}

/// The image's reference, or what it is built from with the hash of a Dockerfile that bottlec wrote; in
/// words.
fn image(service: &Service, files: &Files) -> String {
    let Some(build) = &service.build else { return format!("`{}`", with_defaults(&service.image.0)) };
    let path = format!("{}/{}", with_defaults(&build.context.0).trim_start_matches("./"), build.dockerfile.0);
    match files.get(&path) {
        Some(text) => format!("what `{path}` makes (sha256 {}…)", &hash(text.as_bytes())[..12]),
        None => format!("what `{path}` makes"),
    }
}

/// The text with the variables of the host that choose images left alone. Another variable stays: it
/// was not a build that wrote it.
fn with_defaults(text: &str) -> String {
    let variables = ["BOTTLE_AGENT_IMAGE", "BOTTLE_EGRESS_IMAGE", "BOTTLE_PIPELOCK_IMAGE", "BOTTLE_MANIFEST_DIR"];
    let start = variables.iter().find_map(|name| text.strip_prefix(&format!("${{{name}:-")));
    start
        .and_then(|rest| rest.split_once('}'))
        .map_or_else(|| text.to_owned(), |(default, rest)| format!("{default}{rest}"))
}

fn guards(compose: &Compose) -> Vec<Guard> {
    let services = || compose.services.iter();
    let every = |holds: fn(&Service) -> bool| services().all(|(_, service)| holds(service));
    let joins = |name: &str, allowed: &[&str]| {
        let service = compose.services.get(name);
        service.is_none_or(|service| service.networks.keys().all(|network| allowed.contains(&network.as_str())))
    };
    let words = |name: &str| -> Vec<&str> {
        let service = compose.services.get(name);
        service
            .into_iter()
            .flat_map(|service| service.entrypoint.iter().chain(&service.command))
            .map(|word| word.0.as_str())
            .collect()
    };
    let internal = |name: &str| compose.networks.get(name).is_none_or(|network| network.internal);
    // As a build writes it, with the addresses that are its own; whether it is internal is asked by itself.
    let is = |name: &str, meant: Network, range: Option<&str>| {
        compose.networks.get(name).is_none_or(|network| {
            let ranges = network.ipam.iter().flat_map(|ipam| &ipam.config).map(|range| range.subnet.0.as_str());
            let Network { driver, internal: _, driver_opts, ipam: _ } = network;
            ranges.eq(range) && (driver, driver_opts) == (&meant.driver, &meant.driver_opts)
        })
    };
    let attached = |network: &str, address: &str| {
        let attachment = compose.services.get("egress").and_then(|egress| egress.networks.get(network));
        attachment.is_none_or(|at| at.ipv4_address.as_ref().is_some_and(|own| own.0 == address))
    };
    let agent = compose.services.get("agent");
    let says = |service: Option<&Service>, holds: &dyn Fn(&Service) -> bool| service.is_none_or(holds);
    let enforce = |says, holds| Guard { says, purpose: Purpose::Enforce, holds };
    vec![
        enforce("only the services of a bottle run", services().all(|(name, _)| SERVICES.contains(&name.as_str()))),
        enforce("no service has a capability (`cap_drop`)", every(|service| is_only(&service.cap_drop, "ALL"))),
        enforce(
            "no running service gets a capability back (`cap_add`)",
            services().all(|(name, service)| {
                let allowed: &[&str] = if name == "prepare" { &["CHOWN", "DAC_OVERRIDE"] } else { &[] };
                service.cap_add.iter().all(|capability| allowed.contains(&capability.0.as_str()))
            }),
        ),
        enforce(
            "no service gains privileges (`security_opt`)",
            every(|service| is_only(&service.security_opt, "no-new-privileges:true")),
        ),
        enforce("the agent's network leads nowhere else (`inside`)", joins("agent", &["inside"]) && internal("inside")),
        enforce(
            "the agent's network does not have the host (`inside`)",
            is("inside", Network::isolated(None), Some("<inside>")) && is("uplink", Network::isolated(None), None),
        ),
        enforce(
            "a microVM's network leads nowhere else (`machine`)",
            internal("machine") && is("machine", Network::bridge(true, None), Some("<machine>")),
        ),
        enforce(
            "egress is where the agent looks for it",
            attached("inside", "<egress>") && attached("machine", "<machine egress>"),
        ),
        enforce(
            "an image that bottlec wrote is read-only (`read_only`)",
            says(agent, &|agent| {
                agent.read_only || agent.build.as_ref().is_none_or(|build| build.context.0 != "./image")
            }),
        ),
        enforce(
            "egress reaches pipelock alone (`uplink`)",
            joins("egress", &["inside", "machine", "uplink"]) && internal("uplink"),
        ),
        enforce("only pipelock reaches the internet (`outside`)", joins("pipelock", &["outside", "uplink"])),
        enforce(
            "one-shot services have no network (`network_mode`)",
            services().all(|(name, service)| {
                let is_one_shot = ["prepare", "pipelock-ca"].contains(&name.as_str());
                let mode = service.network_mode.as_ref().map(|mode| mode.0.as_str());
                if is_one_shot { mode == Some("none") && service.networks.is_empty() } else { mode.is_none() }
            }),
        ),
        enforce(
            "the agent sees `agent/` alone of the tree",
            says(agent, &|agent| agent.volumes.iter().all(is_the_agents)),
        ),
        enforce(
            "the proxies see their own folders alone",
            services()
                .all(|(name, service)| name == "agent" || service.volumes.iter().all(|mount| is_a_proxys(name, mount))),
        ),
        enforce(
            "the agent's texts are plain: no value of the host is put in",
            says(agent, &|agent| {
                agent.environment.values().flatten().all(|text| !text.0.replace("$$", "").contains('$'))
                    && agent.command.iter().all(|text| !text.0.replace("$$", "").contains('$'))
            }),
        ),
        enforce("the agent asks no name server (`dns`)", says(agent, &|agent| is_only(&agent.dns, "127.0.0.1"))),
        enforce(
            "the agent's start copies its home and no more",
            says(agent, &|agent| {
                agent.entrypoint.get(2).is_some_and(|script| script.0.replace("$$", "$") == guest::START)
            }),
        ),
        enforce("egress runs its addon and sends everything to pipelock", {
            let words = words("egress");
            words.contains(&"upstream:http://pipelock:8888") && words.contains(&"/tmp/addon.py")
        }),
        enforce("pipelock runs with its file", words("pipelock").contains(&"/config/pipelock.yaml")),
    ]
}

fn is_only(list: &[Interpolated], meant: &str) -> bool {
    list.iter().map(|text| text.0.as_str()).eq([meant])
}

fn is_the_agents(mount: &Mount) -> bool {
    match mount.kind.0.as_str() {
        "bind" => mount.source.0 == "./agent" && mount.read_only,
        "volume" => ["home", "workspace"].contains(&mount.source.0.as_str()),
        _ => false,
    }
}

fn is_a_proxys(service: &str, mount: &Mount) -> bool {
    let (source, target) = (mount.source.0.as_str(), mount.target.0.as_str());
    match mount.kind.0.as_str() {
        "bind" => match service {
            "egress" => source == "./egress" && mount.read_only,
            "pipelock" => source == "./pipelock" && mount.read_only,
            "prepare" => {
                (source == "./egress" && mount.read_only && target == "/etc/egress")
                    || (source == "./agent/ca" && target == "/agent-ca")
            }
            _ => false,
        },
        "volume" => match service {
            "egress" => source == "egress-ca",
            "pipelock" | "pipelock-ca" => source == "pipelock-ca",
            "prepare" => PREPARED.contains(&(source, target)),
            _ => false,
        },
        _ => false,
    }
}
