//! Login files that are damaged in every way: what is said of them has none of their content.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::canary::{Canaries, LATER, LOGIN, Project};

const MANIFEST: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";

/// Each thing to do with a login: builds in every way, and a start of what was built before.
const RUNS: [&[&str]; 8] = [
    &["build", "review.yaml", "-o", "new"],
    &["build", "review.yaml", "-o", "new", "-v", "--color", "always"],
    &["build", "review.yaml", "-o", "out", "--check", "-v"],
    &["build", "review.yaml", "-o", "-"],
    &["build", "review.yaml", "-o", "new", "-q", "--host-credentials", LOGIN],
    &["exec", "out/review", "--", "true"],
    &["exec", "-v", "--host-credentials", LOGIN, "out/review", "--", "true"],
    &["exec", "-q", "out/review", "--", "true"],
];

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// Every place in a value, as a JSON pointer.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                places(value, &format!("{here}/{}", key.replace('~', "~0").replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (at, value) in items.iter().enumerate() {
                places(value, &format!("{here}/{at}"), found);
            }
        }
        _ => {}
    }
}

/// Files that differ from a sound one in one thing.
fn damaged(canaries: &Canaries) -> Vec<(String, Vec<u8>)> {
    let sound = canaries.login();
    let text = sound.to_string();
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: String, bytes: Vec<u8>| files.push((what, bytes));
    // Cut off anywhere, at any byte of the first token and then in steps.
    for length in (0..text.len()).step_by(text.len() / 40) {
        add(format!("cut off at {length}"), text.as_bytes()[..length].to_vec());
        add(
            format!("broken at {length}"),
            [&text.as_bytes()[..length], b"\x00\xff", &text.as_bytes()[length..]].concat(),
        );
    }
    // Another type anywhere.
    let mut all = Vec::new();
    places(&sound, "", &mut all);
    for place in &all {
        for (kind, value) in [
            ("null", Value::Null),
            ("a number", json!(1)),
            ("a text", json!(canaries.next())),
            ("a list", json!([canaries.next()])),
            ("an object", json!({ "secret": canaries.next() })),
        ] {
            // The account is on the short list of what an agent may know.
            if place == "/tokens/account_id" && value.is_string() {
                continue;
            }
            let mut file = sound.clone();
            *file.pointer_mut(place).unwrap() = value;
            add(format!("{kind} at {place:?}"), file.to_string().into_bytes());
        }
    }
    // Another type in the claims of a token.
    let mut claims = Vec::new();
    places(&canaries.claims(LATER), "", &mut claims);
    for token in ["access_token", "id_token"] {
        for place in &claims {
            let mut changed = canaries.claims(LATER);
            *changed.pointer_mut(place).unwrap() = json!([canaries.next()]);
            let mut file = sound.clone();
            file["tokens"][token] = json!(canaries.token(&changed));
            add(format!("a list at {place:?} of {token}"), file.to_string().into_bytes());
        }
        let whole = sound["tokens"][token].as_str().unwrap().to_owned();
        let (head, signature) = whole.rsplit_once('.').unwrap();
        for (what, broken) in [
            ("no JWT", canaries.next()),
            ("without a signature", head.to_owned()),
            ("with an empty signature", format!("{head}.")),
            ("with a fourth part", format!("{whole}.{}", canaries.next())),
            ("padded", format!("{head}=.{signature}")),
            ("with claims that are no JSON", format!("e30.{}.{signature}", canaries.next())),
            ("with a line break", format!("{whole}\r\nX-Header: {}", canaries.next())),
            ("with a blank", format!("Bearer {whole}")),
            ("with NUL", format!("{whole}\0")),
            ("beyond ASCII", format!("{whole}ü")),
        ] {
            let mut file = sound.clone();
            file["tokens"][token] = json!(broken);
            add(format!("{token} {what}"), file.to_string().into_bytes());
        }
    }
    for (what, expiry) in [
        ("expired", now() - 10),
        ("of 1970", 0),
        ("before 1970", -1),
        ("that ends soon", now() + 100),
        ("that never ends", i64::MAX),
        ("that began before time", i64::MIN),
        ("that ends later", LATER + 1),
    ] {
        let mut file = sound.clone();
        file["tokens"]["access_token"] = json!(canaries.token(&canaries.claims(expiry)));
        add(format!("a token {what}"), file.to_string().into_bytes());
    }
    // Whole files of another kind.
    add("in UTF-16".into(), text.encode_utf16().flat_map(u16::to_le_bytes).collect());
    add("with a byte order mark".into(), [b"\xef\xbb\xbf", text.as_bytes()].concat());
    add("twice".into(), [text.as_bytes(), text.as_bytes()].concat());
    add("an environment file".into(), format!("OPENAI_API_KEY={}\n", canaries.next()).into_bytes());
    add("nested too deep".into(), format!("{}\"{}\"", "[".repeat(2000), canaries.next()).into_bytes());
    add("an object nested too deep".into(), format!("{}\"{}\"", "{\"a\":".repeat(500), canaries.next()).into_bytes());
    add(
        "with a key twice".into(),
        text.replacen('{', &format!("{{\"tokens\":\"{}\",", canaries.next()), 1).into_bytes(),
    );
    add("a megabyte".into(), [text.as_bytes(), &vec![b' '; (1 << 20) - text.len()]].concat());
    add(
        "huge".into(),
        text.replace("\"unknown_text\":\"", &format!("\"unknown_text\":\"{}", canaries.next().repeat(30_000)))
            .into_bytes(),
    );
    add("with a number beyond all".into(), text.replacen('{', "{\"unknown_number\":1e999,", 1).into_bytes());
    add("with texts that are escaped".into(), {
        let key = sound["OPENAI_API_KEY"].as_str().unwrap();
        let escaped: String = key.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
        text.replace(key, &escaped).into_bytes()
    });
    files
}

/// Tries every n-th file, from the m-th on.
fn try_damaged(first: usize, step: usize) {
    let project = Project::new(&[("review.yaml", MANIFEST)]);
    project.sign_in(project.canaries.login().to_string().as_bytes());
    assert_eq!(project.run(RUNS[0]).status.code(), Some(0));
    assert_eq!(project.run(&["build", "review.yaml", "-o", "out"]).status.code(), Some(0));
    project.allow();
    let (mut refused, mut taken) = (0, 0);
    for (number, (what, bytes)) in damaged(&project.canaries).into_iter().enumerate().skip(first).step_by(step) {
        project.sign_in(&bytes);
        // One file after the other with another way each; all ways with every tenth.
        let ways = if number % 10 == 0 { &RUNS[..] } else { &RUNS[number % 8..][..1] };
        for arguments in ways {
            let run = project.command(arguments).output().unwrap();
            project.assert_silent(&run, &format!("a login {what}: {arguments:?}"));
            match run.status.code() {
                Some(0) => taken += 1,
                Some(1 | 2) => refused += 1,
                other => panic!("a login {what}: {arguments:?} ends with {other:?}"),
            }
        }
        project.assert_clean(&format!("a login {what}"));
    }
    assert!(refused > 20 && taken > 5, "{refused} refused, {taken} taken");
}

#[test]
fn nothing_of_a_damaged_login_is_said_or_written_first_third() {
    try_damaged(0, 3);
}

#[test]
fn nothing_of_a_damaged_login_is_said_or_written_second_third() {
    try_damaged(1, 3);
}

#[test]
fn nothing_of_a_damaged_login_is_said_or_written_last_third() {
    try_damaged(2, 3);
}

#[test]
fn nothing_of_a_login_that_others_can_read_or_nobody_can_is_said() {
    let project = Project::new(&[("review.yaml", MANIFEST)]);
    assert_eq!(project.run(&["build", "review.yaml", "-o", "out"]).status.code(), Some(0));
    project.allow();
    let file = project.path().join(LOGIN);
    for mode in [0o644, 0o666, 0o604, 0o000, 0o4755] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in RUNS {
            project.run(arguments);
        }
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let other = project.path().join("other");
    fs::rename(&file, &other).unwrap();
    let take_away = || fs::remove_file(&file).or_else(|_| fs::remove_dir(&file)).unwrap();
    std::os::unix::fs::symlink(&file, &file).unwrap();
    RUNS.iter().for_each(|arguments| drop(project.run(arguments)));
    take_away();
    fs::create_dir(&file).unwrap();
    RUNS.iter().for_each(|arguments| drop(project.run(arguments)));
    take_away();
    RUNS.iter().for_each(|arguments| drop(project.run(arguments)));
    fs::rename(&other, &file).unwrap();
    assert_eq!(project.run(RUNS[5]).status.code(), Some(0), "it was the file that was refused");
    project.assert_clean("permissions and places");
}
