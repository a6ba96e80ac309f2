//! Policy: which rule a request meets first, and what cannot happen to one that is allowed.

use crate::support;
use bottlec::model::{Authorization, Request, Route, Rule, Tls, Verdict, judge};
use bottlec::text::diagnostic::Problem;
use bottlec::value::host::Host;
use bottlec::value::path_prefix::PathPrefix;
use proptest::prelude::*;

/// `allowed` or the name of the rule.
fn verdict(routes: &[Route], request: &Request) -> &'static str {
    match judge(routes, request, |_| true) {
        Verdict::Allowed { .. } => "allowed",
        Verdict::Refused(rule) => rule.as_str(),
    }
}

/// A route for `a.example` without a credential.
fn route(prefixes: &[&str]) -> Route {
    let parsed: Result<_, Problem> = prefixes.iter().map(|prefix| PathPrefix::parse(prefix)).collect();
    Route {
        host: Host::parse("a.example").unwrap(),
        path_allowlist: parsed.unwrap(),
        credential: None,
        keeps_authorization: false,
        tls: Some(Tls::Intercepted),
    }
}

fn get(target: &str) -> Request {
    Request::new("a.example", "GET", target)
}

fn header(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[track_caller]
fn expect(prefixes: &[&str], expected: &str, targets: &[&str]) {
    for target in targets {
        assert_eq!(verdict(&[route(prefixes)], &get(target)), expected, "{target}");
    }
}

/// An honest request with one thing changed.
#[track_caller]
fn expect_changed(expected: &str, change: impl FnOnce(&mut Request)) {
    let mut request = get("/a/b");
    change(&mut request);
    assert_eq!(verdict(&[route(&["/a"])], &request), expected, "{request:?}");
}

#[test]
fn a_host_is_its_exact_name_in_any_case() {
    for (host, expected) in [
        ("a.example", "allowed"),
        ("A.EXAMPLE", "allowed"),
        ("a.example.", "host"),
        ("b.a.example", "host"),
        ("example", "host"),
        ("", "host"),
        ("192.0.2.1", "host"),
        ("ａ.example", "host"),
    ] {
        assert_eq!(verdict(&[route(&[])], &Request::new(host, "GET", "/")), expected, "{host}");
    }
    assert_eq!(verdict(&[], &get("/")), "host");
}

#[test]
fn only_tls_on_port_443_goes_on() {
    expect_changed("port", |request| request.tunnel_port = 80);
    expect_changed("port", |request| request.tunnel_port = 8443);
    expect_changed("port", |request| request.tls = false);
}

#[test]
fn the_server_name_is_the_routes_host() {
    expect_changed("allowed", |request| request.sni = Some("A.Example".into()));
    expect_changed("authority", |request| request.sni = None);
    expect_changed("authority", |request| request.sni = Some("b.example".into()));
    expect_changed("authority", |request| request.sni = Some("a.example.".into()));
}

#[test]
fn every_host_header_is_the_routes_host() {
    for (hosts, expected) in [
        (&["A.example:443"] as &[&str], "allowed"),
        (&["a.example", "a.example:443"], "allowed"),
        (&[], "authority"),
        (&[""], "authority"),
        (&["a.example", "b.example"], "authority"),
        (&["a.example:80"], "authority"),
        (&["a.example:443:443"], "authority"),
        (&["a.example."], "authority"),
        (&["u@a.example"], "authority"),
        (&["a.example, a.example"], "authority"),
    ] {
        expect_changed(expected, |request| request.headers = hosts.iter().map(|host| header("Host", host)).collect());
    }
}

#[test]
fn a_control_character_in_any_header_is_refused() {
    for text in ["a\r\nAuthorization: b", "a\rb", "a\nb", "a\0b", "a\x7fb", "a\x1bb"] {
        for name in ["X-Other", "Accept", "Host"] {
            expect_changed("header", |request| request.headers.push(header(name, text)));
        }
        expect_changed("header", |request| request.headers.push(header(text, "a")));
    }
    expect_changed("allowed", |request| request.headers.push(header("X-Other", "a\tb \u{e9}")));
}

#[test]
fn what_no_server_takes_is_refused_by_its_size() {
    for (length, expected) in [(16 << 10, "allowed"), ((16 << 10) + 1, "size")] {
        expect_changed(expected, |request| request.target = format!("{:b<length$}", "/a/"));
    }
    // `Host` and its value are in the head too.
    let rest = (256 << 10) - "Host".len() - "a.example".len() - "X-Other".len();
    for (length, expected) in [(rest, "allowed"), (rest + 1, "size")] {
        expect_changed(expected, |request| request.headers.push(header("X-Other", &"b".repeat(length))));
    }
}

#[test]
fn what_servers_read_in_different_ways_is_refused() {
    for version in ["HTTP/1.0", "HTTP/2.0", "HTTP/9.9", ""] {
        expect_changed("framing", |request| request.version = version.into());
    }
    for (name, value, expected) in [
        ("Connection", "authorization", "framing"),
        ("connection", "keep-alive, Host", "framing"),
        ("Connection", "Keep-Alive, TE,, Upgrade", "allowed"),
        ("Transfer-Encoding", "gzip", "framing"),
        ("Transfer-Encoding", "gzip, chunked", "framing"),
        ("Transfer-Encoding", "Chunked", "allowed"),
        ("Transfer_Encoding", "chunked", "framing"),
        ("Content.Length", "4", "framing"),
        ("Content-Length", "4", "allowed"),
        ("Upgrade", "WebSocket", "allowed"),
        ("Upgrade", "h2c", "framing"),
        ("Upgrade", "websocket, h2c", "framing"),
        ("Upgrade", "", "framing"),
    ] {
        expect_changed(expected, |request| request.headers.push(header(name, value)));
    }
    let upgrade = |more: &'static [(&'static str, &'static str)]| {
        move |request: &mut Request| {
            request.headers.extend([header("Upgrade", "websocket")]);
            request.headers.extend(more.iter().map(|(name, value)| header(name, value)));
        }
    };
    expect_changed("allowed", upgrade(&[("Connection", "upgrade")]));
    expect_changed("framing", upgrade(&[("Content-Length", "0")]));
    expect_changed("framing", upgrade(&[("Transfer-Encoding", "chunked")]));
    expect_changed("framing", upgrade(&[("Upgrade", "websocket")]));
    expect_changed("framing", |request| {
        upgrade(&[])(request);
        request.method = "POST".into();
    });
}

#[test]
fn writing_below_a_repository_is_a_push() {
    for (method, target, expected) in [
        ("PUT", "/a/b/x.git/refs/heads/main", "git-push"),
        ("mkcol", "/a/b/x%2Egit/objects", "git-push"),
        ("PROPPATCH", "/a/b/x.GIT%2frefs", "git-push"),
        ("GET", "/a/b/x.git/HEAD", "allowed"),
        ("POST", "/a/b/x.git/git-upload-pack", "allowed"),
        ("PUT", "/a/b/x.github/y", "allowed"),
    ] {
        expect_changed(expected, |request| {
            request.method = method.into();
            request.target = target.into();
        });
    }
}

#[test]
fn methods_that_are_for_the_way_or_no_word_are_refused_in_any_case() {
    for method in ["CONNECT", "TRACE", "TRACK", "trace", "Track", "", "GET /x", "GET\r\nX:", "\u{17f}", "G\0"] {
        expect_changed("method", |request| request.method = method.into());
    }
    for method in ["GET", "get", "PROPFIND", "X-TRACE", "TRACER", "M-SEARCH"] {
        expect_changed("allowed", |request| request.method = method.into());
    }
}

#[test]
fn a_target_is_an_encoded_path() {
    expect(&[], "allowed", &["/", "/a?b=c", "/a%20b", "/?", "/a/../b", "/%c0%ae", "/\\"]);
    expect(
        &[],
        "path",
        &["", "*", "a", "/a b", "/a#b", "/?#", "/é", "/\0", "/\x7f", "/\u{fffd}", "https://a.example/"],
    );
}

#[test]
fn a_prefix_ends_where_a_segment_ends() {
    expect(&["/a"], "allowed", &["/a", "/a/", "/a/b", "/a/b?x=/../c", "/a/b;x", "/a//b", "/a/%41", "/a/b..c"]);
    expect(&["/a"], "path", &["/", "/ab", "/A/b", "/b", "/a%2fb", "//a/b", "/a;x/b", "/%61/b"]);
    expect(&["/a/"], "allowed", &["/a/", "/a/b"]);
    expect(&["/a/"], "path", &["/a"]);
    expect(&["/"], "allowed", &["/", "/a", "//a"]);
    expect(&["/b", "/a"], "allowed", &["/a/c", "/b/c"]);
}

#[test]
fn nothing_that_some_server_reads_as_dots_is_below_a_prefix() {
    for dots in [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "..;",
        "..;x=y",
        "%2e%2e%3bx",
        "..%20",
        "..%00",
        ".%2e;x",
        "...",
        "%ef%bc%8e%ef%bc%8e",
        "%e2%80%a5",
        "%c0%ae%c0%ae",
        "%ff",
        "%0a",
        "%7f",
    ] {
        for target in
            [format!("/a/{dots}/c"), format!("/a/{dots}"), format!("/a/b%2f{dots}"), format!("/a/b%5C{dots}%5c")]
        {
            expect(&["/a"], "path", &[&target]);
            expect(&["/"], "path", &[&target]);
        }
    }
    expect(&["/a"], "path", &["/a/..\\c", "/a/\\..\\c", "/a/%ef%bc%8f..%ef%bc%8fc", "/a/%ef%bc%bc..%ef%bc%bcc"]);
}

#[test]
fn three_layers_of_encoding_are_read_and_more_are_refused_anywhere() {
    expect(&[], "allowed", &["/%2541", "/%252541", "/a?%252541", "/a?100%"]);
    expect(&[], "path", &["/%25252541", "/a?%25252541"]);
}

#[test]
fn a_push_is_refused_however_it_is_spelt() {
    let encoded = "/a/x.git/git%2Dreceive%2dpack";
    expect(
        &["/a"],
        "git-push",
        &[
            "/a/x.git/git-receive-pack",
            "/a/x.git/GIT-Receive-Pack",
            encoded,
            "/a/git%252dreceive-pack",
            "/a/g%ef%bd%89t-receive-pack",
            "/a/x.git/info/refs?service=git-receive-pack",
            "/a/x.git/info/refs?service=x&service=git%2Dreceive-pack",
        ],
    );
    for kind in ["application/x-git-receive-pack-request", "x, APPLICATION/X-GIT-RECEIVE-PACK-RESULT"] {
        let accepted = || [header("Accept", "*/*"), header("accept", kind)];
        expect_changed("git-push", |request| request.headers.extend(accepted()));
        expect_changed("git-push", |request| request.headers.push(header("Content-Type", kind)));
    }
    expect(&["/a"], "allowed", &["/a/x.git/git-upload-pack", "/a/x.git/info/refs?service=git-upload-pack"]);
}

#[test]
fn the_first_rule_that_is_broken_is_the_one_that_is_named() {
    let long = format!("/b/git-receive-pack #{}", "b".repeat(16 << 10));
    let mut request = Request::new("b.example", "TRACE", &long);
    request.tunnel_port = 80;
    request.headers.extend([header("X-Other", "a\0"), header("Connection", "host")]);
    request.sni = None;
    let mut expect_next = |expected: &str, mend: &dyn Fn(&mut Request)| {
        assert_eq!(verdict(&[route(&["/a"])], &request), expected);
        mend(&mut request);
    };
    expect_next("host", &|request| request.tunnel_host = "a.example".into());
    expect_next("port", &|request| request.tunnel_port = 443);
    expect_next("size", &|request| request.target = "/b/git-receive-pack #".into());
    expect_next("header", &|request| request.headers.retain(|(name, _)| name != "X-Other"));
    expect_next("framing", &|request| request.headers.retain(|(name, _)| name != "Connection"));
    expect_next("authority", &|request| {
        request.sni = Some("a.example".into());
        request.headers = vec![header("Host", "a.example")];
    });
    expect_next("method", &|request| request.method = "POST".into());
    expect_next("path", &|request| request.target = "/b/git-receive-pack".into());
    expect_next("git-push", &|request| request.target = "/b".into());
    expect_next("path", &|request| request.target = "/a".into());
    expect_next("allowed", &|_| {});
}

#[test]
fn authorization_is_injected_kept_or_stripped_by_route() {
    let reach = support::model(
        "agent_provider: { template: claude, auth_token: T }\negress:\n  routes:\n    - host: spliced.example\n      pipelock: { tls_passthrough: true }\n    - host: kept.example\n      keep_authorization: true\n      pipelock: { tls_passthrough: true }\n    - host: plain.example\n",
    )
    .reach;
    let slot = reach.routes[0].credential.as_ref().unwrap().slot;
    for (host, expected) in [
        ("api.anthropic.com", Authorization::Injected(slot)),
        ("spliced.example", Authorization::Stripped),
        ("kept.example", Authorization::Kept),
        ("plain.example", Authorization::Stripped),
    ] {
        let request = Request::new(host, "GET", "/v1/messages");
        let Verdict::Allowed { route, authorization } = judge(&reach.routes, &request, |_| true) else {
            panic!("{host}")
        };
        assert_eq!((route.host.as_str(), authorization), (host, expected));
        let without = judge(&reach.routes, &request, |_| false);
        assert_eq!(matches!(without, Verdict::Refused(Rule::Slot)), host == "api.anthropic.com", "{host}");
    }
}

/// Pieces that paths and escapes are made of.
fn target() -> impl Strategy<Value = String> {
    let pieces = [
        "/",
        "/",
        "/a",
        "/a/b",
        "a",
        "b",
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "%252e",
        "%25",
        "2e",
        "%2f",
        "%252F",
        "%5c",
        "\\",
        ";",
        ";x",
        "%3b",
        "//",
        " ",
        "%20",
        "%00",
        "%ef%bc%8e",
        "%ef%bc%8f",
        "%c0%ae",
        "?",
        "x=/../",
        "#",
        "git-receive-pack",
    ];
    let tail = proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..10);
    (proptest::sample::select(vec!["/", "/a", "/a/", "/a/b/"]), tail)
        .prop_map(|(head, tail)| head.to_owned() + &tail.concat())
}

/// How servers take a path in: each function is one thing that one may do, in any order.
const STEPS: [fn(&str) -> String; 4] = [
    |path| {
        let mut decoded = Vec::new();
        let mut rest = path.as_bytes();
        while let [first, after @ ..] = rest {
            let escape = after.get(..2).filter(|hex| *first == b'%' && hex.iter().all(u8::is_ascii_hexdigit));
            let byte = escape.map(|hex| u8::from_str_radix(std::str::from_utf8(hex).unwrap(), 16).unwrap());
            decoded.push(byte.unwrap_or(*first));
            rest = if byte.is_some() { &after[2..] } else { after };
        }
        String::from_utf8_lossy(&decoded).into_owned()
    },
    |path| path.replace('\\', "/"),
    |path| {
        path.split('/')
            .map(|segment| &segment[..segment.find(';').unwrap_or(segment.len())])
            .collect::<Vec<_>>()
            .join("/")
    },
    |path| {
        let kept = path.split('/').filter(|segment| !segment.is_empty());
        kept.fold(String::new(), |path, segment| path + "/" + segment)
    },
];

/// What is left when `.` and `..` are followed.
fn resolved(path: &str) -> Vec<&str> {
    let mut followed = Vec::new();
    for segment in path.split('/') {
        match segment {
            "." | "" => {}
            ".." => drop(followed.pop()),
            _ => followed.push(segment),
        }
    }
    followed
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn no_reading_of_an_allowed_path_leaves_its_prefix(
        target in target(),
        steps in proptest::collection::vec(0..STEPS.len(), 0..6),
    ) {
        if verdict(&[route(&["/a"])], &get(&target)) == "allowed" {
            let path = target.split('?').next().unwrap().to_owned();
            let read = steps.iter().fold(path, |path, &step| STEPS[step](&path));
            prop_assert!(resolved(&read).first() == Some(&"a"), "{} as {}", target, read);
        }
    }

    #[test]
    fn one_more_prefix_never_closes_a_path(target in target(), more in "/[ab]{1,2}(/[ab])?") {
        if verdict(&[route(&["/a"])], &get(&target)) == "allowed" {
            prop_assert_eq!(verdict(&[route(&["/a", &more])], &get(&target)), "allowed");
        }
    }

    #[test]
    fn a_narrower_route_never_opens_a_path(target in target(), rest in "(/[ab]){1,2}") {
        let narrow = format!("/a{rest}");
        for wide in [&["/a"] as &[&str], &["/"], &[]] {
            if verdict(&[route(wide)], &get(&target)) != "allowed" {
                prop_assert_ne!(verdict(&[route(&[&narrow])], &get(&target)), "allowed");
            }
        }
    }

    #[test]
    fn another_route_changes_nothing(target in target(), host in "[b-z]\\.example") {
        let other = Route { host: Host::parse(&host).unwrap(), ..route(&[]) };
        prop_assert_eq!(verdict(&[route(&["/a"])], &get(&target)), verdict(&[other, route(&["/a"])], &get(&target)));
    }
}
