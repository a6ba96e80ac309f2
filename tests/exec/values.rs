//! Values of the host: what is missing or unfit is told at once, by name and never by value.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};

use super::{API, Bottle, FORGE, MANIFEST, REVIEWER, VALUES, stdout};
use crate::support::screen;

/// The value is in the text in no form that a careless program would write it in.
pub(super) fn assert_hidden(said: &str, value: &str) {
    let bytes = value.as_bytes();
    let mut forms = vec![value.to_owned(), value.escape_debug().to_string(), value.escape_default().to_string()];
    forms.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    for shift in 0..3 {
        for engine in [&STANDARD, &URL_SAFE] {
            let text = engine.encode([&b"xx"[..shift], bytes].concat());
            // The ends depend on what stands beside the value.
            forms.extend(text.trim_end_matches('=').get(4..text.trim_end_matches('=').len() - 4).map(str::to_owned));
        }
    }
    for form in forms {
        assert!(form.len() >= 6 && !said.contains(&form), "{form:?}, a form of {value:?}, got out:\n{said}");
    }
}

#[test]
fn all_that_is_unset_is_told_in_one_run_with_what_it_is_for() {
    let bottle = Bottle::new(&MANIFEST.replace("  FROM_HOST", "  SECOND: ${REVIEWER}\n  FROM_HOST"));
    let said = bottle.refused(&[], 1);
    for words in [
        "error: API_TOKEN is not set; it is the token for api.example.com\n",
        "error: FORGE_TOKEN is not set; it is the token for git.example.com, raw.example.com\n",
        "error: REVIEWER is not set; it is the value of the agent's variable FROM_HOST (review.yaml:5:3), and the value of the agent's variable SECOND (review.yaml:4:3)\n",
        "help: export FORGE_TOKEN, then run the same command again\n",
        "bottlec: nothing was started\n",
    ] {
        assert!(said.contains(words), "{words}{said}");
    }
    assert_eq!(said.matches("error: ").count(), 3, "{said}");
    // What is there does not hide what is not, and is not shown.
    let said = bottle.refused(&[("FORGE_TOKEN", FORGE), ("REVIEWER", "")], 1);
    assert!(said.contains("API_TOKEN is not set") && !said.contains("REVIEWER"), "{said}");
    assert_hidden(&said, FORGE);
}

#[test]
fn a_token_is_visible_ascii_and_nothing_else() {
    let bottle = Bottle::new(MANIFEST);
    for (value, words) in [
        ("", "must not be empty"),
        ("canary-forge-7d1f93c2\n", "must not contain a line break"),
        ("canary-forge\n-7d1f93c2", "must not contain a line break"),
        ("canary-forge-7d1f93c2\r", "must not contain a line break"),
        (" canary-forge-7d1f93c2", "must not start or end with a space or tab"),
        ("canary-forge-7d1f93c2\t", "must not start or end with a space or tab"),
        ("token canary-forge-7d1f93c2", "must not contain a space"),
        ("canary-forge\u{1b}[2J-7d1f93c2", "must not contain a control character"),
        ("canary-forge\t-7d1f93c2", "must not contain a control character"),
        ("canary-forge\u{7f}-7d1f93c2", "must not contain a control character"),
        ("canary-forge-ü-7d1f93c2", "must be ASCII"),
    ] {
        let said = bottle.refused(&[("FORGE_TOKEN", value), ("API_TOKEN", API), ("REVIEWER", REVIEWER)], 1);
        let expected = format!("the value of FORGE_TOKEN {words}; it is the token for git.example.com");
        assert!(said.contains(&expected), "{value:?} {said}");
        assert!(!said.contains("canary") && !said.contains("7d1f93c2") && !said.contains('\u{1b}'), "{said}");
        if !value.is_empty() {
            assert_hidden(&said, value);
        }
    }
    let mut run = bottle.command(&["exec", "out/review", "--", "true"]);
    let run = run.envs(VALUES).env("API_TOKEN", OsStr::from_bytes(b"canary\xff\xfe")).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(screen(&run).contains("API_TOKEN must be ASCII"), "{}", screen(&run));
    let extremes = "!~canary+/=:\"'\\$`{}";
    let run = bottle.exec(
        &[&VALUES[..], &[("API_TOKEN", extremes)]].concat(),
        &["--", "sh", "-c", "printf %s \"$EGRESS_TOKEN_1\""],
    );
    assert_eq!(stdout(&run), extremes, "{}", screen(&run));
}

#[test]
fn a_variable_of_the_agent_is_one_line_of_text() {
    let bottle = Bottle::new(MANIFEST);
    for (value, words) in [
        (b"canary\nreviewer".as_slice(), "must not contain a line break or NUL"),
        (b"canary\rreviewer", "must not contain a line break or NUL"),
        (b"canary\xff", "must be UTF-8"),
    ] {
        let mut command = bottle.command(&["exec", "out/review", "--", "touch", "../../started"]);
        let run = command.envs(VALUES).env("REVIEWER", OsStr::from_bytes(value)).output().unwrap();
        let said = screen(&run);
        assert_eq!(run.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!(
                "the value of REVIEWER {words}; it is the value of the agent's variable FROM_HOST (review.yaml:4:3)"
            )),
            "{said}"
        );
        assert!(!said.contains("canary") && !bottle.path().join("started").exists(), "{said}");
    }
    for value in ["", "  two blanks\t", "grüße 日本 🦀", "$(touch ../../started) `x` \"'\\"] {
        let variables = [&VALUES[..], &[("REVIEWER", value)]].concat();
        let run = bottle.exec(&variables, &["--", "sh", "-c", "printf %s \"$BOTTLE_ENV_FROM_HOST\""]);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(0), value), "{}", screen(&run));
    }
}

#[test]
fn variables_are_read_before_any_is_set() {
    let bottle = Bottle::new("name: review\nenv: { A: \"${B}\", B: \"${A}\" }\n");
    let run = bottle.exec(&[("A", "of A"), ("B", "of B")], &["--", "sh", "-c", "echo $BOTTLE_ENV_A, $BOTTLE_ENV_B"]);
    assert_eq!(stdout(&run), "of B, of A\n", "{}", screen(&run));
}
