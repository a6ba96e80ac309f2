//! Goldens given to the programs that read them. `.ci/install-consumers` installs those programs and
//! prints the variables that lead here; without a variable its test says SKIPPED, with
//! `BOTTLEC_CONSUMERS=required` it fails.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::programs;

/// A copy of every compiled golden bottle, with its case's folder above it.
fn bottles() -> (tempfile::TempDir, Vec<PathBuf>) {
    let copy = tempfile::tempdir().unwrap();
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let copied = Command::new("cp").arg("-R").arg(goldens).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    let mut found = Vec::new();
    for case in fs::read_dir(copy.path().join("golden")).unwrap() {
        for entry in fs::read_dir(case.unwrap().path().join("out")).unwrap() {
            found.extend(Some(entry.unwrap().path()).filter(|path| path.is_dir()));
        }
    }
    assert!(found.len() >= 10);
    found.sort();
    (copy, found)
}

#[test]
fn codex_takes_the_dummy_for_a_chatgpt_login() {
    let folder = support::folder(&[(
        "bottle.yaml",
        "name: codex\nagent_provider: { template: codex, forward_host_credentials: true }\n",
    )]);
    let encode = |value: Value| {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let claims = json!({
        "exp": 4_102_444_800i64,
        "email": "somebody@host.example",
        "https://api.openai.com/auth": { "chatgpt_account_id": "acc-1", "chatgpt_user_id": "user-1", "chatgpt_plan_type": "pro", "groups": [] },
        "https://api.openai.com/profile": { "email": "somebody@host.example", "email_verified": true },
    });
    let token = format!("{}.{}.c2lnbmF0dXJl", encode(json!({ "alg": "RS256", "kid": "k" })), encode(claims));
    let host = json!({
        "auth_mode": "chatgpt",
        "OPENAI_API_KEY": null,
        "tokens": { "id_token": token, "access_token": token, "refresh_token": "rt_host", "account_id": "acc-1" },
        "last_refresh": "2026-11-20T10:11:12.345678901Z",
        "agent_identity": null,
        "something_new": { "a": [1] },
    });
    fs::write(folder.path().join("auth.json"), host.to_string()).unwrap();
    for (name, arguments) in [
        ("host", ["build", "bottle.yaml", "-o", "host", "--host-credentials", "auth.json"].as_slice()),
        ("hermetic", &["build", "bottle.yaml", "-o", "hermetic", "--hermetic"]),
    ] {
        let run = support::bottlec(folder.path(), arguments);
        assert!(run.status.success(), "{}", support::screen(&run));
        for codex in programs("BOTTLEC_CODEX_BINS") {
            let home = folder.path().join(name).join("codex/agent/home/.codex");
            let status = Command::new(&codex).args(["login", "status"]).env("CODEX_HOME", &home).output().unwrap();
            let said = String::from_utf8_lossy(&status.stdout) + String::from_utf8_lossy(&status.stderr);
            assert!(status.status.success() && said.contains("Logged in using ChatGPT"), "{}: {said}", codex.display());
        }
    }
}

#[test]
fn compose_reads_every_file_and_means_what_we_mean() {
    let (_copy, bottles) = bottles();
    for compose in programs("BOTTLEC_COMPOSE_BINS") {
        for bottle in &bottles {
            // Bound variables take their value from compose's environment; nothing else does.
            let run =
                Command::new(&compose).arg("config").current_dir(bottle).env("FROM_HOST", "bound").output().unwrap();
            assert!(run.status.success(), "{}: {}", bottle.display(), String::from_utf8_lossy(&run.stderr));
            let read: Value = serde_yaml::from_slice(&run.stdout).unwrap();
            let text = fs::read_to_string(bottle.join("agent/agent.env")).unwrap();
            for (name, value) in
                text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='))
            {
                // What compose prints is a compose file again, with dollars escaped.
                let meant = read["services"]["agent"]["environment"][name].as_str().unwrap().replace("$$", "$");
                assert_eq!(meant, value, "{} {name}", bottle.display());
            }
            if bottle.ends_with("env-modes") {
                assert_eq!(read["services"]["agent"]["environment"]["FROM_HOST"], "bound");
                assert_eq!(read["services"]["agent"]["environment"]["ASKED"], Value::Null);
            }
            if bottle.ends_with("own-dockerfile") {
                let context = PathBuf::from(read["services"]["agent"]["build"]["context"].as_str().unwrap());
                let dockerfile = context.join(read["services"]["agent"]["build"]["dockerfile"].as_str().unwrap());
                assert!(dockerfile.exists(), "{}", dockerfile.display());
            }
        }
    }
}

#[test]
fn smolvm_stores_what_we_mean() {
    let (copy, bottles) = bottles();
    for smolvm in programs("BOTTLEC_SMOLVM_BINS") {
        for bottle in &bottles {
            let name = bottle.file_name().unwrap().to_str().unwrap();
            // It looks for the archive and for the mounted folder when it makes the record.
            fs::create_dir_all(bottle.join("image")).unwrap();
            fs::write(bottle.join("image/agent.tar"), "an archive").unwrap();
            let smolvm = |arguments: &[&str]| {
                let home = copy.path().join("home");
                fs::create_dir_all(&home).unwrap();
                let run = Command::new(&smolvm)
                    .args(arguments)
                    .current_dir(bottle)
                    .env_clear()
                    .env("HOME", home)
                    .output()
                    .unwrap();
                assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
                run.stdout
            };
            smolvm(&["machine", "create", "--name", name, "-s", "Smolfile"]);
            let all: Value = serde_json::from_slice(&smolvm(&["machine", "ls", "--json"])).unwrap();
            let record = all.as_array().unwrap().iter().find(|record| record["name"] == name).unwrap();
            let index: Value = serde_json::from_str(&fs::read_to_string(bottle.join("bottle.json")).unwrap()).unwrap();
            assert_eq!(record["network"], true, "{name}");
            assert_eq!(
                record["allowed_cidrs"],
                json!([format!("{}/32", index["network"]["egress"].as_str().unwrap())]),
                "{name}"
            );
            assert_eq!(record["allowed_hosts"], json!(["host.smolvm.internal"]), "{name}");
            assert_eq!(record["cmd"], json!(["sleep", "infinity"]), "{name}");
            assert_eq!(record["mounts"], 1, "{name}");
            assert_eq!(record["ports"], 0, "{name}");
            assert_eq!((&record["cpus"], &record["memory_mib"]), (&json!(2), &json!(4096)), "{name}");
        }
    }
}

#[test]
fn a_yaml_1_1_reader_sees_the_same() {
    let (_copy, bottles) = bottles();
    for python in programs("BOTTLEC_PYTHON_BINS") {
        for bottle in &bottles {
            for file in ["compose.yaml", "egress/routes.yaml", "pipelock/pipelock.yaml"] {
                let script = "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1], encoding='utf-8')), sys.stdout)";
                let run = Command::new(&python).args(["-c", script, file]).current_dir(bottle).output().unwrap();
                assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
                let theirs: Value = serde_json::from_slice(&run.stdout).unwrap();
                let ours: Value = serde_yaml::from_str(&fs::read_to_string(bottle.join(file)).unwrap()).unwrap();
                assert_eq!(theirs, ours, "{} {file}", bottle.display());
            }
        }
    }
}
