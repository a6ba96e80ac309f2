//! Links, FIFOs, sockets and devices where a bottle's files go: refused, not followed, not waited for, not
//! written through.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use super::{CODEX, MORE, ONE, Snapshot, is_there};
use crate::support::impatient::at_once;
use crate::support::{bottlec, folder, screen, skipped, stdout};
use tempfile::TempDir;

const CANARY: &str = "kept: elsewhere\n";

fn mknod(arguments: &[&str], place: &Path) -> bool {
    Command::new("mknod").arg(place).args(arguments).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// What can be put somewhere; whether it could.
type Plant = fn(&Path, &Path) -> bool;
const LINK: (&str, Plant) = ("a link to a file", |place, elsewhere| symlink(elsewhere.join("file"), place).is_ok());
const FIFO: (&str, Plant) = ("a FIFO", |place, _| mknod(&["p"], place));
const PLANTS: [(&str, Plant); 7] = [
    LINK,
    ("a link to a folder", |place, elsewhere| symlink(elsewhere, place).is_ok()),
    ("a link to nothing", |place, elsewhere| symlink(elsewhere.join("nothing"), place).is_ok()),
    FIFO,
    ("a socket", |place, _| UnixListener::bind(place).is_ok()),
    ("a device", |place, _| mknod(&["c", "1", "5"], place)),
    ("a folder", |place, _| fs::create_dir(place).is_ok()),
];

/// A project with a tree, whose next build changes its files, and a folder that is none of its business.
fn built() -> TempDir {
    let folder = folder(&[("review.yaml", CODEX), ("elsewhere/file", CANARY)]);
    let run = bottlec(folder.path(), ONE);
    assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
    fs::write(folder.path().join("review.yaml"), format!("{CODEX}{MORE}")).unwrap();
    folder
}

fn remove(place: &Path) {
    if place.is_dir() && !place.is_symlink() { fs::remove_dir_all(place) } else { fs::remove_file(place) }.unwrap();
}

/// How each command ends: with 0, 1 or 2; and for `build` also what it says.
fn refused(place: &str, (what, plant): (&str, Plant), words: &str, codes: [i32; 5]) {
    let folder = built();
    let there = folder.path().join(place);
    if is_there(&there) {
        remove(&there);
    }
    if !plant(&there, &folder.path().join("elsewhere")) {
        return skipped(&format!("{what} cannot be made here"));
    }
    let before = Snapshot::of(&folder.path().join("elsewhere"));
    let kind = fs::symlink_metadata(&there).unwrap();
    let check = [ONE, &["--check"]].concat();
    let commands: [&[&str]; 5] = [
        ONE,
        &check,
        &["exec", "--print-env-names", "out/review"],
        &["diff", "out/review", "review.yaml"],
        &["why", "out/review", "https://chatgpt.com/backend-api/codex"],
    ];
    for (arguments, code) in commands.into_iter().zip(codes) {
        let run = at_once(folder.path(), arguments);
        let said = screen(&run);
        assert_eq!(run.status.code(), Some(code), "{what} at {place}: {arguments:?}: {said}");
        assert!(!said.contains(CANARY.trim()) && !stdout(&run).contains(CANARY.trim()), "{what} at {place}: {said}");
        if arguments == ONE {
            assert!(said.contains(words) && said.contains(place), "{what} at {place}: {said}");
        }
        let now = fs::symlink_metadata(&there).unwrap();
        assert!(now.ino() == kind.ino() && now.file_type() == kind.file_type(), "{what} at {place}: {arguments:?}");
    }
    Snapshot::of(&folder.path().join("elsewhere")).assert_is(&before, &format!("{what} at {place}"));
}

#[test]
fn what_is_no_file_in_the_place_of_a_file_is_refused_and_not_waited_for() {
    for plant in PLANTS {
        refused("out/review/compose.yaml", plant, "exists and is not a file", [2, 2, 1, 1, 2]);
    }
    // Without its index, a tree is not judged.
    for (place, diff) in [("out/review/agent/agent.env", 1), ("out/review/bottle.json", 2)] {
        for plant in [LINK, FIFO] {
            refused(place, plant, "exists and is not a file", [2, 2, 1, diff, 2]);
        }
    }
    // One of an earlier build that the plan no longer has.
    let folder = built();
    fs::remove_file(folder.path().join("out/review/Smolfile")).unwrap();
    assert!((FIFO.1)(&folder.path().join("out/review/Smolfile"), folder.path()));
    let run = at_once(folder.path(), &[ONE, &["--backend", "docker"]].concat());
    assert_eq!(run.status.code(), Some(2), "{}", screen(&run));
}

#[test]
fn what_is_no_folder_in_the_place_of_a_folder_is_refused_and_not_followed() {
    let [_, folder, ..] = PLANTS;
    for place in ["out/review/agent", "out/review/egress", "out/review/agent/home/.codex"] {
        for plant in [folder, FIFO] {
            refused(place, plant, "exists and is not a folder", [2, 2, 1, 1, 2]);
        }
    }
    refused("out/review", FIFO, "exists and is not a folder", [2, 2, 2, 2, 2]);
    refused("out/review", folder, "exists and is not a folder", [2, 2, 2, 2, 2]);
    for plant in [LINK, FIFO] {
        refused("out", plant, "out exists and is not a folder", [2, 2, 2, 2, 2]);
    }
}

#[test]
fn what_stands_where_a_build_writes_for_itself_is_refused_and_stays() {
    for plant in PLANTS {
        refused("out/review/.bottle.json.pending", plant, "exists", [2, 2, 1, 2, 2]);
        refused("out/review/..bottle.json.pending.bottlec-new", plant, "exists", [2, 1, 1, 1, 0]);
    }
    for plant in [LINK, FIFO] {
        refused("out/review/egress/.routes.yaml.bottlec-new", plant, "exists", [2, 1, 1, 1, 0]);
    }
    // A file of somebody's that only has such a name.
    let folder = built();
    let mine = folder.path().join("out/review/egress/.routes.yaml.bottlec-new");
    fs::write(&mine, "mine").unwrap();
    let run = at_once(folder.path(), ONE);
    assert_eq!(run.status.code(), Some(2), "{}", screen(&run));
    assert!(screen(&run).contains(".routes.yaml.bottlec-new already exists"), "{}", screen(&run));
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
}

#[test]
fn a_hard_link_is_cut_and_its_other_name_keeps_the_content() {
    for place in ["compose.yaml", "egress/routes.yaml", "agent/agent.env", "bottle.json"] {
        let folder = built();
        let (there, other) = (folder.path().join("out/review").join(place), folder.path().join("elsewhere/other"));
        fs::hard_link(&there, &other).unwrap();
        let before = fs::read(&other).unwrap();
        // Two more routes and a variable: each of the four changes.
        fs::write(&other, [&before[..], b" "].concat()).unwrap();
        let run = at_once(folder.path(), ONE);
        let expected = if place == "bottle.json" { fs::read(&other).unwrap() } else { [&before[..], b" "].concat() };
        assert_eq!(run.status.code(), Some(0), "{place}: {}", screen(&run));
        assert_eq!(fs::read(&other).unwrap(), expected, "{place}");
        assert_ne!(fs::read(&there).unwrap(), expected, "{place}");
        assert_ne!(fs::metadata(&there).unwrap().ino(), fs::metadata(&other).unwrap().ino(), "{place}");
    }
}

#[test]
fn the_folder_that_the_user_names_may_be_a_link_and_a_pipe_is_none() {
    let folder = folder(&[("review.yaml", CODEX), ("elsewhere/file", CANARY)]);
    symlink("elsewhere", folder.path().join("out")).unwrap();
    assert_eq!(at_once(folder.path(), ONE).status.code(), Some(0));
    symlink("elsewhere/review", folder.path().join("linked")).unwrap();
    assert_eq!(at_once(folder.path(), &["exec", "--print-env-names", "linked"]).status.code(), Some(0));
    assert!(mknod(&["p"], &folder.path().join("pipe")));
    for arguments in [
        &["exec", "--print-env-names", "pipe"] as &[&str],
        &["build", "review.yaml", "--hermetic", "-o", "pipe"],
        &["diff", "pipe", "review.yaml"],
        &["why", "pipe", "https://chatgpt.com/backend-api/codex"],
    ] {
        let run = at_once(folder.path(), arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?} {}", screen(&run));
        assert!(screen(&run).contains("pipe"), "{arguments:?} {}", screen(&run));
    }
    assert!(fs::metadata(folder.path().join("pipe")).unwrap().file_type().is_fifo());
}

#[test]
fn a_file_that_is_larger_than_any_of_a_build_is_not_read() {
    for path in ["compose.yaml", "bottle.json"] {
        let folder = built();
        let place = folder.path().join("out/review").join(path);
        fs::File::options().write(true).open(&place).unwrap().set_len(10 << 30).unwrap();
        let launch = at_once(folder.path(), &["exec", "--print-env-names", "out/review"]);
        assert_eq!(launch.status.code(), Some(1), "{path}: {}", screen(&launch));
        let words = format!("{path} is larger than any file that a build writes");
        assert!(screen(&launch).contains(&words), "{path}: {}", screen(&launch));
        let check = at_once(folder.path(), &[ONE, &["--check"]].concat());
        assert_eq!(check.status.code(), Some(2), "{path}: {}", screen(&check));
        assert!(screen(&check).contains(&words), "{path}: {}", screen(&check));
        // The index is none of ours then; a file that it lists is written anew.
        let build = at_once(folder.path(), ONE);
        assert_eq!(build.status.code(), Some(if path == "bottle.json" { 2 } else { 0 }), "{path}: {}", screen(&build));
    }
}
