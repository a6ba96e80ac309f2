//! What the matrix lets through, put into few bottles, and those given to the programs that read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use bottlec::target::agent;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::injection::CASES;
use crate::injection::place::interpolated;
use crate::support::texts::{quoted, read_yaml};
use crate::support::{bottlec, programs, screen, skipped};

/// The texts that were taken at a place, each as it is written there.
fn taken(path: &str) -> Vec<String> {
    let cases = CASES.iter().filter(|case| case.place.path == path && case.is_taken());
    let texts: Vec<String> = cases.map(|case| (case.place.written)(&case.text)).collect();
    assert!(!texts.is_empty(), "{path}");
    texts
}

/// A folder with compiled bottles, and what they were made to say.
struct Bottles {
    folder: TempDir,
    /// Each with the image that it names, if it names one.
    names: Vec<(String, Option<String>)>,
    /// Variables of the first.
    variables: BTreeMap<String, String>,
    /// Users by host.
    users: BTreeMap<String, String>,
    /// Prefixes by host.
    prefixes: BTreeMap<String, String>,
}

static BOTTLES: LazyLock<Bottles> = LazyLock::new(|| {
    let folder = crate::support::folder(&[]);
    let (mut env, mut variables) = (String::new(), BTreeMap::new());
    for (number, written) in taken("env.*").into_iter().enumerate() {
        env += &format!("  V{number}: {}\n", quoted(&written));
        variables.insert(format!("V{number}"), written.replace("$$", "$"));
    }
    for name in taken("env.{}") {
        env += &format!("  {}: named\n", quoted(&name));
        variables.insert(name, "named".to_owned());
    }
    let (mut routes, mut users, mut prefixes) = (String::new(), BTreeMap::new(), BTreeMap::new());
    for (number, user) in taken("egress.routes[].auth.username").into_iter().enumerate() {
        let auth = format!("{{ scheme: Basic, token_ref: T{}, username: {} }}", number % 3, quoted(&user));
        routes += &format!(
            "    - host: user{number}.example\n      auth: {auth}\n      pipelock: {{ tls_passthrough: true }}\n"
        );
        users.insert(format!("user{number}.example"), user);
    }
    for (number, prefix) in taken("egress.routes[].path_allowlist[]").into_iter().enumerate() {
        routes += &format!("    - host: path{number}.example\n      path_allowlist: [{}]\n", quoted(&prefix));
        prefixes.insert(format!("path{number}.example"), prefix);
    }
    let hosts: BTreeSet<String> = taken("egress.routes[].host")
        .into_iter()
        .map(|host| host.strip_suffix('.').unwrap_or(&host).to_ascii_lowercase())
        .collect();
    routes.extend(hosts.iter().map(|host| format!("    - host: {}\n", quoted(host))));
    let ranges: Vec<String> =
        taken("egress.routes[].pipelock.ssrf_ip_allowlist[]").iter().map(|range| quoted(range)).collect();
    routes +=
        &format!("    - host: ranges.example\n      pipelock: {{ ssrf_ip_allowlist: [{}] }}\n", ranges.join(", "));
    // A folder of every name that a Dockerfile may have, one in the other.
    let steps: Vec<String> = taken("agent_provider.dockerfile")
        .into_iter()
        .filter(|name| !name.contains('/') && ![".", ".."].contains(&name.as_str()) && name.len() < 250)
        .collect();
    let mut dockerfile = steps[..steps.len().min(60)].join("/");
    dockerfile.push_str("/$File: #1");
    let path = folder.path().join(&dockerfile);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "FROM scratch\n").unwrap();

    let mut names = vec![("all".to_owned(), None)];
    let all =
        format!("agent_provider: {{ dockerfile: {} }}\nenv:\n{env}egress:\n  routes:\n{routes}", quoted(&dockerfile));
    fs::write(folder.path().join("all.yaml"), all).unwrap();
    // A start of compose a bottle: those that have the most to get wrong.
    let mut images = taken("agent_provider.image");
    images.sort_by_key(|image| std::cmp::Reverse(image.bytes().filter(|b| !b.is_ascii_alphanumeric()).count()));
    for (number, image) in images.into_iter().take(3).enumerate() {
        let name = format!("image{number}");
        fs::write(
            folder.path().join(format!("{name}.yaml")),
            format!("agent_provider: {{ image: {} }}\n", quoted(&image)),
        )
        .unwrap();
        names.push((name, Some(image)));
    }
    let files: Vec<String> = names.iter().map(|(name, _)| format!("{name}.yaml")).collect();
    // An archive is for one backend alone.
    for name in &files {
        let is_archive = fs::read_to_string(folder.path().join(name)).unwrap().contains("image: \".");
        let backend = if is_archive { "smolmachines" } else { "docker,smolmachines" };
        let run = bottlec(folder.path(), &["build", "-q", "-o", "out", "--backend", backend, name]);
        assert!(run.status.success(), "{name} {}", screen(&run));
    }
    Bottles { folder, names, variables, users, prefixes }
});

impl Bottles {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("out").join(name)
    }
}

/// Reads files as YAML 1.1.
const YAML_1_1: &str = "import json, sys, yaml; json.dump([yaml.safe_load(open(path, encoding='utf-8')) for path in sys.argv[1:]], sys.stdout)";

/// A program over files, which prints one JSON.
fn python(program: &Path, script: &str, arguments: &[&Path]) -> Value {
    let run = Command::new(program).args(["-c", script]).args(arguments).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).unwrap()
}

#[test]
fn pyyaml_reads_what_our_readers_read() {
    for program in programs("BOTTLEC_PYTHON_BINS") {
        let paths: Vec<PathBuf> = BOTTLES
            .names
            .iter()
            .flat_map(|(name, _)| {
                ["compose.yaml", "egress/routes.yaml", "pipelock/pipelock.yaml"]
                    .map(|file| BOTTLES.path(name).join(file))
            })
            .collect();
        let arguments: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
        let theirs = python(&program, YAML_1_1, &arguments);
        assert_eq!(theirs.as_array().unwrap().len(), paths.len());
        for (path, theirs) in paths.iter().zip(theirs.as_array().unwrap()) {
            assert_eq!(*theirs, read_yaml(&fs::read_to_string(path).unwrap()), "{}", path.display());
        }
    }
}

#[test]
fn the_addon_finds_each_route_as_the_proxy_names_it() {
    for mitmdump in programs("BOTTLEC_MITMDUMP_BINS") {
        let folder = BOTTLES.path("all").join("egress");
        let script = "
import json, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import addon
from mitmproxy.net.http.url import parse_authority
routes = addon.read_routes(Path(sys.argv[1], 'routes.yaml')).by_host
said = {}
for name, route in routes.items():
    said[name] = {'user': route.auth_username, 'prefixes': list(route.path_allowlist)}
    try:
        # As the proxy reads the head of a tunnel.
        host, port = parse_authority(f'{name}:443'.encode(), check=True)
        said[name]['found'] = addon.judge_host(routes, host, port, True).host
        for prefix in route.path_allowlist or ('/',):
            addon.judge_request(route, name, [name], 'GET', prefix, [])
    except (addon.Refused, ValueError) as error:
        said[name]['refused'] = getattr(error, 'rule', 'malformed')
json.dump(said, sys.stdout)
";
        let said = python(&mitmdump.with_file_name("python"), script, &[&folder]);
        let routes = read_yaml(&fs::read_to_string(folder.join("routes.yaml")).unwrap())["routes"].clone();
        let said = said.as_object().unwrap();
        assert_eq!(said.len(), routes.as_array().unwrap().len());
        for (host, said) in said {
            assert_eq!(said["found"], **host, "{said}");
            assert_eq!(said["refused"], Value::Null, "{host} {said}");
            assert_eq!(said["user"].as_str(), BOTTLES.users.get(host).map(String::as_str), "{host}");
            // The provider's own hosts have prefixes of the provider's.
            if let Some(prefix) = BOTTLES.prefixes.get(host) {
                assert_eq!(said["prefixes"], serde_json::json!([prefix]), "{host}");
            }
        }
    }
}

#[test]
fn compose_hands_on_what_was_written() {
    for compose in programs("BOTTLEC_COMPOSE_BINS") {
        for (name, image) in &BOTTLES.names {
            let folder = BOTTLES.path(name);
            let path = std::env::var_os("PATH").unwrap();
            let run = Command::new(&compose)
                .arg("config")
                .current_dir(&folder)
                .env_clear()
                .env("PATH", path)
                .output()
                .unwrap();
            assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
            // It prints YAML 1.1, in which `0o17` needs no quotes.
            let printed = folder.join("printed.yaml");
            fs::write(&printed, &run.stdout).unwrap();
            let Some(read) = programs("BOTTLEC_PYTHON_BINS").first().map(|it| python(it, YAML_1_1, &[&printed])) else {
                return;
            };
            let read = read[0].clone();
            let ours = read_yaml(&fs::read_to_string(folder.join("compose.yaml")).unwrap());
            let Some(agent) = read["services"].get("agent") else { continue };
            if let Some(image) = image {
                assert_eq!(agent["image"], **image);
                continue;
            }
            // What compose prints is a compose file again, with dollars escaped.
            let environment = agent["environment"].as_object().unwrap();
            assert_eq!(environment.len(), ours["services"]["agent"]["environment"].as_object().unwrap().len());
            // In what it prints, line breaks of YAML 1.1 are folded; PyYAML, its reader, has them as they are.
            let is_folded = |text: &String| text.contains(['\u{85}', '\u{2028}', '\u{2029}']);
            for (variable, text) in BOTTLES.variables.iter().filter(|(_, text)| !is_folded(text)) {
                let read = environment[variable].as_str().map(|read| read.replace("$$", "$"));
                assert_eq!(read.as_ref(), Some(text), "{variable} {:?}", environment[variable]);
            }
            let build = &ours["services"]["agent"]["build"];
            let context = PathBuf::from(agent["build"]["context"].as_str().unwrap().replace("$$", "$"));
            let dockerfile = context.join(agent["build"]["dockerfile"].as_str().unwrap().replace("$$", "$"));
            assert!(dockerfile.exists(), "{}", dockerfile.display());
            assert!(context.ends_with(interpolated(&build["context"]).strip_prefix("../../").unwrap()));
        }
    }
}

#[test]
fn smolvm_stores_what_was_written() {
    for smolvm in programs("BOTTLEC_SMOLVM_BINS") {
        let home = tempfile::tempdir().unwrap();
        let folder = BOTTLES.path("all");
        fs::create_dir_all(folder.join("image")).unwrap();
        fs::write(folder.join("image/agent.tar"), "an archive").unwrap();
        let run = Command::new(&smolvm)
            .args(["machine", "create", "--name", "all", "-s", "Smolfile"])
            .current_dir(&folder)
            .env_clear()
            .env("HOME", home.path())
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        // `machine ls` does not show the variables; its own store does.
        let store = home.path().join(".local/share/smolvm/server/smolvm.db");
        let script = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('select data from vms').fetchone()[0].decode())";
        for program in programs("BOTTLEC_PYTHON_BINS") {
            let stored = python(&program, script, &[&store]);
            let read: BTreeMap<&str, &str> = stored["env"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| (entry[0].as_str().unwrap(), entry[1].as_str().unwrap()))
                .collect();
            for (variable, text) in &BOTTLES.variables {
                assert_eq!(read[variable.as_str()], text, "{variable}");
            }
            let own = smolfile::parse(&fs::read_to_string(folder.join("Smolfile")).unwrap()).unwrap().env.len();
            assert_eq!(read.len(), own, "a variable more or less");
        }
    }
}

/// The docker client reads the env file and sends what it read to the engine, which is a stand-in here.
#[test]
fn docker_hands_on_what_was_written() {
    if Command::new("docker").arg("--version").output().is_err() {
        return skipped("there is no docker");
    }
    let engine = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("tcp://{}", engine.local_addr().unwrap());
    let received = std::thread::spawn(move || {
        for connection in engine.incoming() {
            let mut connection = connection.unwrap();
            let mut reader = BufReader::new(connection.try_clone().unwrap());
            let (mut line, mut length, mut first) = (String::new(), 0, String::new());
            while reader.read_line(&mut line).unwrap() > 0 && line.trim() != "" {
                if first.is_empty() {
                    first = line.clone();
                }
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let asked = first.contains("/containers/create");
            let (status, answer) =
                if asked { ("201 Created", r#"{"Id":"made","Warnings":[]}"#) } else { ("200 OK", "OK") };
            let head = format!("HTTP/1.1 {status}\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n");
            let answer = format!("{head}Content-Length: {}\r\nConnection: close\r\n\r\n{answer}", answer.len());
            let _ = connection.write_all(answer.as_bytes());
            if asked {
                return body;
            }
        }
        Vec::new()
    });
    let run = Command::new("docker")
        .args(["--host", &address, "create", "--pull", "never", "--env-file", agent::ENV_FILE, "image"])
        .current_dir(BOTTLES.path("all"))
        .env_clear()
        .env("HOME", BOTTLES.folder.path())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let body: Value = serde_json::from_slice(&received.join().unwrap()).unwrap();
    let items: Vec<&str> = body["Env"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
    let read: BTreeMap<&str, &str> = items.iter().map(|item| item.split_once('=').unwrap()).collect();
    assert_eq!(read.len(), items.len());
    for (variable, text) in &BOTTLES.variables {
        assert_eq!(read[variable.as_str()], text, "{variable}");
    }
    let lines = fs::read_to_string(BOTTLES.path("all").join(agent::ENV_FILE)).unwrap();
    assert_eq!(json!(items.len()), json!(lines.lines().filter(|line| !line.starts_with('#')).count()));
}
