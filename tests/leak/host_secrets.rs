//! `build` searches what it is about to write for what it read of the login, and writes nothing if a part
//! of that is in it, in whatever way it came there.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::canary::{Canaries, Project};
use crate::support::{screen, stdout};

const CODEX: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";

/// A manifest that says a text where it ends up in a file.
fn saying(place: &str, text: &str) -> String {
    let route = |keys: &str| format!("{CODEX}egress:\n  routes:\n    - host: git.example.com\n{keys}");
    match place {
        "variable" => format!("{CODEX}env:\n  NOTE: \"{text}\"\n"),
        "question" => format!("{CODEX}env:\n  NOTE: \"?{text}\"\n"),
        "user" => route(&format!("      auth: {{ scheme: Basic, username: \"{text}\", token_ref: FORGE }}\n")),
        "path" => route(&format!("      path_allowlist: [\"/{text}\"]\n")),
        other => panic!("no place {other}"),
    }
}

fn project(login: &Value) -> Project {
    let project = Project::new(&[("review.yaml", CODEX)]);
    project.sign_in(login.to_string().as_bytes());
    assert_eq!(project.command(&["build", "review.yaml", "-o", "out"]).output().unwrap().status.code(), Some(0));
    project
}

/// Builds in every way: nothing is written or printed, and it says where the secret would have been.
fn assert_refused(project: &Project, what: &str) {
    let before: Vec<(_, Vec<u8>)> = super::canary::walk(&project.path().join("out"))
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    for arguments in [
        ["build", "review.yaml", "-o", "out"],
        ["build", "review.yaml", "-o", "new"],
        ["build", "review.yaml", "-o", "-"],
    ] {
        let run = project.run(&arguments);
        assert_eq!(run.status.code(), Some(2), "{what} {arguments:?} {}", screen(&run));
        assert_eq!(stdout(&run), "", "{what}");
        let said = screen(&run);
        assert!(said.contains("internal error") && said.contains("would hold a secret"), "{what} {said}");
    }
    assert!(!project.path().join("new/review").exists(), "{what}");
    for (path, bytes) in before {
        assert!(fs::read(&path).unwrap() == bytes, "{what}: {} is as it was", path.display());
    }
}

#[test]
fn a_credential_is_in_no_file_in_whatever_form_and_from_wherever() {
    let canaries = Canaries::new();
    let login = canaries.login();
    let project = project(&login);
    let credential = |pointer: &str| login.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    let access = credential("/tokens/access_token");
    let refresh = credential("/tokens/refresh_token");
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let base64 = |before: &str, text: &str| STANDARD.encode(format!("{before}{text}"));
    for (what, place, text) in [
        ("the access token", "variable", access.clone()),
        ("the id token", "variable", credential("/tokens/id_token")),
        ("the signature of a token", "variable", access.rsplit_once('.').unwrap().1.to_owned()),
        ("the refresh token", "variable", refresh.clone()),
        ("the refresh token in a question", "question", refresh.clone()),
        ("the refresh token as a user", "user", refresh.clone()),
        ("the refresh token in a path", "path", refresh.clone()),
        ("the API key", "variable", credential("/OPENAI_API_KEY")),
        ("another key", "variable", credential("/bedrock_access_keys/secret/0")),
        ("a part of a text", "variable", format!("x{refresh}y")),
        ("base64", "variable", base64("", &refresh)),
        ("base64 one byte later", "variable", base64("x", &refresh)),
        ("base64 two bytes later", "variable", base64("xy", &refresh)),
        ("base64url", "variable", URL_SAFE_NO_PAD.encode(format!("{{\"k\":\"\u{ff}\u{3e}{refresh}\"}}"))),
        ("hexadecimal", "variable", hex(&refresh)),
        ("capital hexadecimal", "variable", hex(&refresh).to_uppercase()),
    ] {
        fs::write(project.path().join("review.yaml"), saying(place, &text)).unwrap();
        assert_refused(&project, what);
    }
    // The same texts are nobody's if no login is read.
    let other = "name: review\nagent_provider: { template: codex }\nenv:\n  NOTE: \"REFRESH\"\n";
    fs::write(project.path().join("review.yaml"), other.replace("REFRESH", &refresh)).unwrap();
    let run = project.command(&["build", "review.yaml", "-o", "free"]).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
}

#[test]
fn particulars_are_in_no_file_unless_the_manifest_says_them() {
    let canaries = Canaries::new();
    let mut login = canaries.login();
    let (email, group) = (format!("{}@mail.example", canaries.next()), canaries.next());
    let mut claims = canaries.claims(super::canary::LATER);
    claims["email"] = json!(email);
    claims["https://api.openai.com/auth"]["groups"] = json!([group]);
    login["tokens"]["access_token"] = json!(canaries.token(&claims));
    let project = project(&login);
    // The author of the agent's commits may be the user.
    for text in [&email, &group] {
        fs::write(project.path().join("review.yaml"), saying("variable", text)).unwrap();
        let run = project.command(&["build", "review.yaml", "-o", "out"]).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }
    // Names of keys cross; one that is a value elsewhere does not.
    fs::write(project.path().join("review.yaml"), CODEX).unwrap();
    for text in [&email, &group] {
        let mut odd = login.clone();
        odd[text] = json!(1);
        project.sign_in(odd.to_string().as_bytes());
        assert_refused(&project, "a key");
        let mut odd = login.clone();
        let mut claims = claims.clone();
        claims[text] = json!(1);
        odd["tokens"]["id_token"] = json!(canaries.token(&claims));
        project.sign_in(odd.to_string().as_bytes());
        assert_refused(&project, "the name of a claim, which is written in base64");
    }
    project.sign_in(login.to_string().as_bytes());
    assert_eq!(project.run(&["build", "review.yaml", "-o", "out"]).status.code(), Some(0));
}

#[test]
fn a_credential_in_the_place_of_what_may_be_known_is_refused() {
    let canaries = Canaries::new();
    let login = canaries.login();
    let project = project(&login);
    for pointer in ["/tokens/refresh_token", "/tokens/access_token", "/OPENAI_API_KEY", "/personal_access_token"] {
        let mut odd = login.clone();
        odd["tokens"]["account_id"] = login.pointer(pointer).unwrap().clone();
        project.sign_in(odd.to_string().as_bytes());
        assert_refused(&project, pointer);
        let mut claims = canaries.claims(super::canary::LATER);
        claims["https://api.openai.com/auth"]["chatgpt_plan_type"] = login.pointer(pointer).unwrap().clone();
        let mut odd = login.clone();
        odd["tokens"]["id_token"] = json!(canaries.token(&claims));
        project.sign_in(odd.to_string().as_bytes());
        assert_refused(&project, pointer);
    }
}

#[test]
fn a_dummy_is_as_good_as_any_login_for_a_bottle_in_a_bottle() {
    let project = project(&Canaries::new().login());
    let dummy = fs::read(project.path().join("out/review/agent/home/.codex/auth.json")).unwrap();
    project.sign_in(&dummy);
    let run = project.run(&["build", "review.yaml", "-o", "inner"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    let again = fs::read(project.path().join("inner/review/agent/home/.codex/auth.json")).unwrap();
    assert!(again == dummy, "there is nothing left to replace");
}
