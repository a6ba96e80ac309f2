//! Files and keys of the reference system, bot-bottle: what bottlec says of them, and a file that serves both.

use crate::support::{BOTH, bottlec, compile_file, compile_text, folder, screen, stdout, with_stdin};
use bottlec::provider::facts::HostFacts;

#[test]
fn former_keys_have_messages_of_their_own() {
    for key in ["git", "git-gate", "supervise", "skills"] {
        assert_eq!(compile_text(&format!("{key}: {{}}\n")).codes, ["BTL106 1:1"], "{key}");
    }
    for key in ["auth_role", "git_user", "cred_proxy", "tokens"] {
        assert_eq!(compile_text(&format!("{key}: {{}}\n")).codes, ["BTL107 1:1"], "{key}");
    }
    let role = compile_text("egress:\n  routes:\n    - host: a.example\n      role: codex_auth\n");
    assert_eq!(role.codes, ["BTL107 4:7"]);
    assert!(role.messages[0].contains("forward_host_credentials"), "{:?}", role.messages);
}

/// A manifest with every key that only the reference system has.
const SHARED: &str = "---
supervise: true
git: { user: { name: A, email: a@example.com } }
git-gate: { repos: {} }
skills: [review]
egress:
  routes:
    - host: a.example
---
";

#[test]
fn a_file_that_the_reference_system_reads_too_serves_both() {
    let place = ".bot-bottle/bottles/dev.md";
    let child = "extends: .bot-bottle/bottles/dev.md\n";
    let folder = folder(&[(place, SHARED), ("elsewhere.md", SHARED), ("child.yaml", child)]);
    let run = |arguments: &[&str]| bottlec(folder.path(), arguments);
    let concise = |arguments: &[&str]| {
        let run = run(&[&["check", "--format", "concise"], arguments].concat());
        (run.status.code(), stdout(&run))
    };
    let told = |text: &str, code: &str| {
        let keys = ["supervise", "git", "git-gate", "skills"];
        keys.iter().all(|key| text.contains(&format!("[{code}] the key `{key}` is"))) && text.lines().count() == 4
    };
    for arguments in [&[place] as &[&str], &["child.yaml"], &[".bot-bottle"]] {
        let (code, text) = concise(arguments);
        assert!(code == Some(0) && told(&text, "BTL108"), "{arguments:?} {code:?} {text}");
    }
    let (code, text) = concise(&["elsewhere.md"]);
    assert!(code == Some(1) && told(&text, "BTL106"), "{text}");
    assert_eq!(concise(&["--strict", place]).0, Some(1));
    // In its folder it is the same file.
    let inside = bottlec(&folder.path().join(".bot-bottle/bottles"), &["check", "--format", "concise", "dev.md"]);
    assert!(inside.status.success() && told(&stdout(&inside), "BTL108"), "{}", stdout(&inside));
    let piped = ["check", "--format", "concise", "-", "--stdin-filename", place];
    let piped = with_stdin(folder.path(), &piped, SHARED);
    assert!(piped.status.success() && told(&stdout(&piped), "BTL108"), "{}", stdout(&piped));

    // The tree that is built so is one that a build writes, and no different from its manifest.
    let built = run(&["build", place, "-o", "out"]);
    assert!(built.status.success() && screen(&built).contains("BTL108"), "{}", screen(&built));
    let started = run(&["exec", "out/dev", "--print-env-names"]);
    assert!(started.status.success(), "{}", screen(&started));
    for arguments in [
        &["build", "--check", place, "-o", "out"] as &[&str],
        &["diff", "out/dev", place],
        &["why", place, "https://a.example/"],
        &["plan", place],
    ] {
        let run = run(arguments);
        assert_eq!(run.status.code(), Some(0), "{arguments:?} {}{}", screen(&run), stdout(&run));
    }
}

#[test]
fn nothing_else_is_ignored_in_a_shared_file() {
    let place = ".bot-bottle/bottles/dev.md";
    for (text, code) in [
        ("egress: { git: true }", "BTL106 2:11"),
        ("egress: { routes: [{ host: a.example, git: { fetch: true } }] }", "BTL106 2:39"),
        ("egress: { routes: [{ host: a.example, skills: [] }] }", "BTL106 2:39"),
        ("agent_provider: { supervise: true }", "BTL106 2:19"),
        ("cred_proxy: {}", "BTL107 2:1"),
        ("gits: {}", "BTL101 2:1"),
    ] {
        let folder = folder(&[(place, &format!("---\n{text}\n---\n"))]);
        let compiled = compile_file(&folder.path().join(place), &HostFacts::hermetic(), &BOTH);
        assert_eq!(compiled.codes, [code], "{text}");
    }
    let allowed = "---\nsupervise: true # bottlec: allow BTL108 for bot-bottle\n---\n";
    let folder = folder(&[(place, allowed)]);
    let run = bottlec(folder.path(), &["check", "--strict", place]);
    assert!(run.status.success() && stdout(&run).is_empty(), "{}", stdout(&run));
}

#[test]
fn another_file_of_the_reference_system_is_called_what_it_is() {
    for (text, code, words) in [
        ("bottle: dev\nskills: [a]\n", "BTL109 1:1", "`bottles/dev.md`"),
        ("name: x\nmodel: opus\nbottle: [a]\n", "BTL109 3:1", "`bottles/NAME.md`"),
        ("{\"bottles\": {}, \"agents\": {}}\n", "BTL109 1:2", "a file of its own"),
        ("agents: {}\n", "BTL109 1:1", "not a bottle"),
        // A bottle with a mistake in it.
        ("bottle: dev\nenv: {}\n", "BTL101 1:1", "unknown key `bottle`"),
        ("agents: {}\negress: {}\n", "BTL101 1:1", "unknown key `agents`"),
    ] {
        let compiled = compile_text(text);
        assert_eq!(compiled.codes, [code], "{text}");
        assert!(compiled.messages[0].contains(words), "{text} {:?}", compiled.messages);
    }
}
