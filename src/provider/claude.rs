//! Claude Code. What it needs was measured with release 2.1.330, run against a fake service (2026-11).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{PLACEHOLDER, Provider};
use crate::credential::Auth;
use crate::credential::Scheme;
use crate::diagnostic::Findings;
use crate::facts::HostFacts;
use crate::guest;
use crate::host::Host;
use crate::plan::{AgentImage, AgentProvisionPlan, HomeFile, ProviderRoute, Recipe};
use crate::provider::Settings;
use crate::render::{self, RenderError};
use crate::variable::VariableName;
use crate::withheld::Withheld;

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
        let route = |host: &str, auth: Option<Auth>, rule: &'static str| ProviderRoute {
            host: Host::parse(host).expect("a DNS name"),
            auth,
            tls_passthrough: true,
            rule,
        };
        let mut guest_env: BTreeMap<VariableName, String> =
            QUIET.iter().map(|name| (variable(name), "1".to_owned())).collect();
        // Bypass mode as root, which a microVM's agent is, needs this word that root is contained.
        guest_env.insert(variable("IS_SANDBOX"), "1".to_owned());
        let mut hidden_env_names = BTreeSet::new();
        let mut egress_routes = Vec::new();
        match &settings.auth_token {
            Some(token) => {
                let auth = Auth { scheme: Scheme::Bearer, token_ref: token.value.clone() };
                egress_routes.push(route("api.anthropic.com", Some(auth), "model-api"));
                guest_env.insert(variable("CLAUDE_CODE_OAUTH_TOKEN"), PLACEHOLDER.to_owned());
                hidden_env_names.insert(variable("CLAUDE_CODE_OAUTH_TOKEN"));
            }
            None => {
                egress_routes.push(route("api.anthropic.com", None, "model-api"));
                // Where a login inside the bottle gets its token.
                egress_routes.push(route("platform.claude.com", None, "login"));
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
