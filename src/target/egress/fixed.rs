//! The programs of egress, which are the same in every bottle.

use std::sync::LazyLock;

use crate::value::artifact::StaticFile;
use crate::value::digest;

/// Enforces the wire file inside mitmproxy.
pub static ADDON: StaticFile = StaticFile {
    path: "egress/addon.py",
    text: include_str!("../../../templates/addon.py"),
    sha256: LazyLock::new(|| digest::hash(ADDON.text.as_bytes())),
};

/// Makes the authorities and hands out certificates before the proxies start.
pub static PREPARE: StaticFile = StaticFile {
    path: "egress/prepare.py",
    text: include_str!("../../../templates/prepare.py"),
    sha256: LazyLock::new(|| digest::hash(PREPARE.text.as_bytes())),
};

/// Asks whether egress is healthy and the walls of its networks stand.
pub static PROBE: StaticFile = StaticFile {
    path: "egress/probe.py",
    text: include_str!("../../../templates/probe.py"),
    sha256: LazyLock::new(|| digest::hash(PROBE.text.as_bytes())),
};

/// The files that are the same in every bottle.
pub const FIXED: [&StaticFile; 3] = [&ADDON, &PREPARE, &PROBE];
