//! Codex. What it needs was measured with releases 0.135.0 and 0.169.0, run against a fake service
//! (2026-11).

mod dummy;
mod host_file;
mod jwt;
mod withheld;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{LaunchToken, Provider, prefixes};
use crate::provider::Settings;
use crate::provider::facts::HostFacts;
use crate::provider::plan::{AgentImage, AgentProvisionPlan, HomeFile, ProviderRoute, Provision, Recipe};
use crate::text::diagnostic::{Findings, Refusal};
use crate::text::render::{self, RenderError, Template};
use crate::value::credential::Auth;
use crate::value::credential::Injection;
use crate::value::credential_file::CredentialFile;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::variable::{TokenRef, VariableName};
use crate::value::withheld::Withheld;

/// The provider `codex`.
pub(super) struct Codex;

const RECIPE: Recipe = Recipe { package: "@openai/codex", version: "0.169.0" };

static CREDENTIAL_FILE: CredentialFile = CredentialFile {
    folder_variable: "CODEX_HOME",
    name: "auth.json",
    in_home: ".codex/auth.json",
    token_pointer: "/tokens/access_token",
};

/// The client's settings in the agent's home.
const CONFIG: &str = ".codex/config.toml";

/// The dummy auth file in the agent's home.
const DUMMY: &str = ".codex/auth.json";

/// Names the host's access token among the token refs. It is no host variable.
const HOST_TOKEN: &str = "BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN";

/// What the client asks `chatgpt.com` for: the model, and the account, its limits and its policy.
const CHATGPT_PATHS: [&str; 2] = ["/backend-api/codex", "/backend-api/wham"];

/// Of these, what no turn does without.
const TURN_PATHS: [&str; 2] = ["/backend-api/codex/responses", "/backend-api/wham/accounts/check"];

/// What it asks `api.openai.com` for. A ChatGPT login never calls that host; an API key asks for
/// nothing but responses there.
const API_PATHS: [&str; 2] = ["/v1/responses", "/v1/models"];

/// A login by device code, its renewal and its end, at `auth.openai.com`. What a browser asks for is the host's.
const LOGIN_PATHS: [&str; 3] = ["/api/accounts/deviceauth", "/oauth/token", "/oauth/revoke"];

/// Of these, what no login does without.
const DEVICE_PATHS: [&str; 3] = ["/api/accounts/deviceauth/usercode", "/api/accounts/deviceauth/token", "/oauth/token"];

/// Where a login happens.
const LOGIN_HOST: &str = "auth.openai.com";

/// Each beats the dummy auth file, hides it, sends its placeholder elsewhere, or is a second account.
const DISPLACING: [(&str, &str); 5] = [
    ("OPENAI_API_KEY", "the agent would hold a key, which its client does not use beside the prepared `auth.json`"),
    ("CODEX_API_KEY", "the client would use it in place of the prepared `auth.json`"),
    ("CODEX_ACCESS_TOKEN", "the client would use it in place of the prepared `auth.json`"),
    ("CODEX_HOME", "the client would not find the prepared `auth.json`"),
    ("OPENAI_BASE_URL", "the client would send its placeholder to another host"),
];

static TEMPLATE: Template = render::template!("codex-config.toml");

/// The client's settings: nothing but its model is called, the workspace is trusted.
#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Config {
    check_for_update_on_startup: bool,
    analytics: Analytics,
    features: Features,
    projects: BTreeMap<String, Project>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Analytics {
    enabled: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Features {
    apps: bool,
    plugins: bool,
    /// 0.169 would leave a background copy of itself behind, with its environment and cached
    /// account; older releases do not know the key and pass it over.
    daemon_auto_start: bool,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Project {
    trust_level: String,
}

impl Config {
    fn quiet() -> Self {
        Config {
            check_for_update_on_startup: false,
            analytics: Analytics { enabled: false },
            features: Features { apps: false, plugins: false, daemon_auto_start: false },
            projects: BTreeMap::from([(guest::WORKSPACE.to_owned(), Project { trust_level: "trusted".to_owned() })]),
        }
    }
}

impl Provider for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn credential_file(&self) -> Option<&'static CredentialFile> {
        Some(&CREDENTIAL_FILE)
    }

    fn first_settings(&self) -> &'static str {
        "\
agent_provider:
  template: codex
  # Egress signs in as the host's ChatGPT user (`codex login` on the host). Without it, sign in
  # inside the bottle.
  forward_host_credentials: true
"
    }

    fn credential_variables(&self) -> &'static [&'static str] {
        &["OPENAI_API_KEY", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"]
    }

    fn plan(
        &self,
        settings: &Settings,
        host: &HostFacts,
        findings: &mut Findings,
    ) -> Result<AgentProvisionPlan, RenderError> {
        let token_ref = TokenRef::parse(HOST_TOKEN).expect("a name of letters");
        let forwarded = settings.forward_host_credentials;
        let login_host = Host::parse(LOGIN_HOST).expect("a DNS name");
        let route = |host: &str, paths: &[&str], essential: &[&str], rule| ProviderRoute {
            host: Host::parse(host).expect("a DNS name"),
            path_allowlist: prefixes(paths),
            essential_paths: prefixes(essential),
            auth: forwarded.map(|_| Auth { injection: Injection::bearer(), token_ref: token_ref.clone() }),
            tls_passthrough: true,
            rule,
        };
        let mut egress_routes = vec![
            route("api.openai.com", &API_PATHS, &[], "model-api"),
            route("chatgpt.com", &CHATGPT_PATHS, &TURN_PATHS, "model-api"),
        ];
        let mut closed_hosts = Vec::new();
        let mut files =
            vec![HomeFile { path: CONFIG, content: render::toml(CONFIG, &TEMPLATE, &Config::quiet())?, private: true }];
        let mut provisioned_env = BTreeMap::new();
        let mut withheld = Withheld::default();
        match forwarded {
            Some(asked) => {
                provisioned_env.insert(token_ref.clone(), Provision { file: &CREDENTIAL_FILE });
                closed_hosts.push((login_host, "its 401 for the placeholder would sign the agent out"));
                if let Some((content, of_host)) = dummy::build(host, asked, findings)? {
                    files.push(HomeFile { path: DUMMY, content, private: true });
                    withheld = of_host;
                }
            }
            None => egress_routes.push(route(LOGIN_HOST, &LOGIN_PATHS, &DEVICE_PATHS, "login")),
        }
        // Added to the client's roots. It does not read NODE_EXTRA_CA_CERTS, and SSL_CERT_FILE
        // would replace the public roots.
        let ca = VariableName::parse("CODEX_CA_CERTIFICATE").expect("a name of letters");
        Ok(AgentProvisionPlan {
            provider: self.name(),
            asked_at: settings.template,
            credential_asked_at: forwarded,
            egress_routes,
            closed_hosts,
            guest_env: BTreeMap::from([(ca, guest::EGRESS_CA.to_owned())]),
            hidden_env_names: BTreeSet::new(),
            provisioned_env,
            displacing_env: DISPLACING.to_vec(),
            files,
            image: settings
                .image
                .clone()
                .map_or(AgentImage::Generated(RECIPE), |image| AgentImage::Chosen(image.value)),
            command: vec!["codex".to_owned()],
            home: guest::HOME,
            withheld,
        })
    }

    fn launch_token(
        &self,
        host: &HostFacts,
        prepared: &dyn Fn(&str) -> Option<Vec<u8>>,
    ) -> Result<LaunchToken, Refusal> {
        let file = host_file::open(host)?;
        let again = "build the bottle again with `bottlec build`, then start it";
        let missing = || Refusal::new("the bottle has no Codex auth file for the agent", again);
        let found = prepared(DUMMY).ok_or_else(missing)?;
        let prepared = host_file::Prepared::parse(&found).ok_or_else(missing)?;
        // Of a login that did not change, a build makes this file and no other.
        let expected = dummy::text(&file).map_err(|error| Refusal::new(error.to_string(), again))?;
        let warnings = host_file::open_to_others(host).into_iter().chain(file.ends_soon(host.now)).collect();
        let token = file.into_token(&prepared)?;
        if found != expected.as_bytes() {
            let message =
                format!("the agent's Codex auth file ({DUMMY}) is not the one that a build makes of the host's");
            return Err(Refusal::new(message, again));
        }
        Ok(LaunchToken { token, warnings })
    }
}
