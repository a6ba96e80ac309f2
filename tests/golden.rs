//! The contract: each `golden/<case>/` holds a manifest, the whole tree that it compiles to, and
//! the warnings; files that are the same in every tree stand once, in `golden/_static/`. `UPDATE=1 cargo test --test quick golden` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{contents_below, goldens};
use bottlec::target::egress::FIXED;

#[test]
fn every_manifest_compiles_to_its_golden_tree() {
    let mut drifted = Vec::new();
    let fixed: BTreeMap<PathBuf, Vec<u8>> = FIXED.map(|file| (file.path.into(), file.text.into())).into();
    compare(&goldens::root().join(goldens::STATIC), &fixed, &mut drifted);
    for case in goldens::cases() {
        let manifest = goldens::manifest(&case);
        let out = tempfile::tempdir().unwrap();
        let run = Command::new(env!("CARGO_BIN_EXE_bottlec"))
            .args(["build", manifest, "--hermetic", "--color", "never", "-o"])
            .arg(out.path())
            .current_dir(&case)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}: {}", case.display(), String::from_utf8_lossy(&run.stderr));
        let screen = String::from_utf8(run.stderr).unwrap();
        // The last lines say where the tree is, which differs in each run.
        let warnings: String = screen
            .split_inclusive('\n')
            .filter(|line| !line.contains(&*out.path().to_string_lossy()) && !line.starts_with("bottlec: "))
            .collect();

        let mut compiled = contents_below(out.path());
        compiled.insert(PathBuf::from("warnings.txt"), warnings.into_bytes());
        compiled.retain(|path, text| path != Path::new("warnings.txt") || !text.is_empty());
        let bottle = fs::read_dir(out.path()).unwrap().next().unwrap().unwrap().file_name();
        for (path, text) in &fixed {
            let own = compiled.remove(&Path::new(&bottle).join(path));
            assert_eq!(own.as_ref(), Some(text), "{} in {}", path.display(), case.display());
        }
        compare(&case.join("out"), &compiled, &mut drifted);
    }
    assert!(drifted.is_empty(), "goldens drifted; UPDATE=1 accepts:\n{}", drifted.join("\n"));
}

/// Adds to `drifted` what differs between a golden folder and what there should be in it.
fn compare(golden: &Path, compiled: &BTreeMap<PathBuf, Vec<u8>>, drifted: &mut Vec<String>) {
    if std::env::var_os("UPDATE").is_some() {
        let _ = fs::remove_dir_all(golden);
        for (path, text) in compiled {
            let path = golden.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }
    let expected = contents_below(golden);
    let paths: BTreeSet<&PathBuf> = compiled.keys().chain(expected.keys()).collect();
    for path in paths {
        if compiled.get(path) != expected.get(path) {
            let text = |tree: &BTreeMap<PathBuf, Vec<u8>>| {
                String::from_utf8_lossy(tree.get(path).map_or(&[], Vec::as_slice)).into_owned()
            };
            let (old, new) = (text(&expected), text(compiled));
            let diff = similar::TextDiff::from_lines(old.as_str(), new.as_str());
            drifted.push(format!("{}\n{}", golden.join(path).display(), diff.unified_diff()));
        }
    }
}
