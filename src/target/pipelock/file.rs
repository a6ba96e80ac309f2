//! pipelock's file as a model of the keys that we write.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{FILE, Lists};
use crate::text::render::{self, RenderError, Template};

static TEMPLATE: Template = render::template!("pipelock.yaml");

/// The file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipelock {
    pub(super) version: u32,
    pub(super) mode: String,
    pub(super) enforce: bool,
    pub(super) explain_blocks: bool,
    pub(super) api_allowlist: BTreeSet<String>,
    pub(super) trusted_domains: BTreeSet<String>,
    pub(super) ssrf: Ssrf,
    pub(super) internal: Vec<String>,
    pub(super) fetch_proxy: FetchProxy,
    pub(super) metrics_listen: String,
    pub(super) forward_proxy: ForwardProxy,
    pub(super) websocket_proxy: Switch,
    pub(super) tls_interception: TlsInterception,
    pub(super) request_body_scanning: RequestBodyScanning,
    pub(super) dlp: Dlp,
    pub(super) seed_phrase_detection: SeedPhraseDetection,
    pub(super) response_scanning: ResponseScanning,
    pub(super) session_profiling: Switch,
    pub(super) adaptive_enforcement: Switch,
    pub(super) cross_request_detection: Switch,
    pub(super) mcp_input_scanning: Switch,
    pub(super) mcp_tool_scanning: Switch,
    pub(super) mcp_tool_policy: Switch,
    pub(super) mcp_session_binding: Switch,
    pub(super) a2a_scanning: Switch,
    pub(super) git_protection: Switch,
    pub(super) kill_switch: Switch,
    pub(super) default_agent_identity: String,
    pub(super) bind_default_agent_identity: bool,
    pub(super) logging: Logging,
    pub(super) sentry: Switch,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) enabled: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ssrf {
    pub(super) ip_allowlist: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FetchProxy {
    pub(super) listen: String,
    pub(super) timeout_seconds: u32,
    pub(super) max_response_mb: u32,
    pub(super) monitoring: Monitoring,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitoring {
    pub(super) max_url_length: u32,
    /// In bits a character.
    pub(super) entropy_threshold: f64,
    pub(super) subdomain_entropy_threshold: f64,
    pub(super) max_requests_per_minute: u32,
    pub(super) max_data_per_minute: u32,
    pub(super) blocklist: Vec<String>,
    pub(super) subdomain_entropy_exclusions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardProxy {
    pub(super) enabled: bool,
    pub(super) max_tunnel_seconds: u32,
    pub(super) idle_timeout_seconds: u32,
    pub(super) sni_verification: bool,
    /// Known from 3.x on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sni_require_tls: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsInterception {
    pub(super) enabled: bool,
    pub(super) ca_cert: String,
    pub(super) ca_key: String,
    pub(super) passthrough_domains: BTreeSet<String>,
    pub(super) cert_ttl: String,
    pub(super) cert_cache_size: u32,
    pub(super) max_response_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequestBodyScanning {
    pub(super) enabled: bool,
    pub(super) action: String,
    pub(super) max_body_bytes: u32,
    pub(super) scan_headers: bool,
    pub(super) header_mode: String,
    pub(super) ignore_headers: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dlp {
    pub(super) include_defaults: bool,
    pub(super) scan_env: bool,
    pub(super) min_env_secret_length: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SeedPhraseDetection {
    pub(super) enabled: bool,
    pub(super) min_words: u32,
    pub(super) verify_checksum: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResponseScanning {
    pub(super) enabled: bool,
    pub(super) action: String,
    pub(super) include_defaults: bool,
    pub(super) exempt_domains: Vec<String>,
    pub(super) sse_streaming: SseStreaming,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SseStreaming {
    pub(super) enabled: bool,
    pub(super) action: String,
    pub(super) max_event_bytes: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Logging {
    pub(super) format: String,
    pub(super) output: String,
    pub(super) include_allowed: bool,
    pub(super) include_blocked: bool,
}

impl Pipelock {
    /// Reads the file.
    ///
    /// # Errors
    /// What bottlec does not write, a key that it does not know among it.
    pub fn parse(text: &str) -> Result<Pipelock, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }

    /// What the routes decide.
    pub fn lists(&self) -> Lists {
        Lists {
            hosts: self.api_allowlist.clone(),
            spliced: self.tls_interception.passthrough_domains.clone(),
            ranges: self.ssrf.ip_allowlist.clone(),
        }
    }

    /// The same with what other routes decide.
    pub(super) fn with(self, Lists { hosts, spliced, ranges }: Lists) -> Pipelock {
        Pipelock {
            api_allowlist: hosts,
            ssrf: Ssrf { ip_allowlist: ranges },
            tls_interception: TlsInterception { passthrough_domains: spliced, ..self.tls_interception },
            ..self
        }
    }

    /// `pipelock/pipelock.yaml`.
    ///
    /// # Errors
    /// When it does not read back: a defect of bottlec.
    pub(super) fn render(&self) -> Result<String, RenderError> {
        render::yaml(FILE, &TEMPLATE, self)
    }
}
