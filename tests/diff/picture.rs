//! The picture of a review: what it shows, and that nothing of a manifest is anything but text in it.

use std::fmt::Write as _;

use super::{diff, folder};
use crate::support::{screen, stdout};

/// The chart of a comparison as Markdown, a line each, if it has one.
fn chart(old: &str, new: &str) -> Option<Vec<String>> {
    let folder = folder(&[("old.yaml", old), ("new.yaml", new)]);
    let run = diff(folder.path(), &["old.yaml", "new.yaml", "--format", "markdown"]);
    let text = stdout(&run);
    assert!(text.starts_with("## "), "{}", screen(&run));
    let (before, rest) = text.split_once("```mermaid\n")?;
    assert!(!before.contains('|'), "the picture stands above the table");
    let (chart, rest) = rest.split_once("```\n").unwrap();
    assert!(!rest.contains("```mermaid"), "{rest}");
    Some(chart.lines().map(str::to_owned).collect())
}

fn manifest(routes: &[String]) -> String {
    format!("name: a\negress:\n  routes:\n    - host: always.example\n{}", routes.concat())
}

fn route(host: &str, more: &str) -> String {
    format!("    - host: {host}\n{more}")
}

const START: [&str; 2] = ["flowchart LR", "  agent[\"agent\"] --> egress[\"egress\"]"];

#[test]
fn new_and_widened_and_signed_and_lost_hosts_are_drawn() {
    let paths = |paths: &str| format!("      path_allowlist: [{paths}]\n");
    let auth = "      auth: { scheme: Bearer, token_ref: FORGE_TOKEN }\n      pipelock: { tls_passthrough: true }\n";
    let old = manifest(&[route("gone.example", ""), route("wide.example", &paths("/a")), route("less.example", "")]);
    let new = manifest(&[
        route("new.example", ""),
        route("wide.example", &paths("/a, /b")),
        route("less.example", &paths("/c")),
        route("forge.example", &(paths("/x/y") + auth)),
        route("mine.example", "      keep_authorization: true\n"),
    ]);
    let expected = [
        "  egress ==>|\"with FORGE#95;TOKEN<br/>new, /x/y\"| n0[\"forge.example\"]",
        "  egress ==>|\"new, any path<br/>with a credential of the agent#39;s own\"| n1[\"mine.example\"]",
        "  egress -->|\"new, any path\"| n2[\"new.example\"]",
        "  egress -->|\"now also /b\"| n3[\"wide.example\"]",
        "  egress -.->|\"no longer\"| n4[\"gone.example\"]",
        "  egress -.->|\"now only /c\"| n5[\"less.example\"]",
    ];
    assert_eq!(chart(&old, &new).unwrap(), [&START[..], &expected].concat());
}

#[test]
fn what_is_not_about_reach_is_not_drawn() {
    let old = manifest(&[]);
    assert_eq!(chart(&old, &(old.clone() + "env: { A: b }\n")), None);
    assert_eq!(chart(&old, &(old.clone() + "targets: { pipelock: \"3\" }\n")), None);
}

#[test]
fn a_picture_stays_small() {
    let long = format!("/{}", "p".repeat(300));
    let many: String = (0..9).fold(String::new(), |mut text, number| {
        let _ = write!(text, "{long}{number}, ");
        text
    });
    let routes: Vec<String> = (0..27)
        .map(|number| route(&format!("h{number:02}.example"), &format!("      path_allowlist: [{many}]\n")))
        .collect();
    let chart = chart(&manifest(&[]), &manifest(&routes)).unwrap();
    assert_eq!(chart.len(), START.len() + 20 + 1);
    assert_eq!(chart.last().unwrap(), "  egress --> n20[\"7 more hosts\"]");
    assert!(chart[2].contains("..., 5 more\"| n0[\"h00.example\"]"), "{}", chart[2]);
    assert!(chart.iter().all(|line| line.len() < 400), "{chart:?}");
}

/// Whether a line of a chart is an arrow to a host, with nothing in it that means something to Mermaid, Markdown or a
/// browser.
fn is_inert(line: &str) -> bool {
    let text = |text: &str| {
        text.replace("<br/>", "").chars().all(|c| c.is_ascii_alphanumeric() || " .,/-#;".contains(c))
            && text
                .split('#')
                .skip(1)
                .all(|code| code.split_once(';').is_some_and(|(code, _)| code.parse::<u32>().is_ok()))
    };
    let parts = || {
        let (arrow, rest) = line.strip_prefix("  egress ")?.split_once("|\"")?;
        let (label, rest) = rest.split_once("\"| n")?;
        let (number, host) = rest.split_once("[\"")?;
        let host = host.strip_suffix("\"]")?;
        Some(["-->", "==>", "-.->"].contains(&arrow) && number.parse::<u8>().is_ok() && text(label) && text(host))
    };
    parts() == Some(true)
}

#[test]
fn nothing_of_a_manifest_is_more_than_text_in_the_picture() {
    // All that a host, a path and the name of a token may be.
    let paths = [
        "/*_~x~_*/**b**",
        "/'quot'&quot",
        "/@everyone/$(x)/$a$",
        "/a:::click/a&b",
        "/!(img)(x)",
        "/=x=",
        "/--x--/-.-/==/~~~",
        "/end/click/subgraph/style/classDef",
        "/www.evil.example:443/+1",
    ]
    .map(|path| format!("\"{path}\""))
    .join(", ");
    let hosts = ["end", "click.example", "subgraph", "xn--mnchen-3ya.de", "1.example", "style", "default", "direction"];
    let routes: Vec<String> = hosts
        .iter()
        .map(|host| {
            let auth = "      auth: { scheme: Bearer, token_ref: __proto__ }\n";
            let passthrough = "      pipelock: { tls_passthrough: true }\n";
            route(host, &format!("      path_allowlist: [{paths}]\n{auth}{passthrough}"))
        })
        .collect();
    let chart = chart(&manifest(&[]), &manifest(&routes)).unwrap();
    assert_eq!(chart[..2], START);
    assert_eq!(chart.len(), 2 + hosts.len());
    for line in &chart[2..] {
        assert!(is_inert(line), "{line}");
    }
    // The test itself knows what is not inert.
    for line in [
        "  egress -->|\"*x*\"| n0[\"a\"]",
        "  egress -->|\"x\"| n0[\"a\"]; click n0 call x()",
        "  egress -->|\"x#lt;b\"| n0[\"a\"]",
        "%%{init: {}}%%",
    ] {
        assert!(!is_inert(line), "{line}");
    }
}

#[test]
fn files_that_every_bottle_has_are_named_and_not_shown() {
    let folder = folder(&[("a.bottle.yaml", &manifest(&[]))]);
    let git = |arguments: &[&str]| {
        let set = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let run = std::process::Command::new("git").args(set).args(arguments).current_dir(folder.path()).output();
        assert!(run.unwrap().status.success(), "{arguments:?}");
    };
    std::fs::remove_dir(folder.path().join(".git")).unwrap();
    git(&["init", "--quiet"]);
    git(&["commit", "--quiet", "--allow-empty", "-m", "empty"]);
    git(&["add", "."]);
    let page = |base: &str| stdout(&diff(folder.path(), &["--rev", base, "--format", "markdown"]));
    let fixed = ["egress/addon.py", "egress/prepare.py", "egress/probe.py"];
    let named = fixed.map(|path| format!("<code>{path}</code>")).join(", ");
    for (what, page) in [
        ("new", page("HEAD")),
        ("gone", {
            git(&["commit", "--quiet", "-m", "a"]);
            std::fs::remove_file(folder.path().join("a.bottle.yaml")).unwrap();
            page("HEAD")
        }),
    ] {
        assert!(page.contains(&format!("The same in every bottle, so not shown: {named}\n")), "{what} {page:.2000}");
        assert!(!page.contains("<summary>egress/addon.py") && !page.contains("mitmproxy import"), "{what}");
        assert!(page.contains("<summary>egress/routes.yaml") && page.len() < 60_000, "{what} {}", page.len());
    }
}
