//! `exec`: each value is in the command's environment under its slot, and nowhere else on the machine.

use std::collections::BTreeMap;
use std::fs;

use super::canary::{Canaries, LOGIN, Project};
use super::terminal::Session;

const MANIFEST: &str = "\
name: review
agent_provider: { template: codex, forward_host_credentials: true }
env:
  FROM_HOST: ${REVIEWER}
  ASKED: ?Which ticket
egress:
  routes:
    - host: git.example.com
      auth: { scheme: token, token_ref: FORGE_TOKEN }
      pipelock: { tls_passthrough: true }
";

/// Of every process that can be looked at: what stands in a file of `/proc`.
fn processes(file: &str) -> Vec<(u32, Vec<u8>)> {
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    numbers.filter_map(|number: u32| Some((number, fs::read(format!("/proc/{number}/{file}")).ok()?))).collect()
}

/// A project whose host variables, login and answers are three kinds of canaries.
fn three_kinds() -> (Project, Canaries, String) {
    let project = Project::new(&[("review.yaml", MANIFEST)]);
    let login = Canaries::new();
    let file = login.login();
    project.sign_in(file.to_string().as_bytes());
    let built = project.run(&["build", "review.yaml", "-o", "out"]);
    assert!(built.status.success(), "{}", crate::support::screen(&built));
    project.allow();
    (project, login, file["tokens"]["access_token"].as_str().unwrap().to_owned())
}

#[test]
fn each_value_is_in_the_commands_environment_under_its_slot_and_nowhere_else() {
    let (project, login, token) = three_kinds();
    let answers = Canaries::new();
    let answer = answers.next();
    let before = super::canary::walk(project.path());
    let dump = "cat /proc/$$/environ; printf '\\1'; cat /proc/$$/cmdline /proc/$$/comm";
    let mut session = Session::start(&project, &["exec", "-v", "out/review", "--", "sh", "-c", dump]);
    session.expect("\"Which ticket\": ");
    // While it waits, the token out of the login file is in its hands.
    let own = session.child.id();
    for (number, bytes) in ["cmdline", "comm", "stat", "status"].into_iter().flat_map(processes) {
        for detector in [project.canaries.detector(), login.detector()] {
            assert_eq!(detector.find(&bytes), None, "what is said of process {number}");
        }
    }
    for (number, bytes) in processes("environ") {
        assert_eq!(login.detector().find(&bytes), None, "the environment of process {number}");
        // That of bottlec is what the user gave it; other tests have canaries of their own.
        assert!(number == own || project.canaries.detector().find(&bytes).is_none(), "process {number}");
    }
    session.answer(&answer);
    let (run, shown) = session.end();
    assert!(run.status.success(), "{}", crate::support::screen(&run));

    let (environment, rest) = run.stdout.split_at(run.stdout.iter().position(|byte| *byte == 1).unwrap());
    let detectors = [project.canaries.detector(), login.detector(), answers.detector()];
    for (what, bytes) in [("the arguments", rest), ("stderr", &run.stderr), ("the terminal", &shown)] {
        for detector in &detectors {
            assert_eq!(detector.find(bytes), None, "{what}");
        }
    }
    assert_eq!(super::canary::walk(project.path()), before, "no file more and none less");
    for path in before.iter().filter(|path| !path.ends_with(LOGIN) || path.starts_with(project.path().join("out"))) {
        for detector in &detectors {
            assert_eq!(detector.find(&fs::read(path).unwrap()), None, "{}", path.display());
        }
    }

    // What the command has is what the user has, and what it is to have.
    let found: BTreeMap<&str, &str> = std::str::from_utf8(environment)
        .unwrap()
        .split_terminator('\0')
        .map(|variable| variable.split_once('=').unwrap())
        .collect();
    let mut expected: BTreeMap<&str, &str> =
        project.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    // Of another bottle, or what decides which files compose reads.
    expected.retain(|name, _| !["EGRESS_", "COMPOSE_"].iter().any(|of| name.starts_with(of)));
    expected.insert("EGRESS_TOKEN_0", &token);
    expected.insert("EGRESS_TOKEN_1", &project.environment["FORGE_TOKEN"]);
    expected.insert("BOTTLE_ENV_FROM_HOST", &project.environment["REVIEWER"]);
    expected.insert("BOTTLE_ENV_ASKED", &answer);
    for (name, value) in &expected {
        assert!(found.get(name) == Some(value), "{name} is not what it should be");
    }
    let more: Vec<&str> = found.keys().filter(|name| !expected.contains_key(*name)).copied().collect();
    for name in &more {
        for detector in &detectors {
            assert_eq!(detector.find(found[name].as_bytes()), None, "{name}");
        }
    }
    assert!(more.contains(&"HOME") && !more.contains(&"EGRESS_TOKEN_7"), "{more:?}");
}

#[test]
fn a_start_that_fails_says_nothing_of_the_values() {
    let (project, login, _) = three_kinds();
    let without_question = MANIFEST.replace("  ASKED: ?Which ticket\n", "");
    fs::write(project.path().join("review.yaml"), without_question).unwrap();
    assert!(project.run(&["build", "review.yaml", "-o", "out"]).status.success());
    fs::write(project.path().join("broken"), "#!/nowhere/interpreter\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(project.path().join("broken"), mode).unwrap();
    for (command, code) in [
        (&["no-such-command"] as &[&str], Some(127)),
        (&["./review.yaml"], Some(126)),
        (&["./broken"], Some(126)),
        (&["sh", "-c", "exit 3"], Some(3)),
        (&["sh", "-c", "kill -9 $$"], None),
        (&["sh", "-c", "kill -ABRT $$"], None),
    ] {
        let run = project.run(&[&["exec", "-v", "out/review", "--"], command].concat());
        assert_eq!(run.status.code(), code, "{} {}", command[0], crate::support::screen(&run));
        assert_eq!(login.detector().find(&[run.stdout, run.stderr].concat()), None, "{}", command[0]);
    }
    // The kernel takes no variable of that length.
    let mut file = login.login();
    file["tokens"]["access_token"] = serde_json::json!(login.token(&serde_json::json!({
        "exp": super::canary::LATER, "long": login.next().repeat(4000),
    })));
    project.sign_in(file.to_string().as_bytes());
    assert!(project.run(&["build", "review.yaml", "-o", "out"]).status.success());
    let run = project.run(&["exec", "-v", "out/review", "--", "true"]);
    assert_eq!(run.status.code(), Some(126), "{}", crate::support::screen(&run));
    assert_eq!(login.detector().find(&[run.stdout, run.stderr].concat()), None, "a token that is too long");

    for missing in ["FORGE_TOKEN", "REVIEWER"] {
        for value in [None, Some(""), Some("a\nb"), Some("a\u{1b}[2Jb")] {
            let mut command = project.command(&["exec", "out/review", "--", "true"]);
            match value {
                None => command.env_remove(missing),
                // What is wrong with it is at its end.
                Some(value) => command.env(missing, project.canaries.next() + value),
            };
            project.assert_silent(&command.output().unwrap(), missing);
        }
    }
    project.assert_clean("starts that fail");
}
