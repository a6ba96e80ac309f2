//! Egress: how provider and manifest routes become one list, which slots they get, and what crosses
//! the wire.

use crate::support;
use crate::support::{compile_text, compile_with};
use serde_json::{Value, json};

use bottlec::compile::index::Index;
use bottlec::compile::link;
use bottlec::link::egress::Egress;
use bottlec::link::environment::Environment;
use bottlec::manifest::{self, Loaded};
use bottlec::provider::facts::HostFacts;
use bottlec::target::{self, Job, pipelock};
use bottlec::value::digest;
use bottlec::value::slot;

fn routes(text: &str) -> Vec<Value> {
    let compiled = compile_text(text);
    let wire: Value = serde_yaml::from_str(compiled.file("egress/routes.yaml")).unwrap();
    let is_signed = wire["routes"].as_array().unwrap().iter().any(|route| route["token_env"].is_string());
    assert_eq!(wire.as_object().unwrap().len(), if is_signed { 2 } else { 1 });
    assert_eq!(wire["slots"].is_string(), is_signed);
    wire["routes"].as_array().unwrap().clone()
}

const CLAUDE: &str = "agent_provider: { template: claude, auth_token: AGENT }\n";
const CODEX: &str = "agent_provider: { template: codex, forward_host_credentials: true }\n";

#[test]
fn provider_routes_come_first_then_the_manifests() {
    let text = format!("{CODEX}egress:\n  routes:\n    - host: z.example\n    - host: a.example\n");
    let hosts: Vec<_> = routes(&text).iter().map(|route| route["host"].clone()).collect();
    assert_eq!(hosts, ["api.openai.com", "chatgpt.com", "z.example", "a.example"]);
}

#[test]
fn slots_are_given_by_token_ref_in_order_of_first_use() {
    let route = |host: &str, token: &str| {
        format!(
            "    - host: {host}\n      auth: {{ scheme: Bearer, token_ref: {token} }}\n      pipelock: {{ tls_passthrough: true }}\n"
        )
    };
    let text = format!(
        "{CODEX}egress:\n  routes:\n{}{}{}{}",
        route("a.example", "B"),
        route("b.example", "A"),
        route("c.example", "B"),
        "    - host: d.example\n"
    );
    let slots: Vec<_> = routes(&text).iter().map(|route| route["token_env"].clone()).collect();
    assert_eq!(
        slots,
        [
            json!("EGRESS_TOKEN_0"),
            json!("EGRESS_TOKEN_0"),
            json!("EGRESS_TOKEN_1"),
            json!("EGRESS_TOKEN_2"),
            json!("EGRESS_TOKEN_1"),
            Value::Null
        ]
    );
    let compiled = compile_text(&text);
    assert!(
        compiled
            .file("egress/egress.env")
            .ends_with("\nEGRESS_SLOTS\nEGRESS_TOKEN_0\nEGRESS_TOKEN_1\nEGRESS_TOKEN_2\n")
    );
    let index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    assert_eq!(index["slots"][0]["token_ref"], "BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN");
    assert_eq!(index["slots"][0]["source"]["host_file"]["json_pointer"], "/tokens/access_token");
    assert_eq!(index["slots"][1], json!({ "slot": "EGRESS_TOKEN_1", "token_ref": "B", "source": "host_variable" }));
}

/// One line for each slot; the addon compares the digest with what `exec` says of the same lines.
#[test]
fn the_wire_says_which_token_each_slot_holds_for_which_hosts() {
    let route = |host: &str, token: &str| {
        format!(
            "    - host: {host}\n      auth: {{ scheme: Bearer, token_ref: {token} }}\n      pipelock: {{ tls_passthrough: true }}\n"
        )
    };
    let slots = |routes: &[String]| {
        let compiled = compile_text(&format!("egress:\n  routes:\n{}", routes.concat()));
        let wire: Value = serde_yaml::from_str(compiled.file("egress/routes.yaml")).unwrap();
        wire["slots"].clone()
    };
    let [z, a, b] = [route("z.example", "Z"), route("a.example", "Z"), route("b.example", "B")];
    let text = "EGRESS_TOKEN_0=Z@a.example,z.example\nEGRESS_TOKEN_1=B@b.example\n";
    let first = slots(&[z.clone(), a.clone(), b.clone()]);
    assert_eq!(first, digest::hash(text.as_bytes()));
    // Of routes in another order only what becomes of the slots matters.
    assert_eq!(first, slots(&[a.clone(), b.clone(), z.clone()]));
    for others in
        [vec![b.clone(), z.clone(), a.clone()], vec![z.clone(), b.clone()], vec![z, a, route("b.example", "C")]]
    {
        assert_ne!(first, slots(&others));
    }
}

#[test]
fn more_than_ten_slots_keep_their_order() {
    let many: String = (0..12)
        .map(|n| format!("    - host: h{n}.example\n      auth: {{ scheme: token, token_ref: T{n} }}\n      pipelock: {{ tls_passthrough: true }}\n"))
        .collect();
    let compiled = compile_text(&format!("egress:\n  routes:\n{many}"));
    let names: Vec<&str> = compiled.file("egress/egress.env").lines().skip(1).collect();
    let slots = (0..12).map(|n| format!("EGRESS_TOKEN_{n}"));
    assert_eq!(names, [slot::BINDING.to_owned()].into_iter().chain(slots).collect::<Vec<_>>());
}

#[test]
fn wire_has_schemes_and_slots_and_neither_token_refs_nor_empty_fields() {
    let text = format!(
        "{CLAUDE}egress:\n  routes:\n    - host: basic.example\n      path_allowlist: [/a, /b]\n      auth: {{ scheme: Basic, username: \"ro bot\", token_ref: SECRET_NAME }}\n      pipelock: {{ tls_passthrough: true, ssrf_ip_allowlist: [10.0.0.0/24] }}\n    - host: plain.example\n    - host: spliced.example\n      pipelock: {{ tls_passthrough: true }}\n    - host: kept.example\n      keep_authorization: true\n      pipelock: {{ tls_passthrough: true }}\n"
    );
    assert_eq!(
        routes(&text),
        [
            json!({ "host": "api.anthropic.com", "path_allowlist": ["/v1/messages", "/api/claude_code"], "auth_scheme": "Bearer", "token_env": "EGRESS_TOKEN_0" }),
            json!({ "host": "basic.example", "path_allowlist": ["/a", "/b"], "auth_scheme": "Basic", "auth_username": "ro bot", "token_env": "EGRESS_TOKEN_1" }),
            json!({ "host": "plain.example", "opened": true }),
            json!({ "host": "spliced.example" }),
            json!({ "host": "kept.example", "keep_authorization": true }),
        ]
    );
    let compiled = compile_text(&text);
    for path in [
        "egress/routes.yaml",
        "egress/egress.env",
        "compose.yaml",
        "Smolfile",
        "pipelock/pipelock.yaml",
        "agent/agent.env",
    ] {
        assert!(!compiled.file(path).contains("SECRET_NAME") && !compiled.file(path).contains("\"AGENT\""), "{path}");
    }
}

#[test]
fn a_manifest_route_narrows_a_provider_host_by_path() {
    let text = format!(
        "{CODEX}egress:\n  routes:\n    - host: CHATGPT.com.\n      path_allowlist: [/backend-api/codex/responses, /backend-api/wham/accounts]\n"
    );
    let compiled = compile_text(&text);
    assert!(compiled.codes.is_empty(), "{:?}", compiled.messages);
    assert_eq!(
        routes(&text)[1],
        json!({ "host": "chatgpt.com", "path_allowlist": ["/backend-api/codex/responses", "/backend-api/wham/accounts"], "auth_scheme": "Bearer", "token_env": "EGRESS_TOKEN_0" })
    );
    let index = Index::parse(compiled.file("bottle.json").as_bytes()).unwrap();
    assert_eq!(
        serde_json::to_value(index.provenance("egress/routes.yaml", "/routes/1")).unwrap(),
        json!({ "provider": { "provider": "codex", "rule": "model-api", "narrowed_at": "bottle.yaml:4:13", "asked_at": "bottle.yaml:1:62" } })
    );
    assert!(
        compiled
            .file("pipelock/pipelock.yaml")
            .contains("passthrough_domains:\n    - \"api.openai.com\"\n    - \"chatgpt.com\"\n")
    );
}

#[test]
fn any_other_difference_from_a_provider_route_is_a_conflict() {
    let narrowed = |host: &str| match host {
        "api.anthropic.com" => "/v1/messages",
        "platform.claude.com" => "/v1/oauth/token",
        "auth.openai.com" => "/api/accounts/deviceauth, /oauth/token",
        _ => "/v1/responses",
    };
    let bare = "agent_provider: { template: claude }\n";
    for (provider, host, own, codes) in [
        (CLAUDE, "api.anthropic.com", "auth: { scheme: Bearer, token_ref: AGENT }", &[] as &[&str]),
        (CLAUDE, "api.anthropic.com", "auth: { scheme: Bearer, token_ref: OTHER }", &["BTL401 6:23"]),
        (CLAUDE, "api.anthropic.com", "auth: { scheme: token, token_ref: AGENT }", &["BTL401 6:23"]),
        (CLAUDE, "api.anthropic.com", "pipelock: { tls_passthrough: true }", &[]),
        (CLAUDE, "api.anthropic.com", "pipelock: { tls_passthrough: false }", &["BTL401 6:36"]),
        (CLAUDE, "api.anthropic.com", "pipelock: { ssrf_ip_allowlist: [10.0.0.0/24] }", &["BTL401 6:39"]),
        (CLAUDE, "api.anthropic.com", "keep_authorization: true", &["BTL401 6:27"]),
        (CLAUDE, "api.anthropic.com", "keep_authorization: false", &[]),
        (bare, "api.anthropic.com", "keep_authorization: true", &[]),
        (bare, "platform.claude.com", "keep_authorization: false", &["BTL401 6:27"]),
        (bare, "platform.claude.com", "auth: { scheme: Bearer, token_ref: T }", &["BTL401 6:23"]),
        (
            "agent_provider: { template: codex }\n",
            "auth.openai.com",
            "auth: { scheme: Bearer, token_ref: T }",
            &["BTL401 6:23"],
        ),
        (CODEX, "api.openai.com", "auth: { scheme: Bearer, token_ref: OPENAI_KEY }", &["BTL401 6:23"]),
    ] {
        let compiled = compile_text(&format!(
            "{provider}egress:\n  routes:\n    - host: {host}\n      path_allowlist: [{}]\n      {own}\n",
            narrowed(host)
        ));
        assert_eq!(compiled.codes, codes, "{host} {own} {:?}", compiled.messages);
        assert_eq!(compiled.tree.is_none(), !codes.is_empty(), "{host} {own}");
        assert!(codes.is_empty() || compiled.messages[0].contains("its rule `"), "{:?}", compiled.messages);
    }
}

#[test]
fn a_route_that_repeats_the_providers_is_reported() {
    let compiled =
        compile_text("egress:\n  routes:\n    - host: api.anthropic.com\n      pipelock: { tls_passthrough: true }\n");
    assert_eq!(compiled.codes, ["BTL217 3:13"]);
    assert!(compiled.tree.is_some());
}

#[test]
fn a_host_that_a_provider_keeps_closed_is_opened_by_a_manifest_alone_and_reported() {
    let text = format!("{CODEX}egress:\n  routes:\n    - host: auth.openai.com\n");
    assert_eq!(routes(&text)[2], json!({ "host": "auth.openai.com", "opened": true }));
    assert_eq!(compile_text(&text).codes, ["BTL413 4:13"]);
}

#[test]
fn a_providers_own_paths_count_until_a_manifest_writes_others() {
    let paths = |text: &str| routes(text)[0]["path_allowlist"].clone();
    let with = |list: &str| format!("{CLAUDE}egress:\n  routes:\n    - host: api.anthropic.com\n{list}");
    let own = json!(["/v1/messages", "/api/claude_code"]);
    assert_eq!(paths(CLAUDE), own);
    assert_eq!(paths(&with("")), own, "a route that repeats the provider's takes nothing away and adds nothing");
    for (list, codes) in [
        ("/v1/messages", &[] as &[&str]),
        ("/v1/messages, /v1/files", &["BTL412 5:38"]),
        ("/", &["BTL412 5:24"]),
        ("/v1/messages/count_tokens", &["BTL411 4:13"]),
        ("/v1/files", &["BTL411 4:13", "BTL412 5:24"]),
    ] {
        let text = with(&format!("      path_allowlist: [{list}]\n"));
        assert_eq!(compile_text(&text).codes, codes, "{list}");
        assert_eq!(paths(&text), json!(list.split(", ").collect::<Vec<_>>()));
    }
}

#[test]
fn a_login_inside_the_bottle_needs_its_paths() {
    let narrowed = |list: &str| {
        let text = format!(
            "agent_provider: {{ template: codex }}\negress:\n  routes:\n    - host: auth.openai.com\n      path_allowlist: [{list}]\n"
        );
        compile_text(&text).codes
    };
    assert_eq!(narrowed("/api/accounts/deviceauth/"), ["BTL411 4:13"]);
    assert!(narrowed("/api/accounts/deviceauth, /oauth/token").is_empty());
}

#[test]
fn a_credential_on_an_opened_host_is_reported() {
    let text = |pipelock: &str| {
        format!("egress:\n  routes:\n    - host: a.example\n      auth: {{ scheme: Bearer, token_ref: T }}\n{pipelock}")
    };
    assert_eq!(compile_text(&text("")).codes, ["BTL402 4:23"]);
    assert_eq!(compile_text(&text("      pipelock: { tls_passthrough: false }\n")).codes, ["BTL402 4:23"]);
    assert!(compile_text(&text("      pipelock: { tls_passthrough: true }\n")).codes.is_empty());
}

#[test]
fn no_routes_make_no_pipelock_file() {
    let folder = support::folder(&[("bottle.yaml", "name: empty\n")]);
    let Loaded { sources, manifest, mut findings, .. } = manifest::load(&folder.path().join("bottle.yaml")).unwrap();
    let bottle = manifest::check(&manifest.unwrap(), &sources, &mut findings).unwrap();
    let linked = link(&bottle, &HostFacts::hermetic(), &support::BOTH, &mut findings).unwrap();
    let environment = Environment::default();
    let files = |egress: &Egress| {
        let job =
            Job { bottle: &bottle, plan: &linked.plan, egress, environment: &environment, backends: &support::BOTH };
        let pipelock = target::ALL.iter().find(|target| target.name() == "pipelock").unwrap();
        pipelock.emit(&job, &[]).unwrap().into_iter().map(|file| file.artifact.path).collect::<Vec<_>>()
    };
    assert_eq!(files(&linked.egress), [pipelock::FILE]);
    assert!(files(&Egress::default()).is_empty());
}

#[test]
fn merging_is_judged_in_the_same_run_as_everything_else() {
    let text = format!(
        "{CLAUDE}env: {{ HTTPS_PROXY: x }}\negress:\n  routes:\n    - host: api.anthropic.com\n      pipelock: {{ tls_passthrough: false }}\n    - host: \"*.example\"\n"
    );
    let compiled = compile_with(&text, &HostFacts::hermetic(), &support::BOTH);
    assert_eq!(compiled.codes, ["BTL211 2:8", "BTL401 6:36", "BTL203 7:13"]);
}
