//! A prefix and a path, divided by a line break: a prefix is in normal form and admits itself, and what egress
//! lets through lies below it, however the server reads it.

use bottlec::model::{Request, Route, Verdict, judge};
use bottlec::value::allowlist::Admits as _;
use bottlec::value::host::Host;
use bottlec::value::path_prefix::PathPrefix;

/// Reads the first line as a prefix, the rest as what an agent asks for.
pub fn run(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (prefix, target) = text.split_once('\n').unwrap_or((text, "/"));
    let prefix = match PathPrefix::parse(prefix) {
        Ok(parsed) => {
            assert_eq!(parsed.as_str(), prefix, "a prefix is what was written");
            parsed
        }
        Err(refusal) => return super::manifest::one_line(&[&refusal.message, &refusal.help]),
    };
    assert!(prefix.covers(&prefix), "a prefix covers itself");
    let bare = prefix.as_str().trim_end_matches('/');
    assert!(asked(&prefix, prefix.as_str()), "egress refuses the prefix itself: it can never match");
    assert!(asked(&prefix, &format!("{bare}/x/y?z=1")), "egress refuses what lies below the prefix");
    assert_eq!(asked(&prefix, &format!("{}x", prefix.as_str())), prefix.as_str().ends_with('/'), "a border is missed");
    assert!(!asked(&prefix, &format!("{bare}/../x")) && !asked(&prefix, &format!("{bare}/%2e%2e/x")), "it climbs");

    if !asked(&prefix, target) {
        return;
    }
    let path = target.split('?').next().unwrap_or_default();
    for reading in served(path) {
        let steps = resolved(&reading);
        let meant = resolved(bare);
        assert!(steps.starts_with(&meant), "{target:?} leads to {reading:?}, out of {:?}", prefix.as_str());
    }
}

/// Whether egress lets a request through that is honest but for its target, with this one prefix.
fn asked(prefix: &PathPrefix, target: &str) -> bool {
    let route = Route {
        host: Host::parse("a.example").expect("a DNS name"),
        path_allowlist: [prefix.clone()].into_iter().collect(),
        credential: None,
        keeps_authorization: false,
        tls: None,
    };
    matches!(judge(&[route], &Request::new("a.example", "GET", target), |_| true), Verdict::Allowed { .. })
}

/// What a server may take a path for: as it is, decoded once, twice and three times, with backslashes as slashes,
/// and without what follows `;` in a segment.
fn served(path: &str) -> Vec<String> {
    let mut all = vec![path.to_owned()];
    for _ in 0..3 {
        all.push(decoded(&all[all.len() - 1]));
    }
    let slashed: Vec<String> = all.iter().map(|text| text.replace('\\', "/")).collect();
    let bare = |text: &String| {
        text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect::<Vec<_>>().join("/")
    };
    let bare: Vec<String> = slashed.iter().map(bare).collect();
    all.into_iter().chain(slashed).chain(bare).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'%').and_then(|digits| {
            let digits =
                std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            u8::from_str_radix(digits?, 16).ok()
        });
        bytes.push(escaped.unwrap_or(first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The segments that are left when `.` and `..` have been followed.
fn resolved(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop();
            }
            step => steps.push(step),
        }
    }
    steps
}
