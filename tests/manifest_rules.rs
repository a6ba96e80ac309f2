//! The manifest's keys, a table a row of the specification: what is taken, what is refused, and at
//! which place under which code.

use std::os::unix::fs::symlink;

use crate::support::{BOTH, compile_file, compile_text, compile_with, folder};
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;

/// Each text compiles without a finding.
fn taken(texts: &[&str]) {
    for text in texts {
        let compiled = compile_text(text);
        assert!(
            compiled.codes.is_empty() && compiled.tree.is_some(),
            "{text}\n{:?} {:?}",
            compiled.codes,
            compiled.messages
        );
    }
}

/// Each text has exactly these findings.
fn found(table: &[(&str, &[&str])]) {
    for (text, codes) in table {
        let compiled = compile_text(text);
        assert_eq!(compiled.codes, *codes, "{text}\n{:?}", compiled.messages);
        let warnings_only =
            codes.iter().all(|code| ["BTL217", "BTL402", "BTL404"].iter().any(|warning| code.starts_with(warning)));
        assert_eq!(compiled.tree.is_some(), warnings_only, "{text}");
    }
}

/// A route with this host.
fn route(host: &str) -> String {
    format!("egress:\n  routes:\n    - host: {host}\n")
}

#[test]
fn name_is_a_short_lower_case_word() {
    let longest = format!("name: {}\n", "a".repeat(40));
    taken(&["name: a\n", "name: my-bottle-2\n", &longest]);
    let too_long = format!("name: {}\n", "a".repeat(41));
    found(&[
        ("name: Upper\n", &["BTL201 1:7"]),
        ("name: 2nd\n", &["BTL201 1:7"]),
        ("name: under_score\n", &["BTL201 1:7"]),
        ("name: ../up\n", &["BTL201 1:7"]),
        ("name: \"\"\n", &["BTL201 1:7"]),
        ("name: 7\n", &["BTL103 1:7"]),
        (&too_long, &["BTL201 1:7"]),
    ]);
}

#[test]
fn name_defaults_to_the_stem_of_the_file() {
    let folder =
        folder(&[("review.yaml", "env: {}\n"), ("review.bottle.yaml", "env: {}\n"), ("Not A Name.yaml", "env: {}\n")]);
    let compile = |file: &str| compile_file(&folder.path().join(file), &HostFacts::hermetic(), &BOTH);
    assert_eq!(compile("review.yaml").tree.unwrap().name.as_str(), "review");
    assert_eq!(compile("review.bottle.yaml").tree.unwrap().name.as_str(), "review");
    assert_eq!(compile("Not A Name.yaml").codes, ["BTL201 1:1"]);
}

#[test]
fn markdown_is_read_by_its_front_matter() {
    let text = "---\nenv:\n  A: b\n---\n# words: [not yaml\n";
    let folder = folder(&[("review.md", text), ("bare.md", "# no front matter\n"), ("bad.md", "---\nenvv: {}\n---\n")]);
    let compile = |file: &str| compile_file(&folder.path().join(file), &HostFacts::hermetic(), &BOTH);
    assert!(compile("review.md").file("agent/agent.env").contains("\nA=b\n"));
    assert_eq!(compile("bare.md").codes, ["BTL008 1:1"]);
    assert_eq!(compile("bad.md").codes, ["BTL101 2:1"]);
}

#[test]
fn yaml_is_a_strict_subset() {
    let deep = format!("env: {}{}\n", "[".repeat(70), "]".repeat(70));
    let large = format!("name: a\n# {}\n", "x".repeat(1 << 20));
    found(&[
        ("name: a\nname: b\n", &["BTL003 2:1"]),
        ("env: &anchor {}\n", &["BTL002 1:6"]),
        ("env:\n  A: &x text\n  B: *x\n", &["BTL002 2:6", "BTL002 3:6"]),
        ("env:\n  <<: {}\n", &["BTL002 2:3"]),
        ("name: !!str a\n", &["BTL002 1:7"]),
        ("env:\n  ? [a]\n  : b\n", &["BTL002 2:5"]),
        ("name: a\n---\nname: b\n", &["BTL002 2:1"]),
        ("name: [a\n", &["BTL001 2:1"]),
        ("env:\n\tA: b\n", &["BTL001 2:2"]),
        ("env:\n  A: \"b\u{7}\"\n", &["BTL007 2:8"]),
        ("env:\n  1: a\n", &["BTL103 2:3"]),
        ("- a\n", &["BTL103 1:1"]),
        (&deep, &["BTL005 1:69"]),
        (&large, &["BTL005 1:1"]),
    ]);
    taken(&["{}\n", "\u{feff}name: a\n", "name: a\r\nenv:\r\n  A: b\r\n", "---\nname: a\n"]);
}

#[test]
fn scalars_that_yaml_1_1_reads_differently_need_quotes() {
    for text in ["yes", "No", "on", "OFF", "y", "1:30", "1_000", "0b11", "2001-12-14", "="] {
        let compiled = compile_text(&format!("env:\n  A: {text}\n"));
        assert_eq!(compiled.codes, ["BTL004 2:6"], "{text}");
        let quoted = compile_text(&format!("env:\n  A: \"{text}\"\n"));
        assert!(quoted.file("agent/agent.env").contains(&format!("\nA={text}\n")), "{text}");
    }
    for text in ["0755", "true", "1.5", "~", "0o17"] {
        assert_eq!(compile_text(&format!("env:\n  A: {text}\n")).codes, ["BTL103 2:6"], "{text}");
    }
    found(&[
        ("env:\n  on: a\n", &["BTL004 2:3"]),
        ("egress:\n  routes:\n    - host: a.example\n      pipelock: { tls_passthrough: yes }\n", &["BTL103 4:36"]),
    ]);
}

#[test]
fn unknown_keys_are_errors_at_every_level() {
    found(&[
        ("envv: {}\n", &["BTL101 1:1"]),
        ("agent_provider: { templat: claude }\n", &["BTL101 1:19"]),
        ("network: { subnets: x }\n", &["BTL101 1:12"]),
        ("egress: { route: [] }\n", &["BTL101 1:11"]),
        ("egress:\n  routes:\n    - host: a.example\n      paths: [/a]\n", &["BTL101 4:7"]),
        ("egress:\n  routes:\n    - hots: a.example\n", &["BTL101 3:7"]),
        ("egress:\n  routes:\n    - host: a.example\n      pipelock: { passthrough: true }\n", &["BTL101 4:19"]),
        ("targets: { pipelok: \"3\" }\n", &["BTL101 1:12"]),
    ]);
}

#[test]
fn a_value_that_stands_alone_is_shown_in_its_place() {
    let route = |rest: &str| format!("egress:\n  routes:\n    - host: a.example\n      {rest}\n");
    for (text, example) in [
        ("agent_provider: codex\n".to_owned(), "`agent_provider: { template: codex }`"),
        ("agent_provider: ./agents/mine.yaml\n".to_owned(), "`agent_provider: { template: ./agents/mine.yaml }`"),
        ("agent_provider: cloude\n".to_owned(), "`agent_provider: { template: claude }`"),
        ("egress: { routes: [github.com] }\n".to_owned(), "`- host: github.com`"),
        ("egress: { routes: github.com }\n".to_owned(), "`routes: [{ host: github.com }]`"),
        (route("auth: Bearer"), "`auth: { scheme: Bearer, token_ref: API_TOKEN }`"),
        (route("auth: FORGE"), "`auth: { scheme: Bearer, token_ref: FORGE }`"),
        // A token is not repeated.
        (route("auth: ghp_0123456789abcdefghij"), "`auth: { scheme: Bearer, token_ref: API_TOKEN }`"),
        (route("path_allowlist: /v1"), "`path_allowlist: [/v1]`"),
        (route("path_allowlist: \"/a,b\""), "`path_allowlist: [\"/a,b\"]`"),
        (route("pipelock: true"), "`pipelock: { tls_passthrough: true }`"),
        ("network: 10.1.1.0/24\n".to_owned(), "`network: { subnet: \"10.1.1.0/24\" }`"),
    ] {
        let compiled = compile_text(&text);
        assert_eq!(compiled.codes.len(), 1, "{text} {:?}", compiled.codes);
        assert!(compiled.messages[0].ends_with(&format!("(write {example})")), "{text} {:?}", compiled.messages);
        // What is shown is taken where it is meant to stand.
        let shown = example.trim_matches('`').trim_start_matches("- ");
        assert!(serde_yaml::from_str::<serde_json::Value>(shown).unwrap().is_object(), "{shown}");
    }
}

#[test]
fn provider_is_a_known_one() {
    taken(&["agent_provider: { template: claude }\n", "agent_provider: { template: codex }\n", "agent_provider: {}\n"]);
    found(&[
        ("agent_provider: { template: cluade, auth_token: A }\n", &["BTL104 1:29"]),
        ("agent_provider: { template: \"\" }\n", &["BTL104 1:29"]),
        ("agent_provider: { template: 5 }\n", &["BTL103 1:29"]),
    ]);
}

#[test]
fn settings_belong_to_providers_that_take_them() {
    found(&[
        ("agent_provider: { template: codex, auth_token: TOKEN }\n", &["BTL301 1:48"]),
        ("agent_provider: { template: claude, forward_host_credentials: true }\n", &["BTL301 1:63"]),
        ("agent_provider: { auth_token: not-a-name }\n", &["BTL214 1:31"]),
        ("agent_provider: { auth_token: ghp_0123456789 }\n", &["BTL214 1:31"]),
        ("agent_provider: { template: codex, forward_host_credentials: \"true\" }\n", &["BTL103 1:62"]),
    ]);
    taken(&["agent_provider: { template: claude, forward_host_credentials: false }\n"]);
}

#[test]
fn image_and_dockerfile_are_one_choice() {
    taken(&[
        "agent_provider: { image: \"registry.example.com:5000/a/b:1\" }\n",
        "agent_provider: { image: agent }\n",
        "agent_provider: { dockerfile: bottle.yaml }\n",
    ]);
    found(&[
        ("agent_provider:\n  image: agent\n  dockerfile: bottle.yaml\n", &["BTL216 2:10"]),
        ("agent_provider: { image: \"a b\" }\n", &["BTL218 1:26"]),
        ("agent_provider: { image: \"a${B}\" }\n", &["BTL218 1:26"]),
        ("agent_provider: { image: /tmp/agent.tar }\n", &["BTL215 1:26"]),
        ("agent_provider: { image: ./agent.tar }\n", &["BTL501 1:26"]),
        ("agent_provider: { dockerfile: /etc/passwd }\n", &["BTL215 1:31"]),
        ("agent_provider: { dockerfile: missing }\n", &["BTL215 1:31"]),
        ("agent_provider: { dockerfile: ../../../../../../../etc/passwd }\n", &["BTL215 1:31"]),
        ("agent_provider: { dockerfile: .git }\n", &["BTL215 1:31"]),
    ]);
    let archive =
        compile_with("agent_provider: { image: ./x/../agent.tar }\n", &HostFacts::hermetic(), &[Backend::Smolmachines]);
    assert!(archive.file("Smolfile").contains("\nimage = \"../../agent.tar\"\n"));
}

#[test]
fn subnet_is_a_private_24() {
    taken(&[
        "network: { subnet: 10.1.2.0/24 }\n",
        "network: { subnet: 172.31.0.0/24 }\n",
        "network: { subnet: 192.168.9.0/24 }\n",
    ]);
    found(&[
        ("network: { subnet: 10.1.2.3/24 }\n", &["BTL208 1:20"]),
        ("network: { subnet: 10.1.0.0/16 }\n", &["BTL208 1:20"]),
        ("network: { subnet: 8.8.8.0/24 }\n", &["BTL208 1:20"]),
        ("network: { subnet: 172.32.0.0/24 }\n", &["BTL208 1:20"]),
        ("network: { subnet: \"fd00::/24\" }\n", &["BTL208 1:20"]),
        ("network: { subnet: ten }\n", &["BTL208 1:20"]),
        ("network:\n", &["BTL103 1:1"]),
    ]);
    let derived = compile_text("name: review\n");
    let subnet = "subnet: \"${BOTTLE_NET:-10.2";
    assert!(derived.file("compose.yaml").contains(subnet), "derived from the name, in 10.192.0.0/10");
    assert_eq!(derived.file("compose.yaml"), compile_text("name: review\n").file("compose.yaml"));
}

#[test]
fn variable_names_are_words() {
    taken(&["env: { _A1: x, a: z }\n"]);
    found(&[
        ("env: { 2A: x }\n", &["BTL209 1:8"]),
        ("env: { A-B: x }\n", &["BTL209 1:8"]),
        ("env: { \"A=B\": x }\n", &["BTL209 1:8"]),
        ("env: { \"\": x }\n", &["BTL209 1:8"]),
        ("env: { \"A\\nB\": x }\n", &["BTL209 1:8"]),
    ]);
}

#[test]
fn variable_values_are_text_a_host_variable_or_a_question() {
    let compiled = compile_text("env:\n  A: $$x$$${y\n");
    assert_eq!(compiled.codes, ["BTL210 2:6"]);
    let compiled = compile_text("env:\n  A: \"$$x $y $${Z}\"\n  B: ${HOST_B}\n  C: \"?\"\n  D: \"? Who\"\n");
    assert!(compiled.file("agent/agent.env").contains("\nA=$x $y ${Z}\n"));
    let index: serde_json::Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    let source = |name: &str| index["env"][name].clone();
    assert_eq!(source("A"), "literal");
    assert_eq!(source("B"), serde_json::json!({ "host_variable": "HOST_B" }));
    assert_eq!(source("C"), serde_json::json!({ "prompt": "" }));
    assert_eq!(source("D"), serde_json::json!({ "prompt": "Who" }));
    let long = format!("env:\n  A: {}\n", "x".repeat(70_000));
    found(&[
        ("env:\n  A: \"x${B}\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"${B}x\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"${1}\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"line\\nbreak\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"carriage\\rreturn\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"nul\\0\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"?two\\nlines\"\n", &["BTL210 2:6"]),
        ("env:\n  A: \"blank at the end \"\n", &["BTL501 2:6"]),
        ("env:\n  A: 8080\n", &["BTL103 2:6"]),
        (&long, &["BTL210 2:6"]),
    ]);
}

#[test]
fn variables_of_the_plan_are_left_alone() {
    for name in [
        "HTTPS_PROXY",
        "http_proxy",
        "NO_PROXY",
        "ALL_PROXY",
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "GIT_SSL_NO_VERIFY",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "HOME",
        "EGRESS_TOKEN_0",
        "egress_token_7",
        "DISABLE_AUTOUPDATER",
    ] {
        assert_eq!(compile_text(&format!("env:\n  {name}: x\n")).codes, ["BTL211 2:3"], "{name}");
    }
    let codex = "agent_provider: { template: codex }\nenv:\n  CODEX_CA_CERTIFICATE: x\n";
    assert_eq!(compile_text(codex).codes, ["BTL211 3:3"]);
}

#[test]
fn variables_that_displace_the_placeholder_are_refused_beside_it() {
    let claude = "agent_provider: { template: claude, auth_token: T }\nenv:\n  NAME: x\n";
    for name in [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
    ] {
        assert_eq!(compile_text(&claude.replace("NAME", name)).codes, ["BTL302 3:3"], "{name}");
    }
    let codex = "agent_provider: { template: codex, forward_host_credentials: true }\nenv:\n  NAME: x\n";
    for name in ["CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "CODEX_HOME", "OPENAI_BASE_URL"] {
        assert_eq!(compile_text(&codex.replace("NAME", name)).codes, ["BTL302 3:3"], "{name}");
    }
    taken(&["agent_provider: { template: codex }\nenv:\n  CODEX_API_KEY: x\n"]);
}

#[test]
fn variables_bound_at_launch_may_have_any_name_and_travel_under_bottlecs_own() {
    for name in ["PATH", "LD_PRELOAD", "DOCKER_HOST", "COMPOSE_FILE", "GIT_DIR", "BASH_ENV"] {
        for binding in ["${X}", "\"?\"", "x"] {
            taken(&[&format!("env:\n  {name}: {binding}\n")]);
        }
        let compiled = compile_text(&format!("env:\n  {name}: ${{X}}\n"));
        let entry = format!("\"{name}\": \"${{BOTTLE_ENV_{name}-}}\"");
        assert!(compiled.file("compose.yaml").contains(&entry), "{}", compiled.file("compose.yaml"));
        let entry = format!("\"{name}\" = {{ from_env = \"BOTTLE_ENV_{name}\" }}");
        assert!(compiled.file("Smolfile").contains(&entry), "{}", compiled.file("Smolfile"));
        assert!(!compiled.file("agent/agent.env").contains(name), "{}", compiled.file("agent/agent.env"));
    }
}

#[test]
fn credentials_do_not_reach_the_agent() {
    let with = |env: &str| format!("agent_provider: {{ auth_token: TOKEN }}\nenv:\n  {env}\n");
    assert_eq!(compile_text(&with("A: ${TOKEN}")).codes, ["BTL213 3:6"]);
    assert_eq!(compile_text(&with("TOKEN: ${OTHER}")).codes, ["BTL213 3:10"]);
    assert_eq!(compile_text(&with("TOKEN: \"?\"")).codes, ["BTL213 3:10"]);
    taken(&[&with("A: ${OTHER}"), &with("TOKEN: literal")]);
    let codex = "agent_provider: { template: codex, forward_host_credentials: true }\nenv:\n  A: ${BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN}\n";
    assert_eq!(compile_text(codex).codes, ["BTL213 3:6"]);
}

#[test]
fn host_is_an_exact_dns_name() {
    let label = "a".repeat(63);
    for (written, host) in [
        ("api.example.com", "api.example.com"),
        ("API.Example.COM", "api.example.com"),
        ("api.example.com.", "api.example.com"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("xn--ls8h.example", "xn--ls8h.example"),
        ("xn--4dbrk0ce.example", "xn--4dbrk0ce.example"),
        ("forge", "forge"),
        ("1password.com", "1password.com"),
        (&label, &label),
    ] {
        let compiled = compile_text(&route(written));
        assert!(compiled.file("egress/routes.yaml").contains(&format!("  - host: \"{host}\"\n")), "{written}");
        assert!(compiled.codes.is_empty(), "{written}");
    }
    let long = "a.".repeat(127) + "com";
    for written in [
        "https://api.example.com",
        "api.example.com:443",
        "api.example.com/v1",
        "\"*.example.com\"",
        "\"\"",
        "bücher.example",
        "a..b",
        ".example.com",
        "example.com..",
        "-a.example",
        "a-.example",
        "a_b.example",
        "10.0.0.1",
        "\"[::1]\"",
        "\"::1\"",
        "\" a.example\"",
        "\"a.example\\n\"",
        "a@b.example",
        &"a".repeat(64),
        &long,
        "example.123",
        // What egress takes for malformed: nonsense, a sharp s, what has two spellings, Hebrew with a digit at its end.
        "xn--a.example",
        "xn--strae-oqa.example",
        "xn--abc.example",
        "xn--0-oic2b.example",
        "1a.xn--4dbrk0ce.example",
    ] {
        assert_eq!(compile_text(&route(written)).codes, ["BTL203 3:13"], "{written}");
    }
}

#[test]
fn host_is_there_once() {
    found(&[
        ("egress:\n  routes:\n    - host: a.example\n    - host: A.example.\n", &["BTL204 4:13"]),
        ("egress:\n  routes:\n    - path_allowlist: [/a]\n", &["BTL102 3:7"]),
        ("egress:\n  routes: {}\n", &["BTL103 2:11"]),
    ]);
}

#[test]
fn path_prefixes_are_in_normal_form() {
    let with = |paths: &str| format!("egress:\n  routes:\n    - host: a.example\n      path_allowlist: [{paths}]\n");
    taken(&[&with("/"), &with("/a, /b/c"), &with("/a/"), &with("\"/a:b@c~d!e\""), &with("/a, /ab")]);
    for path in [
        "a",
        "\"\"",
        "/a/../b",
        "/./a",
        "/..",
        "//a",
        "/a//b",
        "\"/a?b\"",
        "\"/a#b\"",
        "/a%2fb",
        "'/a\\b'",
        "\"/a b\"",
        "/ä",
        "/a;b",
        "/...",
        "/a/..../b",
        "/x.git/Git-Receive-Pack",
    ] {
        assert_eq!(compile_text(&with(path)).codes, ["BTL205 4:24"], "{path}");
    }
    found(&[
        (&with(""), &["BTL217 4:23"]),
        (&with("/a, /a"), &["BTL217 4:28"]),
        (&with("/a, /a/b"), &["BTL217 4:28"]),
        (&with("/a/b, /a/"), &["BTL217 4:24"]),
        (&with("5"), &["BTL103 4:24"]),
    ]);
}

#[test]
fn auth_is_a_scheme_and_a_name() {
    let with = |auth: &str| {
        format!(
            "egress:\n  routes:\n    - host: a.example\n      pipelock: {{ tls_passthrough: true }}\n      auth: {{ {auth} }}\n"
        )
    };
    taken(&[
        &with("scheme: Bearer, token_ref: T"),
        &with("scheme: token, token_ref: T"),
        &with("scheme: Basic, username: git, token_ref: T"),
        &with("header: X-Api-Key, token_ref: T"),
        &with("header: authorization, prefix: \"Bot \", token_ref: T"),
        &with("header: x-a, prefix: \"key=\", token_ref: T"),
        &with("query: $key, token_ref: T"),
    ]);
    found(&[
        (&with("scheme: Bearer"), &["BTL102 5:7"]),
        (&with("token_ref: T"), &["BTL102 5:13"]),
        (&with("header: a, scheme: Bearer, token_ref: T"), &["BTL206 5:23"]),
        (&with("header: a, query: b, token_ref: T"), &["BTL206 5:33"]),
        (&with("query: b, prefix: \"c \", token_ref: T"), &["BTL206 5:33"]),
        (&with("header: a, username: c, token_ref: T"), &["BTL206 5:36"]),
        (&with("query: \"a&b\", token_ref: T"), &["BTL206 5:22"]),
        (&with("query: sk-live-0123456789, token_ref: T"), &["BTL214 5:22"]),
        (&with("header: a, prefix: Bot, token_ref: T"), &["BTL206 5:34"]),
        (&with("header: a, prefix: \" Bot \", token_ref: T"), &["BTL206 5:34"]),
        (&with("header: a, prefix: \"Bot\\r\\n \", token_ref: T"), &["BTL206 5:34"]),
        (&with("header: a, prefix: \"Bearer ghp_0123 \", token_ref: T"), &["BTL214 5:34"]),
        (&with("header: sk-live-0123456789, token_ref: T"), &["BTL214 5:23"]),
        (&with(""), &["BTL102 5:7"]),
        (&with("scheme: bearer, token_ref: T"), &["BTL104 5:23"]),
        (&with("scheme: Basic, token_ref: T"), &["BTL206 5:23"]),
        (&with("scheme: Bearer, token_ref: T, username: git"), &["BTL206 5:55"]),
        (&with("scheme: Basic, token_ref: T, username: \"a:b\""), &["BTL206 5:54"]),
        (&with("scheme: Bearer, token_ref: 2T"), &["BTL214 5:42"]),
        (&with("scheme: Bearer, token_ref: sk-live-0123456789"), &["BTL214 5:42"]),
    ]);
}

/// Names that would frame the request, hold for one hop, lead it elsewhere, or end the header.
#[test]
fn a_credential_is_in_no_header_that_the_hops_act_on() {
    for name in [
        "Host",
        "Content-Length",
        "content_length",
        "Transfer-Encoding",
        "transfer_encoding",
        "Content-Type",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "Via",
        "X-Forwarded-Host",
        "X-HTTP-Method-Override",
        "Sec-WebSocket-Protocol",
        "\"\"",
        "\"a b\"",
        "\"a:b\"",
        "\":path\"",
        "\"a\\r\\nb\"",
        "ä",
    ] {
        let text = format!(
            "egress:\n  routes:\n    - host: a.example\n      pipelock: {{ tls_passthrough: true }}\n      auth: {{ header: {name}, token_ref: T }}\n"
        );
        let compiled = compile_text(&text);
        assert_eq!(compiled.codes, ["BTL206 5:23"], "{name}");
    }
}

/// pipelock's log would have it.
#[test]
fn a_credential_in_the_query_needs_a_host_that_is_not_opened() {
    let text = "egress:\n  routes:\n    - host: a.example\n      auth: { query: key, token_ref: T }\n";
    found(&[(text, &["BTL206 4:22"])]);
}

#[test]
fn address_exceptions_are_small_and_private() {
    let with = |ranges: &str| {
        format!("egress:\n  routes:\n    - host: a.example\n      pipelock: {{ ssrf_ip_allowlist: [{ranges}] }}\n")
    };
    taken(&[&with("")]);
    found(&[
        (&with("10.20.0.0/16"), &["BTL404 4:39"]),
        (&with("\"fd12:3456::/32\""), &["BTL404 4:39"]),
        (&with("0.0.0.0/0"), &["BTL207 4:39"]),
        (&with("\"::/0\""), &["BTL207 4:39"]),
        (&with("10.0.0.1/8"), &["BTL207 4:39"]),
        (&with("10.0.0.1"), &["BTL207 4:39"]),
        (&with("169.254.169.254/32"), &["BTL207 4:39"]),
        (&with("169.254.0.0/16"), &["BTL207 4:39"]),
        (&with("128.0.0.0/1"), &["BTL207 4:39"]),
        (&with("\"fe80::/64\""), &["BTL207 4:39"]),
        (&with("\"fd00::/8\""), &["BTL207 4:39"]),
        (&with("100.100.100.200/32"), &["BTL207 4:39"]),
        (&with("\"::ffff:169.254.169.254/128\""), &["BTL207 4:39"]),
        (&with("private"), &["BTL207 4:39"]),
    ]);
}

#[test]
fn targets_are_known_releases() {
    taken(&["targets: { pipelock: \"2.3\", smolvm: \"1.9\" }\n", "targets: { pipelock: \"3\", smolvm: \"1.33\" }\n"]);
    found(&[
        ("targets: { pipelock: 2.3 }\n", &["BTL103 1:22"]),
        ("targets: { pipelock: \"2.2\" }\n", &["BTL104 1:22"]),
        ("targets: { smolvm: \"2\" }\n", &["BTL104 1:20"]),
    ]);
}

#[test]
fn parents_are_found_and_merged() {
    let files = [
        ("child.yaml", "extends: base\nagent_provider: { auth_token: CHILD }\nenv: { A: child }\n"),
        (
            "base.yaml",
            "extends: more/root.md\nenv: { A: base, B: base }\negress: { routes: [ { host: base.example } ] }\n",
        ),
        (
            "more/root.md",
            "---\nenv: { B: root, C: root }\negress: { routes: [ { host: root.example } ] }\nnetwork: { subnet: 10.9.8.0/24 }\n---\n",
        ),
        ("empty.yaml", "extends: base\negress: { routes: [] }\n"),
    ];
    let folder = folder(&files);
    let compile = |file: &str| compile_file(&folder.path().join(file), &HostFacts::hermetic(), &BOTH);
    let child = compile("child.yaml");
    let env = child.file("agent/agent.env");
    for line in ["\nA=child\n", "\nB=base\n", "\nC=root\n"] {
        assert!(env.contains(line), "{line} in {env}");
    }
    assert!(child.file("egress/routes.yaml").contains("base.example"));
    assert!(!child.file("egress/routes.yaml").contains("root.example"));
    assert!(child.file("compose.yaml").contains("10.9.8.0/25"));
    assert!(child.file("bottle.json").contains("\"/egress/routes/0/host\":\"base.yaml:3:29\""));
    assert!(!compile("empty.yaml").file("egress/routes.yaml").contains("base.example"));
}

#[test]
fn parents_that_cannot_be_used_are_reported_where_they_are_named() {
    let files = [
        ("project/own.yaml", "extends: own\n"),
        ("project/a.yaml", "name: x\nextends: b\n"),
        ("project/b.yaml", "extends: c.yaml\n"),
        ("project/c.yaml", "extends: a\n"),
        ("project/missing.yaml", "extends: nobody\n"),
        ("project/outside.yaml", "extends: ../outside.yaml\n"),
        ("project/link.yaml", "extends: linked\n"),
        ("project/absolute.yaml", "extends: /etc/passwd\n"),
        ("project/broken.yaml", "extends: wrong\nenv: { A: 5 }\n"),
        ("project/wrong.yaml", "nam: x\n"),
        ("outside.yaml", "name: outside\n"),
        ("project/.git/HEAD", ""),
    ];
    let folder = folder(&files);
    let project = folder.path().join("project");
    symlink(folder.path().join("outside.yaml"), project.join("linked.yaml")).unwrap();
    for (file, codes, words) in [
        ("own.yaml", &["BTL202 1:10"] as &[&str], "extends itself"),
        ("a.yaml", &["BTL202 1:10"], "a.yaml -> "),
        ("missing.yaml", &["BTL202 1:10"], "nobody.yaml, nobody.yml, nobody.bottle.yaml, nobody.md"),
        ("outside.yaml", &["BTL202 1:10"], "outside the project"),
        ("link.yaml", &["BTL202 1:10"], "outside the project"),
        ("absolute.yaml", &["BTL202 1:10"], "relative path"),
        ("broken.yaml", &["BTL103 2:11", "BTL101 1:1"], "did you mean `name`?"),
    ] {
        let compiled = compile_file(&project.join(file), &HostFacts::hermetic(), &BOTH);
        assert_eq!(compiled.codes, codes, "{file} {:?}", compiled.messages);
        assert!(compiled.messages.iter().any(|message| message.contains(words)), "{file} {:?}", compiled.messages);
    }
}
