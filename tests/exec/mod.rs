//! `bottlec exec`: what the command gets, where it runs, and where no value goes.

mod compose;
mod consent;
mod login;
mod terminal;
mod tree;
mod values;

use crate::support;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::{files_below, folder, programs, screen, stdout};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Two tokens, a variable of the host, and text that needs nothing.
const MANIFEST: &str = "\
name: review
env:
  LITERAL: text
  FROM_HOST: ${REVIEWER}
egress:
  routes:
    - host: git.example.com
      auth: { scheme: token, token_ref: FORGE_TOKEN }
      pipelock: { tls_passthrough: true }
    - host: api.example.com
      auth: { scheme: Bearer, token_ref: API_TOKEN }
      pipelock: { tls_passthrough: true }
    - host: raw.example.com
      auth: { scheme: token, token_ref: FORGE_TOKEN }
      pipelock: { tls_passthrough: true }
";
const FORGE: &str = "canary-forge-7d1f93c2";
const API: &str = "canary-api-55aa01be";
const REVIEWER: &str = "canary reviewer ü 3c9e";
const VALUES: [(&str, &str); 3] = [("FORGE_TOKEN", FORGE), ("API_TOKEN", API), ("REVIEWER", REVIEWER)];

/// A folder with the manifest and what it compiles to.
struct Bottle(TempDir);

impl Bottle {
    fn new(manifest: &str) -> Self {
        Self::build(manifest, &[])
    }

    fn build(manifest: &str, options: &[&str]) -> Self {
        let bottle = Bottle(folder(&[("review.yaml", manifest)]));
        bottle.rebuild(options);
        bottle
    }

    /// Builds, and agrees to all that the bottle does with credentials.
    fn rebuild(&self, options: &[&str]) {
        self.compile(options);
        let run = self.command(&["allow", "--yes", "out/review"]).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }

    fn compile(&self, options: &[&str]) {
        let run = self.command(&["build", "review.yaml", "-o", "out"]).args(options).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// What the routes say of the slots.
    fn binding(&self) -> String {
        let wire = fs::read_to_string(self.tree().join("egress/routes.yaml")).unwrap();
        let wire: serde_json::Value = serde_yaml::from_str(&wire).unwrap();
        wire["slots"].as_str().unwrap().to_owned()
    }

    fn tree(&self) -> PathBuf {
        self.path().join("out/review")
    }

    /// bottlec in the folder, away from any terminal, with nothing but `HOME` and `PATH`.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("setsid");
        command.arg(env!("CARGO_BIN_EXE_bottlec")).args(arguments).current_dir(self.path()).env_clear();
        command.env("HOME", self.path()).env("PATH", std::env::var_os("PATH").unwrap()).stdin(Stdio::null());
        command
    }

    fn exec(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
        self.command(&["exec", "out/review"]).args(arguments).envs(variables.iter().copied()).output().unwrap()
    }

    /// Runs a command that must not be started, and says what was said.
    fn refused(&self, variables: &[(&str, &str)], code: i32) -> String {
        let run = self.exec(variables, &["--", "touch", "../../started"]);
        assert_eq!(run.status.code(), Some(code), "{}", screen(&run));
        assert!(!self.path().join("started").exists() && run.stdout.is_empty(), "{}", screen(&run));
        screen(&run)
    }
}

/// The id of the checkout in this folder.
fn checkout_id(folder: &Path) -> String {
    use sha2::Digest as _;
    let hash = sha2::Sha256::digest(folder.canonicalize().unwrap().as_os_str().as_bytes());
    hash[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_command_gets_slots_and_launch_variables_and_keeps_the_rest() {
    let bottle = Bottle::new(MANIFEST);
    let inherited = [
        ("KEPT", "kept"),
        ("EGRESS_TOKEN_0", "old"),
        ("EGRESS_TOKEN_9", "old"),
        ("BOTTLE_ENV_OTHER", "old"),
        ("EGRESS_SLOTS", "old"),
        ("EGRESS_OTHER", "old"),
        ("BOTTLE_GID", "77"),
        ("COMPOSE_FILE", "docker-compose.yml"),
        ("COMPOSE_PROFILES", "machine"),
        ("COMPOSE_PROJECT_NAME", "other"),
    ];
    let run = bottle.exec(&[&VALUES[..], &inherited].concat(), &["--", "env"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    let mut found: Vec<String> = stdout(&run).lines().map(str::to_owned).collect();
    found.sort();
    let owner = fs::metadata(bottle.tree().join("agent")).unwrap().uid();
    let id = checkout_id(&bottle.tree());
    let net = found.iter().find_map(|line| line.strip_prefix("BOTTLE_NET=")).unwrap().to_owned();
    assert_eq!(net.split('.').count(), 3, "{net}");
    let mut expected = [
        format!("API_TOKEN={API}"),
        format!("BOTTLE_CHECKOUT={id}"),
        format!("BOTTLE_MACHINE_NET={net}"),
        format!("BOTTLE_ENV_FROM_HOST={REVIEWER}"),
        "BOTTLE_GID=77".to_owned(),
        format!("BOTTLE_NET={net}"),
        "COMPOSE_DISABLE_ENV_FILE=1".to_owned(),
        "COMPOSE_FILE=compose.yaml".to_owned(),
        format!("COMPOSE_PROJECT_NAME=review-{id}"),
        format!("SMOLVM_MACHINE_NAME=review-{id}"),
        format!("BOTTLE_UID={owner}"),
        format!("EGRESS_SLOTS={}", bottle.binding()),
        format!("EGRESS_TOKEN_0={FORGE}"),
        format!("EGRESS_TOKEN_1={API}"),
        format!("FORGE_TOKEN={FORGE}"),
        format!("HOME={}", bottle.path().display()),
        "KEPT=kept".to_owned(),
        format!("PATH={}", std::env::var("PATH").unwrap()),
        format!("REVIEWER={REVIEWER}"),
    ];
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(screen(&run), "");
}

#[test]
fn the_agent_is_the_owner_of_its_files_unless_the_user_says_otherwise() {
    let bottle = Bottle::new(MANIFEST);
    let owner = fs::metadata(bottle.tree().join("agent")).unwrap();
    let ids = ["--", "sh", "-c", "echo $BOTTLE_UID $BOTTLE_GID"];
    let own = format!("{} {}\n", owner.uid(), owner.gid());
    let with = |more: &[(&str, &str)]| stdout(&bottle.exec(&[&VALUES[..], more].concat(), &ids));
    assert_eq!(with(&[]), own);
    assert_eq!(with(&[("BOTTLE_UID", ""), ("BOTTLE_GID", "")]), own, "compose takes an empty one for none");
    assert_eq!(with(&[("BOTTLE_UID", "1"), ("BOTTLE_GID", "2")]), "1 2\n");
    if owner.uid() == 0 {
        std::os::unix::fs::chown(bottle.tree().join("agent"), Some(1234), Some(4321)).unwrap();
        assert_eq!(with(&[]), "1234 4321\n");
    } else {
        support::skipped("another owner (needs root)");
    }
}

#[test]
fn the_command_runs_in_the_bottles_folder_and_is_found_from_where_the_user_stands() {
    let bottle = Bottle::new(MANIFEST);
    // The tree itself may hold no program.
    for (place, word) in [("tool", "here"), ("bin/named", "in bin")] {
        let path = bottle.path().join(place);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\necho {word}; pwd -P\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let inside = bottle.tree().canonicalize().unwrap();
    let path = format!("bin:{}", std::env::var("PATH").unwrap());
    for (command, path, word) in
        [("./tool", "/usr/bin:/bin", "here"), ("named", path.as_str(), "in bin"), ("tool", ":/bin", "here")]
    {
        // Not through setsid, which a bare `PATH` would hide.
        let run = Command::new(env!("CARGO_BIN_EXE_bottlec"))
            .args(["exec", "out/review", "--", command])
            .current_dir(bottle.path())
            .env_clear()
            .envs(VALUES)
            .env("HOME", bottle.path())
            .env("PATH", path)
            .output()
            .unwrap();
        assert_eq!(stdout(&run), format!("{word}\n{}\n", inside.display()), "{command} {}", screen(&run));
    }
}

#[test]
fn the_exit_code_is_the_commands_or_says_why_it_was_not_started() {
    let bottle = Bottle::new(MANIFEST);
    fs::write(bottle.path().join("text"), "no program").unwrap();
    fs::write(bottle.path().join("broken"), "#!/nowhere/interpreter\n").unwrap();
    fs::set_permissions(bottle.path().join("broken"), fs::Permissions::from_mode(0o755)).unwrap();
    for (command, code, words) in [
        (&["true"] as &[&str], 0, ""),
        (&["sh", "-c", "exit 42"], 42, ""),
        (&["no-such-command"], 127, "no-such-command: command not found"),
        (&["./no-such-file"], 127, "./no-such-file: command not found"),
        (&["./text"], 126, "./text cannot be executed"),
        (&["./out"], 126, "./out cannot be executed"),
        (&["./broken"], 126, "./broken cannot be executed"),
    ] {
        let run = bottle.exec(&VALUES, &[&["--"], command].concat());
        assert_eq!(run.status.code(), Some(code), "{command:?} {}", screen(&run));
        assert!(screen(&run).contains(words) && screen(&run).is_empty() == words.is_empty(), "{}", screen(&run));
    }
    let piped = bottle.exec(&VALUES, &["--", "sh", "-c", "kill -PIPE $$; echo survived"]);
    assert_eq!((piped.status.signal(), stdout(&piped).as_str()), (Some(13), ""), "SIGPIPE is as a shell gives it");
}

#[test]
fn the_command_takes_bottlecs_place_so_that_signals_reach_it() {
    let bottle = Bottle::new(MANIFEST);
    let script = "trap 'exit 7' TERM; echo $$; for i in $(seq 500); do sleep 0.02; done";
    for (script, code, signal) in [(script, Some(7), None), ("echo $$; exec sleep 60", None, Some(15))] {
        let mut child = bottle
            .command(&["exec", "out/review", "--", "sh", "-c", script])
            .envs(VALUES)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), child.id().to_string(), "one process from the first to the last");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert_eq!((status.code(), status.signal()), (code, signal));
    }
}

#[test]
fn no_value_is_in_an_argument_a_file_or_a_message() {
    let bottle = Bottle::new(MANIFEST);
    let before = files_below(bottle.path());
    let run = bottle.exec(&VALUES, &["-v", "--", "sh", "-c", "tr '\\0' ' ' < /proc/$$/cmdline"]);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    if cfg!(target_os = "linux") {
        assert!(stdout(&run).starts_with("sh -c tr "), "{}", stdout(&run));
    }
    let mut said = stdout(&run) + &screen(&run);
    assert_eq!(files_below(bottle.path()), before, "no file more and none less");
    for path in before {
        said.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap()));
    }
    for value in [FORGE, API, REVIEWER] {
        values::assert_hidden(&said, value);
    }
}

#[test]
fn names_are_printed_without_a_value_or_a_question() {
    let bottle = Bottle::new(&MANIFEST.replace("env:\n", "env:\n  SECRET: ?Which\n"));
    let run = bottle.exec(&[], &["--print-env-names"]);
    let names = "BOTTLE_CHECKOUT\nBOTTLE_ENV_FROM_HOST\nBOTTLE_ENV_SECRET\nBOTTLE_GID\nBOTTLE_MACHINE_NET\nBOTTLE_NET\nBOTTLE_UID\n\
        COMPOSE_DISABLE_ENV_FILE\nCOMPOSE_FILE\nCOMPOSE_PROJECT_NAME\nEGRESS_SLOTS\nEGRESS_TOKEN_0\nEGRESS_TOKEN_1\nSMOLVM_MACHINE_NAME\n";
    assert_eq!((run.status.code(), stdout(&run).as_str(), screen(&run).as_str()), (Some(0), names, ""));
}

#[test]
fn usage_errors_exit_with_2() {
    let bottle = Bottle::new(MANIFEST);
    for arguments in [
        &["exec"] as &[&str],
        &["exec", "out/review", "true"],
        &["exec", "--", "true"],
        &["exec", "--print-env-names", "out/review", "--", "true"],
        &["exec", "nowhere", "--", "true"],
        &["exec", "review.yaml", "--", "true"],
        &["exec", "out", "--", "true"],
    ] {
        let run = bottle.command(arguments).envs(VALUES).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{arguments:?} {}", screen(&run));
        assert!(!run.stderr.is_empty());
    }
    let run = bottle.exec(&VALUES, &["--host-credentials", "nowhere", "--", "true"]);
    assert!(run.status.success() && screen(&run).contains("--host-credentials has no effect"), "{}", screen(&run));
}

#[test]
fn arguments_reach_the_command_as_they_are() {
    let bottle = Bottle::new(MANIFEST);
    let odd = OsStr::from_bytes(b"--quiet \xff $HOME");
    let run = bottle
        .command(&["exec", "out/review", "--", "printf", "%s|", "-q", "--"])
        .arg(odd)
        .envs(VALUES)
        .output()
        .unwrap();
    assert_eq!(run.stdout, b"-q|--|--quiet \xff $HOME|");
}

#[test]
fn compose_gives_each_service_its_part() {
    let bottle = Bottle::new(MANIFEST);
    for compose in programs("BOTTLEC_COMPOSE_BINS") {
        // Through a shell: bottlec gives `compose config` no value.
        let script = format!("{} config", compose.display());
        let run = bottle.exec(&VALUES, &["--", "sh", "-c", &script]);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let read: serde_json::Value = serde_yaml::from_slice(&run.stdout).unwrap();
        let services = &read["services"];
        assert_eq!(
            services["egress"]["environment"],
            serde_json::json!({ "EGRESS_SLOTS": bottle.binding(), "EGRESS_TOKEN_0": FORGE, "EGRESS_TOKEN_1": API })
        );
        assert_eq!(services["agent"]["environment"]["FROM_HOST"], REVIEWER);
        let owner = fs::metadata(bottle.tree().join("agent")).unwrap();
        assert_eq!(services["agent"]["user"], format!("{}:{}", owner.uid(), owner.gid()));
        for service in ["agent", "pipelock"] {
            let text = services[service].to_string();
            assert!(!text.contains(FORGE) && !text.contains(API), "{service}");
        }
    }
}
