//! `docker compose` and `smolvm` by way of `exec`: what they read, for which project, and what comes first.
//! The programs here are scripts that say what they were given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Output;

use super::{Bottle, FORGE, MANIFEST, VALUES, checkout_id};
use crate::support::{screen, stdout};

/// Says its arguments and what of the environment is compose's or bottlec's.
const TOLD: &str = "#!/bin/sh\necho \"$(basename \"$0\") $*\"\nenv | grep -E '^(COMPOSE|EGRESS|BOTTLE_ENV|BOTTLE_NET|BOTTLE_MACHINE_NET|BOTTLE_CHECKOUT|GIT)' | sort\n";

/// One that needs no token.
const PLAIN: &str =
    "name: review\nenv: { FROM_HOST: \"${REVIEWER}\" }\negress: { routes: [{ host: git.example.com }] }\n";

fn with_programs(manifest: &str, names: &[&str]) -> Bottle {
    let bottle = Bottle::new(manifest);
    for name in names {
        let path = bottle.path().join("bin").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, TOLD).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    bottle
}

fn run(bottle: &Bottle, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    let path = format!("{}:/usr/bin:/bin", bottle.path().join("bin").display());
    let mut command = bottle.command(&["exec"]);
    command.args(arguments).envs(variables.iter().copied()).env("PATH", path).output().unwrap()
}

fn started(bottle: &Bottle, command: &str) -> String {
    let words: Vec<&str> = ["out/review", "--"].into_iter().chain(command.split(' ')).collect();
    let run = run(bottle, &VALUES, &words);
    assert_eq!(run.status.code(), Some(0), "{command}: {}", screen(&run));
    stdout(&run)
}

fn empty(bottle: &Bottle) -> PathBuf {
    bottle.path().join(".config/bottlec/empty")
}

#[test]
fn compose_reads_the_bottles_file_for_the_checkouts_project_and_nothing_else() {
    let bottle = with_programs(MANIFEST, &["docker", "docker-compose"]);
    let (id, empty) = (checkout_id(&bottle.tree()), empty(&bottle).display().to_string());
    for (command, words) in [
        ("docker compose up --detach", format!("docker compose --env-file {empty} up --detach")),
        (
            "docker --context other compose --ansi never up",
            format!("docker --context other compose --env-file {empty} --ansi never up"),
        ),
        ("docker-compose --parallel=2 logs -f", format!("docker-compose --env-file {empty} --parallel=2 logs -f")),
    ] {
        let said = started(&bottle, command);
        assert_eq!(said.lines().next().unwrap(), words);
        for line in
            ["COMPOSE_FILE=compose.yaml", "COMPOSE_DISABLE_ENV_FILE=1", &format!("COMPOSE_PROJECT_NAME=review-{id}")]
        {
            assert!(said.lines().any(|said| said == line), "{line}: {said}");
        }
    }
    assert_eq!(fs::read(empty).unwrap(), b"");
}

#[test]
fn a_docker_without_its_compose_plugin_is_called_that() {
    let bottle = with_programs(PLAIN, &["docker-compose"]);
    let docker = bottle.path().join("bin/docker");
    fs::write(&docker, "#!/bin/sh\necho 'unknown flag: --rm' >&2\nexit 125\n").unwrap();
    fs::set_permissions(&docker, fs::Permissions::from_mode(0o755)).unwrap();
    let missing = run(&bottle, &VALUES, &["out/review", "--", "docker", "compose", "run", "--rm", "agent"]);
    assert_eq!(missing.status.code(), Some(127), "{}", screen(&missing));
    assert!(screen(&missing).contains("its compose plugin is not installed"), "{}", screen(&missing));
    assert!(!screen(&missing).contains("unknown flag"), "{}", screen(&missing));
    // Another command of docker's is none of ours, nor is the other program.
    assert_eq!(run(&bottle, &VALUES, &["out/review", "--", "docker", "ps"]).status.code(), Some(125));
    assert!(started(&bottle, "docker-compose ps").starts_with("docker-compose "));
}

#[test]
fn options_that_would_have_compose_start_something_else_are_refused() {
    let bottle = with_programs(MANIFEST, &["docker", "docker-compose"]);
    for option in [
        "-f x",
        "-fx",
        "--file x",
        "--file=x",
        "--env-file x",
        "-p x",
        "-px",
        "--project-name=x",
        "--project-directory /",
        "--workdir /",
        "--profile machine",
        "--profile=*",
        "--no-such-option x",
    ] {
        for program in ["docker compose", "docker-compose", "docker -H tcp://x compose"] {
            let words: Vec<&str> = program.split(' ').chain(option.split(' ')).chain(["up"]).collect();
            let run = run(&bottle, &VALUES, &[&["out/review", "--"], &words[..]].concat());
            assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(2), ""), "{words:?} {}", screen(&run));
            assert!(
                screen(&run).contains(option.split([' ', '=']).next().unwrap().get(..2).unwrap()),
                "{}",
                screen(&run)
            );
        }
    }
}

#[test]
fn what_starts_nothing_asks_for_no_token_and_gets_none() {
    let bottle = with_programs(&MANIFEST.replace("env:\n", "env:\n  ASKED: \"?\"\n"), &["docker-compose"]);
    for command in
        ["down --volumes", "logs egress", "ps", "stop", "kill -s HUP egress", "build", "pull", "config", "images"]
    {
        let words: Vec<&str> = ["out/review", "--", "docker-compose"].into_iter().chain(command.split(' ')).collect();
        for variables in [&[][..], &VALUES] {
            let run = run(&bottle, variables, &words);
            let said = stdout(&run);
            assert_eq!(run.status.code(), Some(0), "{command} {}", screen(&run));
            assert!(!said.contains(FORGE) && !said.contains("BOTTLE_ENV_"), "{said}");
            assert!(said.contains("COMPOSE_PROFILES=machine"), "what a microVM needs is seen: {said}");
        }
    }
    for command in ["up", "run agent", "create", "no-such-command"] {
        let words: Vec<&str> = ["out/review", "--", "docker-compose"].into_iter().chain(command.split(' ')).collect();
        let run = run(&bottle, &[], &words);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(1), ""), "{command} {}", screen(&run));
    }
}

#[test]
fn run_brings_the_proxies_up_to_date_first() {
    let bottle = with_programs(MANIFEST, &["docker", "docker-compose"]);
    let empty = empty(&bottle).display().to_string();
    for (command, first) in [
        ("docker-compose run --rm agent", Some(format!("docker-compose --env-file {empty} up --detach egress"))),
        ("docker-compose run --no-deps agent", None),
        ("docker-compose up", None),
    ] {
        let words: Vec<&str> = ["out/review", "--"].into_iter().chain(command.split(' ')).collect();
        let run = run(&bottle, &VALUES, &words);
        let mut told = screen(&run).lines().map(str::to_owned).collect::<Vec<_>>().into_iter();
        let summary = told.next().unwrap();
        assert!(summary.starts_with(&format!("bottlec: {command} in out/review, project review-")), "{summary}");
        let first_line = told.find(|line| !line.starts_with("  "));
        // What comes first says so beside the command's own output, which may be read by a program.
        assert_eq!(first_line, first, "{command}");
        let quiet: Vec<&str> = ["-q"].into_iter().chain(words).collect();
        assert!(!screen(&self::run(&bottle, &VALUES, &quiet)).contains("bottlec:"), "{command}");
        assert!(stdout(&run).starts_with("docker-compose --env-file"), "{}", stdout(&run));
    }
    let own = format!("{MANIFEST}agent_provider: {{ dockerfile: Dockerfile }}\n");
    let bottle = super::folder(&[("review.yaml", &own), ("Dockerfile", "FROM x\n")]);
    let bottle = Bottle(bottle);
    bottle.rebuild(&[]);
    let text = fs::read_to_string(bottle.tree().join("compose.yaml")).unwrap();
    assert!(text.contains("bottle-review-agent:${BOTTLE_CHECKOUT:-latest}"), "{text}");
    fs::create_dir(bottle.path().join("bin")).unwrap();
    let failing = TOLD.replace("echo", "echo \"$*\" | grep -q ' build ' && exit 9\necho");
    fs::write(bottle.path().join("bin/docker-compose"), failing).unwrap();
    fs::set_permissions(bottle.path().join("bin/docker-compose"), fs::Permissions::from_mode(0o755)).unwrap();
    let run = run(&bottle, &VALUES, &["out/review", "--", "docker-compose", "run", "agent"]);
    assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(9), ""), "{}", screen(&run));
}

#[test]
fn without_a_command_the_agent_is_started_by_the_compose_that_is_there() {
    for (programs, words) in [
        (&["docker", "docker-compose"] as &[&str], "docker compose --env-file"),
        (&["docker-compose"], "docker-compose --env-file"),
    ] {
        let bottle = with_programs(MANIFEST, programs);
        // A `docker` of this machine must not be found.
        let mut command = bottle.command(&["exec", "out/review"]);
        let found = fs::read_dir("/usr/bin").is_ok_and(|_| PathBuf::from("/usr/bin/docker").exists());
        if programs.len() == 1 && found {
            crate::support::skipped("docker-compose alone (docker is installed)");
            continue;
        }
        let path = format!("{}:/usr/bin:/bin", bottle.path().join("bin").display());
        let run = command.envs(VALUES).env("PATH", path).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let said = stdout(&run);
        assert!(said.starts_with(words) && said.lines().next().unwrap().ends_with(" run --rm -T agent"), "{said}");
    }
    let bottle = Bottle::build(MANIFEST, &["--backend", "smolmachines"]);
    let run = run(&bottle, &VALUES, &["out/review"]);
    assert!(run.status.code() == Some(2) && screen(&run).contains("has no agent container"), "{}", screen(&run));
}

#[test]
fn a_manifest_names_no_variable_of_a_host_program() {
    let manifest = MANIFEST.replace("env:\n", "env:\n  GIT_DIR: ${PWD}\n  LD_PRELOAD: ${PWD}\n");
    let bottle = with_programs(&manifest, &["docker"]);
    let place = bottle.path().display().to_string();
    let variables = [&VALUES[..], &[("PWD", place.as_str())]].concat();
    let run = run(&bottle, &variables, &["out/review", "--", "docker", "compose", "up"]);
    let said = stdout(&run);
    assert!(said.contains(&format!("\nBOTTLE_ENV_GIT_DIR={place}\n")), "{said} {}", screen(&run));
    assert!(!said.contains("\nGIT_DIR="), "{said}");
}

#[test]
fn two_checkouts_never_share_a_project_and_a_moved_one_keeps_its_own() {
    let base = with_programs(PLAIN, &["docker"]);
    let config = base.path().join("config").display().to_string();
    let other = Bottle::new(PLAIN);
    let project = |place: &str, more: &[&str]| {
        let variables = [&VALUES[..], &[("XDG_CONFIG_HOME", config.as_str())]].concat();
        let run = run(&base, &variables, &[more, &[place, "--", "docker", "compose", "up"]].concat());
        let said = stdout(&run);
        let of = |name: &str| said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        (of("COMPOSE_PROJECT_NAME="), of("BOTTLE_NET="), screen(&run))
    };
    let there = other.tree().display().to_string();
    let (first, second) = (project("out/review", &[]), project(&there, &[]));
    assert!(first.0 != second.0 && first.1 != second.1 && !first.0.is_empty(), "{first:?} {second:?}");
    assert_eq!(project("out/review", &[]), first, "the same at each start");
    fs::rename(base.path().join("out"), base.path().join("moved")).unwrap();
    let moved = project("moved/review", &[]);
    if moved.2.contains("it keeps its volumes") {
        assert_eq!((&moved.0, &moved.1), (&first.0, &first.1));
        // Who comes to the old place gets others.
        fs::create_dir(base.path().join("out")).unwrap();
        base.rebuild(&[]);
        let new = project("out/review", &[]);
        assert!(new.0 != first.0 && new.1 != first.1, "{new:?} {first:?}");
    } else {
        crate::support::skipped("a moved folder is known again (the file system keeps no time of birth)");
    }
    let copy = Bottle::new(PLAIN);
    let (gone, place) = (copy.tree().display().to_string(), base.path().join("copy").display().to_string());
    let old = project(&gone, &[]).0;
    assert!(std::process::Command::new("cp").args(["-r", &gone, &place]).status().unwrap().success());
    drop(copy);
    let asked = project(&place, &[]);
    assert!(
        asked.0 != old && asked.2.contains(&format!("take over its volumes with `bottlec exec --project {old} …`")),
        "{asked:?}"
    );
    assert_eq!(project(&place, &["--project", &old]).0, old);
    assert_eq!(project(&place, &[]).0, old, "and it stays so");
    assert!(project(&place, &["--project", "../x"]).2.contains("is not a valid project name"));
}

#[test]
fn a_microvm_is_the_checkouts_and_its_network_has_one() {
    let base = with_programs(PLAIN, &["smolvm", "docker"]);
    let config = base.path().join("config").display().to_string();
    let other = Bottle::new(PLAIN);
    let at = |place: &str, command: &str| {
        let variables = [&VALUES[..], &[("XDG_CONFIG_HOME", config.as_str())]].concat();
        let words: Vec<&str> = [place, "--"].into_iter().chain(command.split(' ')).collect();
        run(&base, &variables, &words)
    };
    let id = checkout_id(&base.tree());
    let first = |run: &Output| stdout(run).lines().next().unwrap_or_default().to_owned();
    let create = at("out/review", "smolvm machine create -s Smolfile");
    assert_eq!(first(&create), format!("smolvm machine create --name review-{id} -s Smolfile"), "{}", screen(&create));
    assert!(stdout(&create).contains("BOTTLE_ENV_FROM_HOST="), "{}", stdout(&create));
    let exec = at("out/review", "smolvm machine exec -it -- claude --name x");
    assert_eq!(first(&exec), format!("smolvm machine exec --name review-{id} -it -- claude --name x"));
    assert!(!stdout(&exec).contains("EGRESS_TOKEN"), "{}", stdout(&exec));
    for named in ["create --name other -s Smolfile", "start -n other", "delete --name=other"] {
        let run = at("out/review", &format!("smolvm machine {named}"));
        assert!(run.status.code() == Some(2) && screen(&run).contains(&format!("`review-{id}`")), "{}", screen(&run));
    }
    let there = other.tree().display().to_string();
    for command in ["smolvm machine create -s Smolfile", "docker compose up --detach machine-egress"] {
        let run = at(&there, command);
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(1), ""), "{command}");
        assert!(
            screen(&run).contains("is already used by the microVM of") && screen(&run).contains("network.subnet"),
            "{}",
            screen(&run)
        );
    }
    let of = |run: &Output, name: &str| {
        let own = format!("{name}=");
        stdout(run).lines().find_map(|line| line.strip_prefix(&own).map(str::to_owned)).unwrap_or_default()
    };
    let nets = |run: &Output| (of(run, "BOTTLE_MACHINE_NET"), of(run, "BOTTLE_NET"));
    // compose 1.29 makes the network of a microVM with all others: where there is none, it must not be
    // the one that the Smolfile names.
    let without = at(&there, "docker compose up --detach egress");
    assert!(without.status.success() && nets(&without).0 == nets(&without).1, "{}", stdout(&without));
    let named = nets(&create).0;
    assert!(!named.is_empty() && named != nets(&create).1 && named != nets(&without).0, "{}", stdout(&create));
    assert_eq!(nets(&at("out/review", "docker compose up --detach egress")).0, named);
    assert!(at("out/review", "smolvm machine delete --force").status.success());
    assert_ne!(nets(&at("out/review", "docker compose up --detach egress")).0, named);
    assert_eq!(nets(&at(&there, "smolvm machine create -s Smolfile")).0, named);
}
