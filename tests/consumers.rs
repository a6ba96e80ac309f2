//! Goldens given to the programs that read them. `.ci/install-consumers` installs those programs and
//! prints the variables that lead here; without a variable its test says SKIPPED, with
//! `BOTTLEC_CONSUMERS=required` it fails.

use crate::support;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::goldens::{self, whole_trees as bottles};
use crate::support::programs;
use serde_json::{Value, json};

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
            let run = Command::new(&compose)
                .arg("config")
                .current_dir(bottle)
                .env("BOTTLE_ENV_FROM_HOST", "bound")
                .output()
                .unwrap();
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
                assert_eq!(read["services"]["agent"]["environment"]["ASKED"], "");
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
                json!([format!("{}/32", index["network"]["machine_egress"].as_str().unwrap())]),
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

/// Manifests that other validators must judge as the published schema does: path and verdict.
fn judged_by_the_schema() -> Vec<(PathBuf, bool)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut judged = Vec::new();
    let glob =
        |folder: &str| fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for case in goldens::cases() {
        judged.extend(Some((case.join("manifest.yaml"), true)).filter(|(path, _)| path.exists()));
    }
    judged.extend(glob("examples").into_iter().map(|path| (path, true)));
    for path in glob("tests/diagnostics").into_iter().filter(|path| path.extension().is_some_and(|end| end == "yaml")) {
        let said = fs::read_to_string(path.with_extension("txt")).unwrap();
        let is_about_yaml = path.file_name().unwrap().to_string_lossy().starts_with("yaml-") || said.contains("[BTL00");
        // What is wrong with an agent's definition is for its own schema.
        let is_about_definition = said.contains("--> agents/");
        // Of what bottlec refuses by a rule of its own a schema may know less, never more.
        if !is_about_yaml && !is_about_definition && said.contains("[BTL10") {
            judged.push((path, false));
        } else if !said.contains("error[") {
            judged.push((path, true));
        }
    }
    assert!(judged.len() > 60);
    judged
}

#[test]
fn check_jsonschema_judges_by_our_schema_as_we_do() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/bottle.schema.json");
    for program in programs("BOTTLEC_CHECK_JSONSCHEMA_BINS") {
        let judged = judged_by_the_schema();
        let run = Command::new(&program)
            .args(["--output-format", "json", "--schemafile"])
            .arg(&schema)
            .args(judged.iter().map(|(path, _)| path))
            .output()
            .unwrap();
        let said: Value = serde_json::from_slice(&run.stdout).unwrap();
        assert_eq!(said["parse_errors"].as_array().map(Vec::len), Some(0), "{said}");
        let refused: Vec<&str> =
            said["errors"].as_array().unwrap().iter().map(|error| error["filename"].as_str().unwrap()).collect();
        for (path, good) in judged {
            assert_eq!(refused.contains(&path.to_str().unwrap()), !good, "{}", path.display());
        }
    }
}

/// A module for ajv, whose strict mode has to be told of words for editors; there are no others that draft-07 does not have.
const WORDS_FOR_EDITORS: (&str, &str) =
    ("words.js", "module.exports = ajv => ajv.addVocabulary(['patternErrorMessage', 'enumDescriptions'])");

#[test]
fn ajv_judges_by_our_schema_as_we_do() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/bottle.schema.json");
    let words = support::folder(&[WORDS_FOR_EDITORS]);
    for program in programs("BOTTLEC_AJV_BINS") {
        let judged = judged_by_the_schema();
        let mut command = Command::new(&program);
        command.args(["validate", "--spec=draft7", "--strict=true", "--errors=no", "-c"]);
        command.arg(words.path().join(WORDS_FOR_EDITORS.0));
        command.arg("-s").arg(&schema);
        judged.iter().for_each(|(path, _)| {
            command.arg("-d").arg(path);
        });
        let run = command.output().unwrap();
        let said = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
        for (path, good) in judged {
            let verdict = if good { "valid" } else { "invalid" };
            assert!(
                said.lines().any(|line| line == format!("{} {verdict}", path.display())),
                "{} is not {verdict}: {said:.600}",
                path.display()
            );
        }
    }
}

#[test]
fn other_validators_take_the_schema_of_the_configuration_as_we_do() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/bottlec.schema.json");
    let words = support::folder(&[WORDS_FOR_EDITORS]);
    for program in programs("BOTTLEC_AJV_BINS") {
        let mut command = Command::new(&program);
        command.args(["compile", "--spec=draft7", "--strict=true", "-s"]).arg(&schema);
        let run = command.arg("-c").arg(words.path().join(WORDS_FOR_EDITORS.0)).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md")).unwrap();
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let judged = [
        ("good.toml", example, true),
        ("key.toml", "colour = 1\n", false),
        ("reason.toml", "[policy.forbid-hosts]\n\"a.example\" = \" \"\n", false),
        ("host.toml", "[policy.forbid-hosts]\n\"https://a.example\" = \"x\"\n", false),
        ("level.toml", "[check.severity]\nBTL601 = \"loud\"\n", false),
        ("release.toml", "[policy.require-targets]\npipelock = { version = \"9\", reason = \"x\" }\n", false),
    ];
    let files: Vec<(&str, &str)> = judged.iter().map(|(name, text, _)| (*name, *text)).collect();
    let folder = support::folder(&files);
    for program in programs("BOTTLEC_CHECK_JSONSCHEMA_BINS") {
        for (name, text, good) in judged {
            let run = Command::new(&program).arg("--schemafile").arg(&schema).arg(folder.path().join(name)).output();
            let run = run.unwrap();
            assert_eq!(run.status.success(), good, "{text}: {}", String::from_utf8_lossy(&run.stdout));
        }
    }
}

/// Runs git where the test says, as nobody in particular.
fn git(place: &Path, arguments: &[&str]) -> String {
    let run = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t.invalid", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .current_dir(place)
        .output()
        .unwrap();
    assert!(run.status.success(), "{arguments:?} {}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).unwrap()
}

/// Lets pre-commit run the hooks whose names end in `kind`, on a good manifest and on bad ones. The folder
/// `programs` is the first on the path.
///
/// The project says in `bottlec.toml` where its trees are, or the hook's arguments do.
fn hooks_judge(pre_commit: &Path, kind: &str, programs: &Path, variables: &[(&str, &str)]) {
    for is_configured in [true, false] {
        hooks_judge_project(pre_commit, kind, programs, variables, is_configured);
    }
}

fn hooks_judge_project(
    pre_commit: &Path,
    kind: &str,
    programs: &Path,
    variables: &[(&str, &str)],
    is_configured: bool,
) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let repo = |name: &str| folder.path().join(name);
    // The work tree as it is, in a repository of its own.
    fs::create_dir(repo("hooks")).unwrap();
    git(&repo("hooks"), &["init", "-q"]);
    git(&repo("hooks"), &["--work-tree", root.to_str().unwrap(), "add", "-A"]);
    git(&repo("hooks"), &["commit", "-q", "-m", "hooks"]);
    let revision = git(&repo("hooks"), &["rev-parse", "HEAD"]);

    fs::create_dir(repo("user")).unwrap();
    let config = format!(
        "repos:\n  - repo: {}\n    rev: {revision}    hooks:\n      - id: bottlec-check-{kind}\n      - id: bottlec-golden-{kind}\n{}",
        repo("hooks").display(),
        if is_configured { "" } else { "        args: [team.bottle.yaml, -o, golden]\n" },
    );
    if is_configured {
        fs::write(repo("user").join("bottlec.toml"), "golden = \"golden\"\n").unwrap();
    }
    fs::write(repo("user").join(".pre-commit-config.yaml"), config).unwrap();
    fs::write(repo("user").join("team.bottle.yaml"), "name: team\n").unwrap();
    git(&repo("user"), &["init", "-q"]);
    let built = support::bottlec(&repo("user"), &["build", "team.bottle.yaml", "--hermetic", "-o", "golden"]);
    assert!(built.status.success(), "{}", support::screen(&built));
    git(&repo("user"), &["add", "-A"]);
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let hooks = || {
        let run = Command::new(pre_commit)
            .args(["run", "--all-files", "--color", "never"])
            .current_dir(repo("user"))
            .env("PATH", &path)
            .env("PRE_COMMIT_HOME", repo("cache"))
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        (run.status.success(), String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap())
    };
    let (success, said) = hooks();
    assert!(success && said.matches("Passed").count() == 2, "{said}");
    // A mistake, and a tree that is no longer what the manifest compiles to.
    fs::write(repo("user").join("team.bottle.yaml"), "name: team\nnetwork: { subnet: 10.1.1.0/24 }\n").unwrap();
    git(&repo("user"), &["add", "-A"]);
    let (success, said) = hooks();
    assert!(!success && said.contains("Passed") && said.contains("10.1.1."), "{said}");
    let update =
        if is_configured { "bottlec build --update" } else { "bottlec build --update --hermetic team.bottle.yaml" };
    assert!(said.contains(&format!("to update it: {update}")), "{said}");
    // By any name that the rule finds, in the file that changed or beside it.
    for name in ["team.bottle.yaml", "manifest.yaml", "docs/dev.md"] {
        let path = repo("user").join(name);
        let before = fs::read(&path).ok();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = "agent_provider: {}\nnme: team\n";
        fs::write(&path, if name.ends_with(".md") { format!("---\n{text}---\n") } else { text.to_owned() }).unwrap();
        git(&repo("user"), &["add", "-A"]);
        let (success, said) = hooks();
        assert!(!success && said.contains("did you mean `name`?"), "{name}: {said}");
        before.map_or_else(|| fs::remove_file(&path), |before| fs::write(&path, before)).unwrap();
    }
}

#[test]
fn pre_commit_runs_our_hooks_with_the_installed_program() {
    for pre_commit in programs("BOTTLEC_PRE_COMMIT_BINS") {
        hooks_judge(&pre_commit, "system", Path::new(env!("CARGO_BIN_EXE_bottlec")).parent().unwrap(), &[]);
    }
}

#[test]
fn pre_commit_installs_the_released_wheel_and_compiles_nothing() {
    for release in programs("BOTTLEC_RELEASES") {
        for pre_commit in programs("BOTTLEC_PRE_COMMIT_BINS") {
            // Whoever asks for these gets nothing: neither a compiler nor another bottlec.
            let broken = tempfile::tempdir().unwrap();
            for program in ["bottlec", "cargo", "rustc", "maturin"] {
                let path = broken.path().join(program);
                fs::write(&path, "#!/bin/sh\necho \"$0 was started\" >&2\nexit 1\n").unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            }
            let variables = [
                ("PIP_NO_INDEX", "1"),
                ("PIP_FIND_LINKS", release.to_str().unwrap()),
                ("PIP_NO_CACHE_DIR", "1"),
                ("PIP_CONFIG_FILE", "/dev/null"),
            ];
            hooks_judge(&pre_commit, "wheel", broken.path(), &variables);
        }
    }
}
