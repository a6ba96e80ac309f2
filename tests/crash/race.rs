//! Builds at the same time as other builds, as readers, and as somebody who swaps things under them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bottlec::compile::tree::Tree;
use bottlec::output::{self, Difference, Overwrite};
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{CODEX, MORE, Snapshot, all};
use crate::support::{BOTH, compile_file, folder, screen};

/// Two trees of one name that share some files and not others.
fn trees() -> [Tree; 2] {
    let folder = folder(&[("a.yaml", CODEX), ("b.yaml", &format!("name: review\n{MORE}"))]);
    let compiled = |file: &str, backends: &[Backend]| {
        compile_file(&folder.path().join(file), &HostFacts::hermetic(), backends).tree.unwrap()
    };
    [compiled("a.yaml", &BOTH), compiled("b.yaml", &[Backend::Docker])]
}

fn content<'t>(tree: &'t Tree, path: &str) -> Option<&'t [u8]> {
    Some(tree.artifacts.iter().find(|file| file.path == path)?.content.as_bytes())
}

/// Ends the other threads, also when this one fails.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a file is as one of the trees has it.
fn is_of(trees: &[Tree; 2], path: &str, bytes: &[u8]) -> bool {
    trees.iter().any(|tree| content(tree, path) == Some(bytes))
}

#[test]
fn a_reader_sees_whole_files_and_verifies_whole_trees() {
    let trees = trees();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("review");
    let is_over = AtomicBool::new(false);
    let [files, whole, refused] = [(); 3].map(|()| AtomicUsize::new(0));
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            let paths: Vec<&str> =
                trees.iter().flat_map(|tree| &tree.artifacts).map(|file| file.path.as_str()).collect();
            while !is_over.load(Ordering::Relaxed) {
                for path in &paths {
                    if let Ok(bytes) = fs::read(root.join(path)) {
                        assert!(is_of(&trees, path, &bytes), "{path}: {} bytes", bytes.len());
                        files.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                match output::verify(&root) {
                    Ok(Ok(verified)) => {
                        let is = |tree: &Tree| {
                            tree.artifacts.iter().all(|file| verified.file(&file.path) == Some(file.content.as_bytes()))
                        };
                        assert!(trees.iter().any(is), "a mixture is taken for a tree");
                        whole.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(Err(_)) => drop(refused.fetch_add(1, Ordering::Relaxed)),
                    Err(_) => {}
                }
                // A launch has better things to do than to look again at once.
                thread::sleep(Duration::from_micros(300));
            }
        });
        let builds = if all() { 1000 } else { 200 };
        for round in 0..builds {
            output::write(folder.path(), &trees[round % 2], Overwrite::Nothing).unwrap();
            // Who verifies compiles the bottle again, which takes longer than a build here.
            if round % 10 == 0 {
                thread::sleep(Duration::from_millis(50));
            }
        }
    });
    let [files, whole, refused] = [files, whole, refused].map(AtomicUsize::into_inner);
    eprintln!("builds with readers: {files} files read, {whole} trees verified, {refused} refused");
    assert!(files > 100 && whole > 0 && refused > 0);
}

#[test]
fn of_two_builds_at_once_one_has_the_last_word_on_every_file() {
    let trees = trees();
    let folder = tempfile::tempdir().unwrap();
    let rounds = if all() { 2000 } else { 100 };
    for round in 0..rounds {
        thread::scope(|scope| {
            for tree in &trees {
                scope.spawn(|| output::write(folder.path(), tree, Overwrite::Nothing).unwrap());
            }
        });
        let clean = trees.iter().filter(|tree| output::compare(folder.path(), tree).unwrap().is_empty()).count();
        assert_eq!(clean, 1, "round {round}");
    }
}

#[test]
fn of_two_programs_at_once_one_has_the_last_word_on_every_file() {
    let more = format!("name: review\n{MORE}");
    let folder = folder(&[("a/review.yaml", CODEX), ("b/review.yaml", &more)]);
    let arguments = |manifest| ["build", manifest, "--hermetic", "-o", "out"];
    let start = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
        command.args(arguments).current_dir(folder.path()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    for round in 0..if all() { 200 } else { 8 } {
        let both = ["a/review.yaml", "b/review.yaml"].map(|manifest| start(&arguments(manifest)));
        for child in both {
            let run = child.wait_with_output().unwrap();
            assert_eq!(run.status.code(), Some(0), "round {round}: {}", screen(&run));
        }
        let launch = start(&["exec", "--print-env-names", "out/review"]).wait_with_output().unwrap();
        assert_eq!(launch.status.code(), Some(0), "round {round}: {}", screen(&launch));
        let clean = ["a/review.yaml", "b/review.yaml"]
            .map(|manifest| start(&[&arguments(manifest)[..], &["--check"]].concat()).wait().unwrap().code().unwrap());
        assert!(clean == [0, 1] || clean == [1, 0], "round {round}: {clean:?}");
        if round % 4 == 3 {
            fs::remove_dir_all(folder.path().join("out")).unwrap();
        }
    }
}

/// What lies where links lead: files of the names that a build uses.
const CANARY: &str = "kept: elsewhere\n";

/// Somebody swaps `place` for a link to `elsewhere` and back, as fast as can be, while trees are built,
/// compared and verified: nothing there is written, removed or shown.
fn swapped(place: &str, elsewhere: &str) {
    let trees = trees();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mirror = folder.path().join("mirror/review");
    for file in trees.iter().flat_map(|tree| &tree.artifacts) {
        fs::create_dir_all(mirror.join(&file.path).parent().unwrap()).unwrap();
        fs::write(mirror.join(&file.path), CANARY).unwrap();
    }
    let before = Snapshot::of(&mirror);
    output::write(&out, &trees[0], Overwrite::Nothing).unwrap();
    let (here, link) = (out.join(place), folder.path().join("link"));
    symlink(mirror.join(elsewhere), &link).unwrap();
    let is_over = AtomicBool::new(false);
    let exchange = || renameat_with(CWD, &here, CWD, &link, RenameFlags::EXCHANGE);
    let [swaps, mut built, mut refused] = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
    let count = |result: bool, built: &mut AtomicUsize, refused: &mut AtomicUsize| {
        *if result { built } else { refused }.get_mut() += 1
    };
    thread::scope(|scope| {
        let _over = Over(&is_over);
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if exchange().is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
                thread::yield_now();
            }
        });
        let rounds = if all() { 3000 } else { 300 };
        for round in (0..).take_while(|round| *round < rounds || swaps.load(Ordering::Relaxed) < 200) {
            count(output::write(&out, &trees[round % 2], Overwrite::Nothing).is_ok(), &mut built, &mut refused);
            for (path, difference) in output::compare(&out, &trees[1]).unwrap_or_default() {
                assert!(!matches!(&difference, Difference::Content(text) if text.contains(CANARY)), "{path} is shown");
            }
            // The bottle's folder itself is the user's to name.
            if place != "review"
                && let Ok(Ok(found)) = output::find(&out.join("review"))
            {
                assert!(found.files.values().all(|bytes| bytes != CANARY.as_bytes()), "{place}");
            }
        }
    });
    Snapshot::of(&mirror).assert_is(&before, place);
    let swaps = swaps.into_inner();
    eprintln!("{place}: {swaps} swaps, {built:?} built, {refused:?} refused");
}

#[test]
fn who_swaps_a_folder_for_a_link_leads_no_build_elsewhere() {
    for place in ["review", "review/agent", "review/egress", "review/agent/home/.codex"] {
        swapped(place, Path::new(place).strip_prefix("review").unwrap().to_str().unwrap());
    }
}

#[test]
fn who_swaps_a_file_for_a_link_leads_no_build_elsewhere() {
    for place in ["review/egress/routes.yaml", "review/bottle.json"] {
        swapped(place, place.strip_prefix("review/").unwrap());
    }
}
