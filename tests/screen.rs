//! What people see: messages, streams, exit codes.

use std::process::{Command, Stdio};

use crate::support::{bottlec, compile_text, folder, screen};

#[test]
fn a_message_shows_code_place_line_and_remedy() {
    let folder = folder(&[("review.yaml", "name: review\negress:\n  routes:\n    - hots: crates.io\n")]);
    let run = bottlec(folder.path(), &["build", "review.yaml", "-o", "out"]);
    let expected = "\
error[BTL101]: unknown key `hots` in a route
 --> review.yaml:4:7
  |
4 |     - hots: crates.io
  |       ^^^^ unknown key
  |
  = help: did you mean `host`?

bottlec: nothing was written
";
    assert_eq!(screen(&run), expected);
    assert!(run.stdout.is_empty());
}

#[test]
fn both_places_of_a_conflict_are_shown_across_files() {
    let folder = folder(&[
        ("child.yaml", "name: child\nextends: base\nagent_provider:\n  auth_token: T\n"),
        ("base.yaml", "agent_provider:\n  template: codex\n"),
    ]);
    let run = bottlec(folder.path(), &["build", "child.yaml", "-o", "out"]);
    assert!(screen(&run).contains("--> child.yaml:4:15"), "{}", screen(&run));
    assert!(screen(&run).contains("the provider `codex` does not support `auth_token`"), "{}", screen(&run));
}

#[test]
fn every_mistake_is_shown_in_one_run_and_once() {
    let text = "\
name: Bad
agent_provider: { template: claude, auth_tokn: T }
network: { subnet: 8.8.8.0/24 }
env:
  1X: a
  A: yes
  B: 5
  HTTPS_PROXY: x
egress:
  routes:
    - host: https://a.example
    - host: b.example
      path_allowlist: [c]
      auth: { scheme: Bearer }
    - host: B.example
targets: { pipelock: 4 }
extra: {}
";
    let compiled = compile_text(text);
    let expected = [
        "BTL201 1:7",
        "BTL101 2:37",
        "BTL208 3:20",
        "BTL209 5:3",
        "BTL004 6:6",
        "BTL103 7:6",
        "BTL211 8:3",
        "BTL203 11:13",
        "BTL205 13:24",
        "BTL102 14:7",
        "BTL204 15:13",
        "BTL103 16:22",
        "BTL101 17:1",
    ];
    assert_eq!(compiled.codes, expected, "{:#?}", compiled.messages);
}

#[test]
fn what_may_be_a_token_is_masked() {
    for (line, token) in [
        ("agent_provider: { auth_token: ghp_0123456789abcdefghij }\n", "ghp_0123456789abcdefghij"),
        ("agent_provider: { auth_token: sk-ant-oat01-abcdefghijkl }\n", "sk-ant-oat01-abcdefghijkl"),
        ("agent_provider: { auth_token: \"ghp_\\u00e4bc\", tokn: x }\n", "ghp_\\u00e4bc"),
    ] {
        let folder = folder(&[("review.yaml", line)]);
        let run = bottlec(folder.path(), &["build", "review.yaml", "-o", "out", "-v"]);
        let screen = screen(&run);
        assert!(screen.contains("BTL214") && screen.contains("****"), "{screen}");
        assert!(!screen.contains(token), "{screen}");
    }
}

#[test]
fn misspelt_names_get_the_right_one() {
    for (text, right) in [
        ("nme: x\n", "name"),
        ("extend: x\n", "extends"),
        ("agent_providr: {}\n", "agent_provider"),
        ("enviroment: {}\n", ""),
        ("envs: {}\n", "env"),
        ("egres: {}\n", "egress"),
        ("target: {}\n", "targets"),
        ("networks: {}\n", "network"),
        ("agent_provider: { docker_file: x }\n", "dockerfile"),
        ("agent_provider: { template: codx }\n", "codex"),
        ("agent_provider: { template: Claude }\n", "claude"),
        ("egress:\n  routes:\n    - host: a.example\n      path_allow_list: []\n", "path_allowlist"),
        ("egress:\n  routes:\n    - host: a.example\n      pipelok: {}\n", "pipelock"),
        (
            "egress:\n  routes:\n    - host: a.example\n      auth: { scheme: basic, username: u, token_ref: T }\n",
            "Basic",
        ),
    ] {
        let compiled = compile_text(text);
        assert_eq!(compiled.codes.len(), 1, "{text} {:?}", compiled.codes);
        let expected = if right.is_empty() { "valid keys are".to_owned() } else { format!("did you mean `{right}`?") };
        assert!(compiled.messages[0].contains(&expected), "{text} {:?}", compiled.messages);
    }
}

#[test]
fn hosts_that_are_no_names_get_their_own_words() {
    for (host, message, help) in [
        ("https://api.example.com/v1", "must not have a scheme", "write `api.example.com`"),
        ("api.example.com/v1", "must not have a path", "`path_allowlist`"),
        ("api.example.com:8443", "must not have a port", "port 443 only"),
        ("\"*.example.com\"", "must not have a wildcard", "each host"),
        ("10.0.0.1", "an address", "a DNS name"),
        ("\"::1\"", "IPv6", "a DNS name"),
        ("bücher.example", "ASCII", "xn--"),
        ("a..example", "an empty label", ""),
        ("a_b.example", "`_` is not allowed", ""),
    ] {
        let compiled = compile_text(&format!("egress: {{ routes: [ {{ host: {host} }} ] }}\n"));
        assert_eq!(compiled.codes, ["BTL203 1:29"], "{host}");
        assert!(
            compiled.messages[0].contains(message) && compiled.messages[0].contains(help),
            "{:?}",
            compiled.messages
        );
    }
}

#[test]
fn colour_is_for_terminals_unless_asked_for() {
    let folder = folder(&[("review.yaml", "nme: x\n")]);
    let build = |more: &[&str], variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
        command.args(["build", "review.yaml", "-o", "out"]).args(more).current_dir(folder.path()).env_clear();
        let run = command.envs(variables.iter().copied()).output().unwrap();
        screen(&run).contains('\u{1b}')
    };
    assert!(!build(&[], &[]));
    assert!(!build(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(build(&["--color", "always"], &[]));
    assert!(!build(&[], &[("NO_COLOR", "1"), ("TERM", "xterm")]));
}

#[test]
fn quiet_shows_errors_only_and_verbose_each_file() {
    let warned = "name: warned\negress:\n  routes:\n    - host: api.anthropic.com\n";
    let folder = folder(&[("warned.yaml", warned), ("wrong.yaml", "nme: x\n")]);
    let build = |arguments: &[&str]| screen(&bottlec(folder.path(), &[&["build", "-o", "out"], arguments].concat()));
    assert!(build(&["warned.yaml"]).starts_with("warning[BTL217]"));
    assert_eq!(build(&["warned.yaml", "-q"]), "");
    assert!(build(&["wrong.yaml", "-q"]).starts_with("error[BTL101]"));
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    assert!(build(&["warned.yaml", "-v"]).contains("wrote   out/warned/egress/routes.yaml\n"));
}

#[test]
fn a_reader_who_stops_reading_is_no_error() {
    let folder = folder(&[("review.yaml", "name: review\n")]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(["build", "review.yaml", "-o", "-"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let end = child.wait_with_output().unwrap();
    assert_eq!(end.status.code(), Some(0), "{}", String::from_utf8_lossy(&end.stderr));
    assert!(end.stderr.is_empty());
}

#[test]
fn input_of_any_kind_is_answered_at_once() {
    let deep = format!("a: {}", "[".repeat(100_000));
    let bomb = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n".repeat(2000);
    let many = format!("env:\n{}", (0..40_000).map(|n| format!("  A{n}: b\n")).collect::<String>());
    let huge = "x".repeat(10 << 20);
    let files = [
        ("deep.yaml", deep.as_str()),
        ("bomb.yaml", &bomb),
        ("many.yaml", &many),
        ("huge.yaml", &huge),
        ("nul.yaml", "a: \0"),
    ];
    let folder = folder(&files);
    std::fs::write(folder.path().join("latin.yaml"), b"name: caf\xe9\n").unwrap();
    let made = Command::new("mkfifo").arg(folder.path().join("fifo.yaml")).status().unwrap();
    assert!(made.success());
    for (file, code, words) in [
        ("fifo.yaml", 2, "not a regular file"),
        ("missing.yaml", 2, "cannot read missing.yaml"),
        ("deep.yaml", 1, ""),
        ("bomb.yaml", 1, "BTL002"),
        ("many.yaml", 0, ""),
        ("huge.yaml", 1, "BTL005"),
        ("nul.yaml", 1, "BTL007"),
        ("latin.yaml", 1, "BTL006"),
        (".git", 2, "no bottle found"),
    ] {
        let start = std::time::Instant::now();
        let run = bottlec(folder.path(), &["build", file, "-o", "-"]);
        assert_eq!(run.status.code(), Some(code), "{file} {:.300}", screen(&run));
        assert!(screen(&run).contains(words), "{file} {:.300}", screen(&run));
        let findings = screen(&run).matches("error[").count();
        assert!(findings <= 101, "{file} has {findings} findings");
        // Seconds of a debug build; what grows faster than its input takes minutes.
        assert!(start.elapsed().as_secs() < 60, "{file} took {:?}", start.elapsed());
    }
}
