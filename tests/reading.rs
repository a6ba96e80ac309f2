//! What is read: no file outside the project, nothing that is no regular file, and no file without an end.

use crate::support;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::support::impatient::{at_once, end, start};
use crate::support::{folder, screen, stdout};
use tempfile::TempDir;

/// What no output and no message may have: the text of a file outside the project.
const CANARY: &str = "canary-of-the-host";

/// A definition of an agent.
const AGENT: &str = "\
service: openai
command: [mine]
image: { npm: mine, version: 1.0.0 }
routes: [{ to: model, rule: model-api }]
sign_in: { in_bottle: {} }
";

/// A folder with a project in it, and beside that what links lead to.
fn project() -> TempDir {
    let outside = format!("name: {CANARY}\n{CANARY}: [\n");
    let folder = folder(&[
        ("project/sub/base.yaml", "env: { A: a }\n"),
        ("project/sub/Dockerfile", "FROM scratch\n"),
        ("project/sub/agent.yaml", AGENT),
        ("outside/base.yaml", &outside),
        ("outside/Dockerfile", &outside),
        ("base.yaml", &outside),
        ("Dockerfile", &outside),
    ]);
    let project = folder.path().join("project");
    fs::create_dir(project.join(".git")).unwrap();
    for (link, to) in [
        ("linked.yaml", "../outside/base.yaml"),
        ("twice.yaml", "linked.yaml"),
        ("folder", "../outside"),
        ("sub/folder", "../folder"),
        ("up", ".."),
        ("inside", "sub"),
        ("inside.yaml", "sub/base.yaml"),
        ("circle.yaml", "circle.yaml"),
    ] {
        symlink(to, project.join(link)).unwrap();
    }
    folder
}

/// Nothing of what lies outside is in what a run printed, and nothing was written.
fn assert_silent(run: &Output, project: &Path, what: &str) {
    let said = screen(run) + &stdout(run);
    assert!(!said.contains(CANARY), "{what}: {said}");
    assert!(!project.join("out").exists(), "{what}: {said}");
}

#[test]
fn no_spelling_of_a_path_leads_out_of_the_project() {
    let folder = project();
    let project = folder.path().join("project");
    let absolute = folder.path().join("outside/base.yaml").display().to_string();
    let double = format!("/{absolute}");
    let long = "sub/../".repeat(1000) + "../outside/base.yaml";
    let deep = "sub/../".repeat(500) + "../outside/base.yaml";
    let paths: [&str; 27] = [
        "../outside/base.yaml",
        "./../outside/base.yaml",
        ".././outside//base.yaml",
        "sub/../../outside/base.yaml",
        "inside/../../outside/base.yaml",
        "../project/../outside/base.yaml",
        "../OUTSIDE/base.yaml",
        "../outside/BASE.YAML",
        "Sub/../../outside/base.yaml",
        "linked.yaml",
        "twice.yaml",
        "circle.yaml",
        "folder/base.yaml",
        "sub/folder/base.yaml",
        "folder/../base.yaml",
        "up/base.yaml",
        "up/outside/base.yaml",
        "sub/base.yaml/../../../outside/base.yaml",
        "..\\\\outside\\\\base.yaml",
        "../outside/base.yaml\\0.yaml",
        "~/base.yaml",
        "/proc/self/environ",
        "/dev/stdin",
        &absolute,
        &double,
        &long,
        &deep,
    ];
    for path in paths {
        let own = if path.contains('/') { path.to_owned() } else { format!("./{path}") };
        // What does not end like a definition is no path of one.
        let code = if own.ends_with(".yaml") { "BTL215" } else { "BTL104" };
        let manifests = [
            (code, format!("agent_provider: {{ template: \"{own}\" }}\n")),
            ("BTL202", format!("extends: \"{path}\"\n")),
            ("BTL215", format!("agent_provider: {{ dockerfile: \"{}\" }}\n", path.replace("base.yaml", "Dockerfile"))),
        ];
        for (code, text) in manifests {
            fs::write(project.join("review.yaml"), text).unwrap();
            let short = &path[..path.len().min(60)];
            let mut end = String::new();
            for arguments in
                [&["check", "review.yaml"] as &[&str], &["build", "review.yaml", "--hermetic", "-o", "out"]]
            {
                let run = at_once(&project, arguments);
                let what = format!("{code} {short} {}", arguments[0]);
                assert!([Some(1), Some(2)].contains(&run.status.code()), "{what}: {}", screen(&run));
                assert_silent(&run, &project, &what);
                end = screen(&run) + &stdout(&run) + &end;
            }
            assert!(end.contains(code), "{short}: {end}");
        }
    }
}

#[test]
fn paths_and_links_that_stay_inside_are_followed() {
    let folder = project();
    let project = folder.path().join("project");
    for path in ["sub/base.yaml", "./sub//base.yaml", "inside/base.yaml", "inside.yaml", "../project/sub/base.yaml"] {
        fs::write(project.join("review.yaml"), format!("extends: {path}\n")).unwrap();
        let run = at_once(&project, &["check", "review.yaml"]);
        assert_eq!(run.status.code(), Some(0), "{path}: {}", stdout(&run));
    }
    for path in ["sub/agent.yaml", "./inside/agent.yaml", "up/project/sub/agent.yaml"] {
        fs::write(project.join("review.yaml"), format!("agent_provider: {{ template: {path} }}\n")).unwrap();
        let run = at_once(&project, &["check", "review.yaml"]);
        assert_eq!(run.status.code(), Some(0), "{path}: {}", stdout(&run));
    }
    for path in ["sub/Dockerfile", "inside/Dockerfile", "up/project/sub/Dockerfile"] {
        fs::write(project.join("review.yaml"), format!("agent_provider: {{ dockerfile: {path} }}\n")).unwrap();
        let run = at_once(&project, &["check", "review.yaml"]);
        assert_eq!(run.status.code(), Some(0), "{path}: {}", stdout(&run));
    }
}

/// Puts something that is no text of a sane size at a path.
fn plant(what: &str, place: &Path) {
    let _ = fs::remove_file(place);
    let _ = fs::remove_dir(place);
    match what {
        "a FIFO" => assert!(Command::new("mkfifo").arg(place).status().unwrap().success()),
        "a link to a device" => symlink("/dev/zero", place).unwrap(),
        "a socket" => drop(UnixListener::bind(place).unwrap()),
        "a folder" => fs::create_dir(place).unwrap(),
        "10 GB" => fs::File::create(place).unwrap().set_len(10 << 30).unwrap(),
        other => panic!("nobody knows how to plant {other}"),
    }
}

const CODEX: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";

#[test]
fn what_is_no_file_or_has_no_end_is_refused_wherever_a_file_is_named() {
    let folder = folder(&[
        ("codex.yaml", CODEX),
        ("child.yaml", "extends: it.yaml\n"),
        ("prose.yaml", "extends: it.md\n"),
        ("agent.yaml", "agent_provider: { template: ./it.yaml }\n"),
        ("image.yaml", "agent_provider: { dockerfile: it }\n"),
        ("plain.yaml", "name: plain\n"),
        (".codex/config.toml", ""),
    ]);
    // The path, the command, and what is said of that which is too large.
    let readers: [(&str, &[&str], &str); 15] = [
        ("it.yaml", &["check", "agent.yaml"], "larger than 1048576 bytes"),
        ("it.yaml", &["check", "it.yaml"], "larger than 1048576 bytes"),
        ("it.md", &["check", "it.md"], "larger than 1048576 bytes"),
        ("it.yaml", &["build", "it.yaml", "--hermetic", "-o", "out"], "larger than 1048576 bytes"),
        ("it.yaml", &["build", "it.yaml", "plain.yaml", "--hermetic", "-o", "out"], "larger than 1048576 bytes"),
        ("it.yaml", &["plan", "it.yaml"], "larger than 1048576 bytes"),
        ("it.yaml", &["why", "it.yaml", "https://a.example/"], "larger than 1048576 bytes"),
        ("it.yaml", &["diff", "plain.yaml", "it.yaml"], "larger than 1048576 bytes"),
        ("it.yaml", &["check", "child.yaml"], "larger than 1048576 bytes"),
        ("it.md", &["check", "prose.yaml"], "larger than 1048576 bytes"),
        ("it", &["diff", "plain.yaml", "image.yaml"], "is it a Dockerfile?"),
        ("list", &["check", "@list"], "larger than 67108864 bytes"),
        ("list", &["build", "@list", "--hermetic", "-o", "out"], "larger than 67108864 bytes"),
        ("login", &["build", "codex.yaml", "-o", "out", "--host-credentials", "login"], "too large"),
        (".codex/auth.json", &["build", "codex.yaml", "-o", "out"], "too large"),
    ];
    for (path, arguments, too_large) in readers {
        let place = folder.path().join(path);
        for what in ["a FIFO", "a link to a device", "a socket", "a folder", "10 GB"] {
            // A folder is a bottle, or holds some.
            if what == "a folder" && path == "it.yaml" && arguments.contains(&"it.yaml") {
                continue;
            }
            plant(what, &place);
            let run = at_once(folder.path(), arguments);
            let said = screen(&run) + &stdout(&run);
            let what = format!("{what} at {path}: {arguments:?}");
            assert!([Some(1), Some(2)].contains(&run.status.code()), "{what}: {said}");
            assert!(!what.starts_with("10 GB") || said.contains(too_large), "{what}: {said}");
            assert!(said.len() < 4000, "{what}: {} bytes are said", said.len());
            assert!(!folder.path().join("out/review").exists(), "{what}: {said}");
            let _ = fs::remove_file(&place).or_else(|_| fs::remove_dir(&place));
        }
    }
}

#[test]
fn a_size_that_the_system_tells_is_not_believed() {
    // It says that it has no byte, and has millions.
    let endless = Path::new("/proc/kallsyms");
    if fs::read(endless).map_or(0, |bytes| bytes.len()) < 2 << 20 {
        return support::skipped("there is no long file of length 0 here");
    }
    let folder = folder(&[("list", "")]);
    let run = at_once(folder.path(), &["check", "/proc/kallsyms"]);
    assert!(stdout(&run).contains("larger than 1048576 bytes"), "{}", stdout(&run));
}

#[test]
fn a_file_that_grows_is_read_to_the_limit() {
    let folder = folder(&[("it.yaml", "env: {}\n")]);
    let mut file = fs::File::options().append(true).open(folder.path().join("it.yaml")).unwrap();
    let child = std::thread::scope(|scope| {
        let child = start(folder.path(), &["check", "it.yaml"]);
        scope.spawn(|| (0..64).for_each(|_| file.write_all(&[b'#'; 1 << 16]).unwrap()));
        child
    });
    assert!([Some(0), Some(1)].contains(&end(child, "check").status.code()));
    let run = at_once(folder.path(), &["check", "it.yaml"]);
    assert!(stdout(&run).contains("BTL005") && stdout(&run).contains("larger than 1048576 bytes"), "{}", stdout(&run));
}

#[test]
fn a_stdin_without_end_is_read_to_the_limit() {
    let folder = folder(&[]);
    for (arguments, words, code) in [
        (&["check", "-"] as &[&str], "larger than 1048576 bytes", 1),
        (&["check", "@-"], "the list on stdin is larger than 67108864 bytes", 2),
        (&["build", "@-", "-o", "out"], "the list on stdin is larger than 67108864 bytes", 2),
    ] {
        let mut child = start(folder.path(), arguments);
        let mut stdin = child.stdin.take().unwrap();
        // Ends when nobody reads on.
        std::thread::spawn(move || while stdin.write_all(&[b'#'; 1 << 16]).is_ok() {});
        let run = end(child, &format!("{arguments:?}"));
        let said = screen(&run) + &stdout(&run);
        assert!(said.contains(words), "{arguments:?}: {said}");
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {said}");
    }
}
