//! Many bottles in one run: which files are taken, what is told in which order, and what one broken
//! bottle does to the others.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Output, Stdio};

use crate::support::{bottlec, contents_below, folder, screen, stdout, with_stdin};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tempfile::TempDir;

/// So many bottles; every seventh is broken, in turn by its schema, its rules and its YAML, and every
/// fifth has a warning.
fn bottles(count: usize) -> TempDir {
    let text = |number: usize| {
        let more = match (number % 7, number % 5) {
            (0, _) => ["nme: x\n", "env: { 1A: b }\n", "env: [\n"][number / 7 % 3],
            (_, 0) => "egress: { routes: [{ host: files.example.com, path_allowlist: [] }] }\n",
            _ => "",
        };
        format!("name: b{number}\nnetwork: {{ subnet: 10.1.{number}.0/24 }}\n{more}")
    };
    let texts: Vec<(String, String)> =
        (0..count).map(|number| (format!("in/b{number:03}.bottle.yaml"), text(number))).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    folder(&texts)
}

#[test]
fn output_does_not_depend_on_the_number_of_threads() {
    let folder = bottles(120);
    let commands: [&[&str]; 7] = [
        &["build", "in", "--hermetic", "-o", "out"],
        &["build", "in", "--hermetic", "-o", "out", "--check"],
        &["build", "in", "--hermetic", "-o", "out", "--verbose"],
        &["build", "in", "--hermetic", "-o", "-"],
        &["check", "in"],
        &["check", "in", "--format", "json"],
        &["check", "in", "in/missing.yaml", "--format", "concise"],
    ];
    // The second of the build commands finds trees, the first does not.
    let runs = |jobs: &str| {
        let _ = fs::remove_dir_all(folder.path().join("out"));
        let runs = commands.map(|command| {
            let run = bottlec(folder.path(), &[command, &["--jobs", jobs]].concat());
            (run.status.code(), stdout(&run), screen(&run))
        });
        (runs, contents_below(&folder.path().join("out")))
    };
    let (one, tree) = runs("1");
    assert_eq!(tree.keys().filter(|path| path.ends_with("bottle.json")).count(), 102);
    assert_eq!(one.each_ref().map(|run| run.0), [1, 1, 1, 1, 1, 1, 2].map(Some));
    assert!(one[0].2.ends_with("\nbuilt 102, unchanged 0, failed 18\n"), "{}", one[0].2);
    assert!(one[1].2.ends_with("\ndiffering 0, unchanged 102, failed 18\n"), "{}", one[1].2);
    let (eight, other) = runs("8");
    for (index, run) in eight.iter().enumerate() {
        assert!(*run == one[index], "{:?}: {} {}", commands[index], run.1, run.2);
    }
    assert!(other == tree);
}

#[test]
fn findings_come_in_the_order_of_the_arguments() {
    let folder = bottles(50);
    let run = bottlec(folder.path(), &["check", "in/b049.bottle.yaml", "in", "-j8", "--format", "concise"]);
    let told: Vec<String> = stdout(&run).lines().map(|line| line[4..7].to_owned()).collect();
    let mut sorted = told[1..].to_vec();
    sorted.sort();
    sorted.dedup();
    assert_eq!((told[0].as_str(), told[1].as_str()), ("049", "000"), "{told:?}");
    assert_eq!(told[1..], sorted, "each once, in order");
    let run = bottlec(folder.path(), &["build", "in/b003.bottle.yaml", "in/b001.bottle.yaml", "-j8", "-o", "-"]);
    let places: Vec<usize> =
        ["# path: b3/compose.yaml", "# path: b1/compose.yaml"].map(|path| stdout(&run).find(path).unwrap()).to_vec();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn one_broken_bottle_does_not_stop_the_others() {
    let sound = [("a.yaml", "name: a\n"), ("b.yaml", "name: b\n")];
    for (what, broken, arguments, code, words) in [
        ("an error", "nme: x\n", &["a.yaml", "c.yaml", "b.yaml"], 1, "error[BTL101]"),
        ("a missing file", "", &["a.yaml", "missing.yaml", "b.yaml"], 2, "cannot read missing.yaml"),
        ("an unreadable list", "", &["a.yaml", "@missing.txt", "b.yaml"], 2, "cannot read the list missing.txt"),
        ("a folder without bottles", "", &["a.yaml", ".git", "b.yaml"], 2, "no bottle found"),
        (
            "credentials that are not there",
            "agent_provider: { template: codex, forward_host_credentials: true }\n",
            &["a.yaml", "c.yaml", "b.yaml"],
            1,
            "error[BTL303]",
        ),
    ] {
        let folder = folder(&[&sound[..], &[("c.yaml", broken)]].concat());
        let run = bottlec(folder.path(), &[&["build", "-o", "out"], &arguments[..]].concat());
        assert_eq!(run.status.code(), Some(code), "{what}: {}", screen(&run));
        assert!(screen(&run).contains(words), "{what}: {}", screen(&run));
        for name in ["a", "b"] {
            assert!(folder.path().join("out").join(name).join("bottle.json").exists(), "{what}: {name}");
        }
        assert!(!folder.path().join("out/c").exists(), "{what}");
    }
    // Somebody else's file is in the way of one.
    let folder = folder(&[&sound[..], &[("out/a/compose.yaml", "services: {}\n")]].concat());
    let run = bottlec(folder.path(), &["build", "a.yaml", "b.yaml", "-o", "out"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(screen(&run).contains("was not written by bottlec"), "{}", screen(&run));
    assert!(screen(&run).ends_with("\nbuilt 1, unchanged 0, failed 1\n"), "{}", screen(&run));
    assert!(folder.path().join("out/b/bottle.json").exists());
}

#[test]
fn a_collision_anywhere_keeps_every_bottle_from_being_written() {
    let many = bottles(60);
    for (text, words) in [
        ("name: b1\nnetwork: { subnet: 10.9.9.0/24 }\n", "late.yaml and in/b001.bottle.yaml are both named `b1`"),
        ("name: late\nnetwork: { subnet: 10.1.2.0/24 }\n", "in/b002.bottle.yaml both use the network 10.1.2.0/24"),
    ] {
        fs::write(many.path().join("late.yaml"), text).unwrap();
        for output in ["out", "-"] {
            let run = bottlec(many.path(), &["build", "in", "late.yaml", "-j8", "-o", output]);
            assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(1), ""), "{}", screen(&run));
            assert_eq!(screen(&run).matches("BTL502").count(), 1, "{}", screen(&run));
            assert!(screen(&run).contains(words), "{}", screen(&run));
            assert!(screen(&run).contains("BTL101"), "the rest is told as well: {}", screen(&run));
            assert!(!many.path().join("out").exists());
        }
    }
    // What cannot be written claims nothing.
    let folder = folder(&[
        ("a.yaml", "name: one\nnme: x\n"),
        ("b.yaml", "name: one\n"),
        ("C.yaml", "name: Bad\n"),
        ("D.yaml", "name: Worse\n"),
    ]);
    let run = bottlec(folder.path(), &["build", "a.yaml", "b.yaml", "C.yaml", "D.yaml", "-o", "out"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(!screen(&run).contains("BTL502"), "{}", screen(&run));
    assert!(screen(&run).ends_with("\nbuilt 1, unchanged 0, failed 3\n"), "{}", screen(&run));
}

#[test]
fn a_bottle_counts_once_however_it_is_named() {
    let folder =
        folder(&[("all/a.bottle.yaml", "nme: x\n"), ("all/b.bottle.yaml", "name: b\n"), ("list.txt", "all\n")]);
    let absolute = folder.path().canonicalize().unwrap().join("all/a.bottle.yaml");
    let run = bottlec(
        folder.path(),
        &[
            "check",
            "all/a.bottle.yaml",
            "all",
            "./all/a.bottle.yaml",
            "all/./a.bottle.yaml",
            absolute.to_str().unwrap(),
            "@list.txt",
            "--format",
            "concise",
        ],
    );
    assert_eq!(stdout(&run).lines().count(), 1, "{}", stdout(&run));
    let run = bottlec(folder.path(), &["build", "all", "all/b.bottle.yaml", "./all", "-o", "out"]);
    assert!(screen(&run).ends_with("\nbuilt 1, unchanged 0, failed 1\n"), "{}", screen(&run));
}

#[test]
fn a_list_names_a_path_a_line() {
    let folder = folder(&[
        ("deep/list.txt", "# which\n\n  a.yaml\r\n\t# no\nall\nwith space.yaml"),
        ("a.yaml", "nme: x\n"),
        ("all/bottle.yaml", "nme: x\n"),
        ("with space.yaml", "name: z\nnme: x\n"),
        ("not.yaml", "nme: x\n"),
        ("empty.txt", "# nothing\n"),
    ]);
    let named = |run: &Output| -> Vec<String> {
        stdout(run).lines().map(|line| line.split(':').next().unwrap().to_owned()).collect()
    };
    let expected = ["a.yaml", "all/bottle.yaml", "with space.yaml"];
    let run = bottlec(folder.path(), &["check", "@deep/list.txt", "--format", "concise"]);
    assert_eq!(named(&run), expected, "{}", screen(&run));
    let run = with_stdin(folder.path(), &["check", "@-", "--format", "concise"], "a.yaml\nall\nwith space.yaml\n");
    assert_eq!(named(&run), expected, "{}", screen(&run));
    for (list, code, words) in [
        ("@missing.txt", 2, "cannot read the list missing.txt"),
        ("@all", 2, "cannot read the list all"),
        ("@empty.txt", 0, "the list contains no manifests"),
    ] {
        for command in [&["check", list] as &[&str], &["build", list, "-o", "out"]] {
            let run = bottlec(folder.path(), command);
            assert_eq!(run.status.code(), Some(code), "{command:?} {}", screen(&run));
            assert!(screen(&run).contains(words), "{command:?} {}", screen(&run));
        }
    }
    assert!(!folder.path().join("out").exists());
    let both = bottlec(folder.path(), &["check", "@-", "-"]);
    assert_eq!(both.status.code(), Some(2));
    assert!(screen(&both).contains("cannot be used together"), "{}", screen(&both));
}

#[test]
fn several_bottles_are_summed_up_and_one_is_told_in_detail() {
    let folder = folder(&[("a.yaml", "name: a\n"), ("b.yaml", "name: b\n")]);
    let build = |arguments: &[&str]| screen(&bottlec(folder.path(), &[&["build", "-o", "out"], arguments].concat()));
    assert_eq!(build(&["a.yaml"]), "a: 13 written, 0 unchanged in out/a\nnext: bottlec exec out/a\n");
    assert_eq!(build(&["a.yaml", "b.yaml"]), "built 1, unchanged 1, failed 0\n");
    assert_eq!(build(&["a.yaml", "b.yaml", "--quiet"]), "");
    assert_eq!(
        build(&["a.yaml", "b.yaml", "--verbose"]),
        "a: 0 written, 13 unchanged in out/a\nb: 0 written, 13 unchanged in out/b\nbuilt 0, unchanged 2, failed 0\n"
    );
    assert_eq!(build(&["a.yaml", "b.yaml", "--check"]), "differing 0, unchanged 2, failed 0\n");
    fs::remove_file(folder.path().join("out/b/compose.yaml")).unwrap();
    let told = build(&["a.yaml", "b.yaml", "--check"]);
    assert!(told.starts_with("b: compose.yaml was removed by hand\n"), "{told}");
    assert!(told.ends_with("\ndiffering 1, unchanged 1, failed 0\n"), "{told}");
}

#[test]
fn the_number_of_jobs_is_at_least_one() {
    let folder = folder(&[("a.yaml", "name: a\n")]);
    for jobs in ["0", "-1", "many"] {
        let run = bottlec(folder.path(), &["check", "a.yaml", "--jobs", jobs]);
        assert_eq!(run.status.code(), Some(2), "{jobs}");
    }
}

/// What the screen of a terminal gets from a check whose second manifest comes late.
fn on_terminal(arguments: &[&str]) -> String {
    let folder = folder(&[("a.yaml", "name: a\n"), ("b.yaml", "nme: b\n")]);
    let pty = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&pty).unwrap();
    unlockpt(&pty).unwrap();
    let name = ptsname(&pty, Vec::new()).unwrap();
    let terminal = fs::File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(["check", "a.yaml", "-", "b.yaml", "-j2", "--format", "concise"])
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal)
        .spawn()
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1600));
    child.stdin.take().unwrap().write_all(b"name: late\nnme: x\n").unwrap();
    child.wait().unwrap();
    let mut shown = Vec::new();
    let mut part = [0; 4096];
    // A terminal that nobody holds any more reads as an error.
    while let Ok(length @ 1..) = fs::File::from(pty.try_clone().unwrap()).read(&mut part) {
        shown.extend_from_slice(&part[..length]);
    }
    String::from_utf8(shown).unwrap()
}

#[test]
fn a_long_run_on_a_terminal_shows_how_far_it_is() {
    let shown = on_terminal(&[]);
    assert!(shown.contains("checked 1 of 3, "), "{shown:?}");
    assert!(shown.contains("a second, "), "{shown:?}");
    assert!(shown.contains("\r\u{1b}[Kstdin.yaml:2:1: error[BTL101]"), "{shown:?}");
    let after: Vec<&str> = shown.split(" s left").skip(1).collect();
    assert!(!after.is_empty() && after.iter().all(|text| text.starts_with("\r\u{1b}[K")), "it is wiped: {shown:?}");
    assert!(!on_terminal(&["--quiet"]).contains("checked"));
}
