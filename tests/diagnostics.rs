//! What `check` says of each broken manifest in `tests/diagnostics/`, word for word. `UPDATE=1 cargo test
//! --test quick diagnostics` rewrites the texts; read them before you keep them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use bottlec::compile::rules;
use bottlec::text::diagnostic::Code;

fn manifests() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "yaml" || extension == "md"));
    found.sort();
    found
}

#[test]
fn every_broken_manifest_gets_its_words() {
    let mut different = Vec::new();
    let mut codes: BTreeSet<Code> = BTreeSet::new();
    let manifests = manifests();
    assert!(manifests.len() >= 120, "{}", manifests.len());
    for manifest in manifests {
        let run = Command::new(env!("CARGO_BIN_EXE_bottlec"))
            .args(["check", "--color", "never"])
            .arg(manifest.file_name().unwrap())
            .current_dir(manifest.parent().unwrap())
            .output()
            .unwrap();
        let said = String::from_utf8(run.stdout).unwrap() + &String::from_utf8(run.stderr).unwrap();
        assert!(matches!(run.status.code(), Some(0 | 1)), "{}: {said}", manifest.display());
        assert!(!said.is_empty(), "{} is not broken", manifest.display());
        codes.extend(rules::all().into_iter().filter(|code| said.contains(&format!("[{}]", code.as_str()))));
        let expected = manifest.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &said).unwrap();
        }
        if fs::read_to_string(&expected).unwrap_or_default() != said {
            different.push(format!("{}:\n{said}", manifest.display()));
        }
    }
    assert!(different.is_empty(), "UPDATE=1 accepts:\n{}", different.join("\n"));
    // A file's name, the host's file, several bottles at once, the day, and what cannot happen as long as the code is
    // right. What grades changes is in tests/diff, what the project's configuration says in tests/config.
    let elsewhere = [
        "BTL009", "BTL010", "BTL105", "BTL108", "BTL303", "BTL304", "BTL305", "BTL306", "BTL403", "BTL502", "BTL705",
        "BTL710", "BTL711",
    ];
    let missing = rules::all().into_iter().filter(|code| !codes.contains(code) && code.grade().is_none());
    let missing: Vec<&str> = missing.map(|code| code.as_str()).collect();
    assert_eq!(missing, elsewhere);
}

#[test]
fn twelve_mistakes_make_twelve_findings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics/twelve-mistakes.txt");
    let said = fs::read_to_string(path).unwrap();
    assert_eq!(said.matches("error[").count() + said.matches("warning[").count(), 12, "{said}");
}
