//! The gates: `check` of a folder, `diff --rev` and the Action see every bottle, whatever a pull request does to its
//! name. The hooks are in `consumers`.

use std::fs;

use crate::action::run;
use crate::support::repository::{Repository, git};
use crate::support::{bottlec, folder, screen, skipped, stdout};

const TEAM: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n";
const EVIL: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: evil.example.com\n";

const NO_EVIL: &str = "[policy.forbid-hosts]\n\"evil.example.com\" = \"seen in an attack\"\n";

/// What a pull request does, and how the gate takes it.
struct Case {
    what: &'static str,
    base: &'static [(&'static str, &'static str)],
    change: fn(&Repository),
    passes: bool,
    /// What the log or the summary says.
    says: &'static [&'static str],
}

fn write(repository: &Repository, path: &str, text: &str) {
    repository.commit(&[(path, text)]);
}

fn rename(repository: &Repository, new: &str, text: &str) {
    fs::create_dir_all(repository.path(new).parent().unwrap()).unwrap();
    fs::rename(repository.path("team.bottle.yaml"), repository.path(new)).unwrap();
    repository.commit(&[(new, text)]);
}

const CASES: &[Case] = &[
    Case {
        what: "a host in manifest.yaml, beside a bottle that does not change",
        base: &[("manifest.yaml", TEAM), ("other.bottle.yaml", "name: other\n")],
        change: |repository| write(repository, "manifest.yaml", EVIL),
        passes: false,
        says: &["BTL811", "evil.example.com"],
    },
    Case {
        what: "a new file whose name is not one of a bottle",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| write(repository, "codex.yaml", EVIL),
        passes: true,
        says: &[
            "::warning title=bottlec BTL009,file=codex.yaml",
            "codex.yaml looks like a bottle but was not compared",
        ],
    },
    Case {
        what: "a new name that no search finds, and a host",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| rename(repository, "team.yaml", EVIL),
        passes: false,
        says: &["BTL811", "evil.example.com", "BTL853", "team.yaml"],
    },
    Case {
        what: "a new name that no search finds, and nothing else",
        base: &[("team.bottle.yaml", TEAM), ("other.bottle.yaml", "name: other\n")],
        change: |repository| rename(repository, "team.txt", TEAM),
        passes: false,
        says: &["BTL853", "team.txt"],
    },
    Case {
        what: "another folder and a good name",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| rename(repository, "deep/er/team.bottle.yaml", TEAM),
        passes: true,
        says: &[],
    },
    Case {
        what: "a hidden folder",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| rename(repository, ".deep/team.bottle.yaml", EVIL),
        passes: false,
        says: &["BTL811", "BTL853"],
    },
    Case {
        what: "the manifest is removed",
        base: &[("team.bottle.yaml", TEAM), ("other.bottle.yaml", "name: other\n")],
        change: |repository| {
            fs::remove_file(repository.path("team.bottle.yaml")).unwrap();
            repository.commit(&[]);
        },
        passes: false,
        says: &["BTL853", "the manifest was removed"],
    },
    Case {
        what: "manifest.yaml without a key of a bottle",
        base: &[("manifest.yaml", TEAM), ("other.bottle.yaml", "name: other\n")],
        change: |repository| write(repository, "manifest.yaml", "name: team\n"),
        passes: false,
        says: &["BTL853"],
    },
    Case {
        what: "a bottle that git ignores and tracks",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| {
            repository.write(".gitignore", "evil*\n");
            repository.write("evil.bottle.yaml", EVIL);
            git(repository.root(), &["add", "--force", "evil.bottle.yaml"]);
            repository.commit(&[]);
        },
        passes: false,
        says: &["BTL811", "evil.example.com"],
    },
    Case {
        what: "no bottle at all",
        base: &[("readme.txt", "1\n")],
        change: |repository| write(repository, "readme.txt", "2\n"),
        passes: false,
        says: &["no bottle found", "bottle.yaml"],
    },
    Case {
        what: "a link in the place of the manifest",
        base: &[("team.bottle.yaml", TEAM), ("other.bottle.yaml", "name: other\n")],
        change: |repository| {
            fs::rename(repository.path("team.bottle.yaml"), repository.path("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", repository.path("team.bottle.yaml")).unwrap();
            repository.commit(&[("elsewhere", EVIL)]);
        },
        passes: false,
        says: &["BTL811", "evil.example.com"],
    },
    Case {
        what: "a policy that is lifted by the change that breaks it",
        base: &[("bottlec.toml", NO_EVIL), ("team.bottle.yaml", TEAM)],
        change: |repository| {
            fs::remove_file(repository.path("bottlec.toml")).unwrap();
            repository.commit(&[("team.bottle.yaml", EVIL)]);
        },
        passes: false,
        says: &["its grade is critical", "BTL862", "BTL861", "seen in an attack"],
    },
    Case {
        what: "grades that fail, lifted by the change that has one, and its own acceptance",
        base: &[("team.bottle.yaml", TEAM)],
        change: |repository| {
            repository.write("bottlec.toml", "[review]\nfail-on = \"never\"\naccept-from = \"head\"\n");
            let accepted =
                EVIL.replace("evil.example.com", "evil.example.com  # bottlec: accept BTL811 until 2999-12-31 mine");
            repository.commit(&[("team.bottle.yaml", &accepted)]);
        },
        passes: false,
        says: &["its grade is high, and `fail-on` is high", "BTL811"],
    },
    Case {
        what: "a pattern that is removed by the change that hides behind it",
        base: &[("bottlec.toml", "bottles = [\"agents/*.yaml\"]\n"), ("agents/team.yaml", TEAM)],
        change: |repository| {
            repository.write("bottlec.toml", "");
            repository.commit(&[("agents/team.yaml", EVIL)]);
        },
        passes: false,
        says: &["BTL811", "BTL861"],
    },
    Case {
        what: "what both sides agree on",
        base: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", TEAM)],
        change: |repository| write(repository, "team.bottle.yaml", EVIL),
        passes: true,
        says: &["BTL811"],
    },
    Case {
        what: "a configuration that cannot be read",
        base: &[("bottlec.toml", NO_EVIL), ("team.bottle.yaml", TEAM)],
        change: |repository| write(repository, "bottlec.toml", "polcy = 1\n"),
        passes: false,
        says: &["title=bottlec BTL010,file=bottlec.toml", "bottlec.toml cannot be used"],
    },
    Case {
        what: "strict warnings",
        base: &[("bottlec.toml", "[check]\nstrict = true\n"), ("team.bottle.yaml", TEAM)],
        change: |repository| {
            write(repository, "team.bottle.yaml", &format!("{TEAM}      pipelock: {{ tls_passthrough: true }}\n"));
        },
        passes: false,
        says: &["::error title=bottlec BTL601"],
    },
];

#[test]
fn the_action_sees_every_bottle() {
    for Case { what, base, change, passes, says } in CASES {
        let Some(repository) = Repository::new() else { return skipped("there is no git") };
        let base = repository.commit(base);
        change(&repository);
        let Some(run) = run(&repository, &[("event.pull_request.base.sha", &base)], &[]) else { return };
        let told = format!("{}\n{}", run.log, run.summary);
        assert_eq!(run.passed, *passes, "{what}: {told}");
        for words in *says {
            assert!(told.contains(words), "{what}: no {words} in {told}");
        }
    }
}

#[test]
fn two_hundred_bottles_are_compared_and_the_one_that_changed_is_shown() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    for number in 0..200 {
        let text =
            format!("name: b{number}\nnetwork: {{ subnet: 10.3.{number}.0/24 }}\n{}", &TEAM["name: team\n".len()..]);
        repository.write(&format!("teams/{number}/b{number}.bottle.yaml"), &text);
    }
    let base = repository.commit(&[]);
    repository.commit(&[("teams/77/b77.bottle.yaml", &EVIL.replace("team", "b77"))]);
    let Some(run) = run(&repository, &[("event.pull_request.base.sha", &base)], &[]) else { return };
    assert!(!run.passed && run.output("grade") == "high", "{}", run.log);
    assert!(run.summary.contains("evil.example.com") && !run.summary.contains("b78"), "{}", run.summary);
}

#[test]
fn a_comparison_that_saw_nothing_fails() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.commit(&[("codex.yaml", TEAM), ("kept/other.bottle.yaml", "name: other\n")]);
    repository.write("codex.yaml", EVIL);
    fs::create_dir(repository.path("empty")).unwrap();
    for (arguments, words) in [
        (&["diff", "--rev", "main", "empty"] as &[&str], "no bottle found in empty, now and at main"),
        (&["diff", "--rev", "main", "gone.yaml"], "no bottle found in gone.yaml, now and at main"),
        (&["check", "empty"], "no bottle found in empty: looked for bottle.yaml"),
    ] {
        let run = bottlec(repository.root(), arguments);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {}", screen(&run));
        assert!(screen(&run).contains(words), "{arguments:?}: {}", screen(&run));
    }
    // A name on the command line is enough.
    let run = bottlec(repository.root(), &["diff", "--rev", "main", "codex.yaml"]);
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
    assert!(stdout(&run).contains("evil.example.com") && !stdout(&run).contains("BTL853"), "{}", stdout(&run));
}

#[test]
fn of_many_files_that_look_like_bottles_a_few_are_shown_to_people() {
    let names: Vec<String> = (0..9).map(|number| format!("{number}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "agent_provider: {}\n")).collect();
    let folder = folder(&[&files[..], &[("bottle.yaml", "name: x\n")]].concat());
    let run = bottlec(folder.path(), &["check"]);
    assert_eq!(stdout(&run).matches("BTL009").count(), 3, "{}", stdout(&run));
    assert!(screen(&run).contains("6 more files look like bottles; to list them:"), "{}", screen(&run));
    assert!(screen(&run).ends_with("0 errors, 9 warnings\n"), "{}", screen(&run));
    let run = bottlec(folder.path(), &["check", "--format", "concise"]);
    assert_eq!(stdout(&run).matches("BTL009").count(), 9, "{}", stdout(&run));
}

#[test]
fn a_folder_has_the_bottles_of_the_rule_and_says_what_looks_like_one() {
    let folder = folder(&[
        ("bottle.yml", "nme: x\n"),
        ("a.bottle.yaml", "nme: x\n"),
        ("deep/manifest.yaml", "nme: x\negress: {}\n"),
        ("broken/manifest.yaml", "a: [\n"),
        (".bot-bottle/bottles/b.md", "---\nnme: x\n---\n"),
        ("docs/c.md", "---\nnme: x\nagent_provider: {}\n---\n"),
        // Somebody else's.
        ("k8s/manifest.yaml", "kind: Pod\nspec: { egress: [] }\n"),
        ("docs/index.md", "---\ntitle: Page\n---\n"),
        ("node_modules/x/bottle.yaml", "nme: x\n"),
        (".hidden/bottle.yaml", "nme: x\n"),
        ("tool.yaml", "extends: base\nrules: {}\n"),
        ("values.yaml", "targets: [\n"),
        // No name of a bottle.
        ("codex.yaml", "agent_provider: {}\nnme: x\n"),
        ("wide.yaml", "name: x\negress: {}\n"),
    ]);
    let run = bottlec(folder.path(), &["check", "--format", "concise"]);
    let mut told: Vec<String> = stdout(&run)
        .lines()
        .map(|line| {
            let (path, rest) = line.split_once(':').unwrap();
            format!("{} {path}", &rest[rest.find("BTL").unwrap()..][..6])
        })
        .collect();
    told.sort();
    assert_eq!(
        told,
        [
            "BTL001 broken/manifest.yaml",
            "BTL009 codex.yaml",
            "BTL009 wide.yaml",
            "BTL101 .bot-bottle/bottles/b.md",
            "BTL101 a.bottle.yaml",
            "BTL101 bottle.yml",
            "BTL101 deep/manifest.yaml",
            "BTL101 docs/c.md",
        ]
    );
}

#[test]
fn what_git_ignores_is_passed_over() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.write(".gitignore", "out/\n");
    repository.write("bottle.yaml", "name: x\n");
    repository.write("out/x.bottle.yaml", "nme: x\n");
    let run = bottlec(repository.root(), &["check"]);
    assert_eq!(run.status.code(), Some(0), "{}", stdout(&run));
}
