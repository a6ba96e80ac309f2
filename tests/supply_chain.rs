//! What the program is made of: the locked dependency tree and its size, no unsafe code, and `deny.toml`,
//! which `.ci/run` holds the tree to.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn table(path: &str) -> toml::Table {
    toml::from_str(&read(path)).unwrap()
}

/// The program's own dependencies, for any platform.
fn direct() -> BTreeSet<String> {
    let manifest = table("Cargo.toml");
    let targets = manifest["target"].as_table().unwrap().values().map(|target| &target["dependencies"]);
    targets.chain([&manifest["dependencies"]]).flat_map(names).collect()
}

fn names(section: &toml::Value) -> BTreeSet<String> {
    let package = |(key, entry): (&String, &toml::Value)| {
        entry.get("package").and_then(|name| name.as_str()).unwrap_or(key).to_owned()
    };
    section.as_table().unwrap().iter().map(package).collect()
}

/// The locked packages as `name version`, each with those that it is built from.
fn locked() -> BTreeMap<String, Vec<String>> {
    let lock = table("Cargo.lock");
    let packages = lock["package"].as_array().unwrap();
    let text = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let key = |package: &toml::Value| format!("{} {}", text(&package["name"]), text(&package["version"]));
    // A dependency has its version where there is more than one.
    let whole = |named: String| match packages.iter().find(|package| text(&package["name"]) == named) {
        Some(package) => key(package),
        None => named,
    };
    let dependencies = |package: &toml::Value| match package.get("dependencies") {
        Some(list) => list.as_array().unwrap().iter().map(|value| whole(text(value))).collect(),
        None => Vec::new(),
    };
    packages.iter().map(|package| (key(package), dependencies(package))).collect()
}

/// All that the program is built from for any platform; `direct` are its own dependencies.
fn tree(direct: &BTreeSet<String>) -> BTreeSet<String> {
    let locked = locked();
    let name = |package: &String| package.split(' ').next().unwrap().to_owned();
    let (_, own) = locked.iter().find(|(package, _)| name(package) == "bottlec").unwrap();
    let mut open: Vec<String> = own.iter().filter(|package| direct.contains(&name(package))).cloned().collect();
    let mut found = BTreeSet::new();
    while let Some(package) = open.pop() {
        open.extend(locked[&package].iter().filter(|package| !found.contains(*package)).cloned());
        found.insert(package);
    }
    found
}

/// What `cargo tree` counts of the program for Linux on x86_64.
fn linked(edges: &str) -> usize {
    let run = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--offline", "--target", "x86_64-unknown-linux-gnu", "--prefix", "none"])
        .args(["--format", "{p}", "--edges", edges])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let text = String::from_utf8(run.stdout).unwrap();
    let package = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("bottlec "));
    lines.map(package).collect::<BTreeSet<String>>().len()
}

#[test]
fn the_page_says_how_many_crates_the_program_is_made_of() {
    let direct = direct();
    let rows = [
        ("direct dependencies of the program", direct.len()),
        ("in the program for Linux on x86_64, with what makes its macros", linked("normal")),
        ("the same, with build scripts", linked("normal,build")),
        ("of the program for any platform, in `Cargo.lock`", tree(&direct).len()),
        ("in `Cargo.lock`, with tests", locked().len() - 1),
    ];
    let page = read("docs/dependencies.md");
    for (what, count) in rows {
        assert!(
            page.contains(&format!("| {what} | {count} |")),
            "docs/dependencies.md does not say: | {what} | {count} |"
        );
    }
}

#[test]
fn every_crate_is_the_registrys_and_has_a_checksum() {
    let lock = table("Cargo.lock");
    for package in lock["package"].as_array().unwrap() {
        let (name, source) =
            (package["name"].as_str().unwrap(), package.get("source").and_then(|source| source.as_str()));
        let registry = Some("registry+https://github.com/rust-lang/crates.io-index");
        assert_eq!(source, registry.filter(|_| name != "bottlec"), "{name}");
        assert_eq!(package.get("checksum").is_some(), name != "bottlec", "{name}");
    }
    let manifest = table("Cargo.toml");
    assert!(manifest.get("patch").is_none() && manifest.get("build-dependencies").is_none());
}

/// Files of a folder and the folders in it.
fn files(folder: &str) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![root().join(folder)], Vec::new());
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_call_of_cargo_keeps_to_the_lock_file() {
    // What resolves dependencies; `cargo fmt` and `cargo --version` do not.
    let words = ["bench", "build", "check", "clippy", "deny", "doc", "install", "publish", "run", "test", "tree"];
    let folders = [".ci", ".github", "action", "docs", "release", "README.md", "SECURITY.md", "action.yml"];
    let places = folders
        .iter()
        .flat_map(|folder| files(folder))
        .chain(files("tests/real/run"))
        .chain(files(".pre-commit-hooks.yaml"));
    // A new version is carried to the lock file by a call without it; what CI counts is no call; and
    // pre-commit's own call is told because it is unlocked.
    let meant = ["`cargo check` carries it to `Cargo.lock`", "echo \"", "with an unlocked `cargo install`"];
    let (mut calls, mut unlocked) = (0, Vec::new());
    let is_meant = |line: &str| meant.iter().any(|text| line.contains(text));
    for path in places.filter(|path| path.extension().is_none_or(|end| end != "svg")) {
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            for rest in line.split("cargo ").skip(1) {
                let command = rest.split(|char: char| !char.is_ascii_lowercase()).next().unwrap_or_default();
                if words.contains(&command) && !is_meant(line) {
                    calls += 1;
                    if !rest.contains("--locked") {
                        unlocked.push(format!("{}: {}", path.display(), line.trim()));
                    }
                }
            }
        }
    }
    assert!(unlocked.is_empty(), "without --locked:\n{}", unlocked.join("\n"));
    assert!(calls > 10, "{calls}");
    assert_eq!(table("release/pyproject.toml")["tool"]["maturin"]["locked"].as_bool(), Some(true));
}

#[test]
fn there_is_no_unsafe_code() {
    // For tests and benches too; nobody can allow again what is forbidden.
    assert_eq!(table("Cargo.toml")["lints"]["rust"]["unsafe_code"].as_str(), Some("forbid"));
    // For who compiles or reads a file without Cargo.toml.
    for file in ["src/lib.rs", "src/main.rs"] {
        assert!(read(file).lines().any(|line| line == "#![forbid(unsafe_code)]"), "{file}");
    }
}

#[test]
fn ci_holds_the_tree_to_deny_toml() {
    let deny = table("deny.toml");
    assert_eq!(deny["bans"]["multiple-versions"].as_str(), Some("deny"));
    assert_eq!(deny["sources"]["unknown-registry"].as_str(), Some("deny"));
    assert_eq!(deny["sources"]["unknown-git"].as_str(), Some("deny"));
    assert!(deny["advisories"]["ignore"].as_array().unwrap().is_empty(), "an ignored advisory is agreed on here");
    let ci = read(".ci/run");
    assert!(ci.contains(".ci/check-dependencies"));
    let script = read(".ci/check-dependencies");
    assert!(["check licenses sources", "check bans", " advisories\n"].iter().all(|part| script.contains(part)));
}
