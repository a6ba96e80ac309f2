//! `bottlec diff`: changes of manifests with what they are graded, word for word in all four formats.
//! `UPDATE=1 cargo test --test slow diff` rewrites the words, not the grades; read them before you keep them.

mod committed;
mod manners;
mod picture;
mod revisions;
mod trees;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::{bottlec, files_below, folder, screen, stdout};
use bottlec::text::visible;
use serde_json::Value;

/// The folder of a change; its grade, `none` where there is nothing to review and `same` where nothing
/// differs; the codes of what is found and how often, without `BTL`; what must be restarted.
type Case = (&'static str, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const CASES: &[Case] = &[
    ("01-host-added", "high", "811", "reload-pipelock recreate-egress"),
    ("02-host-added-with-prefixes", "high", "811", "reload-pipelock recreate-egress"),
    ("03-host-added-with-credential", "critical", "801 811 812", "restart-pipelock recreate-egress"),
    ("04-host-added-with-credential-and-opened", "critical", "801 811", "reload-pipelock recreate-egress"),
    ("05-host-added-spliced", "high", "811 812", "restart-pipelock recreate-egress"),
    ("06-host-added-with-private-range", "high", "811 815", "restart-pipelock recreate-egress"),
    ("07-host-removed", "low", "831", "reload-pipelock recreate-egress"),
    ("08-host-removed-with-credential", "low", "831x2", "reload-pipelock recreate-egress"),
    ("09-host-replaced", "high", "811 831", "reload-pipelock recreate-egress"),
    ("10-prefix-added", "high", "813", "reload-egress"),
    ("11-prefix-shortened", "high", "813", "reload-egress"),
    ("12-prefix-lengthened", "low", "831", "reload-egress"),
    ("13-prefixes-dropped", "high", "813", "reload-egress"),
    ("14-prefix-replaced", "high", "813 831", "reload-egress"),
    ("15-prefixes-set", "low", "831", "reload-egress"),
    ("16-provider-host-narrowed", "low", "831x3", "reload-egress"),
    ("17-provider-host-narrowing-removed", "high", "813x3", "reload-egress"),
    ("18-credential-added", "medium", "821", "recreate-egress"),
    ("19-credential-removed", "low", "831", "recreate-egress"),
    ("20-credential-moved", "critical", "801 831", "recreate-egress"),
    ("21-token-on-second-host", "critical", "801 812", "restart-pipelock recreate-egress"),
    ("22-tokens-swapped", "critical", "801x2 831x2", "recreate-egress"),
    ("23-scheme-changed", "medium", "821", "reload-egress"),
    ("24-username-changed", "medium", "821", "reload-egress"),
    ("25-token-renamed", "medium", "821 831", "recreate-egress"),
    ("26-passthrough-on", "high", "812", "restart-pipelock recreate-egress"),
    ("27-passthrough-off", "low", "831", "reload-pipelock recreate-egress"),
    ("28-passthrough-on-with-credential", "high", "812", "restart-pipelock recreate-egress"),
    ("29-range-added", "high", "815", "restart-pipelock recreate-egress"),
    ("30-range-widened", "high", "815", "restart-pipelock recreate-egress"),
    ("31-range-narrowed", "low", "831", "restart-pipelock recreate-egress"),
    ("32-range-removed", "low", "831", "reload-pipelock recreate-egress"),
    ("33-range-moved-to-another-route", "same", "", ""),
    ("34-host-login-forwarded", "high", "814 821x2 831x3 841", "reload-pipelock recreate-egress recreate-agent"),
    ("35-host-login-no-longer-forwarded", "high", "811 812 824x3 831x3 841", "restart-pipelock recreate-egress recreate-agent"),
    ("36-auth-token-set", "medium", "821 831x4 841", "reload-pipelock recreate-egress recreate-agent"),
    ("37-auth-token-dropped", "high", "811 812 813x2 824x2 831 841", "restart-pipelock recreate-egress recreate-agent"),
    ("38-provider-switched", "high", "811x3 812x3 823 824x3 831x2 841x7", "rebuild-image restart-pipelock recreate-egress recreate-agent"),
    ("39-literal-added", "info", "841", "recreate-agent"),
    ("40-literal-changed", "info", "841", "recreate-agent"),
    ("41-literal-removed", "info", "841", "recreate-agent"),
    ("42-host-variable-added", "medium", "822", "recreate-agent"),
    ("43-host-variable-removed", "low", "831", "recreate-agent"),
    ("44-literal-becomes-host-variable", "medium", "822", "recreate-agent"),
    ("45-host-variable-becomes-literal", "low", "831", "recreate-agent"),
    ("46-host-variable-becomes-prompt", "medium", "822 831", "recreate-agent"),
    ("47-prompt-asks-something-else", "medium", "822 831", "recreate-agent"),
    ("48-host-variable-is-another", "critical", "802 831", "recreate-agent"),
    ("49-token-of-removed-route-forwarded", "critical", "802 831", "recreate-egress recreate-agent"),
    ("50-image-set", "medium", "823", "recreate-agent"),
    ("51-image-changed", "medium", "823", "recreate-agent"),
    ("52-image-removed", "medium", "823", "rebuild-image recreate-agent"),
    ("53-dockerfile-set", "medium", "823", "rebuild-image recreate-agent"),
    ("54-dockerfile-has-another-text", "medium", "823", "rebuild-image recreate-agent"),
    ("55-dockerfile-is-another", "medium", "823", "rebuild-image recreate-agent"),
    ("56-pipelock-target-raised", "medium", "823x2", "restart-pipelock recreate-egress"),
    ("57-pipelock-target-lowered", "medium", "823x2", "restart-pipelock recreate-egress"),
    ("58-smolvm-target-raised", "none", "", "recreate-agent"),
    ("59-smolvm-target-lowered", "none", "", "recreate-agent"),
    ("60-name-changed", "info", "841x2", "recreate-bottle"),
    ("61-subnet-changed", "info", "841", "recreate-bottle"),
    ("62-routes-reordered", "none", "", "reload-egress"),
    ("63-routes-with-tokens-reordered", "none", "", "recreate-egress"),
    ("64-comments-quotes-and-line-ends", "same", "", ""),
    ("65-two-changes-at-once", "high", "811 822 831", "reload-pipelock recreate-egress recreate-agent"),
    ("66-accepted", "none", "811", "reload-pipelock recreate-egress"),
    ("67-accepted-on-the-last-day", "none", "811", "reload-pipelock recreate-egress"),
    ("68-acceptance-expired", "high", "811 705", "reload-pipelock recreate-egress"),
    ("69-acceptance-unused", "none", "703", ""),
    ("70-acceptance-of-another-code", "high", "811 703", "reload-pipelock recreate-egress"),
    ("71-acceptance-on-another-line", "high", "811 703", "reload-pipelock recreate-egress"),
    ("72-acceptance-without-a-reason", "high", "811 704", "reload-pipelock recreate-egress"),
    ("73-acceptance-malformed", "high", "811 703", "reload-pipelock recreate-egress"),
    ("74-acceptance-of-a-loss", "none", "831", "reload-pipelock recreate-egress"),
    ("75-acceptance-alone-on-its-line", "high", "811x2 812x2 823 824x2 831x3 841x7", "rebuild-image restart-pipelock recreate-egress recreate-agent"),
    ("76-one-of-two-changes-accepted", "high", "811x2", "reload-pipelock recreate-egress"),
    ("77-parent-has-another-route", "high", "811", "reload-pipelock recreate-egress"),
    ("78-parent-accepts", "none", "811", "reload-pipelock recreate-egress"),
    ("79-routes-move-to-the-parent", "same", "", ""),
    ("80-provider-change-accepted", "none", "813x3", "reload-egress"),
    ("81-two-acceptances-on-one-line", "high", "811 812 824", "restart-pipelock recreate-egress"),
    ("82-parent-has-another-literal", "info", "841", "recreate-agent"),
    ("83-values-that-markdown-would-read", "medium", "811 822 823 831", "reload-pipelock recreate-egress recreate-agent"),
    ("84-own-authorization-kept", "medium", "824", "reload-egress"),
    ("85-provider-host-widened", "high", "813 831x2", "reload-egress"),
];

const FORMATS: [(&str, &str); 4] = [("text", "txt"), ("json", "json"), ("sarif", "sarif"), ("markdown", "md")];

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diff/cases")
}

/// The old and the new manifest of a case: two files, or two folders where more than one file differs.
fn pair(case: &Path) -> [&'static str; 2] {
    if case.join("old").is_dir() { ["old/bottle.yaml", "new/bottle.yaml"] } else { ["old.yaml", "new.yaml"] }
}

/// Compares on the day for which the acceptances were written.
fn diff(folder: &Path, arguments: &[&str]) -> Output {
    let fixed = ["diff", "--color", "never", "--today", "2026-11-22"];
    bottlec(folder, &[&fixed, arguments].concat())
}

/// The one bottle of a report, if it has one.
fn report(folder: &Path, old: &str, new: &str) -> Option<Value> {
    let run = diff(folder, &[old, new, "--format", "json"]);
    let report: Value = serde_json::from_str(&stdout(&run)).unwrap_or_else(|_| panic!("{}", screen(&run)));
    report["bottles"].as_array().unwrap().first().cloned()
}

/// The grade, the codes and the steps of a report, in the words of [`Case`].
fn judged(report: Option<&Value>) -> (String, String, String) {
    let Some(report) = report else { return ("same".to_owned(), String::new(), String::new()) };
    let texts = |list: &str, key: &str| -> Vec<String> {
        let list = report[list].as_array().unwrap();
        list.iter().map(|item| item[key].as_str().unwrap().to_owned()).collect()
    };
    let codes = [texts("changes", "code"), texts("findings", "code")].concat();
    let counted = codes.chunk_by(|a, b| a == b).map(|same| match same.len() {
        1 => same[0].replace("BTL", ""),
        count => format!("{}x{count}", same[0].replace("BTL", "")),
    });
    let grade = report["grade"].as_str().unwrap_or("none").to_owned();
    (grade, counted.collect::<Vec<_>>().join(" "), texts("restarts", "step").join(" "))
}

/// Holds a text against a file, which `UPDATE=1` writes; the difference in words.
fn drift(path: &Path, text: &str) -> Option<String> {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, text).unwrap();
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let diff = similar::TextDiff::from_lines(expected.as_str(), text);
    (expected != text).then(|| format!("{}\n{}", path.display(), diff.unified_diff()))
}

/// A SARIF log without what it has of the rules' pages: tests/check.rs holds that against the pages.
fn without_pages(log: &str) -> String {
    let mut log: Value = serde_json::from_str(log).unwrap();
    for rule in log["runs"][0]["tool"]["driver"]["rules"].as_array_mut().unwrap() {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(rule.as_object_mut().unwrap().remove(text).is_some(), "{rule} has no {text}");
        }
    }
    visible::json(&format!("{log:#}\n")).into_owned()
}

#[test]
fn every_change_has_its_grade_codes_and_restarts() {
    let mut wrong = Vec::new();
    for (case, grade, codes, restarts) in CASES {
        let folder = cases().join(case);
        let [old, new] = pair(&folder);
        let found = judged(report(&folder, old, new).as_ref());
        if (found.0.as_str(), found.1.as_str(), found.2.as_str()) != (*grade, *codes, *restarts) {
            wrong.push(format!("{case}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_is_in_the_table() {
    let folders: BTreeSet<String> =
        fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(folders, CASES.iter().map(|(case, ..)| (*case).to_owned()).collect());
    assert!(folders.len() >= 45);
}

#[test]
fn every_change_is_told_word_for_word_in_each_format() {
    let mut drifted = Vec::new();
    for (case, grade, ..) in CASES {
        let folder = cases().join(case);
        let [old, new] = pair(&folder);
        for (format, extension) in FORMATS {
            let run = diff(&folder, &[old, new, "--format", format]);
            // What only a finding is about is no difference.
            let differs = *grade != "same" && *case != "69-acceptance-unused";
            assert_eq!(run.status.code(), Some(i32::from(differs)), "{case} {format}: {}", screen(&run));
            let told = if format == "sarif" { without_pages(&stdout(&run)) } else { stdout(&run) };
            drifted.extend(drift(&folder.join(format!("expected.{extension}")), &told));
        }
    }
    assert!(drifted.is_empty(), "UPDATE=1 accepts:\n{}", drifted.join("\n"));
}

#[test]
fn every_change_can_be_accepted_on_the_line_that_asks_for_it_and_else_alone_on_a_line() {
    let mut places = 0;
    for (case, grade, ..) in CASES.iter().filter(|(_, grade, ..)| !["same", "none"].contains(grade)) {
        let source = cases().join(case);
        let files: Vec<(String, String)> = files(&source);
        let [old, new] = pair(&source);
        let report = report(&source, old, new).unwrap();
        let changes: Vec<&Value> = report["changes"].as_array().unwrap().iter().collect();
        let key = |change: &Value| {
            // A line of the old manifest asks for nothing.
            let asks = change["file"].as_str().filter(|file| file.starts_with("new"));
            let line = asks.map(|file| (file.to_owned(), change["line"].as_u64().unwrap()));
            (change["code"].as_str().unwrap().to_owned(), line)
        };
        let open = changes.iter().filter(|change| change["accepted"].is_null());
        for (code, line) in open.map(|change| key(change)).collect::<BTreeSet<_>>() {
            let comment = format!("# bottlec: accept {code} until 2026-11-22 it is meant");
            let changed: Vec<(&str, String)> = files
                .iter()
                .map(|(path, text)| {
                    let text = match &line {
                        Some((file, line)) if file == path => with_comment(text, *line, &comment),
                        None if path == new => format!("{text}{comment}\n"),
                        _ => text.clone(),
                    };
                    (path.as_str(), text)
                })
                .collect();
            let changed: Vec<(&str, &str)> = changed.iter().map(|(path, text)| (*path, text.as_str())).collect();
            let folder = folder(&changed);
            let accepted = self::report(folder.path(), old, new).unwrap();
            for change in accepted["changes"].as_array().unwrap() {
                let is_meant = key(change) == (code.clone(), line.clone());
                let reason = change["accepted"]["reason"].as_str().unwrap_or_default();
                assert_eq!(reason == "it is meant", is_meant, "{case} ({grade}): {code} {line:?}: {change}");
            }
            places += 1;
        }
    }
    assert!(places > 100, "{places}");
}

/// The text with a comment at the end of a line.
fn with_comment(text: &str, line: u64, comment: &str) -> String {
    let lines = text
        .lines()
        .zip(1..)
        .map(|(text, number)| if number == line { format!("{text}  {comment}\n") } else { format!("{text}\n") });
    lines.collect()
}

/// Every manifest and Dockerfile of a case by its path.
fn files(case: &Path) -> Vec<(String, String)> {
    let is_input = |path: &PathBuf| path.file_stem().is_none_or(|stem| stem != "expected");
    let named = |path: PathBuf| {
        let name = path.strip_prefix(case).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    files_below(case).into_iter().filter(is_input).map(named).collect()
}
