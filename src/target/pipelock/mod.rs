//! pipelock's configuration: how routes become it, and what it keeps up. Keys and rules were read in 2.3.0's
//! source and seen in runs of it; of 3.x its guide was read. `media_policy` and `taint`, which are on, are left to their defaults.

mod file;
mod limits;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::guards::{self, Row};
use super::{Emitted, Files, Identity, Job, Target, Unreadable, file};
use crate::link::egress::{Egress, Route};
use crate::manifest::bottle::Bottle;
use crate::text::render::RenderError;
use crate::value::isolation::{Isolation, Part, Role, settings};
use crate::value::origin::{At, By, Origin, Origins};
use crate::value::release::PipelockTarget;
use crate::value::restart::Restart;
pub use file::Pipelock;
use file::{
    Dlp, FetchProxy, ForwardProxy, Logging, Monitoring, RequestBodyScanning, ResponseScanning, SeedPhraseDetection,
    SseStreaming, Ssrf, Switch, TlsInterception,
};
use limits::{IDLE_SECONDS, IGNORED_HEADERS, LARGEST_ANSWER, REQUESTS_PER_MINUTE, TUNNEL_SECONDS};

/// Where the file lies in a tree.
pub const FILE: &str = "pipelock/pipelock.yaml";

/// The port that pipelock listens on.
pub const PORT: u16 = 8888;

/// Every range that a name may not resolve to. pipelock's own list lacks three of them, and an
/// empty list would turn the check off.
const INTERNAL: [&str; 16] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// Settings that make pipelock refuse, and those that make it look into what it lets through.
const GUARDS: [Row; 17] = [
    Row::enforce("pipelock gates hosts (`mode: strict`)", &["/mode"]),
    Row::enforce("pipelock refuses what it finds (`enforce`)", &["/enforce"]),
    Row::enforce("pipelock trusts no domain blindly (`trusted_domains`)", &["/trusted_domains"]),
    Row::enforce("pipelock keeps names from private addresses (`internal`)", &["/internal"]),
    Row::enforce("pipelock checks the server name of tunnels (`forward_proxy`)", &["/forward_proxy"]),
    Row::enforce("pipelock has no second way in (`websocket_proxy`)", &["/websocket_proxy"]),
    Row::enforce("pipelock does not let the agent name itself", &["/bind_default_agent_identity"]),
    Row::enforce("pipelock's kill switch is not in use", &["/kill_switch"]),
    Row::enforce("pipelock has no tool policy", &["/mcp_tool_policy"]),
    Row::enforce("pipelock does not explain its refusals to the agent", &["/explain_blocks"]),
    Row::enforce("pipelock's metrics are out of the agent's reach", &["/metrics_listen"]),
    Row::scan("pipelock opens TLS (`tls_interception`)", &["/tls_interception"]),
    Row::scan("pipelock scans requests (`request_body_scanning`)", &["/request_body_scanning"]),
    Row::scan("pipelock looks for secrets (`dlp`)", &["/dlp"]),
    Row::scan("pipelock looks for seed phrases (`seed_phrase_detection`)", &["/seed_phrase_detection"]),
    Row::scan("pipelock scans responses (`response_scanning`)", &["/response_scanning"]),
    Row::scan("pipelock watches URLs and their rate (`fetch_proxy`)", &["/fetch_proxy"]),
];

/// What other parts of the model say.
const TOLD: [&str; 3] = ["/api_allowlist", "/ssrf", "/default_agent_identity"];

/// The rule that decides what no bottle does.
const HARDENING: &str = "pipelock-hardening";

/// Items of a list, sorted, and who decides each.
type Items = BTreeMap<String, By<()>>;

/// What a bottle decides of the file; the rest is the same for all.
struct Choices {
    hosts: Items,
    spliced: Items,
    ranges: Items,
    identity: By<String>,
    target: By<PipelockTarget>,
}

/// What several routes name is in a list once: the first of them counts.
fn items<T: Display>(named: impl Iterator<Item = (T, Origin)>) -> Items {
    let mut items = Items::new();
    for (item, origin) in named {
        items.entry(item.to_string()).or_insert_with(|| By::new((), origin));
    }
    items
}

/// What the routes decide of the file.
pub struct Lists {
    /// `api_allowlist`.
    pub hosts: BTreeSet<String>,
    /// `passthrough_domains`.
    pub spliced: BTreeSet<String>,
    /// `ssrf.ip_allowlist`.
    pub ranges: BTreeSet<String>,
}

/// `pipelock/`.
pub(super) struct PipelockFolder;

impl Target for PipelockFolder {
    fn name(&self) -> &'static str {
        "pipelock"
    }

    /// Nothing without a route.
    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let mut origins = Origins::of(HARDENING);
        let Some(pipelock) = Pipelock::of(job.bottle, job.egress, origins.top()) else { return Ok(Vec::new()) };
        Ok(vec![Emitted::public(FILE, pipelock.render()?).decided_by(origins)])
    }

    fn read(&self, files: &Files, _bottle: &Identity) -> Result<Isolation, Unreadable> {
        let pipelock = Pipelock::parse(file(files, FILE)?).map_err(|problem| Unreadable::new(FILE, problem))?;
        Ok(pipelock.isolation())
    }

    /// It takes other hosts and fewer ranges while it runs. Another passthrough counts as a downgrade (seen with
    /// pipelock 2.3.0 in strict mode), and a range that names may resolve to weakens it.
    fn restart(&self, old: &Files, new: &Files) -> Option<Restart> {
        let [old, new] = [old.get(FILE)?, new.get(FILE)?];
        if old == new {
            return None;
        }
        let (Ok(old), Ok(new)) = (Pipelock::parse(old), Pipelock::parse(new)) else {
            return Some(Restart::RestartPipelock);
        };
        let (had, has) = (old.lists(), new.lists());
        let is_taken = has.spliced.is_subset(&had.spliced) && has.ranges.is_subset(&had.ranges);
        let is_all = old == new.with(had);
        Some(if is_taken && is_all { Restart::ReloadPipelock } else { Restart::RestartPipelock })
    }
}

impl Pipelock {
    /// The file for a bottle with these routes. Nothing without a route: pipelock refuses to start with an empty
    /// allowlist in strict mode, the only mode that gates hosts.
    fn of(bottle: &Bottle, egress: &Egress, at: At) -> Option<Pipelock> {
        if egress.routes.is_empty() {
            return None;
        }
        let spliced = egress.routes.iter().filter(|route| route.tls_passthrough);
        let ranges = egress.routes.iter().flat_map(|route| {
            let Route { ssrf_ip_allowlist, parts, .. } = route;
            ssrf_ip_allowlist.iter().zip(&parts.ranges)
        });
        let choices = Choices {
            hosts: items(egress.routes.iter().map(|route| (&route.host, route.origin.unnarrowed()))),
            spliced: items(spliced.map(|route| (&route.host, route.parts.tls_passthrough.clone()))),
            ranges: items(ranges.map(|(range, origin)| (range, origin.clone()))),
            identity: By::new(format!("bottle/{}", bottle.name.as_str()), bottle.name_origin()),
            target: By::new(bottle.pipelock, Origin::written_or(bottle.places.pipelock, HARDENING)),
        };
        Some(Pipelock::hardened(choices, at))
    }

    /// The file with everything on that makes it enforce and scan.
    fn hardened(choices: Choices, mut at: At) -> Pipelock {
        let Choices { hosts, spliced, ranges, identity, target } = choices;
        let mut list = |key: &str, items: Items| {
            let items = items.into_iter().enumerate().map(|(index, (item, by))| (index, by.map(|()| item)));
            at.below(key).put_each(items).map(|(_, item)| item).collect::<BTreeSet<String>>()
        };
        let hosts = list("api_allowlist", hosts);
        let spliced = list("tls_interception/passthrough_domains", spliced);
        let ranges = list("ssrf/ip_allowlist", ranges);
        let require_tls = match target.value {
            PipelockTarget::V2_3 => None,
            // There because the manifest targets a release that knows it.
            PipelockTarget::V3 => Some(at.put("forward_proxy/sni_require_tls", target.map(|_| true))),
        };
        let text = str::to_owned;
        let off = || Switch { enabled: false };
        Pipelock {
            version: 1,
            mode: text("strict"),
            enforce: true,
            explain_blocks: false,
            api_allowlist: hosts,
            trusted_domains: BTreeSet::new(),
            ssrf: Ssrf { ip_allowlist: ranges },
            internal: INTERNAL.map(text).to_vec(),
            fetch_proxy: FetchProxy {
                listen: format!("0.0.0.0:{PORT}"),
                timeout_seconds: 60,
                max_response_mb: 10,
                monitoring: Monitoring {
                    max_url_length: 2048,
                    entropy_threshold: 4.5,
                    subdomain_entropy_threshold: 4.0,
                    max_requests_per_minute: REQUESTS_PER_MINUTE,
                    max_data_per_minute: 0,
                    blocklist: Vec::new(),
                    subdomain_entropy_exclusions: Vec::new(),
                },
            },
            metrics_listen: text("127.0.0.1:9091"),
            forward_proxy: ForwardProxy {
                enabled: true,
                max_tunnel_seconds: TUNNEL_SECONDS,
                idle_timeout_seconds: IDLE_SECONDS,
                sni_verification: true,
                sni_require_tls: require_tls,
            },
            websocket_proxy: off(),
            tls_interception: TlsInterception {
                enabled: true,
                // Read from the file's own folder: the authority lies beside it, where only pipelock's
                // container has it mounted.
                ca_cert: text("../pipelock-ca/ca.pem"),
                ca_key: text("../pipelock-ca/ca-key.pem"),
                passthrough_domains: spliced,
                cert_ttl: text("24h"),
                cert_cache_size: 1024,
                max_response_bytes: LARGEST_ANSWER,
            },
            request_body_scanning: RequestBodyScanning {
                enabled: true,
                action: text("block"),
                max_body_bytes: 10 << 20,
                scan_headers: true,
                header_mode: text("all"),
                ignore_headers: IGNORED_HEADERS.map(text).to_vec(),
            },
            dlp: Dlp { include_defaults: true, scan_env: true, min_env_secret_length: 16 },
            seed_phrase_detection: SeedPhraseDetection { enabled: true, min_words: 12, verify_checksum: true },
            response_scanning: ResponseScanning {
                enabled: true,
                action: text("warn"),
                include_defaults: true,
                exempt_domains: Vec::new(),
                sse_streaming: SseStreaming { enabled: true, action: text("warn"), max_event_bytes: 256 << 10 },
            },
            session_profiling: off(),
            adaptive_enforcement: off(),
            cross_request_detection: off(),
            mcp_input_scanning: off(),
            mcp_tool_scanning: off(),
            mcp_tool_policy: off(),
            mcp_session_binding: off(),
            a2a_scanning: off(),
            git_protection: off(),
            kill_switch: off(),
            default_agent_identity: at.put("default_agent_identity", identity),
            bind_default_agent_identity: true,
            logging: Logging {
                format: text("json"),
                output: text("stdout"),
                include_allowed: true,
                include_blocked: true,
            },
            sentry: off(),
        }
    }

    /// What a bottle decides of the file, as far as it shows.
    fn choices(&self) -> Choices {
        let listed = |items: &BTreeSet<String>| items.iter().map(|item| (item.clone(), By::unsaid(()))).collect();
        Choices {
            hosts: listed(&self.api_allowlist),
            spliced: listed(&self.tls_interception.passthrough_domains),
            ranges: listed(&self.ssrf.ip_allowlist),
            identity: By::unsaid(self.default_agent_identity.clone()),
            target: By::unsaid(match self.forward_proxy.sni_require_tls {
                None => PipelockTarget::V2_3,
                Some(_) => PipelockTarget::V3,
            }),
        }
    }

    /// What the file keeps up, and every other setting of it.
    fn isolation(&self) -> Isolation {
        let hardened = Pipelock::hardened(self.choices(), Origins::of(HARDENING).top());
        let [actual, meant] = [self, &hardened].map(|file| serde_json::to_value(file).unwrap_or_default());
        let built = settings("", &meant);
        let mut settings = settings("", &actual);
        settings.retain(|pointer, value| {
            // Of what is guarded, only what breaks the guard.
            let is_built = GUARDS.iter().any(|row| row.holds(pointer)) && built.get(pointer) == Some(value);
            !is_built && !TOLD.iter().any(|told| guards::covers(told, pointer))
        });
        let part = Part {
            file: FILE,
            role: Role::Other,
            image: None,
            image_at: String::new(),
            settings,
            whole: actual.to_string(),
        };
        Isolation {
            parts: BTreeMap::from([("pipelock's file".to_owned(), part)]),
            guards: guards::compare(&GUARDS, &actual, &meant),
            ..Isolation::default()
        }
    }
}
