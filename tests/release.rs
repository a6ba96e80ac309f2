//! Releases: the scripts in `release/`, the workflow that runs them, and the hooks that install what they
//! make. `.ci/build-release` builds one and prints the variable that leads here.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{programs, skipped};
use serde_json::{Value, json};
use tempfile::TempDir;

const TARGETS: [&str; 4] =
    ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-apple-darwin", "aarch64-apple-darwin"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn workflow() -> Value {
    serde_yaml::from_str(&read(".github/workflows/release.yml")).unwrap()
}

/// Whether a script passed, and what it printed.
fn run(command: &mut Command) -> (bool, String) {
    let run = command.output().unwrap();
    let said = [run.stdout, run.stderr].concat();
    (run.status.success(), String::from_utf8_lossy(&said).into_owned())
}

fn make_executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Writes the checksums of files anew, as somebody would who changed them.
fn sum(folder: &Path, program: &str, files: &[&str]) {
    let run = Command::new("sha256sum").args(files).current_dir(folder).output().unwrap();
    assert!(run.status.success());
    fs::write(folder.join(format!("{program}.sha256")), run.stdout).unwrap();
}

#[test]
fn the_workflow_does_what_scripts_do_with_few_rights() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}));
    assert_eq!(workflow["jobs"]["build"]["permissions"], json!({ "contents": "read" }));
    assert_eq!(workflow["jobs"]["publish"]["permissions"], json!({ "contents": "write" }));
    assert_eq!(workflow["on"], json!({ "push": { "tags": ["v*"] } }));
    let mut scripts = Vec::new();
    for job in workflow["jobs"].as_object().unwrap().values() {
        for step in job["steps"].as_array().unwrap() {
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(uses), None) => {
                    let (action, commit) = uses.split_once('@').unwrap();
                    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{uses}");
                    assert!(action.starts_with("actions/"), "{uses}");
                    if action == "actions/checkout" {
                        assert_eq!(step["with"]["persist-credentials"], false);
                    }
                }
                (None, Some(line)) => {
                    assert!(!line.contains("${{"), "what is put into a script is a part of it: {line}");
                    scripts.push(line);
                }
                _ => panic!("{step}"),
            }
        }
    }
    scripts.retain(|line| !line.starts_with("rustup toolchain install "));
    assert_eq!(scripts, ["release/build \"$TARGET\" dist", "release/check \"$TARGET\" dist", "release/publish dist"]);
    let matrix = workflow["jobs"]["build"]["strategy"]["matrix"]["include"].as_array().unwrap();
    assert_eq!(matrix.iter().map(|entry| entry["target"].as_str().unwrap()).collect::<Vec<_>>(), TARGETS);
}

#[test]
fn release_scripts_pass_shellcheck() {
    let files = [".ci/build-release", "release/build", "release/check", "release/publish"];
    for file in files {
        assert!(read(file).contains("\nset -euo pipefail\n"), "{file}");
        assert!(fs::metadata(root().join(file)).unwrap().permissions().mode() & 0o111 == 0o111, "{file}");
    }
    match Command::new("shellcheck").args(files).current_dir(root()).output() {
        Ok(judged) => assert!(judged.status.success(), "{}", String::from_utf8_lossy(&judged.stdout)),
        Err(_) => skipped("there is no shellcheck"),
    }
}

#[test]
fn the_hooks_install_the_release_of_their_own_version() {
    let version = env!("CARGO_PKG_VERSION");
    let project = |path: &str| toml::from_str::<toml::Table>(&read(path)).unwrap()["project"].clone();
    let hooks = project("pyproject.toml");
    assert_eq!(hooks["version"].as_str(), Some(version));
    assert_eq!(hooks["dependencies"].as_array().unwrap()[..], [format!("bottlec=={version}").into()]);
    let wheel = project("release/pyproject.toml");
    assert_eq!(wheel["name"].as_str(), Some("bottlec"));
    assert!(wheel.get("version").is_none(), "Cargo.toml has it");
    assert_ne!(hooks["name"], wheel["name"], "pip takes one package of a name: it would compile this one");
}

#[test]
fn a_hook_is_the_same_in_each_of_its_kinds() {
    let hooks: Vec<Value> = serde_yaml::from_str(&read(".pre-commit-hooks.yaml")).unwrap();
    let same = |id: String, language: &str| {
        let hook = hooks.iter().find(|hook| hook["id"] == id.as_str()).unwrap_or_else(|| panic!("no hook {id}"));
        assert_eq!(hook["language"], language, "{id}");
        let mut hook = hook.as_object().unwrap().clone();
        ["id", "name", "description", "language"].iter().for_each(|key| {
            hook.remove(*key);
        });
        hook
    };
    assert_eq!(hooks.len(), 6);
    for id in ["bottlec-check", "bottlec-golden"] {
        let compiled = same(id.to_owned(), "rust");
        assert_eq!(same(format!("{id}-wheel"), "python"), compiled);
        assert_eq!(same(format!("{id}-system"), "system"), compiled);
    }
}

/// A folder with files of the names that a release has, and a `gh` that writes down how it is called and
/// knows of a release if the file `exists` is there.
fn made_up() -> Option<(TempDir, PathBuf)> {
    if Command::new("sha256sum").arg("--version").output().is_err() {
        skipped("there is no sha256sum");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let dist = folder.path().join("dist");
    fs::create_dir(&dist).unwrap();
    for target in TARGETS {
        let [program, wheel] = [format!("bottlec-{target}"), format!("bottlec-0-py3-none-{target}.whl")];
        fs::write(dist.join(&program), "a program").unwrap();
        fs::write(dist.join(&wheel), "a wheel").unwrap();
        sum(&dist, &program, &[&program, &wheel]);
    }
    fs::write(dist.join("something-else"), "").unwrap();
    let gh = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho \"$@\" >>calls\ntest \"$2\" != view || test -e exists\n";
    make_executable(&folder.path().join("gh"), gh);
    Some((folder, dist))
}

fn publish(folder: &Path, tag: &str) -> (bool, String, String) {
    let _ = fs::remove_file(folder.join("calls"));
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(root().join("release/publish"));
    let (passed, said) = run(command.arg("dist").current_dir(folder).env("TAG", tag).env("PATH", path));
    (passed, said, fs::read_to_string(folder.join("calls")).unwrap_or_default())
}

#[test]
fn a_release_is_seen_when_all_its_files_are_in_it() {
    let Some((folder, dist)) = made_up() else { return };
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    for exists in [false, true] {
        if exists {
            fs::write(folder.path().join("exists"), "").unwrap();
        }
        let (passed, said, calls) = publish(folder.path(), tag);
        assert!(passed, "{said}");
        let calls: Vec<&str> = calls.lines().collect();
        assert_eq!(calls[0], format!("release view {tag}"));
        if !exists {
            assert_eq!(calls[1], format!("release create {tag} --verify-tag --draft --title {tag} --generate-notes"));
        }
        let [upload, edit] = calls[if exists { 1 } else { 2 }..] else { panic!("{calls:?}") };
        let files = upload.strip_prefix(&format!("release upload {tag} --clobber -- ")).unwrap();
        let mut files: Vec<&Path> = files.split(' ').map(Path::new).collect();
        files.sort();
        let mut all: Vec<PathBuf> = fs::read_dir(&dist).unwrap().map(|entry| entry.unwrap().path()).collect();
        all.retain(|path| !path.ends_with("something-else"));
        all.sort();
        assert_eq!(files, all);
        assert_eq!(files.len(), 12);
        assert_eq!(edit, format!("release edit {tag} --draft=false"));
    }
}

#[test]
fn nothing_is_published_that_is_not_whole() {
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    let Some((folder, _)) = made_up() else { return };
    for tag in ["v99.0.0", env!("CARGO_PKG_VERSION"), ""] {
        let (passed, said, calls) = publish(folder.path(), tag);
        assert!(!passed && said.contains("the version in Cargo.toml is") && calls.is_empty(), "{said}{calls}");
    }
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 4] = [
        (|dist| fs::write(dist.join("bottlec-x86_64-apple-darwin"), "another").unwrap(), "a checksum is wrong"),
        (|dist| fs::remove_file(dist.join("bottlec-aarch64-apple-darwin")).unwrap(), "a checksum is wrong"),
        (|dist| fs::write(dist.join("bottlec-x86_64-apple-darwin.sha256"), "").unwrap(), "a checksum is wrong"),
        (
            |dist| fs::remove_file(dist.join("bottlec-aarch64-unknown-linux-musl.sha256")).unwrap(),
            "nothing was built for aarch64-unknown-linux-musl",
        ),
    ];
    for (damage, words) in damages {
        let (folder, dist) = made_up().unwrap();
        damage(&dist);
        let (passed, said, calls) = publish(folder.path(), tag);
        assert!(!passed && said.contains(words) && calls.is_empty(), "{words}: {said}{calls}");
    }
}

#[test]
fn what_is_released_is_static_and_tells_of_no_folder() {
    for release in programs("BOTTLEC_RELEASES") {
        let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
        let program = format!("bottlec-{target}");
        let check = |folder: &Path| run(Command::new(root().join("release/check")).arg(&target).arg(folder));
        let (passed, said) = check(&release);
        assert!(passed && said.starts_with(&format!("checked: {target}\n")), "{said}");

        let names = fs::read_dir(&release).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let [wheel] =
            &names.filter(|name| name.starts_with("bottlec-") && name.ends_with(".whl")).collect::<Vec<_>>()[..]
        else {
            panic!("one wheel")
        };
        // The checks must see what they are for.
        let damaged = |change: &dyn Fn(&Path), words: &str| {
            let folder = tempfile::tempdir().unwrap();
            for name in [&program, wheel] {
                fs::copy(release.join(name), folder.path().join(name)).unwrap();
            }
            sum(folder.path(), &program, &[&program, wheel]);
            change(folder.path());
            let (passed, said) = check(folder.path());
            assert!(!passed && said.contains(words), "{words}: {said}");
        };
        let append = |folder: &Path, text: &str| {
            let mut bytes = fs::read(folder.join(&program)).unwrap();
            bytes.extend_from_slice(text.as_bytes());
            fs::write(folder.join(&program), bytes).unwrap();
        };
        damaged(&|folder| append(folder, "more"), "a checksum is wrong");
        damaged(&|folder| sum(folder, &program, &[wheel]), "has no checksum");
        damaged(
            &|folder| {
                fs::copy(env!("CARGO_BIN_EXE_bottlec"), folder.join(&program)).unwrap();
                sum(folder, &program, &[&program, wheel]);
            },
            "the program is not static",
        );
        damaged(
            &|folder| {
                append(folder, "more");
                sum(folder, &program, &[&program, wheel]);
            },
            "the wheel has another program",
        );
        damaged(
            &|folder| {
                append(folder, root().to_str().unwrap());
                sum(folder, &program, &[&program, wheel]);
            },
            "is told",
        );
        damaged(&|folder| fs::remove_file(folder.join(wheel)).unwrap(), "there is no bottlec-");
    }
}
