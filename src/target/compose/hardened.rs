//! Services without any privilege, which those of a bottle start from.

use std::collections::BTreeMap;

use super::file::{Interpolated, Logging, Service, literals};

/// A service without any privilege; who makes one says the rest.
pub(super) fn hardened(image: Interpolated) -> Service {
    Service {
        image,
        build: None,
        profiles: Vec::new(),
        labels: BTreeMap::new(),
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
        // What every machine has. egress is one Python process; more would be taken from its user.
        cpus: Interpolated::literal("1.0"),
        // A core file of egress would hold tokens. No other limit is set: an engine without privileges
        // starts nothing whose limit for files is above its own, and `nproc` counts what the host's user runs,
        // which `pids_limit` does not.
        ulimits: BTreeMap::from([("core".to_owned(), 0)]),
        tmpfs: literals(["/tmp"]),
        volumes: Vec::new(),
        network_mode: None,
        networks: BTreeMap::new(),
        dns: Vec::new(),
        healthcheck: None,
        depends_on: BTreeMap::new(),
    }
}

/// A service that does its work without a network and ends.
pub(super) fn once(image: Interpolated) -> Service {
    Service {
        restart: Interpolated::literal("no"),
        network_mode: Some(Interpolated::literal("none")),
        ..hardened(image)
    }
}
