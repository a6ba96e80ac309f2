//! What each provider asks for, as it reaches the artifacts: routes, variables, files, image.

use std::fs;
use std::path::Path;

use crate::support::{Compiled, compile_text};
use bottlec::value::allowlist::Admits as _;
use serde_json::{Value, json};

fn hosts(compiled: &Compiled) -> Vec<String> {
    let wire: Value = serde_yaml::from_str(compiled.file("egress/routes.yaml")).unwrap();
    wire["routes"].as_array().unwrap().iter().map(|route| route["host"].as_str().unwrap().to_owned()).collect()
}

fn has_variable(compiled: &Compiled, line: &str) -> bool {
    compiled.file("agent/agent.env").lines().any(|known| known == line)
}

#[test]
fn claude_with_a_token_signs_through_egress() {
    let compiled = compile_text("agent_provider: { auth_token: HOST_TOKEN }\n");
    assert_eq!(hosts(&compiled), ["api.anthropic.com"]);
    assert!(has_variable(&compiled, "CLAUDE_CODE_OAUTH_TOKEN=egress-placeholder"));
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["hidden_env_names"], json!(["CLAUDE_CODE_OAUTH_TOKEN"]));
    assert_eq!(
        index["slots"],
        json!([{ "slot": "EGRESS_TOKEN_0", "token_ref": "HOST_TOKEN", "source": "host_variable" }])
    );
    assert_eq!(index["command"], json!(["claude"]));
}

#[test]
fn claude_without_a_token_can_sign_in_inside_the_bottle() {
    let compiled = compile_text("{}\n");
    assert_eq!(hosts(&compiled), ["api.anthropic.com", "platform.claude.com"]);
    assert!(compiled.file("egress/routes.yaml").matches("keep_authorization: true").count() == 2);
    assert!(!compiled.file("agent/agent.env").contains("CLAUDE_CODE_OAUTH_TOKEN"));
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["hidden_env_names"], json!([]));
}

#[test]
fn claude_is_always_quiet_and_set_up() {
    for text in ["{}\n", "agent_provider: { auth_token: T }\n"] {
        let compiled = compile_text(text);
        for name in [
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
            "DISABLE_AUTOUPDATER",
            "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL",
            "IS_SANDBOX",
        ] {
            assert!(has_variable(&compiled, &format!("{name}=1")), "{name}");
        }
        let state: Value = serde_json::from_str(compiled.file("agent/home/.claude.json")).unwrap();
        assert_eq!(state["hasCompletedOnboarding"], true);
        assert_eq!(state["projects"]["/workspace"]["hasTrustDialogAccepted"], true);
        assert!(compiled.file("image/Dockerfile").contains("npm install --global @anthropic-ai/claude-code@2.1.330 "));
        assert!(
            compiled.file("pipelock/pipelock.yaml").contains("passthrough_domains:\n    - \"api.anthropic.com\"\n")
        );
    }
}

#[test]
fn codex_with_forwarded_credentials_never_reaches_the_login_host() {
    let compiled = compile_text("agent_provider: { template: codex, forward_host_credentials: true }\n");
    assert_eq!(hosts(&compiled), ["api.openai.com", "chatgpt.com"]);
    assert!(!compiled.file("pipelock/pipelock.yaml").contains("auth.openai.com"));
    assert!(compiled.file("agent/home/.codex/auth.json").contains("egress-placeholder"));
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["hermetic"], true, "the account is made up");
    assert_eq!(index["slots"].as_array().unwrap().len(), 1);
}

#[test]
fn codex_without_can_sign_in_inside_the_bottle() {
    let compiled = compile_text("agent_provider: { template: codex }\n");
    assert_eq!(hosts(&compiled), ["api.openai.com", "chatgpt.com", "auth.openai.com"]);
    assert!(compiled.tree.as_ref().unwrap().artifacts.iter().all(|artifact| !artifact.path.contains("auth.json")));
    assert_eq!(compiled.file("egress/routes.yaml").matches("keep_authorization: true").count(), 3);
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["hermetic"], false, "there is no account to make up");
}

#[test]
fn a_provider_refuses_its_own_credentials_beside_a_sign_in() {
    for provider in &bottlec::provider::ALL {
        let sign_in =
            if provider.get().takes_auth_token() { "auth_token: T" } else { "forward_host_credentials: true" };
        for variable in &provider.get().credential_variables {
            let with = |sign_in: &str| {
                let name = provider.name();
                compile_text(&format!("agent_provider: {{ template: {name}{sign_in} }}\nenv: {{ {variable}: x }}\n"))
                    .codes
            };
            assert_eq!(with(&format!(", {sign_in}")), ["BTL302 2:8"], "{variable}");
            assert!(with("").is_empty(), "{variable}");
        }
    }
}

#[test]
fn what_a_provider_cannot_do_without_is_among_its_paths() {
    use bottlec::provider::facts::HostFacts;
    use bottlec::provider::{ALL, Provider, Settings};
    use bottlec::text::diagnostic::Findings;
    for provider in ALL.iter().map(Provider::from) {
        let plan = provider.plan(&Settings::default(), &HostFacts::hermetic(), &mut Findings::default()).unwrap();
        for route in plan.egress_routes {
            assert!(!route.path_allowlist.is_empty(), "{}", route.host);
            let is_there = |path| route.path_allowlist.iter().any(|own| own.covers(path));
            assert!(route.essential_paths.iter().all(is_there), "{}", route.host);
        }
    }
}

#[test]
fn codex_is_always_quiet_and_trusts_egress() {
    for text in [
        "agent_provider: { template: codex }\n",
        "agent_provider: { template: codex, forward_host_credentials: true }\n",
    ] {
        let compiled = compile_text(text);
        assert!(has_variable(&compiled, "CODEX_CA_CERTIFICATE=/bottle/ca/egress.pem"));
        assert!(
            !compiled
                .tree
                .as_ref()
                .unwrap()
                .artifacts
                .iter()
                .any(|artifact| artifact.content.contains("OPENAI_API_KEY="))
        );
        let config: toml::Table = toml::from_str(compiled.file("agent/home/.codex/config.toml")).unwrap();
        assert_eq!(config["check_for_update_on_startup"].as_bool(), Some(false));
        assert_eq!(config["analytics"]["enabled"].as_bool(), Some(false));
        for feature in ["apps", "plugins", "daemon_auto_start"] {
            assert_eq!(config["features"][feature].as_bool(), Some(false), "{feature}");
        }
        assert_eq!(config["projects"]["/workspace"]["trust_level"].as_str(), Some("trusted"));
    }
}

#[test]
fn every_agent_is_led_to_egress_and_trusts_it() {
    for template in bottlec::provider::ALL.iter().map(|provider| provider.name()) {
        let compiled =
            compile_text(&format!("agent_provider: {{ template: {template} }}\nnetwork: {{ subnet: 10.1.2.0/24 }}\n"));
        for line in [
            "HTTP_PROXY=http://10.1.2.2:9099",
            "HTTPS_PROXY=http://10.1.2.2:9099",
            "http_proxy=http://10.1.2.2:9099",
            "https_proxy=http://10.1.2.2:9099",
            "NO_PROXY=localhost,127.0.0.1,::1",
            "no_proxy=localhost,127.0.0.1,::1",
            "NODE_EXTRA_CA_CERTS=/bottle/ca/egress.pem",
            "SSL_CERT_FILE=/bottle/ca/bundle.pem",
            "REQUESTS_CA_BUNDLE=/bottle/ca/bundle.pem",
            "CURL_CA_BUNDLE=/bottle/ca/bundle.pem",
            "GIT_SSL_CAINFO=/bottle/ca/bundle.pem",
        ] {
            assert!(has_variable(&compiled, line), "{template} {line}");
        }
    }
}

#[test]
fn no_provider_is_named_outside_its_folder() {
    let agents = bottlec::provider::ALL.iter().map(|provider| provider.name());
    let services = bottlec::provider::SERVICES.iter().map(|service| service.name());
    let words: Vec<&str> = agents.chain(services).chain(["chatgpt"]).collect();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![source.clone()];
    let mut read = 0;
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(&source).unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                open.push(path);
            } else if !inside.starts_with("provider") {
                read += 1;
                let text = fs::read_to_string(&path).unwrap().to_lowercase();
                for (number, line) in text.lines().enumerate() {
                    assert!(!words.iter().any(|word| line.contains(word)), "{inside}:{} names a provider", number + 1);
                }
            }
        }
    }
    assert!(read > 20, "the sources were not found");
}
