//! `diff --rev`: a change is held to the configurations of both sides.

use super::*;

/// Files of the base and of the change, the arguments behind `diff --rev main`, the exit code, and what is said.
struct Case {
    what: &'static str,
    base: &'static [(&'static str, &'static str)],
    change: &'static [(&'static str, &'static str)],
    arguments: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
    says_not: &'static [&'static str],
}

const CASE: Case = Case { what: "", base: &[], change: &[], arguments: &[], code: 0, says: &[], says_not: &[] };

/// A text that removes the file.
const GONE: &str = "\0";

const TEAM: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n";
const NEW_HOST: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: new.example.com\n";
const TEAM_PASTES: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: pastebin.com\n";
const ACCEPTED: &str = "name: team\negress:\n  routes:\n    - host: old.example.com\n    - host: new.example.com  # bottlec: accept BTL811 until 2999-12-31 ok\n";

#[test]
fn a_change_is_held_to_the_configurations_of_both_sides() {
    let mut wrong = Vec::new();
    for Case { what, base, change, arguments, code, says, says_not } in [
        Case {
            what: "the base forbids it, and the change lifts that",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", ""), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &[
                "critical  BTL862  `pastebin.com` can be reached; main:bottlec.toml:2 forbids the host `pastebin.com`: uploads there cannot be audited",
                "team.bottle.yaml:5:13",
                "high      BTL861  the policy no longer forbids the host `pastebin.com`: uploads there cannot be audited",
                "main:bottlec.toml:2:1",
            ],
            ..CASE
        },
        Case {
            what: "the change forbids what it does",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["critical  BTL862  `pastebin.com` can be reached; bottlec.toml:2 forbids"],
            says_not: &["BTL861"],
        },
        Case {
            what: "a comment accepts nothing of it",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[(
                "team.bottle.yaml",
                "name: team\negress:\n  routes:\n    - host: pastebin.com  # bottlec: accept BTL811 until 2999-12-31 ok # bottlec: accept BTL862 until 2999-12-31 ok\n",
            )],
            arguments: &["--fail-on", "info", "--accept-from", "head"],
            code: 1,
            says: &["team (team.bottle.yaml): critical", "BTL862 cannot be accepted"],
            ..CASE
        },
        Case {
            what: "never is never",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "never"],
            code: 0,
            says: &["BTL862"],
            ..CASE
        },
        Case {
            what: "a closer configuration takes the place of the base's",
            base: &[("bottlec.toml", NO_PASTE), ("deep/team.bottle.yaml", TEAM)],
            change: &[("deep/bottlec.toml", ""), ("deep/team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["BTL862", "BTL861  the policy no longer forbids", "deep/bottlec.toml (deep/bottlec.toml): high"],
            ..CASE
        },
        Case {
            what: "the bottle moves to where another one counts",
            base: &[("strict/bottlec.toml", NO_PASTE), ("strict/team.bottle.yaml", TEAM), ("free/bottlec.toml", "")],
            change: &[("strict/team.bottle.yaml", GONE), ("free/team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &["BTL862"],
            ..CASE
        },
        Case {
            what: "the pattern that the change removes still finds its bottle",
            base: &[("bottlec.toml", "bottles = [\"agents/*.yaml\"]\n"), ("agents/team.yaml", TEAM)],
            change: &[("bottlec.toml", ""), ("agents/team.yaml", NEW_HOST)],
            arguments: &["--fail-on", "high"],
            code: 1,
            says: &["BTL811  `new.example.com`", "BTL861  files that match `agents/*.yaml` are no longer bottles"],
            ..CASE
        },
        Case {
            what: "the pattern that the change adds finds its bottle on both sides",
            base: &[("agents/team.yaml", TEAM)],
            change: &[("bottlec.toml", "bottles = [\"agents/*.yaml\"]\n"), ("agents/team.yaml", NEW_HOST)],
            arguments: &["--fail-on", "high"],
            code: 1,
            says: &["team (agents/team.yaml): high", "BTL811  `new.example.com`"],
            says_not: &["new, high", "BTL861"],
        },
        Case {
            what: "everything of a configuration that is removed",
            base: &[
                (
                    "bottlec.toml",
                    "bottles = [\"*.txt\"]\ngolden = \"golden\"\n[check]\nstrict = true\n[check.severity]\nBTL601 = \"error\"\n[review]\nfail-on = \"medium\"\n[policy.forbid-credentials]\n\"PROD_*\" = \"x\"\n[policy.forbid]\ntls_passthrough = \"x\"\n[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"x\" }\n",
                ),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("bottlec.toml", GONE)],
            code: 1,
            says: &[
                "bottlec.toml (bottlec.toml): removed, high",
                "files that match `*.txt` are no longer bottles",
                "the trees in `golden` are no longer compared",
                "warnings of `check` no longer fail",
                "BTL601 no longer fails",
                "a change of grade medium no longer fails: `fail-on` is high",
                "the policy no longer forbids the credential `PROD_*`: x",
                "the policy no longer forbids `tls_passthrough`: x",
                "the policy no longer requires pipelock 2.3: x",
            ],
            ..CASE
        },
        Case {
            what: "looser entries",
            base: &[
                (
                    "bottlec.toml",
                    "golden = \"golden\"\n[policy.forbid-hosts]\n\"*.a.example\" = \"x\"\n\"b.example\" = \"x\"\n[policy.require-targets]\npipelock = { version = \"3\", reason = \"x\" }\n",
                ),
                ("team.bottle.yaml", "name: team\ntargets: { pipelock: \"3\" }\n"),
            ],
            change: &[(
                "bottlec.toml",
                "golden = \"other\"\n[check.severity]\nBTL601 = \"off\"\n[review]\nfail-on = \"critical\"\naccept-from = \"head\"\n[policy.forbid-hosts]\n\"a.example\" = \"x\"\n\"*.b.example\" = \"another reason\"\n[policy.require-targets]\npipelock = { version = \"2.3\", reason = \"x\" }\n",
            )],
            code: 1,
            says: &[
                "no longer forbids the host `*.a.example`",
                "no longer requires pipelock 3",
                "the trees in `golden` are no longer compared, but those in `other`",
                "BTL601 is no longer reported",
                "a change of grade high no longer fails: `fail-on` is critical",
                "a change can accept itself: `accept-from` is head",
            ],
            says_not: &["forbids the host `b.example`", "another reason`"],
            ..CASE
        },
        Case {
            what: "a stricter configuration is no change to review",
            base: &[("bottlec.toml", "[policy.forbid-hosts]\n\"a.example\" = \"x\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[(
                "bottlec.toml",
                "golden = \"golden\"\n[check]\nstrict = true\n[review]\nfail-on = \"low\"\n[policy.forbid-hosts]\n\"*.a.example\" = \"y\"\n",
            )],
            code: 0,
            says: &["no differences in 1 bottle"],
            ..CASE
        },
        Case {
            what: "fail-on: the stricter side's",
            base: &[("bottlec.toml", "[review]\nfail-on = \"high\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=high", "fails=true", "grade=high"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "fail-on: what the change adds does not count beside what nobody said",
            base: &[("bottlec.toml", ""), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\nfail-on = \"never\"\n"), ("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=high"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "fail-on: on both sides, and the flag wins",
            base: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", NEW_HOST)],
            code: 0,
            says: &["fail-on=critical", "accept-from=base"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "fail-on: the flag",
            base: &[("bottlec.toml", "[review]\nfail-on = \"critical\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", NEW_HOST)],
            code: 1,
            says: &["fail-on=medium"],
            arguments: &["--format", "verdict", "--gate", "--fail-on", "medium"],
            ..CASE
        },
        Case {
            what: "without a configuration, a gate and no gate",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["fail-on=high", "accept-from=base", "grade=high"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "no gate",
            base: &[("team.bottle.yaml", TEAM)],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["fail-on=any", "accept-from=head", "grade=none"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "accept-from: base if either side says so",
            base: &[("bottlec.toml", "[review]\naccept-from = \"base\"\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "[review]\naccept-from = \"head\"\n"), ("team.bottle.yaml", ACCEPTED)],
            code: 1,
            says: &["accept-from=base", "grade=high"],
            arguments: &["--format", "verdict"],
            ..CASE
        },
        Case {
            what: "accept-from: head if both do",
            base: &[
                ("bottlec.toml", "[review]\naccept-from = \"head\"\nfail-on = \"high\"\n"),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("team.bottle.yaml", ACCEPTED)],
            code: 0,
            says: &["accept-from=head", "grade=none"],
            arguments: &["--format", "verdict", "--gate"],
            ..CASE
        },
        Case {
            what: "a weaker configuration that was accepted before",
            base: &[
                ("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 agreed\n[check]\nstrict = true\n"),
                ("team.bottle.yaml", TEAM),
            ],
            change: &[("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 agreed\n")],
            code: 0,
            says: &["accepted until 2999-12-31: agreed"],
            arguments: &["--gate"],
            ..CASE
        },
        Case {
            what: "a weaker configuration that accepts itself",
            base: &[("bottlec.toml", "[check]\nstrict = true\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "# bottlec: accept BTL861 until 2999-12-31 mine\n")],
            code: 1,
            says: &["BTL861"],
            says_not: &["accepted until"],
            arguments: &["--gate"],
        },
        Case {
            what: "the base's cannot be used",
            base: &[("bottlec.toml", "a = 1\n"), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--fail-on", "critical"],
            code: 1,
            says: &[
                "bottlec.toml at main is invalid, so only the current one applies: main:bottlec.toml:1:1: error[BTL010]",
                "BTL862",
            ],
            ..CASE
        },
        Case {
            what: "the new one cannot be used",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "a = 1\n")],
            arguments: &["--fail-on", "never"],
            code: 2,
            says: &["error[BTL010]", "bottlec.toml cannot be used"],
            ..CASE
        },
        Case {
            what: "none of it counts",
            base: &[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)],
            change: &[("bottlec.toml", "a = 1\n"), ("team.bottle.yaml", TEAM_PASTES)],
            arguments: &["--isolated", "--fail-on", "critical"],
            code: 0,
            says: &["BTL811"],
            says_not: &["BTL86"],
        },
    ] {
        let Some(repository) = Repository::new() else { return skipped("there is no git") };
        repository.commit(base);
        for (path, text) in change {
            match *text {
                GONE => fs::remove_file(repository.path(path)).unwrap(),
                text => repository.write(path, text),
            }
        }
        git(repository.root(), &["add", "--all"]);
        let run = bottlec(repository.root(), &[&["diff", "--rev", "main"], arguments].concat());
        let told = stdout(&run) + &screen(&run);
        let lacks: Vec<&&str> = says.iter().filter(|words| !told.contains(**words)).collect();
        let has: Vec<&&str> = says_not.iter().filter(|words| told.contains(**words)).collect();
        if run.status.code() != Some(code) || !lacks.is_empty() || !has.is_empty() {
            wrong.push(format!("{what}: {:?}, lacks {lacks:?}, has {has:?}: {told}", run.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_tree_that_comes_without_its_manifest_is_held_to_the_policy_too() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.commit(&[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)]);
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let build = ["build", "team.bottle.yaml", "-o", "golden", "--hermetic", "--isolated"];
    assert!(bottlec(repository.root(), &build).status.success());
    let diff = || {
        git(repository.root(), &["add", "--all"]);
        stdout(&bottlec(repository.root(), &["diff", "--rev", "main", "--fail-on", "critical"]))
    };
    assert_eq!(diff().matches("BTL862").count(), 1, "the tree repeats its manifest: {}", diff());
    repository.write("team.bottle.yaml", TEAM);
    let told = diff();
    assert!(told.contains("team (golden/team): new, critical") && told.matches("BTL862").count() == 1, "{told}");
}

#[test]
fn a_link_leads_nowhere() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "a secret of the host\n").unwrap();
    repository.write("team.bottle.yaml", TEAM);
    symlink(outside.path().join("secret"), repository.path("bottlec.toml")).unwrap();
    let (code, told) = check(repository.root(), &[]);
    assert!(code == Some(2) && told.contains("bottlec.toml is a symbolic link"), "{told}");
    assert!(!told.contains("secret"), "{told}");
    repository.commit(&[]);
    fs::remove_file(repository.path("bottlec.toml")).unwrap();
    repository.write("bottlec.toml", NO_PASTE);
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let run = bottlec(repository.root(), &["diff", "--rev", "main", "--fail-on", "critical"]);
    assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
    assert!(screen(&run).contains("is invalid, so only the current one applies") && stdout(&run).contains("BTL862"));
}

#[test]
fn every_format_has_what_the_configuration_no_longer_asks_for() {
    let Some(repository) = Repository::new() else { return skipped("there is no git") };
    repository.commit(&[("bottlec.toml", NO_PASTE), ("team.bottle.yaml", TEAM)]);
    repository.write("bottlec.toml", "# <img src=x>\n");
    repository.write("team.bottle.yaml", TEAM_PASTES);
    let diff = |format: &str| stdout(&bottlec(repository.root(), &["diff", "--rev", "main", "--format", format]));
    let report: serde_json::Value = serde_json::from_str(&diff("json")).unwrap();
    let codes = |bottle: usize| -> Vec<&str> {
        let changes = report["bottles"][bottle]["changes"].as_array().unwrap();
        changes.iter().map(|change| change["code"].as_str().unwrap()).collect()
    };
    assert_eq!((&report["bottles"][0]["path"], codes(0)), (&"bottlec.toml".into(), vec!["BTL861"]));
    assert_eq!(codes(1), ["BTL862", "BTL811"]);
    assert_eq!(report["bottles"][1]["changes"][0]["line"], 5);
    let sarif: serde_sarif::sarif::Sarif = serde_json::from_str(&diff("sarif")).unwrap();
    let results = sarif.runs[0].results.as_ref().unwrap();
    assert_eq!(results.iter().filter(|result| result.rule_id.as_deref() == Some("BTL861")).count(), 1);
    let page = diff("markdown");
    assert!(page.contains("### bottlec.toml: high") && page.contains("| BTL862 |"), "{page}");
}
