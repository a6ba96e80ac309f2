//! What the owner of a token agreed to: a bottle sends none to a host, and hands none to its agent, before
//! that. The answer holds for one folder.

use std::fs;
use std::path::Path;
use std::process::Output;

use sha2::{Digest as _, Sha256};

use super::terminal::Session;
use super::{Bottle, folder};
use crate::support::{screen, stdout};

const CANARY: &str = "canary-hub-91c2d7aa";
const VALUES: [(&str, &str); 2] = [("GITHUB_TOKEN", CANARY), ("FORGE_TOKEN", "canary-forge-33aa")];

fn route(host: &str, token: &str) -> String {
    format!("    - host: {host}\n      auth: {{ scheme: Bearer, token_ref: {token} }}\n")
}

fn manifest(routes: &[(&str, &str)]) -> String {
    let routes: String = routes.iter().map(|(host, token)| route(host, token)).collect();
    format!("name: review\negress:\n  routes:\n{routes}")
}

/// A bottle that was built and not looked at.
fn cloned(manifest: &str) -> Bottle {
    let bottle = Bottle(folder(&[("review.yaml", manifest)]));
    bottle.compile(&[]);
    bottle
}

fn rebuilt(bottle: &Bottle, manifest: &str) {
    fs::write(bottle.path().join("review.yaml"), manifest).unwrap();
    bottle.compile(&[]);
}

fn allow(bottle: &Bottle, arguments: &[&str]) -> Output {
    bottle.command(&["allow"]).args(arguments).output().unwrap()
}

/// What `allow --list` prints, with its exit code.
fn listed(bottle: &Bottle) -> (i32, String) {
    let run = allow(bottle, &["--list", "out/review"]);
    (run.status.code().unwrap(), stdout(&run))
}

#[test]
fn a_cloned_repository_sends_no_token_to_a_host_of_its_own() {
    let home = Bottle::new(&manifest(&[("api.github.com", "GITHUB_TOKEN")]));
    let start = ["--", "touch", "../../started"];
    assert!(home.exec(&VALUES, &start).status.success(), "the owner agreed to that");
    fs::remove_file(home.path().join("started")).unwrap();

    // The same home and the same name, another folder: with a host of its own, and with the very same text.
    for (host, folder) in [("evil.example", "clone"), ("api.github.com", "twin")] {
        let clone = home.path().join(folder);
        fs::create_dir(&clone).unwrap();
        fs::write(clone.join("review.yaml"), manifest(&[(host, "GITHUB_TOKEN")])).unwrap();
        let built = home.command(&["build", "review.yaml", "-o", "out"]).current_dir(&clone).output().unwrap();
        assert!(built.status.success(), "{}", screen(&built));
        let tree = format!("{folder}/out/review");
        let run = home.command(&["exec", &tree]).args(start).envs(VALUES).output().unwrap();
        assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
        let said = format!(
            "error: bottle review uses credentials that are not allowed in this folder:\n       \
             GITHUB_TOKEN is sent to {host} (review.yaml:5:42)\n"
        );
        assert!(screen(&run).contains(&said), "{}", screen(&run));
        assert!(screen(&run).contains(&format!("run `bottlec allow {tree}`")), "{}", screen(&run));
        assert!(screen(&run).ends_with("bottlec: nothing was started\n") && !screen(&run).contains("canary"));
        assert!(!clone.join("started").exists() && run.stdout.is_empty());
        // With the answer it starts.
        let allowed = home.command(&["allow", "--yes", &tree]).output().unwrap();
        assert_eq!(screen(&allowed), format!("bottlec: allowed: GITHUB_TOKEN is sent to {host} (review.yaml:5:42)\n"));
        let run = home.command(&["exec", &tree]).args(start).envs(VALUES).output().unwrap();
        assert_eq!((run.status.code(), screen(&run).as_str()), (Some(0), ""));
        assert!(clone.join("started").exists());
    }
}

#[test]
fn a_rebuild_asks_for_what_it_adds_and_for_nothing_else() {
    let hub = ("api.github.com", "GITHUB_TOKEN");
    let bottle = Bottle::new(&manifest(&[hub]));
    let added = [("evil.example", "GITHUB_TOKEN"), ("git.example.com", "FORGE_TOKEN")];
    for (host, token) in added {
        rebuilt(&bottle, &manifest(&[hub, (host, token)]));
        let said = bottle.refused(&VALUES, 1);
        assert!(said.contains(&format!("       {token} is sent to {host} (review.yaml:7:")), "{said}");
        assert!(!said.contains("api.github.com"), "{said}");
        assert_eq!(listed(&bottle).0, 1);
    }
    // The other way round is nothing new, whatever the order and what is left out.
    rebuilt(&bottle, &manifest(&[added[1], hub, added[0]]));
    assert!(allow(&bottle, &["--yes", "out/review"]).status.success());
    for routes in [&[added[0], added[1], hub] as &[_], &[hub, added[0]], &[added[1]]] {
        rebuilt(&bottle, &manifest(routes));
        assert_eq!(screen(&bottle.exec(&VALUES, &["--", "true"])), "");
    }
    // A token that goes to the host of another one is new.
    rebuilt(&bottle, &manifest(&[("api.github.com", "FORGE_TOKEN")]));
    bottle.refused(&VALUES, 1);
}

#[test]
fn nothing_is_looked_at_before_the_answer() {
    let bottle = cloned(&manifest(&[("api.github.com", "GITHUB_TOKEN")]));
    for values in [&[] as &[(&str, &str)], &[("GITHUB_TOKEN", "")], &[("GITHUB_TOKEN", "canary\n")]] {
        let said = bottle.refused(values, 1);
        assert_eq!(said.matches("error").count(), 1, "{said}");
        assert!(said.contains("are not allowed") && !said.contains("is not set") && !said.contains("the value of"));
    }
    assert!(allow(&bottle, &["--yes", "out/review"]).status.success());
    assert!(bottle.refused(&[], 1).contains("GITHUB_TOKEN is not set"), "afterwards they are");
}

#[test]
fn the_agents_own_login_is_asked_for_like_any_token() {
    let bottle = super::login::signed_in(&super::login::login(super::login::LATER, super::login::ACCOUNT));
    assert!(allow(&bottle, &["--forget", "out/review"]).status.success());
    fs::write(bottle.path().join(".codex/auth.json"), "not looked at").unwrap();
    let said = bottle.refused(&[], 1);
    for host in ["api.openai.com", "chatgpt.com"] {
        let words = format!("your codex login (BOT_BOTTLE_CODEX_HOST_ACCESS_TOKEN) is sent to {host} (review.yaml:2:");
        assert!(said.contains(&words), "{said}");
    }
    assert!(!said.contains("auth file"), "{said}");
}

#[test]
fn a_credential_is_given_to_the_agent_only_after_the_answer() {
    let env = "name: review\nenv:\n  HUB: ${GITHUB_TOKEN}\n  GH_TOKEN: ${MINE}\n  EDITOR: ${EDITOR}\n";
    let values = [("GITHUB_TOKEN", CANARY), ("MINE", "x"), ("EDITOR", "vi")];
    let bottle = cloned(env);
    let said = bottle.refused(&values, 1);
    for words in [
        "       GITHUB_TOKEN is passed to the agent as HUB (review.yaml:3:3)\n",
        "       MINE is passed to the agent as GH_TOKEN (review.yaml:4:3)\n",
    ] {
        assert!(said.contains(words), "{said}");
    }
    assert!(!said.contains("EDITOR") && !said.contains("canary"), "{said}");
    assert!(allow(&bottle, &["--yes", "out/review"]).status.success());
    assert_eq!(screen(&bottle.exec(&values, &["--", "true"])), "");
    // A host that may have the token is not the agent, nor the other way round.
    rebuilt(&bottle, &manifest(&[("api.github.com", "GITHUB_TOKEN")]));
    bottle.refused(&values, 1);
}

#[test]
fn a_bottle_without_credentials_asks_nothing_and_needs_no_home() {
    let bottle = cloned("name: review\nenv: { EDITOR: \"${EDITOR}\" }\n");
    for arguments in [&["exec", "out/review", "--", "true"] as &[&str], &["allow", "out/review"]] {
        let run = bottle.command(arguments).env("EDITOR", "vi").env("HOME", "/nowhere/home").output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }
    let run = bottle.command(&["exec", "out/review", "--", "true"]).env("EDITOR", "vi").env_remove("HOME").output();
    assert_eq!(run.unwrap().status.code(), Some(0));
    assert_eq!(listed(&bottle), (0, String::new()));
}

#[test]
fn what_counts_is_where_egress_sends_the_token_and_not_what_the_index_says() {
    let bottle = Bottle::new(&manifest(&[("api.github.com", "GITHUB_TOKEN")]));
    let hash = |text: &str| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let wire = fs::read_to_string(bottle.tree().join("egress/routes.yaml")).unwrap();
    let other = wire.replace("api.github.com", "evil.example");
    fs::write(bottle.tree().join("egress/routes.yaml"), &other).unwrap();
    let index = fs::read_to_string(bottle.tree().join("bottle.json")).unwrap();
    assert!(index.contains(&hash(&wire)) && wire != other);
    fs::write(bottle.tree().join("bottle.json"), index.replace(&hash(&wire), &hash(&other))).unwrap();
    bottle.refused(&VALUES, 1);
}

#[test]
fn allow_lists_takes_back_and_says_what_it_did() {
    let bottle = cloned(&manifest(&[("api.github.com", "GITHUB_TOKEN"), ("git.example.com", "FORGE_TOKEN")]));
    let new = "new      GITHUB_TOKEN is sent to api.github.com (review.yaml:5:42)\n\
               new      FORGE_TOKEN is sent to git.example.com (review.yaml:7:42)\n";
    assert_eq!(listed(&bottle), (1, new.to_owned()));
    // Without a terminal nobody agrees.
    let run = allow(&bottle, &["out/review"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(screen(&run).contains("cannot ask without a terminal") && screen(&run).contains("allow --yes out/review"));
    assert_eq!(listed(&bottle), (1, new.to_owned()));

    assert_eq!(screen(&allow(&bottle, &["--yes", "-q", "out/review"])), "");
    assert_eq!(listed(&bottle), (0, new.replace("new    ", "allowed")));
    assert_eq!(screen(&allow(&bottle, &["--yes", "out/review"])), "bottlec: nothing new to allow in out/review\n");
    rebuilt(&bottle, &manifest(&[("git.example.com", "FORGE_TOKEN")]));
    let rest = "allowed  FORGE_TOKEN is sent to git.example.com (review.yaml:5:42)\n\
                unused   GITHUB_TOKEN is sent to api.github.com\n";
    assert_eq!(listed(&bottle), (0, rest.to_owned()));

    let run = allow(&bottle, &["--forget", "out/review"]);
    assert_eq!(
        (run.status.code(), screen(&run).contains("revoked everything that was allowed in out/review")),
        (Some(0), true)
    );
    assert_eq!(listed(&bottle).0, 1);
    bottle.refused(&VALUES, 1);

    for (arguments, code) in [
        (&["out"] as &[&str], 2),
        (&["nowhere"], 2),
        (&[], 2),
        (&["--yes", "--list", "out/review"], 2),
        (&["--yes", "--forget", "out/review"], 2),
        (&["--list", "--forget", "out/review"], 2),
    ] {
        assert_eq!(allow(&bottle, arguments).status.code(), Some(code), "{arguments:?}");
    }
    fs::write(bottle.tree().join("compose.yaml"), "services: {}\n").unwrap();
    assert_eq!(allow(&bottle, &["--yes", "out/review"]).status.code(), Some(1), "not as a build wrote it");
}

#[test]
fn the_answer_is_kept_for_its_owner_alone_and_holds_no_value() {
    use std::os::unix::fs::PermissionsExt as _;
    let bottle = cloned(&manifest(&[("api.github.com", "GITHUB_TOKEN")]));
    let config = bottle.path().join("config");
    let with = |arguments: &[&str]| {
        let mut command = bottle.command(arguments);
        command.envs(VALUES).env("XDG_CONFIG_HOME", &config).output().unwrap()
    };
    assert!(with(&["allow", "--yes", "out/review"]).status.success());
    assert!(with(&["exec", "out/review", "--", "true"]).status.success());
    assert!(!bottle.path().join(".config").exists(), "XDG_CONFIG_HOME is where it is kept");
    let kept = crate::support::files_below(&config);
    let [file] = kept.as_slice() else { panic!("{kept:?}") };
    let text = fs::read_to_string(file).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let folder = bottle.tree().canonicalize().unwrap();
    let expected = serde_json::json!({
        "folder": folder.to_str().unwrap(), "tokens": { "GITHUB_TOKEN": ["api.github.com"] }, "env": [],
    });
    assert_eq!(json, expected);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(file.parent().unwrap())), (0o600, 0o700));
    // A file that is not bottlec's allows nothing.
    fs::write(file, "allow all").unwrap();
    let run = with(&["exec", "out/review", "--", "true"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("is not what bottlec wrote; remove it"), "{}", screen(&run));
}

const TWO: [(&str, &str); 2] = [("api.github.com", "GITHUB_TOKEN"), ("git.example.com", "FORGE_TOKEN")];
const START: [&str; 3] = ["--", "touch", "../../started"];

#[test]
fn exec_asks_once_on_the_terminal_for_all_that_is_new() {
    let bottle = cloned(&manifest(&TWO));
    for (keys, word) in [("y\n", "yes"), ("YES\r", "yes")] {
        assert!(allow(&bottle, &["--forget", "out/review"]).status.success());
        let mut session = Session::start(&bottle, &VALUES, &START);
        session.expect("from now on? [y/N]: ");
        session.press(keys);
        let (run, shown) = session.end();
        assert_eq!((run.status.code(), screen(&run).as_str()), (Some(0), ""));
        let folder = bottle.tree().canonicalize().unwrap();
        let expected = format!(
            "bottlec: bottle review in {} wants to use your credentials:\r\n\r\n  \
             GITHUB_TOKEN is sent to api.github.com (review.yaml:5:42)\r\n  \
             FORGE_TOKEN is sent to git.example.com (review.yaml:7:42)\r\n\r\n\
             bottlec: allow these 2 in this folder from now on? [y/N]: {word}\r\n",
            folder.display()
        );
        assert_eq!(shown, expected);
        assert!(bottle.path().join("started").exists());
        // The second time it is known.
        let (run, shown) = Session::start(&bottle, &VALUES, &START).end();
        assert_eq!((run.status.code(), shown.as_str()), (Some(0), ""));
        assert_eq!(screen(&bottle.exec(&VALUES, &START)), "", "also without a terminal");
        fs::remove_file(bottle.path().join("started")).unwrap();
    }
    rebuilt(&bottle, &manifest(&[TWO[0], TWO[1], ("evil.example", "GITHUB_TOKEN")]));
    let mut session = Session::start(&bottle, &VALUES, &START);
    session.expect("allow it in this folder from now on? [y/N]: ");
    session.press("\n");
    let (run, shown) = session.end();
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
    assert!(shown.contains("GITHUB_TOKEN is sent to evil.example (review.yaml:9:42)"), "{shown}");
    assert!(!shown.contains("git.example.com"), "{shown}");
}

#[test]
fn anything_but_yes_starts_nothing_and_keeps_nothing() {
    let bottle = cloned(&manifest(&TWO));
    for (keys, code) in [("\n", 1), ("n\n", 1), ("No\n", 1), ("\u{3}", 130), ("y\u{3}", 130), ("\u{4}", 130)] {
        let mut session = Session::start(&bottle, &VALUES, &START);
        session.expect("[y/N]: ");
        session.press(keys);
        let (run, shown) = session.end();
        assert_eq!(run.status.code(), Some(code), "{keys:?} {}", screen(&run));
        assert_eq!(screen(&run), "bottlec: nothing was started\n");
        assert!(!bottle.path().join("started").exists() && !shown.contains("canary"), "{shown}");
        assert_eq!(listed(&bottle).0, 1);
    }
    // Not understood is asked again.
    let mut session = Session::start(&bottle, &VALUES, &START);
    session.expect("[y/N]: ");
    session.press("yess\n");
    session.expect("Please answer y or n.\r\nbottlec: bottle review");
    session.press("y\n");
    assert_eq!(session.end().0.status.code(), Some(0));
}

#[test]
fn what_was_typed_before_the_question_is_no_answer_to_it() {
    let bottle = cloned(&manifest(&TWO));
    let arguments = ["exec", "out/review", "--", "touch", "../../started"];
    let mut session = Session::of(&bottle, &VALUES, &arguments, "y\n");
    session.expect("[y/N]: ");
    session.press("\n");
    let (run, _) = session.end();
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
    assert!(!bottle.path().join("started").exists());
}

#[test]
fn allow_asks_on_the_terminal_too() {
    let bottle = cloned(&manifest(&TWO));
    for (keys, code, words) in [("n\n", 1, "bottlec: nothing was allowed\n"), ("y\n", 0, "")] {
        let mut session = Session::of(&bottle, &[], &["allow", "out/review"], "");
        session.expect("allow these 2 in this folder from now on? [y/N]: ");
        session.press(keys);
        let (run, _) = session.end();
        assert_eq!((run.status.code(), screen(&run).as_str()), (Some(code), words));
    }
    assert_eq!(listed(&bottle).0, 0);
}
