//! What a compose file keeps up around the agent: which invariants are satisfied, what runs, and the rest.

use serde::Serialize;

use super::file::{Compose, Condition, Interpolated, Mount, Network, Service};
use super::{CHECKOUT, COMPOSE, EGRESS_START, Identity, MACHINE, PREPARE, PROBE, fingerprint, network, stand_in};
use crate::value::digest::hash;
use crate::value::guest;
use crate::value::isolation::{Files, Guard, Isolation, Part, Role, settings};
use crate::value::slot::{BINDING, Slot};

const SERVICES: [&str; 7] = ["agent", "egress", "machine-egress", "pipelock", "pipelock-ca", "prepare", "volumes"];

/// Services that do their work before the others start.
const ONE_SHOTS: [&str; 3] = ["pipelock-ca", "prepare", "volumes"];

/// Services that run the addon.
const EGRESSES: [&str; 2] = ["egress", "machine-egress"];

/// What the file says.
///
/// # Errors
/// What is not such a file, in the words of the YAML reader.
pub(super) fn isolation(files: &Files, text: &str, bottle: &Identity) -> Result<Isolation, String> {
    let mut compose: Compose = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
    stand_in::stand_in(&mut compose, bottle);
    let mut isolation = Isolation { guards: guards(&compose, files), ..Isolation::default() };
    for (name, service) in &compose.services {
        let at = format!("/services/{name}");
        let image_at = format!("{at}/{}", if service.build.is_some() { "build" } else { "image" });
        isolation.parts.insert(
            name.clone(),
            Part { role: role(name), image: Some(image(service, files)), image_at, ..part(&at, service) },
        );
    }
    let networks = part("/networks", &compose.networks);
    isolation.parts.insert("networks".to_owned(), Part { role: Role::Network, ..networks });
    isolation.network_at = Some((COMPOSE, "/networks/machine/ipam/config/0/subnet"));
    isolation.parts.insert("volumes".to_owned(), part("/volumes", &compose.volumes));
    if let Some(agent) = compose.services.get("agent") {
        let plain = |name: &str, text: &Interpolated| {
            (*text != Interpolated::empty_variable(&guest::carrier(name))).then(|| text.0.replace("$$", "$"))
        };
        let entry = |(name, text): (&String, &Option<Interpolated>)| {
            (name.clone(), text.as_ref().and_then(|text| plain(name, text)))
        };
        isolation.network_at = Some((COMPOSE, "/networks/inside/ipam/config/0/subnet"));
        isolation.bound_at = Some((COMPOSE, "/services/agent/environment"));
        isolation.egress = bottle.subnet.map(network::egress);
        isolation.environment = agent.environment.iter().map(entry).collect();
    }
    Ok(isolation)
}

fn role(service: &str) -> Role {
    match service {
        "agent" => Role::Agent,
        "egress" | "machine-egress" => Role::Egress,
        "pipelock" => Role::Pipelock,
        _ => Role::Other,
    }
}

fn part(at: &str, what: &impl Serialize) -> Part {
    let mut value = serde_json::to_value(what).unwrap_or_default();
    // They follow from the files, which a guard compares.
    value.as_object_mut().map(|entries| entries.remove("labels"));
    let mut settings = settings(at, &value);
    settings.retain(|pointer, _| {
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        // What other parts of the model say or a guard holds, and which half of the subnet a backend asks for.
        !matches!(
            steps.as_slice(),
            ["services", _, "image" | "build", ..]
                | ["services", "agent", "environment" | "command" | "read_only", ..]
                | ["services", "egress" | "machine-egress", "environment", ..]
                | ["services", "prepare" | "volumes", "volumes", ..]
                | ["services", "egress" | "machine-egress", "networks", "inside" | "machine", ..]
                | ["services", "machine-egress", "healthcheck", "test", ..]
                | ["networks", "inside" | "machine", ..]
                | ["volumes", "home" | "workspace", ..]
        )
    });
    Part { file: COMPOSE, role: Role::Other, image: None, image_at: String::new(), settings, whole: value.to_string() }
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

fn guards(compose: &Compose, files: &Files) -> Vec<Guard> {
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
            let Network { driver, internal: _, enable_ipv6, driver_opts, ipam: _ } = network;
            let same = (driver, driver_opts) == (&meant.driver, &meant.driver_opts);
            ranges.eq(range) && same && !enable_ipv6
        })
    };
    let attached = |service: &str, network: &str, address: &str| {
        compose.services.get(service).is_none_or(|service| {
            let at = service.networks.get(network).and_then(|at| at.ipv4_address.as_ref());
            at.is_some_and(|own| own.0 == address)
        })
    };
    let each = |names: &[&str], holds: &dyn Fn(&Service) -> bool| {
        names.iter().all(|name| compose.services.get(*name).is_none_or(holds))
    };
    let runs =
        |name: &str, meant: &[&str]| each(&[name], &|service| texts(&service.entrypoint).eq(meant.iter().copied()));
    let agent = compose.services.get("agent");
    let says = |service: Option<&Service>, holds: &dyn Fn(&Service) -> bool| service.is_none_or(holds);
    vec![
        Guard::enforce(
            "only the services of a bottle run",
            services().all(|(name, _)| SERVICES.contains(&name.as_str())),
        ),
        Guard::enforce("no service has a capability (`cap_drop`)", every(|service| is_only(&service.cap_drop, "ALL"))),
        Guard::enforce(
            "no running service gets a capability back (`cap_add`)",
            services().all(|(name, service)| {
                let allowed: &[&str] = match name.as_str() {
                    "prepare" => &["CHOWN", "DAC_OVERRIDE"],
                    "volumes" => &["CHOWN"],
                    _ => &[],
                };
                service.cap_add.iter().all(|capability| allowed.contains(&capability.0.as_str()))
            }),
        ),
        Guard::enforce(
            "no service gains privileges (`security_opt`)",
            every(|service| is_only(&service.security_opt, "no-new-privileges:true")),
        ),
        Guard::enforce(
            "the agent's network leads nowhere else (`inside`)",
            joins("agent", &["inside"]) && internal("inside"),
        ),
        Guard::enforce(
            "the agent's network does not have the host (`inside`)",
            is("inside", Network::isolated(None), Some("<inside>")) && is("uplink", Network::isolated(None), None),
        ),
        Guard::enforce(
            "a microVM's network leads nowhere else (`machine`)",
            internal("machine") && is("machine", Network::bridge(true, None), Some("<machine>")),
        ),
        Guard::enforce(
            "egress is where the agent looks for it",
            attached("egress", "inside", "<egress>") && attached("machine-egress", "machine", "<machine egress>"),
        ),
        Guard::enforce(
            "the host finds no egress unless a microVM is asked for (`profiles`)",
            services().all(|(name, service)| {
                !service.networks.contains_key("machine")
                    || (name == "machine-egress" && is_only(&service.profiles, MACHINE))
            }),
        ),
        Guard::enforce(
            "an image that bottlec wrote is read-only (`read_only`)",
            says(agent, &|agent| {
                agent.read_only || agent.build.as_ref().is_none_or(|build| build.context.0 != "./image")
            }),
        ),
        Guard::enforce(
            "egress reaches pipelock alone (`uplink`)",
            joins("egress", &["inside", "uplink"])
                && joins("machine-egress", &["machine", "uplink"])
                && internal("uplink"),
        ),
        Guard::enforce("only pipelock reaches the internet (`outside`)", joins("pipelock", &["outside", "uplink"])),
        Guard::enforce(
            "one-shot services have no network (`network_mode`)",
            services().all(|(name, service)| {
                let is_one_shot = ONE_SHOTS.contains(&name.as_str());
                let mode = service.network_mode.as_ref().map(|mode| mode.0.as_str());
                if is_one_shot { mode == Some("none") && service.networks.is_empty() } else { mode.is_none() }
            }),
        ),
        Guard::enforce(
            "the agent sees `agent/` alone of the tree",
            says(agent, &|agent| agent.volumes.iter().all(is_the_agents)),
        ),
        Guard::enforce(
            "the proxies see their own folders alone",
            services()
                .all(|(name, service)| name == "agent" || service.volumes.iter().all(|mount| is_a_proxys(name, mount))),
        ),
        Guard::enforce(
            "the agent's texts are plain: no value of the host is put in",
            says(agent, &|agent| {
                let own =
                    |name: &str, text: &Interpolated| *text == Interpolated::empty_variable(&guest::carrier(name));
                let plain = |(name, text): (&String, &Option<Interpolated>)| {
                    text.as_ref().is_some_and(|text| own(name, text) || !text.0.replace("$$", "").contains('$'))
                };
                agent.environment.iter().all(plain)
                    && agent.command.iter().all(|text| !text.0.replace("$$", "").contains('$'))
            }),
        ),
        Guard::enforce("the agent asks no name server (`dns`)", says(agent, &|agent| is_only(&agent.dns, "127.0.0.1"))),
        Guard::enforce(
            "the agent's start copies its home and no more",
            says(agent, &|agent| {
                agent.entrypoint.get(2).is_some_and(|script| script.0.replace("$$", "$") == guest::START)
            }),
        ),
        Guard::enforce(
            "the agent starts behind a healthy egress, which has probed the walls (`depends_on`, `healthcheck`)",
            says(agent, &|agent| {
                agent.depends_on.get("egress").is_some_and(|other| other.condition == Condition::Healthy)
            }) && EGRESSES.iter().all(|name| {
                let with_host: &[&str] = if *name == "egress" { &[] } else { &["<machine>"] };
                let test = |service: &Service| {
                    let test = service.healthcheck.iter().flat_map(|check| texts(&check.test));
                    test.eq(PROBE.iter().chain(with_host).copied())
                };
                each(&[name], &test)
            }),
        ),
        Guard::enforce(
            "egress runs its addon, in a folder of its own, and sends everything to pipelock",
            EGRESSES.iter().filter(|name| compose.services.contains_key(**name)).all(|name| {
                let words = words(name);
                let script = words.get(2).is_some_and(|script| script.replace("$$", "$") == EGRESS_START);
                let meant = ["upstream:http://pipelock:8888", "confdir=/tmp/egress", "/tmp/egress/addon.py"];
                script && meant.iter().all(|word| words.contains(word))
            }),
        ),
        Guard::enforce(
            "egress is given its slots and no other variable",
            each(&EGRESSES, &|egress| {
                let slot = |name: &str| Slot::parse(name).is_some() || name == BINDING;
                egress.environment.iter().all(|(name, text)| slot(name) && text.is_none())
            }),
        ),
        Guard::enforce(
            "what runs as root imports nothing of the tree and starts by way of `bottlec exec` alone",
            runs("prepare", &PREPARE)
                && runs("volumes", &["chown", "--"])
                && each(&["prepare"], &|prepare| {
                    prepare.environment.iter().map(|(name, text)| (name.as_str(), text)).eq([(CHECKOUT, &None)])
                }),
        ),
        Guard::enforce(
            "a service whose files change is created again (`labels`)",
            services().all(|(name, service)| {
                let hash = |path: &str| files.get(path).map(|text| hash(text.as_bytes()));
                service.labels == fingerprint(name, hash)
            }),
        ),
        Guard::enforce("pipelock runs with its file", words("pipelock").contains(&"/config/pipelock.yaml")),
    ]
}

fn texts(list: &[Interpolated]) -> impl Iterator<Item = &str> {
    list.iter().map(|text| text.0.as_str())
}

fn is_only(list: &[Interpolated], meant: &str) -> bool {
    texts(list).eq([meant])
}

fn is_the_agents(mount: &Mount) -> bool {
    match mount.kind.0.as_str() {
        "bind" => mount.source.0 == "./agent" && mount.read_only,
        "volume" => ["home", "workspace"].contains(&mount.source.0.as_str()),
        _ => false,
    }
}

fn is_a_proxys(service: &str, mount: &Mount) -> bool {
    let (kind, source, target) = (mount.kind.0.as_str(), mount.source.0.as_str(), mount.target.0.as_str());
    let read_only = match (service, kind, source, target) {
        ("egress" | "machine-egress", "bind", "./egress", "/etc/egress")
        | ("egress" | "machine-egress", "bind", "./pipelock", "/etc/pipelock")
        | ("egress" | "machine-egress", "volume", "egress-ca", "/egress-ca")
        | ("pipelock", "bind", "./pipelock", "/config")
        | ("pipelock", "volume", "pipelock-ca", "/pipelock-ca")
        | ("prepare", "bind", "./egress", "/etc/egress") => true,
        ("pipelock-ca" | "prepare", "volume", "pipelock-ca", "/pipelock-ca")
        | ("prepare", "bind", "./agent/ca", "/agent-ca")
        | ("prepare", "volume", "egress-ca", "/egress-ca")
        | ("volumes", "volume", "home", guest::HOME)
        | ("volumes", "volume", "workspace", guest::WORKSPACE) => false,
        _ => return false,
    };
    mount.read_only || !read_only
}
