//! Fixes of findings: each takes its finding away and brings no other, whatever the layout of the manifest, and leaves
//! every byte that is not its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bottlec::compile::{self, rules};
use bottlec::manifest::{self, Loaded};
use bottlec::provider::facts::HostFacts;
use bottlec::text::diagnostic::{Diagnostic, Fix, Safety, Severity, apply};
use bottlec::text::source::Sources;
use proptest::prelude::*;

use crate::support::BOTH;

/// What `check` finds in a manifest, before comments allow any of it.
fn judged(path: &Path, text: &str) -> (Sources, Vec<Diagnostic>) {
    let Loaded { sources, manifest, mut findings, .. } = manifest::load_bytes(path, text.into()).unwrap();
    if let Some(bottle) = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings)) {
        let linked = compile::link(&bottle, &HostFacts::hermetic(), &BOTH, &mut findings).unwrap();
        rules::lint(&bottle, &linked, &sources, &mut findings);
    }
    (sources, findings.into_sorted())
}

/// The code and words of each finding.
fn words<'f>(findings: impl IntoIterator<Item = &'f Diagnostic>) -> Vec<(&'static str, &'f str)> {
    findings.into_iter().map(|found| (found.code.as_str(), found.message.as_str())).collect()
}

/// The text after a fix of the manifest itself.
fn fixed(text: &str, found: &Diagnostic, fix: &Fix) -> String {
    apply(&fix.edits, found.span().unwrap().source, text)
}

/// Tries each fix by itself; the codes that have one.
fn try_each(path: &Path, text: &str) -> BTreeSet<&'static str> {
    let mut tried = BTreeSet::new();
    let (sources, before) = judged(path, text);
    // What is in the definition of its agent is not mended in the manifest.
    let is_own = |found: &&Diagnostic| found.span().map(|span| span.source) == sources.ids().next();
    for found in before.iter().filter(is_own) {
        let Some(fix) = &found.fix else { continue };
        assert!(fix.edits.iter().zip(fix.edits.iter().skip(1)).all(|(one, next)| one.span.end <= next.span.start));
        let after = fixed(text, found, fix);
        let (_, left) = judged(path, &after);
        // The same finding at another place has the same words. Of a route with an error in it lint says less.
        let counts = |other: &&Diagnostic| found.severity == Severity::Warning || other.severity == Severity::Error;
        let mut others = words(before.iter().filter(counts));
        let own = words([found])[0];
        for finding in [own].into_iter().chain(words(left.iter().filter(counts))) {
            let known = others.iter().position(|other| *other == finding);
            let known = known.unwrap_or_else(|| panic!("{finding:?} came or stayed\n{fix:?}\n{text}\n=>\n{after}"));
            others.remove(known);
        }
        // What else is gone stood inside of what was removed.
        let is_removal = fix.edits.iter().all(|edit| edit.text.is_empty());
        assert!(others.is_empty() || is_removal, "{others:?} went\n{fix:?}\n{text}\n=>\n{after}");
        for comment in comments(text) {
            let is_left = after.contains(comment);
            let is_own = ["beside", "bottlec: allow"].iter().any(|word| comment.contains(word));
            assert!(is_left || (fix.safety == Safety::Unsafe && is_own), "{fix:?}\n{text}\n=>\n{after}");
        }
        tried.insert(found.code.as_str());
    }
    tried
}

fn comments(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r']).filter_map(|line| line.find('#').map(|at| &line[at..]))
}

/// A route with things to fix: each key in a layout of its own, among keys that stay.
fn route() -> impl Strategy<Value = Vec<String>> {
    const PATHS: [&str; 6] = [
        "path_allowlist: [\"/\"]",
        "path_allowlist: [/v1, \"/\"]  # beside: paths",
        "path_allowlist:  # beside the key\n  - /  # beside: every path",
        "path_allowlist:\n  # beside an item\n  - /v1\n\n  - /",
        "path_allowlist: [\n    /v1,  # beside: v1\n    \"/\",\n  ]",
        "path_allowlist: [/v1]",
    ];
    const PIPELOCK: [&str; 9] = [
        "pipelock: { tls_passthrough: true }",
        "pipelock: { tls_passthrough: true }  # beside: \"spliced\"",
        "pipelock:\n  tls_passthrough: true",
        "pipelock:\n  # keeps its place\n  ssrf_ip_allowlist: [10.9.8.7]\n  # and this\n  tls_passthrough: true  # beside: it",
        "pipelock: { tls_passthrough: true, ssrf_ip_allowlist: [\"10.9.8.7\", 10.1.0.0/16] }",
        "pipelock: { ssrf_ip_allowlist: [fd00::7], tls_passthrough: true }",
        "pipelock: {\n    tls_passthrough: true,  # beside: it\n    ssrf_ip_allowlist: ['10.9.8.7'],  # stays\n  }",
        "pipelock: {\n    ssrf_ip_allowlist: [10.9.0.0/16],  # stays\n    tls_passthrough: true  # beside: it\n  }",
        "pipelock:\n  tls_passthrough: true\n  ssrf_ip_allowlist:\n    - 10.9.8.7  # one host\n    - fd00::7",
    ];
    const MISSPELT: [&str; 4] = [
        "keep_authorisation: false  # typed",
        "\"pipelok\": {}",
        "path_allow: [/v2]  # guessed",
        "keep_authorizatio: false",
    ];
    let key = |from: &'static [&'static str]| prop::option::of(prop::sample::select(from));
    (key(&PATHS), key(&PIPELOCK), key(&MISSPELT), any::<u64>()).prop_map(|(paths, pipelock, misspelt, seed)| {
        let mut keys: Vec<String> = [paths, pipelock, misspelt].into_iter().flatten().map(str::to_owned).collect();
        let at = usize::try_from(seed % 4).unwrap().min(keys.len());
        keys.insert(at, format!("host: h{seed}.example.com  # the host"));
        keys
    })
}

/// A manifest of such routes, as block or flow, with either line end, with or without the last one.
fn manifest() -> impl Strategy<Value = String> {
    (prop::collection::vec(route(), 1..4), any::<[bool; 3]>()).prop_map(
        |(routes, [is_last_line_open, crlf, is_front])| {
            let mut text = "# who and why\negress:\n  routes:\n".to_owned();
            for keys in routes {
                text.push_str("    # a route\n");
                for (index, key) in keys.iter().enumerate() {
                    let dash = if index == 0 { "    - " } else { "      " };
                    text.push_str(&format!("{dash}{}\n", key.replace('\n', "\n      ")));
                }
            }
            if is_front {
                text = format!("---\n{text}---\nnot: [yaml\n");
            }
            if is_last_line_open {
                text.truncate(text.len() - 1);
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fix_mends_its_finding_and_nothing_else(text in manifest()) {
        let path = if text.starts_with("---") { "bottle.md" } else { "bottle.yaml" };
        try_each(Path::new(path), &text);
    }
}

#[test]
fn every_rule_that_has_fixes_is_tried_on_the_broken_manifests() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut tried = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let Ok(text) = fs::read_to_string(&path) else { continue };
        if path.extension().is_some_and(|extension| extension == "yaml" || extension == "md") {
            tried.extend(try_each(&path, &text));
        }
    }
    assert_eq!(tried, BTreeSet::from(["BTL101", "BTL207", "BTL601", "BTL607"]));
}

/// The text after the first fix for that code.
fn after(text: &str, code: &str) -> Option<(String, Safety)> {
    let (_, findings) = judged(Path::new("bottle.yaml"), text);
    let found = findings.iter().find(|found| found.code.as_str() == code).unwrap_or_else(|| panic!("{findings:?}"));
    found.fix.as_ref().map(|fix| (fixed(text, found, fix), fix.safety))
}

#[test]
fn an_entry_goes_with_its_lines_and_its_comment() {
    let route = "egress:\n  routes:\n    - host: a.example.com\n";
    for (before, expected) in [
        ("      pipelock: { tls_passthrough: true }\n", ""),
        ("      pipelock: { tls_passthrough: true }  # why\n      # next\n", "      # next\n"),
        ("      pipelock:\n        tls_passthrough: true", ""),
        (
            "      # above\r\n      pipelock:\r\n        ssrf_ip_allowlist: [10.0.0.0/16]\r\n        tls_passthrough: true # x\r\n",
            "      # above\r\n      pipelock:\r\n        ssrf_ip_allowlist: [10.0.0.0/16]\r\n",
        ),
        (
            "      pipelock: { tls_passthrough: true, ssrf_ip_allowlist: [10.0.0.0/16] }\n",
            "      pipelock: { ssrf_ip_allowlist: [10.0.0.0/16] }\n",
        ),
        (
            "      pipelock: { ssrf_ip_allowlist: [10.0.0.0/16], tls_passthrough: true }\n",
            "      pipelock: { ssrf_ip_allowlist: [10.0.0.0/16] }\n",
        ),
        (
            "      pipelock: {\n        ssrf_ip_allowlist: [10.0.0.0/16],  # in\n        tls_passthrough: true }\n",
            "      pipelock: {\n        ssrf_ip_allowlist: [10.0.0.0/16]  # in\n         }\n",
        ),
    ] {
        let fixed = after(&format!("{route}{before}"), "BTL601");
        assert_eq!(fixed, Some((format!("{route}{expected}"), Safety::Unsafe)), "{before}");
    }
    // The key beside the dash gives its place to the next one.
    let first = "egress:\n  routes:\n    - path_allowlist: [/]\n      host: a.example.com\n";
    assert_eq!(after(first, "BTL607"), Some((route.to_owned(), Safety::Safe)));
    // A comment that would be lost makes a fix unsafe, one whose place is not clear prevents it.
    let commented = first.replace("[/]\n", "[/]  # any\n");
    assert_eq!(after(&commented, "BTL607"), Some((route.to_owned(), Safety::Unsafe)));
    assert_eq!(after(&first.replace("[/]\n", "[/]\n      # whose?\n"), "BTL607"), None);
}

#[test]
fn what_was_meant_is_written_where_it_is_beyond_doubt() {
    let range = |value: &str| {
        format!("egress:\n  routes:\n    - host: a.example\n      pipelock: {{ ssrf_ip_allowlist: [{value}] }}\n")
    };
    for (wrong, right) in [("10.1.2.3", "10.1.2.3/32"), ("'10.1.2.3'", "10.1.2.3/32"), ("fd00::7", "fd00::7/128")] {
        assert_eq!(after(&range(wrong), "BTL207"), Some((range(&format!("\"{right}\"")), Safety::Safe)));
    }
    // The metadata service is none of a bottle's business with a prefix either.
    assert_eq!(after(&range("169.254.169.254"), "BTL207"), None);
    let key = |key: &str| format!("{key}: a\nenv: {{}}\n");
    assert_eq!(after(&key("nmae"), "BTL101"), Some((key("name"), Safety::Safe)));
    assert_eq!(after(&key("\"nmae\""), "BTL101"), Some((key("name"), Safety::Safe)));
    assert_eq!(after("agent_prov: {}\n", "BTL101"), Some(("agent_provider: {}\n".to_owned(), Safety::Unsafe)));
    assert_eq!(after("nmae: a\nname: b\n", "BTL101"), None, "it would stand twice");
    assert_eq!(after("zzz: a\n", "BTL101"), None);
}
