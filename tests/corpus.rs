//! What the fuzz targets have collected, given to them once more: no nightly compiler, no fuzzer, some seconds.
//! `fuzz/README.md` says how to look for more.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "a library of its own for the fuzzer")]
mod targets;

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_collected_input_holds() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let names: Vec<PathBuf> = targets::TARGETS.iter().map(|(name, _)| corpora.join(name)).collect();
    assert_eq!(files(&corpora), names, "a corpus without a target is never run");
    std::thread::scope(|scope| {
        for (name, run) in targets::TARGETS {
            let inputs = files(&corpora.join(name));
            assert!(inputs.len() >= 10, "{name}");
            for part in inputs.chunks(inputs.len().div_ceil(4)).map(<[PathBuf]>::to_vec) {
                scope.spawn(move || {
                    for path in part {
                        let bytes = fs::read(&path).unwrap();
                        // The panic itself says what does not hold.
                        assert!(catch_unwind(|| run(&bytes)).is_ok(), "{}", path.display());
                    }
                });
            }
        }
    });
}
