//! What people see: messages, streams, exit codes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

use crate::support::{bottlec, compile_text, folder, screen, stdout};

/// What a terminal of this width shows of a command, a line each.
fn on_terminal(width: u16, folder: &Path, arguments: &[&str]) -> Vec<String> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = File::options().read(true).write(true).open(name).unwrap();
    let mut size = tcgetwinsize(&terminal).unwrap();
    size.ws_col = width;
    size.ws_row = 50;
    tcsetwinsize(&terminal, size).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
    command.args(arguments).current_dir(folder).env_clear().env("HOME", folder);
    command.env("NO_COLOR", "1").env("TERM", "xterm").stdin(Stdio::null());
    let mut child = command.stdout(terminal.try_clone().unwrap()).stderr(terminal).spawn().unwrap();
    // It holds the terminal, whose end would not come.
    drop(command);
    // The end of a terminal is an error.
    let (mut shown, mut piece, mut master) = (Vec::new(), [0; 4096], File::from(master));
    while let Ok(count @ 1..) = master.read(&mut piece) {
        shown.extend_from_slice(&piece[..count]);
    }
    child.wait().unwrap();
    String::from_utf8(shown).unwrap().lines().map(str::to_owned).collect()
}

/// The longest line, but for examples of the help, whose words stay together, and lines of a manifest.
fn widest(lines: &[String]) -> usize {
    let is_whole =
        |line: &&String| line.starts_with("  bottlec ") || line.get(..4).is_some_and(|start| start.contains('|'));
    lines.iter().filter(|line| !is_whole(line)).map(|line| line.chars().count()).max().unwrap()
}

#[test]
fn help_and_pages_fit_a_terminal_and_break_between_words() {
    let folder = folder(&[]);
    for command in ["build", "check", "diff", "why", "plan", "exec", "allow", "init", "rule", "completions", "man"] {
        for (width, limit) in [(80, 80), (140, 100)] {
            let lines = on_terminal(width, folder.path(), &[command, "--help"]);
            assert!(widest(&lines) <= limit, "{command} at {width}: {} {lines:#?}", widest(&lines));
            assert!(lines.len() > 10, "{command} {lines:?}");
            // A paragraph is broken at the width alone: its next word would not have fit.
            let prose = |line: &String| !line.is_empty() && !line.starts_with(' ') && !line.ends_with(':');
            for pair in lines.windows(2).filter(|pair| prose(&pair[0]) && prose(&pair[1])) {
                let next = pair[1].split(' ').next().unwrap();
                assert!(pair[0].len() + 1 + next.len() > limit, "{command} at {width}: {pair:?}");
            }
        }
    }
    for (width, limit) in [(40, 40), (80, 80), (140, 100)] {
        let lines = on_terminal(width, folder.path(), &["rule", "BTL203"]);
        assert!(widest(&lines) <= limit, "{width} {lines:#?}");
    }
}

#[test]
fn findings_break_between_words_on_a_terminal_and_nowhere_else() {
    let long = "agent_provider: { template: codex, forward_host_credentials: true }\negress:\n  routes:\n    - host: auth.openai.com\n      role: x\n    - host: git.example.com\n      path_allowlist: [\"/a\", /b?c]\n";
    let folder = folder(&[("long.yaml", long)]);
    for (width, arguments) in [
        (80, &["check", "long.yaml"] as &[&str]),
        (80, &["build", "long.yaml", "-o", "out"]),
        (60, &["check", "long.yaml"]),
        (60, &["exec", "no/such/folder/of/a/bottle/is/here"]),
    ] {
        let lines = on_terminal(width, folder.path(), arguments);
        assert!(widest(&lines) <= usize::from(width), "{arguments:?} at {width}: {lines:#?}");
        assert!(lines.iter().any(|line| line.starts_with("       ")), "something is broken: {lines:#?}");
        // What is to be copied stays whole.
        for whole in ["`auth_token: NAME_OF_A_HOST_VARIABLE`", "`forward_host_credentials: true`"] {
            assert!(arguments[0] == "exec" || lines.iter().any(|line| line.contains(whole)), "{whole} {lines:#?}");
        }
    }
    // A pipe and a log have no width.
    let text = stdout(&bottlec(folder.path(), &["check", "long.yaml"]));
    assert!(text.lines().any(|line| line.starts_with("  = help: remove this route: ") && line.len() > 140), "{text}");
}

#[test]
fn a_review_breaks_between_words_on_a_terminal_and_nowhere_else() {
    let old = "egress:\n  routes:\n    - host: a.example\n";
    let new = "egress:\n  routes:\n    - host: a.example\n      path_allowlist: [/one, /two]\n      auth: { scheme: Bearer, token_ref: A_TOKEN }  # bottlec: accept BTL821 until 2999-01-01 it is meant and was talked about\n      pipelock: { tls_passthrough: true }\n";
    let folder = folder(&[("old.yaml", old), ("new.yaml", new)]);
    let arguments = ["diff", "old.yaml", "new.yaml"];
    let lines = on_terminal(60, folder.path(), &arguments);
    let graded: Vec<String> = lines.into_iter().take_while(|line| !line.starts_with("For a running")).collect();
    assert!(widest(&graded) <= 60, "{graded:#?}");
    let text = stdout(&bottlec(folder.path(), &arguments));
    let plain: Vec<&str> = text.lines().take_while(|line| !line.starts_with("For a running")).collect();
    assert!(plain.iter().any(|line| line.len() > 80) && plain.len() < graded.len(), "{plain:#?} {graded:#?}");
    // Nothing is lost.
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(plain.join("\n")), words(graded.join("\n")));
}

#[test]
fn a_page_is_shown_without_the_marks_of_its_file() {
    let folder = folder(&[]);
    let page = |code: &str| stdout(&bottlec(folder.path(), &["rule", code]));
    let text = page("BTL203");
    assert!(text.starts_with("BTL203: invalid host\n\nThe host of a route"), "{text}");
    assert!(text.ends_with(
        "Good:\n\n    egress:\n      routes:\n        - host: api.example.com\n        - host: files.example.com\n"
    ));
    for code in bottlec::compile::rules::all() {
        let text = page(code.as_str());
        assert!(!text.contains("```") && !text.contains("](") && !text.starts_with('#'), "{text}");
    }
    let text = page("BTL106");
    assert!(text.contains("with a warning (BTL108). Every"), "{text}");
}

#[test]
fn what_cannot_be_read_is_said_once() {
    let folder = folder(&[("good.yaml", "name: good\n")]);
    for arguments in [&["check", "none.yaml"] as &[&str], &["check", "good.yaml", "none.yaml"]] {
        let run = bottlec(folder.path(), arguments);
        assert_eq!(run.status.code(), Some(2));
        // Neither a second line about it, nor that all is well.
        let expected = "bottlec: cannot read none.yaml: No such file or directory (os error 2)\n";
        assert_eq!(screen(&run), expected, "{arguments:?}");
    }
}

#[test]
fn completions_are_for_the_shell_in_use_unless_another_is_named() {
    let folder = folder(&[]);
    let run = |shell: &str, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bottlec"));
        command.arg("completions").args(arguments).current_dir(folder.path()).env_clear().env("SHELL", shell);
        command.output().unwrap()
    };
    assert!(stdout(&run("/usr/bin/zsh", &[])).starts_with("#compdef bottlec"));
    assert_eq!(stdout(&run("/usr/bin/zsh", &["bash"])), stdout(&run("/bin/bash", &[])));
    let unknown = run("/bin/other", &[]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(
        screen(&unknown).contains("cannot tell the shell from $SHELL: name one of bash, elvish, fish, powershell, zsh"),
        "{}",
        screen(&unknown)
    );
}

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
