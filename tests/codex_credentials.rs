//! The host's Codex login: what is refused and in which words, and the dummy that is made of it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{BOTH, Compiled, bottlec, compile_with, files_below, folder, programs, screen};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use bottlec::provider::facts::{FileProblem, HostCredentials, HostFacts};
use bottlec::value::secret::Secret;
use proptest::prelude::*;
use serde_json::{Value, json};

const MANIFEST: &str = "name: codex\nagent_provider:\n  template: codex\n  forward_host_credentials: true\n";
/// 2100-01-01: tests that run the program go by the real clock.
const NOW: i64 = 4_102_444_800;
const EXPIRY: i64 = NOW + 86_400;
const ACCOUNT: &str = "0a1b2c3d-1111-4222-8333-444455556666";

/// A token as the service signs it.
fn token(claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "RS256", "kid": "host-key-id-19344e65", "typ": "JWT" });
    format!(
        "{}.{}.{}",
        encode(&header),
        encode(claims),
        URL_SAFE_NO_PAD.encode("host-signature-bytes-that-nobody-may-see")
    )
}

fn access_claims() -> Value {
    json!({
        "aud": ["https://host-audience.example/v1"],
        "client_id": "app_host_client",
        "exp": EXPIRY,
        "iat": NOW - 10,
        "jti": "host-token-id-5f0c",
        "https://api.openai.com/auth": {
            "chatgpt_account_id": ACCOUNT,
            "chatgpt_account_user_id": "user-host__0a1b2c3d",
            "chatgpt_compute_residency": "host_residency",
            "chatgpt_plan_type": "enterprise",
            "chatgpt_user_id": "user-HostUser42",
            "chatgpt_account_is_fedramp": true,
            "groups": ["host-group"],
            "poid": "org-host-poid",
            "user_id": "user-HostUser42",
        },
        "https://api.openai.com/profile": { "email": "somebody@host.example", "email_verified": true },
        "scp": ["openid", "host-scope"],
        "session_id": "host-session-77aa",
        "sub": "auth0|host-subject",
    })
}

fn host_file() -> Value {
    let mut id = access_claims();
    id["email"] = json!("somebody@host.example");
    id["exp"] = json!(NOW - 5);
    id["name"] = json!("Host Person");
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": token(&id),
            "access_token": token(&access_claims()),
            "refresh_token": "rt_host-refresh-token-9d8c7b6a5f4e3d2c1b0a",
            "account_id": ACCOUNT,
            "new_token": "host-unknown-token",
        },
        "last_refresh": "2026-11-20T10:11:12.345678901Z",
        "agent_identity": "host-agent-identity-jwt",
        "personal_access_token": "host-pat",
        "unknown": { "nested": "host-nested" },
        "unknown_list": ["host-listed"],
        "unknown_text": "host-text",
        "unknown_number": 4711,
        "unknown_flag": true,
    })
}

fn facts(content: Result<Vec<u8>, FileProblem>) -> HostFacts {
    let path = "/home/somebody/.codex/auth.json".to_owned();
    let content = content.map(Secret::new);
    HostFacts { now: NOW, credentials: HostCredentials::File { path, mode: Some(0o600), content } }
}

fn compile_host(file: &Value) -> Compiled {
    compile_with(MANIFEST, &facts(Ok(file.to_string().into_bytes())), &BOTH)
}

fn dummy(compiled: &Compiled) -> Value {
    serde_json::from_str(compiled.file("agent/home/.codex/auth.json")).unwrap()
}

fn claims_of(token: &Value) -> Value {
    let parts: Vec<&str> = token.as_str().unwrap().split('.').collect();
    assert!(parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && !part.contains('=')), "{parts:?}");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap()
}

#[test]
fn dummy_tokens_end_when_the_host_access_token_does() {
    let dummy = dummy(&compile_host(&host_file()));
    for name in ["access_token", "id_token"] {
        assert_eq!(claims_of(&dummy["tokens"][name])["exp"], json!(EXPIRY), "{name}");
    }
}

#[test]
fn dummy_keeps_what_codex_needs_and_nothing_else() {
    let dummy = dummy(&compile_host(&host_file()));
    let placeholder = "egress-placeholder";
    assert_eq!(dummy["auth_mode"], "chatgpt");
    assert_eq!(dummy["OPENAI_API_KEY"], Value::Null);
    assert_eq!(dummy["tokens"]["account_id"], ACCOUNT);
    assert_eq!(dummy["tokens"]["refresh_token"], placeholder);
    assert_eq!(dummy["tokens"]["new_token"], placeholder);
    assert_eq!(dummy["last_refresh"], "2026-11-20T10:11:12.345678901Z");
    assert_eq!(dummy["agent_identity"], Value::Null);
    assert_eq!(dummy["personal_access_token"], Value::Null);
    assert_eq!(dummy["unknown"], json!({}));
    assert_eq!(dummy["unknown_list"], json!([]));
    assert_eq!(dummy["unknown_text"], placeholder);
    assert_eq!(dummy["unknown_number"], 0);
    assert_eq!(dummy["unknown_flag"], false);
    let claims = claims_of(&dummy["tokens"]["id_token"]);
    assert_eq!(claims["email"], placeholder);
    assert_eq!(claims["https://api.openai.com/profile"], json!({}));
    assert_eq!(
        claims["https://api.openai.com/auth"],
        json!({
            "chatgpt_account_id": ACCOUNT,
            "chatgpt_account_user_id": placeholder,
            "chatgpt_compute_residency": placeholder,
            "chatgpt_plan_type": "enterprise",
            "chatgpt_user_id": "user-HostUser42",
            "chatgpt_account_is_fedramp": true,
            "groups": [],
            "poid": placeholder,
            "user_id": "user-HostUser42",
        })
    );
}

#[test]
fn last_refresh_is_always_a_time_that_codex_can_parse() {
    for (written, kept) in [
        (json!("2026-11-20T10:11:12Z"), "2026-11-20T10:11:12Z"),
        (json!("2026-11-20T10:11:12+02:00"), "2026-11-20T08:11:12Z"),
        (json!("yesterday"), "2026-01-01T00:00:00Z"),
        (json!(5), "2026-01-01T00:00:00Z"),
        (json!(null), "2026-01-01T00:00:00Z"),
    ] {
        let mut file = host_file();
        file["last_refresh"] = written.clone();
        assert_eq!(dummy(&compile_host(&file))["last_refresh"], kept, "{written}");
    }
    let mut file = host_file();
    file.as_object_mut().unwrap().remove("last_refresh");
    assert_eq!(dummy(&compile_host(&file))["last_refresh"], "2026-01-01T00:00:00Z");
}

/// Every text of a value, and what is inside its tokens.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            found.push(text.clone());
            for part in text.split('.').filter(|_| text.matches('.').count() == 2) {
                found.push(part.to_owned());
                if let Ok(inner) = URL_SAFE_NO_PAD.decode(part)
                    && let Ok(inner) = serde_json::from_slice::<Value>(&inner)
                {
                    texts(&inner, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(entries) => entries.values().for_each(|value| texts(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A secret in the forms that a careless program would write it in; base64 at each alignment.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let mut forms = vec![
        secret.to_owned(),
        bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes.iter().map(|byte| format!("%{byte:02X}")).collect(),
        bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect(),
        secret.chars().rev().collect(),
    ];
    for shift in 0..3 {
        let shifted = [&b"xx"[..shift], bytes].concat();
        for engine in [&STANDARD, &URL_SAFE, &STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            // The ends depend on what stands beside the secret.
            let text = engine.encode(&shifted);
            let inner = text.trim_end_matches('=');
            forms.extend(inner.get(4..inner.len().saturating_sub(4)).map(str::to_owned));
        }
    }
    forms.retain(|form| form.len() >= 6);
    forms
}

/// What may be the same in the host's file and in ours.
fn is_kept(text: &str) -> bool {
    [ACCOUNT, "chatgpt", "enterprise", "user-HostUser42", "2026-11-20T10:11:12.345678901Z", "JWT", "RS256"]
        .contains(&text)
}

#[test]
fn nothing_of_a_host_secret_is_in_any_output_or_message_in_any_form() {
    let host = host_file();
    let folder = folder(&[("bottle.yaml", MANIFEST), ("auth.json", &host.to_string())]);
    let mut secrets = Vec::new();
    texts(&host, &mut secrets);
    secrets.retain(|secret| !is_kept(secret));
    assert!(secrets.len() > 25, "{secrets:?}");

    let mut said = String::new();
    for arguments in [
        ["build", "bottle.yaml", "-o", "out", "--host-credentials", "auth.json"].as_slice(),
        &["build", "bottle.yaml", "-o", "out", "--host-credentials", "auth.json", "-v"],
        &["build", "bottle.yaml", "-o", "out", "--host-credentials", "auth.json", "--check"],
        &["build", "bottle.yaml", "-o", "-", "--host-credentials", "auth.json"],
    ] {
        let run = bottlec(folder.path(), arguments);
        said.push_str(&String::from_utf8(run.stdout).unwrap());
        said.push_str(&String::from_utf8(run.stderr).unwrap());
    }
    for entry in files_below(&folder.path().join("out")) {
        said.push_str(&fs::read_to_string(entry).unwrap());
    }
    // Inside our own tokens too.
    let mut ours = Vec::new();
    texts(
        &serde_json::from_str(
            &fs::read_to_string(folder.path().join("out/codex/agent/home/.codex/auth.json")).unwrap(),
        )
        .unwrap(),
        &mut ours,
    );
    said.push_str(&ours.join("\n"));
    for secret in &secrets {
        for form in forms(secret) {
            assert!(!said.contains(&form), "{form:?}, a form of {secret:?}, got out");
        }
    }
}

#[test]
fn host_files_that_cannot_be_used_are_refused_in_words() {
    let with = |change: fn(&mut Value)| {
        let mut file = host_file();
        change(&mut file);
        Ok(file.to_string().into_bytes())
    };
    let opaque = "host-opaque-token";
    let table = [
        (
            Err(FileProblem::Missing),
            "there is no Codex auth file at /home/somebody/.codex/auth.json",
            "codex login --device-auth",
        ),
        (Err(FileProblem::NoPlace), "neither CODEX_HOME nor HOME", "--host-credentials"),
        (Err(FileProblem::Unreadable), "cannot be read", "user who runs bottlec"),
        (Err(FileProblem::TooLarge), "too large", "--host-credentials"),
        (Ok(b"{not json".to_vec()), "not a JSON object", "codex login --device-auth"),
        (Ok(b"[]".to_vec()), "not a JSON object", "codex login --device-auth"),
        (Ok(b"\xff\xfe".to_vec()), "not a JSON object", "codex login --device-auth"),
        (with(|file| file["auth_mode"] = json!("apikey")), "not from a ChatGPT login", "codex login --device-auth"),
        (with(|file| file["auth_mode"] = json!("api_key")), "not from a ChatGPT login", "codex login --device-auth"),
        (with(|file| file["auth_mode"] = json!("Chatgpt")), "not from a ChatGPT login", "codex login --device-auth"),
        (
            with(|file| file["auth_mode"] = json!("chatgptAuthTokens")),
            "not from a ChatGPT login",
            "codex login --device-auth",
        ),
        (with(|file| file["auth_mode"] = json!(5)), "not from a ChatGPT login", "codex login --device-auth"),
        (with(|file| file["auth_mode"] = Value::Null), "no `auth_mode`", "codex login --device-auth"),
        (with(|file| file["tokens"] = Value::Null), "no `tokens`", "codex login --device-auth"),
        (with(|file| file["tokens"] = json!([])), "no `tokens`", "codex login --device-auth"),
        (
            with(|file| file["tokens"]["access_token"] = json!("")),
            "no `tokens.access_token`",
            "codex login --device-auth",
        ),
        (
            with(|file| file["tokens"]["access_token"] = json!(7)),
            "no `tokens.access_token`",
            "codex login --device-auth",
        ),
        (
            with(|file| file["tokens"]["access_token"] = json!("host-opaque-token")),
            "not a JWT with `exp`",
            "codex login --device-auth",
        ),
        (
            with(|file| file["tokens"]["access_token"] = json!(token(&json!({ "sub": "host-subject" })))),
            "not a JWT with `exp`",
            "codex login --device-auth",
        ),
        (
            with(|file| file["tokens"]["id_token"] = json!("host.opaque.token")),
            "`tokens.id_token`",
            "codex login --device-auth",
        ),
        (
            with(|file| file["tokens"]["access_token"] = json!(token(&json!({ "exp": NOW })))),
            "expired at 2100-01-01T00:00:00Z",
            "refreshes the token",
        ),
        (
            with(|file| file["tokens"]["access_token"] = json!(token(&json!({ "exp": NOW - 1 })))),
            "expired at",
            "refreshes the token",
        ),
    ];
    for (content, message, help) in table {
        let compiled = compile_with(MANIFEST, &facts(content), &BOTH);
        assert_eq!(compiled.codes, ["BTL303 4:29"], "{message}");
        assert!(compiled.tree.is_none(), "{message}");
        let said = &compiled.messages[0];
        assert!(said.contains(message) && said.contains(help), "{said}\n{message}\n{help}");
        assert!(!said.contains(opaque) && !said.contains("host-subject") && !said.contains(ACCOUNT), "{said}");
    }
}

#[test]
fn a_login_that_ends_soon_is_a_warning() {
    for (left, codes) in [(601, &[] as &[&str]), (600, &[]), (599, &["BTL304 4:29"]), (1, &["BTL304 4:29"])] {
        let mut file = host_file();
        let mut claims = access_claims();
        claims["exp"] = json!(NOW + left);
        file["tokens"]["access_token"] = json!(token(&claims));
        let compiled = compile_host(&file);
        assert_eq!(compiled.codes, codes, "{left}");
        assert!(compiled.tree.is_some());
    }
}

#[test]
fn an_account_that_codex_would_stumble_over_is_a_warning() {
    for account in [json!("org-something"), json!("another-account"), Value::Null] {
        let mut file = host_file();
        file["tokens"]["account_id"] = account.clone();
        let compiled = compile_host(&file);
        assert_eq!(compiled.codes, ["BTL305 4:29"], "{account}");
        assert_eq!(dummy(&compiled)["tokens"]["account_id"], account);
    }
}

#[test]
fn a_file_that_other_users_can_read_is_a_warning_beside_what_else_is_wrong() {
    let sound = host_file().to_string().into_bytes();
    for (mode, can) in [(0o644, "read"), (0o640, "read"), (0o602, "change"), (0o666, "read and change")] {
        for (content, more) in [(sound.clone(), None), (b"[]".to_vec(), Some("BTL303 4:29"))] {
            let mut host = facts(Ok(content));
            let HostCredentials::File { mode: of_file, .. } = &mut host.credentials else { panic!("no login file") };
            *of_file = Some(mode);
            let compiled = compile_with(MANIFEST, &host, &BOTH);
            assert_eq!(compiled.codes, more.into_iter().chain(["BTL306 4:29"]).collect::<Vec<_>>(), "{mode:o}");
            assert_eq!(compiled.tree.is_none(), more.is_some(), "{mode:o}");
            let said = compiled.messages.last().unwrap();
            let path = "/home/somebody/.codex/auth.json";
            let words = format!("other users can {can} the Codex auth file {path}: its mode is {mode:04o}");
            assert!(said.starts_with(&words) && said.contains(&format!("`chmod 600 {path}`")), "{said}");
        }
    }
    let folder = folder(&[("bottle.yaml", MANIFEST), ("auth.json", &host_file().to_string())]);
    for (mode, warned) in [(0o644, true), (0o600, false), (0o400, false)] {
        fs::set_permissions(folder.path().join("auth.json"), fs::Permissions::from_mode(mode)).unwrap();
        let run = bottlec(folder.path(), &["build", "bottle.yaml", "-o", "out", "--host-credentials", "auth.json"]);
        assert_eq!((run.status.code(), screen(&run).contains("warning[BTL306]")), (Some(0), warned), "{mode:o}");
    }
}

#[test]
fn the_host_file_is_looked_for_where_codex_keeps_it() {
    let file = host_file().to_string();
    let folder = folder(&[("bottle.yaml", MANIFEST)]);
    let run = |variables: &[(&str, &Path)], manifest: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_bottlec"));
        command.args(["build", manifest, "-o", "out"]).current_dir(folder.path()).env_clear();
        command.envs(variables.iter().copied()).output().unwrap()
    };
    let home = folder.path().join("home");
    let chosen = folder.path().join("chosen");
    // Nothing is there: the message names the place that was looked at.
    assert!(screen(&run(&[("HOME", &home)], "bottle.yaml")).contains("home/.codex/auth.json"));
    assert!(screen(&run(&[("HOME", &home), ("CODEX_HOME", &chosen)], "bottle.yaml")).contains("chosen/auth.json"));
    assert!(
        screen(&run(&[("HOME", &home), ("CODEX_HOME", Path::new("~/own"))], "bottle.yaml"))
            .contains("home/own/auth.json")
    );
    assert!(screen(&run(&[], "bottle.yaml")).contains("neither CODEX_HOME nor HOME"));
    // A folder in its place cannot be read as a file.
    fs::create_dir_all(home.join(".codex/auth.json")).unwrap();
    assert!(screen(&run(&[("HOME", &home)], "bottle.yaml")).contains("cannot be read"));
    fs::remove_dir(home.join(".codex/auth.json")).unwrap();
    fs::write(home.join(".codex/auth.json"), file).unwrap();
    assert_eq!(run(&[("HOME", &home)], "bottle.yaml").status.code(), Some(0));
}

#[test]
fn the_host_file_is_not_even_looked_at_unless_asked_for() {
    let quiet = "name: codex\nagent_provider:\n  template: codex\n";
    let host = host_file().to_string();
    let folder = folder(&[("asks.yaml", MANIFEST), ("quiet.yaml", quiet), ("kept/auth.json", &host)]);
    for strace in programs("BOTTLEC_STRACE_BINS") {
        let touched = |manifest: &str, more: &[&str]| {
            let run = std::process::Command::new(&strace)
                .args([
                    "-f",
                    "-o",
                    "calls",
                    "-e",
                    "trace=%file",
                    env!("CARGO_BIN_EXE_bottlec"),
                    "build",
                    manifest,
                    "-o",
                    "out",
                ])
                .args(more)
                .current_dir(folder.path())
                .env("CODEX_HOME", folder.path().join("kept"))
                .output()
                .unwrap();
            assert!(run.status.success(), "{}", screen(&run));
            let calls = fs::read_to_string(folder.path().join("calls")).unwrap();
            // The name is that of an output, too.
            calls.lines().any(|call| call.contains("kept"))
        };
        assert!(touched("asks.yaml", &[]), "the trace shows what is opened");
        assert!(!touched("quiet.yaml", &[]));
        assert!(!touched("asks.yaml", &["--hermetic"]));
    }
}

/// JSON of any shape whose texts can be told from ours.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (1000i64..9999).prop_map(Value::from),
        "[a-z]{3}-canary-[a-z0-9]{4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn no_unlisted_text_survives_in_a_dummy(extra in prop::collection::btree_map("[a-z_]{1,12}", any_json(), 0..5), claims in prop::collection::btree_map("[a-z_]{1,12}", any_json(), 0..5)) {
        let mut file = host_file();
        let mut token_claims = access_claims();
        for (name, value) in claims {
            token_claims[&name] = value.clone();
            if !["user_id", "chatgpt_user_id", "chatgpt_plan_type", "chatgpt_account_id"].contains(&name.as_str()) {
                token_claims["https://api.openai.com/auth"][&name] = value;
            }
        }
        token_claims["exp"] = json!(EXPIRY);
        file["tokens"]["access_token"] = json!(token(&token_claims));
        for (name, value) in extra {
            file["tokens"][format!("x_{name}")] = value.clone();
            file[format!("x_{name}")] = value;
        }
        let compiled = compile_host(&file);
        let dummy = dummy(&compiled);
        let mut said = Vec::new();
        texts(&dummy, &mut said);
        prop_assert!(!said.iter().any(|text| text.contains("-canary-")), "{said:?}");
        prop_assert_eq!(&claims_of(&dummy["tokens"]["access_token"])["exp"], &json!(EXPIRY));
    }
}
