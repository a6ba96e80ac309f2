//! Claude Code. What it needs was measured with release 2.1.330, run against a fake service (2026-11).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{PLACEHOLDER, Provider, prefixes};
use crate::provider::Settings;
use crate::provider::facts::HostFacts;
use crate::provider::plan::{AgentImage, AgentProvisionPlan, HomeFile, ProviderRoute, Recipe};
use crate::text::diagnostic::Findings;
use crate::text::render::{self, RenderError};
use crate::value::credential::Auth;
use crate::value::credential::Injection;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::variable::VariableName;
use crate::value::withheld::Withheld;

/// What the client remembers, in the agent's home.
const STATE: &str = ".claude.json";

/// The provider `claude`.
pub(super) struct Claude;

const RECIPE: Recipe = Recipe { package: "@anthropic-ai/claude-code", version: "2.1.330" };

/// Each beats the placeholder, or sends it elsewhere.
const DISPLACING: [(&str, &str); 5] = [
    ("ANTHROPIC_API_KEY", "the client would use it in place of the placeholder"),
    ("ANTHROPIC_AUTH_TOKEN", "the client would use it in place of the placeholder"),
    ("ANTHROPIC_BASE_URL", "the client would send the placeholder to another host"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "the plan sets it to the placeholder"),
    ("CLAUDE_CONFIG_DIR", "the client would not find the prepared `.claude.json`"),
];

/// What the client asks `api.anthropic.com` for: messages and the count of their tokens; its organisation's
/// settings and limits, which are the employer's policy.
const MODEL_PATHS: [&str; 2] = ["/v1/messages", "/api/claude_code"];

/// What it asks there for besides when it has a login of its own: whose it is.
const ACCOUNT_PATHS: [&str; 2] = ["/api/oauth/profile", "/api/oauth/claude_cli/roles"];

/// Where a login gets its token and renews it, at `platform.claude.com`.
const LOGIN_PATHS: [&str; 1] = ["/v1/oauth"];

/// Switches that keep the client from calling anything but its model.
const QUIET: [&str; 3] = [
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
    "DISABLE_AUTOUPDATER",
    "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
];

impl Provider for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn takes_auth_token(&self) -> bool {
        true
    }

    fn first_settings(&self) -> &'static str {
        "\
agent_provider:
  template: claude
  # The name of the host variable that holds a token of `claude setup-token`. Without it, sign in
  # inside the bottle.
  auth_token: CLAUDE_OAUTH_TOKEN
"
    }

    fn credential_variables(&self) -> &'static [&'static str] {
        &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"]
    }

    fn plan(&self, settings: &Settings, _: &HostFacts, _: &mut Findings) -> Result<AgentProvisionPlan, RenderError> {
        let variable = |name: &str| VariableName::parse(name).expect("a name of letters");
        let route = |host: &str, paths: &[&str], essential: &[&str], auth: Option<Auth>, rule| ProviderRoute {
            host: Host::parse(host).expect("a DNS name"),
            path_allowlist: prefixes(paths),
            essential_paths: prefixes(essential),
            auth,
            tls_passthrough: true,
            rule,
        };
        let model = |paths: &[&str], auth| route("api.anthropic.com", paths, &["/v1/messages"], auth, "model-api");
        let mut guest_env: BTreeMap<VariableName, String> =
            QUIET.iter().map(|name| (variable(name), "1".to_owned())).collect();
        // Bypass mode as root, which a microVM's agent is, needs this word that root is contained.
        guest_env.insert(variable("IS_SANDBOX"), "1".to_owned());
        let mut hidden_env_names = BTreeSet::new();
        let mut egress_routes = Vec::new();
        match &settings.auth_token {
            Some(token) => {
                let auth = Auth { injection: Injection::bearer(), token_ref: token.value.clone() };
                egress_routes.push(model(&MODEL_PATHS, Some(auth)));
                guest_env.insert(variable("CLAUDE_CODE_OAUTH_TOKEN"), PLACEHOLDER.to_owned());
                hidden_env_names.insert(variable("CLAUDE_CODE_OAUTH_TOKEN"));
            }
            None => {
                egress_routes.push(model(&[MODEL_PATHS, ACCOUNT_PATHS].concat(), None));
                egress_routes.push(route("platform.claude.com", &LOGIN_PATHS, &["/v1/oauth/token"], None, "login"));
            }
        }
        // Without this file the first start probes two hosts and exits when one is refused, and
        // asks whether to trust the folder with "no" as the default.
        let state = json!({
            "hasCompletedOnboarding": true,
            "projects": { guest::WORKSPACE: { "hasTrustDialogAccepted": true } },
        });
        Ok(AgentProvisionPlan {
            provider: self.name(),
            asked_at: settings.template,
            credential_asked_at: settings.auth_token.as_ref().map(|token| token.span),
            egress_routes,
            closed_hosts: Vec::new(),
            guest_env,
            hidden_env_names,
            provisioned_env: BTreeMap::new(),
            displacing_env: DISPLACING.to_vec(),
            files: vec![HomeFile { path: STATE, content: render::json(STATE, &state)?, private: true }],
            image: settings
                .image
                .clone()
                .map_or(AgentImage::Generated(RECIPE), |image| AgentImage::Chosen(image.value)),
            command: vec!["claude".to_owned()],
            home: guest::HOME,
            withheld: Withheld::default(),
        })
    }
}
