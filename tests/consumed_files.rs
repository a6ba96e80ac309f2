//! Goldens as their consumers' own parsers read them: the `smolfile` crate, and pipelock's keys by
//! release.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{contents_below, goldens};
use serde_json::Value;

/// Every compiled golden bottle.
fn bottles() -> Vec<PathBuf> {
    goldens::cases().iter().map(|case| goldens::tree(case)).collect()
}

fn index(bottle: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(bottle.join("bottle.json")).unwrap()).unwrap()
}

#[test]
fn the_smolfile_crate_sees_what_we_mean() {
    for bottle in bottles() {
        let machine = smolfile::parse(&fs::read_to_string(bottle.join("Smolfile")).unwrap()).unwrap();
        let index = index(&bottle);
        let egress = index["network"]["machine_egress"].as_str().unwrap();
        let network = machine.network.unwrap();
        assert_eq!(machine.net, Some(true));
        assert_eq!(network.allow_cidrs, [format!("{egress}/32")]);
        assert_eq!(network.allow_hosts, ["host.smolvm.internal"]);
        assert!(
            network.allow_host_patterns.is_empty() && network.allow_private.is_empty() && network.allow_udp.is_empty()
        );
        assert!(network.credentials.is_empty() && network.deny_cidrs.is_empty() && !network.block_private);
        assert_eq!(machine.volumes, ["./agent:/bottle:ro"], "only agent/ is mounted");
        assert_eq!(machine.entrypoint, ["/bin/sh", "-c", "cp -R /bottle/home/. \"$HOME\"/ && exec \"$@\"", "bottle"]);
        assert_eq!(machine.cmd, ["sleep", "infinity"]);
        assert_eq!(machine.workdir.as_deref(), Some("/workspace"));
        assert_eq!((machine.cpus, machine.memory), (Some(2), Some(4096)));
        assert!(machine.image.unwrap().starts_with("./"), "an archive, never a registry's reference");
        assert!(
            machine.ports.is_empty()
                && machine.init.is_empty()
                && machine.docker_socket.is_none()
                && machine.dev.is_none()
        );
        assert_eq!(machine.auth.unwrap().ssh_agent, Some(false));
        assert_eq!(machine.restart.unwrap().policy.as_deref(), Some("never"));
        let late = bottle.ends_with("smolvm-1-33") || bottle.ends_with("extends");
        assert_eq!(machine.net_backend.as_deref(), late.then_some("virtio-net"), "{}", bottle.display());

        // Every variable has a value or comes from its carrier; none is bare, which would copy the host's.
        let text = fs::read_to_string(bottle.join("agent/agent.env")).unwrap();
        let literal: Vec<&str> = text.split_terminator('\n').skip(1).collect();
        assert!(literal.iter().all(|line| line.contains('=')), "{}", bottle.display());
        let variables = index["env"].as_object().unwrap().iter();
        let mut bound: Vec<&str> =
            variables.filter(|(_, source)| *source != "literal").map(|(name, _)| name.as_str()).collect();
        bound.sort_unstable();
        // A container and a microVM find egress at different addresses; all else is the same.
        let container = index["network"]["egress"].as_str().unwrap();
        let literal: Vec<String> = literal
            .iter()
            .map(|line| line.replace(&format!("//{container}:9099"), &format!("//{egress}:9099")))
            .collect();
        assert_eq!(machine.env, literal, "{}", bottle.display());
        assert_eq!(machine.secrets.keys().map(String::as_str).collect::<Vec<_>>(), bound);
        for (name, reference) in &machine.secrets {
            assert_eq!(serde_json::to_value(reference).unwrap()["from_env"], Value::from(format!("BOTTLE_ENV_{name}")));
        }
    }
}

/// Top-level keys that pipelock 2.3.0 knows, of those that we may write; `sentry` is the one more.
const PIPELOCK_2_3: [&str; 30] = [
    "version",
    "mode",
    "enforce",
    "explain_blocks",
    "api_allowlist",
    "trusted_domains",
    "ssrf",
    "internal",
    "fetch_proxy",
    "metrics_listen",
    "forward_proxy",
    "websocket_proxy",
    "tls_interception",
    "request_body_scanning",
    "dlp",
    "seed_phrase_detection",
    "response_scanning",
    "session_profiling",
    "adaptive_enforcement",
    "cross_request_detection",
    "mcp_input_scanning",
    "mcp_tool_scanning",
    "mcp_tool_policy",
    "mcp_session_binding",
    "a2a_scanning",
    "git_protection",
    "kill_switch",
    "default_agent_identity",
    "bind_default_agent_identity",
    "logging",
];

#[test]
fn pipelock_gets_the_keys_of_its_release_and_no_other() {
    let known: BTreeSet<&str> = PIPELOCK_2_3.into_iter().chain(["sentry"]).collect();
    for bottle in bottles() {
        let text = fs::read_to_string(bottle.join("pipelock/pipelock.yaml")).unwrap();
        let file: BTreeMap<String, Value> = serde_yaml::from_str(&text).unwrap();
        assert_eq!(file.keys().map(String::as_str).collect::<BTreeSet<_>>(), known, "{}", bottle.display());
        let forward: BTreeSet<&str> = file["forward_proxy"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut expected =
            BTreeSet::from(["enabled", "max_tunnel_seconds", "idle_timeout_seconds", "sni_verification"]);
        if bottle.ends_with("pipelock-3") {
            expected.insert("sni_require_tls");
        }
        assert_eq!(forward, expected, "{}", bottle.display());
    }
}

#[test]
fn pipelock_gates_the_hosts_of_the_routes() {
    for bottle in bottles() {
        let file: Value =
            serde_yaml::from_str(&fs::read_to_string(bottle.join("pipelock/pipelock.yaml")).unwrap()).unwrap();
        let routes = index(&bottle)["routes"].as_array().unwrap().clone();
        let hosts = |condition: fn(&Value) -> bool| {
            let hosts: BTreeSet<String> = routes
                .iter()
                .filter(|route| condition(route))
                .map(|route| route["host"].as_str().unwrap().to_owned())
                .collect();
            Value::from(hosts.into_iter().collect::<Vec<_>>())
        };
        assert_eq!(file["mode"], "strict");
        assert_eq!(file["enforce"], true);
        assert_eq!(file["request_body_scanning"]["action"], "block");
        assert_eq!(file["api_allowlist"], hosts(|_| true));
        assert_eq!(file["tls_interception"]["passthrough_domains"], hosts(|route| route["tls_passthrough"] == true));
        assert!(file["internal"].as_array().unwrap().len() == 16, "an empty list would turn the check off");
        assert_eq!(file["default_agent_identity"], format!("bottle/{}", bottle.file_name().unwrap().to_string_lossy()));
    }
}

#[test]
fn compose_separates_and_hardens_the_services() {
    for bottle in bottles() {
        let file: Value = serde_yaml::from_str(&fs::read_to_string(bottle.join("compose.yaml")).unwrap()).unwrap();
        let index = index(&bottle);
        let networks = |service: &str| {
            file["services"][service]["networks"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(networks("agent"), ["inside"]);
        assert_eq!(networks("egress"), ["inside", "uplink"]);
        assert_eq!(networks("machine-egress"), ["machine", "uplink"]);
        assert_eq!(file["services"]["machine-egress"]["profiles"], serde_json::json!(["machine"]));
        assert_eq!(networks("pipelock"), ["outside", "uplink"]);
        for (network, internal, host_has_address) in
            [("inside", true, false), ("uplink", true, false), ("machine", true, true), ("outside", false, true)]
        {
            let network = &file["networks"][network];
            assert_eq!(network["internal"], internal, "{network}");
            assert_eq!(network["enable_ipv6"], false, "{network}");
            let inhibited = &network["driver_opts"]["com.docker.network.bridge.inhibit_ipv4"];
            assert_eq!(inhibited == "true", !host_has_address, "{network}");
        }
        // The numbers of the index, unless a checkout gives its own.
        let prefix = index["network"]["subnet"].as_str().unwrap().trim_end_matches(".0/24");
        for (service, network, address, variable) in [
            ("agent", "inside", "agent", "BOTTLE_NET"),
            ("egress", "inside", "egress", "BOTTLE_NET"),
            ("machine-egress", "machine", "machine_egress", "BOTTLE_MACHINE_NET"),
        ] {
            let default = format!("${{{variable}:-{prefix}}}");
            let fixed = file["services"][service]["networks"][network]["ipv4_address"].as_str().unwrap();
            assert_eq!(fixed.replace(&default, prefix), index["network"][address].as_str().unwrap());
        }
        for (name, service) in file["services"].as_object().unwrap() {
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
            assert_eq!(service["security_opt"], serde_json::json!(["no-new-privileges:true"]), "{name}");
            assert!(service["pids_limit"].is_u64() && service["mem_limit"].is_string(), "{name}");
            assert!(service["ports"].is_null() && service["privileged"].is_null(), "{name}");
            // What handles private keys of two proxies, or makes them, has no network and ends.
            let once = ["prepare", "pipelock-ca", "volumes"].contains(&name.as_str());
            assert_eq!(service["ulimits"]["core"], 0, "{name}");
            assert_eq!(service["network_mode"] == "none", once, "{name}");
            assert_eq!(service["networks"].is_null(), once, "{name}");
            let capabilities = match name.as_str() {
                "prepare" => serde_json::json!(["CHOWN", "DAC_OVERRIDE"]),
                "volumes" => serde_json::json!(["CHOWN"]),
                _ => Value::Null,
            };
            assert_eq!(service["cap_add"], capabilities, "{name}");
            let image = service["image"].as_str().unwrap();
            let own = "bottle-own-dockerfile-agent:${BOTTLE_CHECKOUT:-latest}";
            assert!(image.starts_with("${BOTTLE_") || image == own, "{name}");
            let own_image = bottle.ends_with("own-dockerfile") || bottle.ends_with("image-reference");
            assert_eq!(service["read_only"], !(own_image && name == "agent"), "{name}");
        }
        // Who sees which folder and volume, and who may write there.
        let mut mounts: Vec<String> = Vec::new();
        for (name, service) in file["services"].as_object().unwrap() {
            for mount in service["volumes"].as_array().unwrap() {
                let may_write = if mount["read_only"] == true { "reads" } else { "writes" };
                mounts.push(format!("{name} {may_write} {}", mount["source"].as_str().unwrap()));
            }
        }
        mounts.sort();
        let expected = [
            "agent reads ./agent",
            "agent writes home",
            "agent writes workspace",
            "egress reads ./egress",
            "egress reads ./pipelock",
            "egress reads egress-ca",
            "machine-egress reads ./egress",
            "machine-egress reads ./pipelock",
            "machine-egress reads egress-ca",
            "pipelock reads ./pipelock",
            "pipelock reads pipelock-ca",
            "pipelock-ca writes pipelock-ca",
            "prepare reads ./egress",
            "prepare writes ./agent/ca",
            "prepare writes egress-ca",
            "prepare writes pipelock-ca",
            "volumes writes home",
            "volumes writes workspace",
        ];
        assert_eq!(mounts, expected, "{}", bottle.display());
        assert!(file["services"]["pipelock"]["environment"].is_null(), "pipelock takes any variable for a secret");
        // Slots by name alone, for egress alone.
        let mut slots: BTreeSet<&str> =
            index["slots"].as_array().unwrap().iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
        if !slots.is_empty() {
            slots.insert("EGRESS_SLOTS");
        }
        let environment =
            |service: &str| file["services"][service]["environment"].as_object().cloned().unwrap_or_default();
        assert_eq!(environment("egress").keys().map(String::as_str).collect::<BTreeSet<_>>(), slots);
        assert!(environment("egress").values().all(Value::is_null));
        assert_eq!(environment("egress"), environment("machine-egress"));
        assert!(!environment("agent").keys().any(|name| name.starts_with("EGRESS_")));
        assert_eq!(file["services"]["agent"]["depends_on"]["egress"]["condition"], "service_healthy");
        assert_eq!(file["services"]["egress"]["depends_on"]["pipelock"]["condition"], "service_healthy");
        for service in ["egress", "pipelock"] {
            assert_eq!(file["services"][service]["healthcheck"]["test"][0], "CMD", "{service}");
        }
        for (service, script) in [("egress", "healthcheck"), ("prepare", "entrypoint")] {
            let words = file["services"][service][script].to_string();
            assert!(words.contains("\"python3\",\"-I\","), "nothing is imported from beside the script: {words}");
        }
    }
}

#[test]
fn the_index_has_the_hash_of_every_other_file() {
    let (_folder, trees) = goldens::whole_trees();
    for bottle in trees {
        let index = index(&bottle);
        let mut listed = BTreeSet::from([PathBuf::from("bottle.json")]);
        for file in index["files"].as_array().unwrap() {
            let path = file["path"].as_str().unwrap();
            assert_eq!(file["sha256"], bottlec::value::digest::hash(&fs::read(bottle.join(path)).unwrap()), "{path}");
            listed.insert(PathBuf::from(path));
        }
        let there: BTreeSet<PathBuf> = contents_below(&bottle).into_keys().collect();
        assert_eq!(there, listed, "{}", bottle.display());
    }
}
