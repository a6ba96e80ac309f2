//! How `diff` behaves whatever it finds: exit codes, wrong uses, and texts that nobody must act on.

use std::fs;

use super::trees::edited;
use super::{CASES, FORMATS, bottlec, cases, diff, folder, pair, screen, stdout};

const GRADES: [&str; 5] = ["info", "low", "medium", "high", "critical"];

#[test]
fn fail_on_asks_for_a_grade_or_a_higher_one() {
    for (case, grade) in [
        ("39-literal-added", "info"),
        ("07-host-removed", "low"),
        ("18-credential-added", "medium"),
        ("01-host-added", "high"),
        ("20-credential-moved", "critical"),
        // Accepted, or nothing but other bytes.
        ("66-accepted", ""),
        ("74-acceptance-of-a-loss", ""),
        ("62-routes-reordered", ""),
        ("68-acceptance-expired", "high"),
        ("76-one-of-two-changes-accepted", "high"),
    ] {
        let folder = cases().join(case);
        let [old, new] = pair(&folder);
        for (format, _) in FORMATS {
            assert_eq!(diff(&folder, &[old, new, "--format", format]).status.code(), Some(1), "{case}");
        }
        let rank = |grade: &str| GRADES.iter().position(|other| *other == grade);
        for asked in GRADES {
            let run = diff(&folder, &[old, new, "--fail-on", asked]);
            let fails = rank(grade).is_some_and(|rank_of| rank_of >= rank(asked).unwrap());
            assert_eq!(run.status.code(), Some(i32::from(fails)), "{case} --fail-on {asked}");
            assert!(!run.stdout.is_empty(), "{case}: what differs is told whatever is asked for");
        }
    }
}

#[test]
fn what_is_compared_with_itself_does_not_differ() {
    for (case, ..) in CASES {
        let folder = cases().join(case);
        for path in pair(&folder) {
            let run = diff(&folder, &[path, path]);
            assert_eq!(run.status.code(), Some(0), "{case} {path}: {}", screen(&run));
            let is_silent = run.stdout.is_empty();
            // A comment that is still there when its change has landed is worth a line.
            assert!(is_silent || stdout(&run).contains("BTL703") || stdout(&run).contains("BTL704"), "{case} {path}");
            assert!(screen(&run).contains("no differences in 1 bottle"), "{case}: {}", screen(&run));
        }
    }
    let folder = cases().join("01-host-added");
    for (format, says) in
        [("text", ""), ("json", "\"bottles\": []"), ("sarif", "\"results\": []"), ("markdown", "No differences.")]
    {
        let said = stdout(&diff(&folder, &["new.yaml", "new.yaml", "--format", format]));
        assert!(said.contains(says) && !said.contains("docs.example.com"), "{said}");
    }
}

#[test]
fn a_wrong_use_is_an_error() {
    let folder = cases().join("01-host-added");
    for (arguments, says) in [
        ([].as_slice(), "diff needs two bottles"),
        (&["old.yaml"], "diff needs two bottles"),
        (&["old.yaml", "new.yaml", "new.yaml"], "diff needs two bottles"),
        (&["old.yaml", "missing.yaml"], "missing.yaml"),
        (&["old.yaml", "."], "no bottle in ."),
        (&["old.yaml", "new.yaml", "--fail-on", "severe"], "severe"),
        (&["old.yaml", "new.yaml", "--format", "xml"], "xml"),
        (&["old.yaml", "new.yaml", "--today", "tomorrow"], "tomorrow"),
    ] {
        let fixed = ["diff", "--color", "never"];
        let run = bottlec(&folder, &[&fixed, arguments].concat());
        assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(2), ""), "{arguments:?}");
        assert!(screen(&run).contains(says), "{arguments:?}: {}", screen(&run));
    }
}

#[test]
fn a_manifest_that_does_not_compile_is_an_error_with_its_findings() {
    let good = "name: a\n";
    let bad = "name: a\negress:\n  routes:\n    - host: https://docs.example.com\n    - hots: a.example\n";
    let folder = folder(&[("good.yaml", good), ("bad.yaml", bad)]);
    for (old, new) in [("good.yaml", "bad.yaml"), ("bad.yaml", "good.yaml")] {
        for (format, _) in FORMATS {
            let run = diff(folder.path(), &[old, new, "--format", format]);
            assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(2), ""));
            for says in ["error[BTL203]", "error[BTL101]", "bad.yaml:4:13", "bad.yaml does not compile"] {
                assert!(screen(&run).contains(says), "{says}: {}", screen(&run));
            }
        }
    }
}

#[test]
fn the_day_is_that_of_the_machine_unless_it_is_given() {
    let text = |until: &str| {
        format!("name: a\negress:\n  routes:\n    - host: b.example  # bottlec: accept BTL811 until {until} meant\n")
    };
    let (past, future) = (text("2020-01-01"), text("9999-12-31"));
    let folder = folder(&[("old.yaml", "name: a\n"), ("past.yaml", &past), ("future.yaml", &future)]);
    for (new, today, fails) in [
        ("past.yaml", None, true),
        ("future.yaml", None, false),
        ("past.yaml", Some("2020-01-01"), false),
        ("past.yaml", Some("2020-01-02"), true),
    ] {
        let mut arguments = vec!["diff", "old.yaml", new, "--fail-on", "high"];
        arguments.extend(today.iter().flat_map(|day| ["--today", day]));
        let run = bottlec(folder.path(), &arguments);
        assert_eq!(run.status.code(), Some(i32::from(fails)), "{new} {today:?}");
    }
}

/// Text that steers a terminal: a colour, a title, a C1 sequence, an override of the direction.
const STEERING: &str = "\\e[31mred\\e]0;title\\a\\u009b31m\\u202egnp.exe";

#[test]
fn nothing_that_a_tree_says_steers_a_terminal() {
    let setting = format!("working_dir: \"{STEERING}\"");
    let name = format!("\"{}", STEERING.replace("\\e", "\\u001b").replace("\\a", "\\u0007"));
    for (file, from, to) in [
        ("compose.yaml", "working_dir: \"/workspace\"", setting.as_str()),
        ("agent/home/.claude.json", "{", "{\n\u{1b}[31m\u{9b}31m\u{202e}"),
        ("egress/addon.py", "import", "#\u{1b}[31m\u{9b}31m\u{202e}\nimport"),
        ("bottle.json", "\"claude", name.as_str()),
        ("pipelock/pipelock.yaml", "enforce:", "\"\\e[31m\\u009b\\u202e\": 1\nenforce:"),
        ("egress/routes.yaml", "routes:", "\"\\e[31m\\u009b\\u202e\": 1\nroutes:"),
    ] {
        let project = edited(file, from, to);
        for (format, _) in FORMATS {
            let arguments = ["diff", "--color", "always", "--format", format, "old/review", "new/review"];
            let run = bottlec(project.path(), &arguments);
            assert_eq!(run.status.code(), Some(1), "{file}: {}", screen(&run));
            let said = stdout(&run) + &screen(&run);
            // Our own colours are red too, but nothing else follows the escape.
            let steers = ["\u{9b}", "\u{202e}", "\u{7}", "\u{1b}]", "\u{1b}[31mred", "\u{1b}[31m\\u{9b}"];
            for steering in steers {
                assert!(!said.contains(steering), "{file} {format}: {said:?}");
            }
        }
    }
}

#[test]
fn nothing_that_a_tree_says_is_markup() {
    let hostile =
        "| `x` <script>alert(1)</script> @team #77 [a](https://evil.example) www.evil.example\\n```\\n# heading";
    let setting = format!("working_dir: \"{hostile}\"");
    let name = format!("\"{hostile}");
    let fence = "#\n```\n</details>\n@team\n````\nimport";
    for (file, from, to) in [
        ("compose.yaml", "working_dir: \"/workspace\"", setting.as_str()),
        ("bottle.json", "\"claude", name.as_str()),
        ("egress/addon.py", "import", fence),
    ] {
        let project = edited(file, from, to);
        if to == fence {
            // In the lines around a difference a fence has nothing before it but a blank.
            let old = project.path().join("old/review").join(file);
            fs::write(&old, fs::read_to_string(&old).unwrap().replacen(from, &format!("{fence} os\n{from}"), 1))
                .unwrap();
        }
        let run = diff(project.path(), &["old/review", "new/review", "--format", "markdown"]);
        assert_eq!(run.status.code(), Some(1), "{}", screen(&run));
        let outside = outside_of_fences(&stdout(&run));
        for (number, line) in outside.iter().enumerate() {
            for markup in ["<script", "[a]", "://", "www.", "`x`", "\u{1b}"] {
                assert!(!line.contains(markup), "{file} {markup} in line {number}: {line}");
            }
            // A mention is one outside of code alone.
            let prose: String = line.split("<code>").map(|part| part.split("</code>").last().unwrap()).collect();
            assert!(!prose.contains("@team") && !prose.contains("#77"), "{file}: {line}");
            assert!(!line.starts_with("# "), "{file}: {line}");
            if line.starts_with('|') {
                assert_eq!(line.matches('|').count(), 5, "{file}: a row has four cells: {line}");
            }
        }
        let opened = outside.iter().filter(|line| line.starts_with("<details>")).count();
        assert_eq!(opened, outside.iter().filter(|line| *line == "</details>").count(), "{file}");
    }
}

/// The lines of a Markdown text that are not in a fenced block, which must all be closed.
fn outside_of_fences(text: &str) -> Vec<String> {
    let mut outside = Vec::new();
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        // Up to three blanks before a fence do not make it text.
        let bare = line.strip_prefix("   ").or(line.strip_prefix("  ")).or(line.strip_prefix(' ')).unwrap_or(line);
        let ticks = &bare[..bare.len() - bare.trim_start_matches('`').len()];
        match fence {
            Some(open) if bare == ticks && ticks.len() >= open.len() => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => outside.push(line.to_owned()),
        }
    }
    assert_eq!(fence, None, "{text}");
    outside
}

#[test]
fn a_name_that_no_summary_shows_is_in_no_format() {
    let token = "agent_provider: { auth_token: A_TOKEN }\n";
    let folder = folder(&[("old.yaml", "name: a\n"), ("new.yaml", &format!("name: a\n{token}"))]);
    for (format, _) in super::FORMATS {
        let run = diff(folder.path(), &["old.yaml", "new.yaml", "--format", format]);
        let text = stdout(&run);
        assert!(text.contains("A_TOKEN") || text.contains("A\\_TOKEN"), "{format} {text}");
        assert!(!text.contains("CLAUDE_CODE_OAUTH_TOKEN"), "{format} {text}");
    }
    // Its lines are there all the same.
    let text = stdout(&diff(folder.path(), &["old.yaml", "new.yaml"]));
    assert!(text.contains("+      \"(hidden)\": \"egress-placeholder\"\n"), "{text}");
}

#[test]
fn a_long_difference_is_cut_in_markdown_alone() {
    let long: String = (0..400).map(|number| format!("# {number}\n")).collect();
    let project = edited("egress/addon.py", "import", &(long + "import"));
    let [text, markdown] = ["text", "markdown"]
        .map(|format| stdout(&diff(project.path(), &["old/review", "new/review", "--format", format])));
    assert!(text.contains("+# 399\n"), "{text}");
    assert!(!markdown.contains("+# 399\n") && markdown.contains(" more lines\n"), "{markdown}");
}

#[test]
fn an_unused_parent_acceptance_is_for_other_bottles() {
    let base = "egress:\n  routes:\n    - host: b.example  # bottlec: accept BTL811 until 2027-01-31 meant\n";
    let child = "name: a\nextends: base\n";
    let folder = folder(&[("base.yaml", base), ("child.yaml", child)]);
    let run = diff(folder.path(), &["child.yaml", "child.yaml"]);
    assert_eq!((run.status.code(), stdout(&run).as_str()), (Some(0), ""), "{}", screen(&run));
    fs::write(folder.path().join("child.yaml"), format!("{child}# bottlec: accept BTL811 until 2027-01-31 meant\n"))
        .unwrap();
    let run = diff(folder.path(), &["child.yaml", "child.yaml"]);
    assert!(run.status.success() && stdout(&run).contains("child.yaml:3:1: warning[BTL703]"), "{}", stdout(&run));
}
