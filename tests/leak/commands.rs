//! Every command with every golden and with manifests that are made up, in each format and at each
//! loudness. None of them has to work: none may leak.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::sample::select;

use super::canary::{LOGIN, Project};
use crate::support;
use bottlec::provider;

/// The commands that need no bottle. What each must at least say is there so that the runs are known to
/// do their work.
const BARE: [(&[&str], &str); 20] = [
    (&["--help"], "Usage"),
    (&["--version"], "bottlec"),
    (&[], "Usage"),
    (&["no-such-command"], "unrecognized"),
    (&["build"], "required"),
    (&["build", "--output"], "required"),
    (&["exec", "--help"], "Start a bottle's agent"),
    (&["allow", "--help"], "Allow a bottle"),
    (&["init", "-"], "agent_provider"),
    (&["init", "--template", "codex", "-"], "forward_host_credentials"),
    (&["init", "-v", "new.yaml"], "wrote"),
    (&["init", "new.yaml"], "already exists"),
    (&["providers"], "codex"),
    (&["rule"], "BTL306"),
    (&["rule", "BTL306"], "chmod"),
    (&["rule", "BTL999"], "BTL999"),
    (&["schema"], "$schema"),
    (&["schema", "--config"], "$schema"),
    (&["man", "no-such-folder/man"], "bottlec"),
    (&["completions", "bash"], "_bottlec"),
];

#[test]
fn commands_that_need_no_bottle_say_nothing_of_the_environment() {
    let project = Project::new(&[("a.yaml", "name: a\n")]);
    for (arguments, words) in BARE {
        for loudness in [&[] as &[&str], &["-v"], &["-q"], &["--color", "always"]] {
            let run = project.run(&[arguments, loudness].concat());
            let said = [run.stdout, run.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains(words) || !loudness.is_empty(), "{arguments:?} {said}");
        }
    }
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(project.run(&["completions", shell]).status.success(), "{shell}");
    }
    project.assert_clean("the commands without a bottle");
}

/// What is done with a manifest, whose name is to be put for `M`, and with its tree for `T`.
const RUNS: [&[&str]; 44] = [
    &["check", "M"],
    &["check", "M", "-v", "--strict", "--color", "always"],
    &["check", "M", "-q", "--format", "concise"],
    &["check", "M", "--format", "json", "--exit-zero"],
    &["check", "M", "--format", "sarif"],
    &["check", "M", "--isolated", "--no-strict"],
    &["check", "M", "--format", "github", "--backend", "docker"],
    &["plan", "M"],
    &["plan", "M", "-v"],
    &["build", "M", "-o", "out"],
    &["build", "M", "-o", "out", "-v"],
    &["build", "M", "-o", "out", "--check", "-v"],
    &["build", "M", "-o", "other", "--check"],
    &["build", "M", "-o", "-"],
    &["build", "M", "-o", "docker", "-q", "--backend", "docker"],
    &["build", "M", "-o", "docker", "-v", "--backend", "smolmachines"],
    &["build", "M", "M", "-o", "twice"],
    &["build", "M", "-o", "hermetic", "--hermetic", "-v"],
    &["build", "M", "-o", "out", "--hermetic", "--check"],
    &["build", "M", "-o", "hermetic", "--check", "-v"],
    &["build", "M", "-o", "hermetic", "--update", "-v", "--color", "always"],
    &["build", "M", "-o", "chosen", "--host-credentials", LOGIN],
    &["diff", "M", "T"],
    &["diff", "T", "M", "--format", "json"],
    &["diff", "T", "hermetic", "--format", "markdown", "-v"],
    &["diff", "M", "other.yaml", "--format", "text"],
    &["diff", "other.yaml", "T", "--format", "sarif", "--fail-on", "high"],
    &["diff", "--rev", "HEAD", "M", "-v"],
    &["diff", "--rev", "HEAD", "M", "--gate", "--format", "verdict"],
    &["build", "--check", "-v"],
    &["why", "M", "https://api.openai.com/v1/models"],
    &["why", "T", "https://chatgpt.com/backend-api/codex", "-X", "POST", "--format", "json", "-v"],
    &["why", "T", "https://nowhere.example/a?b=c", "-H", "Authorization: Bearer x"],
    &["exec", "--print-env-names", "T"],
    &["exec", "-v", "T", "--", "true"],
    &["allow", "T"],
    &["allow", "--list", "T"],
    &["allow", "--yes", "-v", "T"],
    &["exec", "-v", "T", "--", "true"],
    &["allow", "--list", "T"],
    &["allow", "--forget", "T"],
    &["allow", "--yes", "T"],
    &["exec", "-q", "--host-credentials", LOGIN, "T", "--", "true"],
    &["exec", "T", "--", "no-such-command"],
];

const OTHER: &str = "egress:\n  routes:\n    - host: other.example\n";

/// Runs all of it; how many runs ended with each code.
fn run_all(project: &Project, manifest: &str) -> Vec<i32> {
    let first = project.run(&["build", manifest, "-o", "out"]);
    let tree = fs::read_dir(project.path().join("out")).ok().and_then(|mut entries| entries.next());
    let tree = tree
        .map_or_else(|| "out/none".to_owned(), |tree| format!("out/{}", tree.unwrap().file_name().to_str().unwrap()));
    let mut codes = vec![first.status.code().unwrap()];
    for arguments in RUNS {
        let arguments: Vec<&str> = arguments
            .iter()
            .map(|argument| match *argument {
                "M" => manifest,
                "T" => &tree,
                other => other,
            })
            .collect();
        codes.push(project.run(&arguments).status.code().unwrap());
    }
    project.assert_clean(manifest);
    codes
}

#[test]
fn every_command_with_every_golden_is_clean() {
    let (mut runs, mut clean, mut with_login) = (0, 0, 0);
    for case in support::goldens::cases() {
        let mut files: Vec<(String, String)> = vec![("other.yaml".into(), OTHER.into())];
        let beside = super::canary::walk(&case).into_iter().filter(|path| !path.starts_with(case.join("out")));
        files.extend(beside.map(|path: PathBuf| {
            let name = path.strip_prefix(&case).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        }));
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let project = Project::new(&files);
        let manifest = support::goldens::manifest(&case);
        let codes = run_all(&project, manifest);
        assert_eq!(codes[0], 0, "{}: it is built", case.display());
        runs += codes.len();
        clean += codes.iter().filter(|code| **code == 0).count();
        let out = super::canary::walk(&project.path().join("out"));
        with_login += usize::from(out.iter().any(|path| path.ends_with(LOGIN)));
    }
    assert!(runs >= 14 * 41 && clean > runs / 2 && with_login >= 1, "{runs} {clean} {with_login}");
}

/// A manifest of some of these lines.
fn manifests() -> impl Strategy<Value = String> {
    // Each agent in each way to sign in, and in each that another one has: some of these are errors.
    let settings = ["", "\n  auth_token: AGENT_TOKEN", "\n  forward_host_credentials: true"];
    let image = ["", "\n  image: registry.example/agent:1"];
    let agents = provider::ALL.iter().map(|provider| provider.name());
    let of_agent = |name: &str| {
        let ways = settings.iter().flat_map(|setting| image.iter().map(move |image| format!("{setting}{image}")));
        ways.map(|way| format!("template: {name}{way}")).collect::<Vec<_>>()
    };
    let provider = select(agents.flat_map(of_agent).collect::<Vec<_>>());
    let variables = vec![
        "  LITERAL: text",
        "  FROM_HOST: ${GITHUB_TOKEN}",
        "  UNSET: ${NOT_A_VARIABLE_x}",
        "  ASKED: \"?Which one\"",
        "  WORD: $$literal",
        "  OPENAI_API_KEY: ${OPENAI_API_KEY}",
        "  HTTPS_PROXY: here",
    ];
    let routes = vec![
        "    - host: git.example.com\n      auth: { scheme: token, token_ref: FORGE_TOKEN }",
        "    - host: raw.example.com\n      auth: { scheme: Basic, username: me, token_ref: FORGE_TOKEN }",
        "    - host: api.openai.com\n      path_allowlist: [/v1]",
        "    - host: api.openai.com\n      auth: { scheme: Bearer, token_ref: OPENAI_API_KEY }",
        "    - host: auth.openai.com\n      pipelock: { tls_passthrough: true }",
        "    - host: data.example\n      pipelock: { ssrf_ip_allowlist: [10.1.2.0/24] }",
        "    - host: \"*.example\"",
        "    - hots: typo.example",
    ];
    let some = |lines: Vec<&'static str>| {
        let count = lines.len();
        prop::sample::subsequence(lines, 0..=count).prop_map(|lines| lines.join("\n"))
    };
    (provider, some(variables), some(routes)).prop_map(|(provider, variables, routes)| {
        let block = |head: &str, lines: &str| if lines.is_empty() { String::new() } else { format!("{head}{lines}\n") };
        format!(
            "agent_provider:\n  {provider}\n{}{}",
            block("env:\n", &variables),
            block("egress:\n  routes:\n", &routes)
        )
    })
}

fn cases() -> u32 {
    std::env::var("BOTTLEC_CASES").map_or(4, |cases| cases.parse().unwrap())
}

#[test]
fn every_command_with_every_sign_in_of_every_agent_is_clean() {
    for way in support::agents::all() {
        let text = way.manifest();
        let mut files = way.files(&text);
        files.push(("other.yaml", OTHER));
        let project = Project::new(&files);
        let codes = run_all(&project, "bottle.yaml");
        assert_eq!(codes[0], 0, "{}: it is built", way.settings);
        assert!(codes.iter().filter(|code| **code == 0).count() > codes.len() / 2, "{}: {codes:?}", way.settings);
    }
}

#[test]
fn every_command_with_a_manifest_of_any_kind_is_clean() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases())
    });
    let codes = std::cell::RefCell::new(BTreeSet::new());
    runner
        .run(&manifests(), |text| {
            let project = Project::new(&[("made.yaml", &text), ("other.yaml", OTHER)]);
            codes.borrow_mut().extend(run_all(&project, "made.yaml"));
            Ok(())
        })
        .unwrap();
    assert!(codes.borrow().len() > 1, "some work and some do not: {codes:?}");
}
