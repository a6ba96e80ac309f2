//! The host's login file as the source of a token.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::values::assert_hidden;
use super::{Bottle, stdout};
use crate::support::screen;

const MANIFEST: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";
const PRINT: [&str; 4] = ["--", "sh", "-c", "printf %s \"$EGRESS_TOKEN_0\""];
pub(super) const ACCOUNT: &str = "0a1b2c3d-1111-4222-8333-444455556666";
/// 2100-01-01
pub(super) const LATER: i64 = 4_102_444_800;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// An access token that ends then, of this account.
fn token(expiry: i64, account: &str) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "exp": expiry, "https://api.openai.com/auth": { "chatgpt_account_id": account } });
    format!("{}.{}.{}", encode(json!({ "alg": "RS256" })), encode(claims), URL_SAFE_NO_PAD.encode("canary-signature"))
}

pub(super) fn login(expiry: i64, account: &str) -> Value {
    json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": {
            "id_token": token(expiry, account),
            "access_token": token(expiry, account),
            "refresh_token": "canary-refresh-4711",
            "account_id": account,
        },
        "last_refresh": "2026-11-20T10:11:12Z",
    })
}

fn sign_in(bottle: &Bottle, login: &Value) {
    fs::create_dir_all(bottle.path().join(".codex")).unwrap();
    let file = bottle.path().join(".codex/auth.json");
    fs::write(&file, login.to_string()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A bottle that was built from this login, which is still the host's.
pub(super) fn signed_in(login: &Value) -> Bottle {
    let bottle = Bottle::new("name: review\n");
    sign_in(&bottle, login);
    fs::write(bottle.path().join("review.yaml"), MANIFEST).unwrap();
    bottle.rebuild(&[]);
    bottle
}

#[test]
fn the_token_of_the_login_file_wins_over_a_variable_of_its_name() {
    let bottle = signed_in(&login(LATER, ACCOUNT));
    let token = token(LATER, ACCOUNT);
    for variables in [&[] as &[(&str, &str)], &[("BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN", "another")]] {
        let run = bottle.exec(variables, &PRINT);
        assert_eq!((stdout(&run), screen(&run)), (token.clone(), String::new()));
    }
    // The file may be elsewhere.
    fs::rename(bottle.path().join(".codex/auth.json"), bottle.path().join("login")).unwrap();
    assert!(
        bottle.refused(&[("BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN", "another")], 1).contains("there is no Codex auth file")
    );
    let run = bottle.exec(&[], &[&["--host-credentials", "login"], &PRINT[..]].concat());
    assert_eq!(stdout(&run), token, "{}", screen(&run));
    // Names need no login.
    let run = bottle.exec(&[], &["--print-env-names"]);
    assert!(run.status.success() && stdout(&run).contains("\nEGRESS_TOKEN_0\n"), "{}", screen(&run));
}

#[test]
fn the_login_is_refused_in_the_words_of_build() {
    let with = |change: fn(&mut Value)| {
        let mut file = login(LATER, ACCOUNT);
        change(&mut file);
        file
    };
    let table = [
        json!([]),
        with(|file| file["auth_mode"] = json!("apikey")),
        with(|file| file["tokens"] = Value::Null),
        with(|file| file["tokens"]["access_token"] = json!("canary-opaque")),
        with(|file| file["tokens"]["id_token"] = json!("canary-opaque")),
        login(now() - 1, ACCOUNT),
        login(0, ACCOUNT),
    ];
    let bottle = signed_in(&login(LATER, ACCOUNT));
    for file in table {
        sign_in(&bottle, &file);
        let said = bottle.refused(&[], 1);
        let build = bottle.command(&["build", "review.yaml", "-o", "out"]).output().unwrap();
        let of_build = screen(&build);
        let message = of_build.lines().next().unwrap().strip_prefix("error[BTL303]: ").unwrap();
        let help = of_build.lines().find_map(|line| line.split_once("= help: ")).unwrap().1;
        assert!(said.contains(&format!("error: {message}\n")) && said.contains(help), "{of_build}{said}");
        assert!(!said.contains("canary") && !said.contains(ACCOUNT), "{said}");
        assert_hidden(&said, &token(LATER, ACCOUNT));
    }
}

#[test]
fn a_login_that_is_not_the_one_the_bottle_was_built_from_asks_for_a_build() {
    let bottle = signed_in(&login(LATER, ACCOUNT));
    let other = "ffffffff-1111-4222-8333-444455556666";
    let mut without = login(LATER, ACCOUNT);
    without["tokens"].as_object_mut().unwrap().remove("account_id");
    for (file, words) in [
        (login(LATER + 1, ACCOUNT), "its token expires at 2100-01-01T00:00:01Z, the agent's at 2100-01-01T00:00:00Z"),
        (login(LATER - 1, ACCOUNT), "its token expires at 2099-12-31T23:59:59Z"),
        (login(LATER, other), "it belongs to another account"),
        (without, "it belongs to another account"),
    ] {
        sign_in(&bottle, &file);
        let said = bottle.refused(&[], 1);
        assert!(said.contains("changed since the bottle was built") && said.contains(words), "{said}");
        assert!(said.contains("build the bottle again with `bottlec build`"), "{said}");
        assert!(!said.contains(ACCOUNT) && !said.contains(other) && !said.contains("canary"), "{said}");
        bottle.rebuild(&[]);
        let run = bottle.exec(&[], &PRINT);
        assert_eq!(stdout(&run), file["tokens"]["access_token"].as_str().unwrap(), "{}", screen(&run));
        sign_in(&bottle, &login(LATER, ACCOUNT));
        bottle.rebuild(&[]);
    }
}

#[test]
fn a_login_that_ends_soon_starts_with_a_warning() {
    for (left, warned) in [(300, true), (900, false)] {
        let bottle = signed_in(&login(now() + left, ACCOUNT));
        let run = bottle.exec(&[], &PRINT);
        assert_eq!(run.status.code(), Some(0));
        let said = screen(&run);
        assert_eq!(
            said.contains("warning: the Codex access token in ") && said.contains("less than ten minutes"),
            warned,
            "{said}"
        );
        assert_eq!(screen(&bottle.exec(&[], &[&["-q"], &PRINT[..]].concat())), "");
    }
}

#[test]
fn a_login_that_other_users_can_read_starts_with_a_warning() {
    let login = login(LATER, ACCOUNT);
    let bottle = signed_in(&login);
    let file = bottle.path().join(".codex/auth.json");
    for (mode, can) in [(0o644, "read"), (0o640, "read"), (0o622, "change"), (0o666, "read and change")] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let run = bottle.exec(&[], &PRINT);
        let said = screen(&run);
        let warning =
            format!("warning: other users can {can} the Codex auth file {}: its mode is {mode:04o}\n", file.display());
        assert!(said.contains(&warning) && said.contains("help: run `chmod 600 "), "{said}");
        assert_eq!(stdout(&run), login["tokens"]["access_token"], "it starts nevertheless");
        assert_eq!(screen(&bottle.exec(&[], &[&["-q"], &PRINT[..]].concat())), "");
    }
    for mode in [0o600, 0o400, 0o700] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(screen(&bottle.exec(&[], &PRINT)), "", "{mode:o}");
    }
}

#[test]
fn a_token_that_would_break_its_header_is_refused_from_a_file_too() {
    let mut file = login(LATER, ACCOUNT);
    let bottle = signed_in(&file);
    file["tokens"]["access_token"] = json!(format!("{}\r\nX-Canary: 1", token(LATER, ACCOUNT)));
    sign_in(&bottle, &file);
    let said = bottle.refused(&[], 1);
    assert!(
        said.contains(
            "the token in the host's login file must not contain a line break; it is the token for api.openai.com, chatgpt.com"
        ),
        "{said}"
    );
    assert!(!said.contains("Canary"), "{said}");
}

#[test]
fn no_part_of_the_login_is_said_or_written() {
    let login = login(LATER, ACCOUNT);
    let bottle = signed_in(&login);
    let run = bottle.exec(&[], &["-v", "--", "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"]);
    let mut said = stdout(&run) + &screen(&run);
    for path in crate::support::files_below(&bottle.path().join("out")) {
        said.push_str(&fs::read_to_string(path).unwrap());
    }
    assert_hidden(&said, login["tokens"]["access_token"].as_str().unwrap());
    assert_hidden(&said, "canary-refresh-4711");
    assert_hidden(&said, "canary-signature");
}

/// The index's hash of the file fits. What a build keeps of a login is all that the file may hold, and of this
/// host's login at that.
#[test]
fn a_login_file_that_was_edited_with_its_hash_is_not_handed_to_the_agent() {
    let path = "out/review/agent/home/.codex/auth.json";
    let own = login(LATER, ACCOUNT);
    let mut of_other_plan = own.clone();
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "exp": LATER,
        "https://api.openai.com/auth": { "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "free" },
    });
    of_other_plan["tokens"]["id_token"] =
        json!(format!("{}.{}.c2ln", encode(json!({ "alg": "RS256" })), encode(claims)));
    let other = fs::read_to_string(signed_in(&of_other_plan).path().join(path)).unwrap();
    for (edit, words) in [
        (
            &(|text: &str| text.replace("\"OPENAI_API_KEY\": null", "\"OPENAI_API_KEY\": \"of-somebody\""))
                as &dyn Fn(&str) -> String,
            "agent/home/.codex/auth.json is not what a build of this release writes",
        ),
        (&|text| text.replace("{\n", "{\n  \"more\": {\"a\": 1},\n"), "auth.json is not what a build"),
        (&|_| "{}".to_owned(), "bottle.json has a manifest that does not compile: the Codex auth file"),
        (&|_| other.clone(), "(.codex/auth.json) is not the one that a build makes of the host's"),
    ] {
        let bottle = signed_in(&own);
        let file = bottle.path().join(path);
        let text = fs::read_to_string(&file).unwrap();
        let edited = edit(&text);
        assert_ne!(text, edited);
        fs::write(&file, &edited).unwrap();
        let index = bottle.path().join("out/review/bottle.json");
        let hash = |text: &str| bottlec::value::digest::hash(text.as_bytes());
        let mended = fs::read_to_string(&index).unwrap().replace(&hash(&text), &hash(&edited));
        fs::write(&index, mended).unwrap();
        let said = bottle.refused(&[], 1);
        assert!(said.contains(words), "{said}");
    }
}
