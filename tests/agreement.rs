//! The model of egress (`policy`) against the real mitmdump with the compiled addon: many generated
//! bottles, many requests, half of them hostile, and no difference.
//!
//! `BOTTLEC_AGREEMENT_SEED` repeats a run, `BOTTLEC_AGREEMENT_SETS` makes it longer.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bottlec::bottle::Scheme;
use bottlec::egress::{ADDON, Egress, Slot};
use bottlec::host::Host;
use bottlec::policy::{Authorization, Request, Rule, Verdict, judge};
use serde_json::{Value, json};
use support::programs;

const SEED: u64 = 20_261_122;

/// What the slots hold; those that are not here are not set. A header can carry all but two.
const TOKENS: [(&str, &str); 5] = [
    ("EGRESS_TOKEN_0", "first.token/+=~"),
    ("EGRESS_TOKEN_1", ""),
    ("EGRESS_TOKEN_2", "\"quoted\""),
    ("EGRESS_TOKEN_3", "with blank"),
    ("EGRESS_TOKEN_4", "last-token"),
];

/// The agent's own header, which is kept or stripped.
const OWN: &str = "Bearer the-agents-own";

const HOSTS: [&str; 9] = [
    "api.example",
    "sub.api.example",
    "Kiosk.Example",
    "xn--bcher-kva.example",
    "git.example",
    "localhost",
    "1.2.3.4.example",
    "api.anthropic.com",
    "a-63-character-label-is-the-longest-that-any-name-may-have-here.a-63-character-label-is-the-longest-that-any-name-may-have-here.a-63-character-label-is-the-longest-that-any-name-may-have-here.a-61-character-label-is-the-longest-for-a-name-of-253-in-all",
];

const FOREIGN: [&str; 14] = [
    "evil.example",
    "api.example.evil.example",
    "xapi.example",
    "example",
    "api.example.",
    "api_.example",
    "192.0.2.7",
    "[::1]",
    "2130706433",
    "xn--bcher-kva.evil",
    "api.anthropic.com.",
    "platform.claude.com",
    "auth.openai.com",
    "-",
];

/// Pseudo-random numbers (SplitMix64), the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    fn of<T: Clone>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())].clone()
    }
}

/// A manifest that may hold anything that egress can express.
fn manifest(random: &mut Random) -> String {
    let provider = random.of(&[
        "{ template: claude, auth_token: AGENT }",
        "{ template: claude }",
        "{ template: codex, forward_host_credentials: true }",
        "{ template: codex }",
    ]);
    let mut text = format!("agent_provider: {provider}\n");
    let count = random.below(6);
    let mut hosts = HOSTS.to_vec();
    for n in 0..count {
        if n == 0 {
            text += "egress:\n  routes:\n";
        }
        let host = hosts.swap_remove(random.below(hosts.len()));
        text += &format!("    - host: {host}\n");
        let is_provider_host = host == "api.anthropic.com";
        let mut prefixes: Vec<String> = Vec::new();
        for _ in 0..(if random.percent(70) || is_provider_host { 1 + random.below(3) } else { 0 }) {
            let prefix = prefix(random);
            let border = |prefix: &str| prefix.trim_end_matches('/').to_owned() + "/";
            let overlap = |other: &String| {
                border(other).starts_with(&border(&prefix)) || border(&prefix).starts_with(&border(other))
            };
            if !prefixes.iter().any(overlap) {
                prefixes.push(prefix);
            }
        }
        if !prefixes.is_empty() {
            text += &format!("      path_allowlist: {}\n", json!(prefixes));
        }
        if is_provider_host {
            continue;
        }
        if random.percent(50) {
            let token = random.below(5);
            let scheme =
                random.of(&["Bearer", "token", "Basic, username: x-access-token", "Basic, username: \"ro bot\""]);
            text += &format!("      auth: {{ scheme: {scheme}, token_ref: T{token} }}\n");
        }
        if random.percent(50) {
            text += "      pipelock: { tls_passthrough: true }\n";
        }
    }
    text
}

fn prefix(random: &mut Random) -> String {
    let segments = ["a", "v1", "repos", "x.git", "A", "~u", "a..b", "@scope", "a,b(c)", "...x", "-_.!$&'*+=:"];
    let mut prefix = String::new();
    for _ in 0..random.below(4) {
        prefix += "/";
        prefix += random.of(&segments);
    }
    if prefix.is_empty() || random.percent(20) { prefix + "/" } else { prefix }
}

/// One request: what is sent, and what the model is asked.
struct Case {
    /// The host of the tunnel as it is written, and the port.
    authority: (String, String),
    /// Sent straight to egress, without a tunnel.
    scheme: Option<&'static str>,
    is_http2: bool,
    target: Vec<u8>,
    /// Besides the target, everything that the model is asked.
    request: Request,
    /// `:authority`, or that of an absolute target.
    inner_authority: Option<String>,
    /// How many `Authorization` headers the agent sends.
    signatures: usize,
    /// Each with its name.
    host_headers: Vec<(&'static str, Vec<u8>)>,
    type_headers: Vec<(&'static str, String)>,
}

impl Case {
    fn honest(random: &mut Random, egress: &Egress) -> Case {
        let routes = &egress.routes;
        // One with prefixes is likelier: there is more to get wrong.
        let picks = [random.of(routes), random.of(routes)];
        let route = picks.iter().find(|route| !route.path_allowlist.is_empty()).unwrap_or(&picks[0]);
        let host = route.host.as_str().to_owned();
        let start = match route.path_allowlist.as_slice() {
            [] => "",
            prefixes => &random.of(prefixes).as_str().to_owned(),
        };
        let rest =
            random.of(&["", "/", "/b", "/b/c.d", "/b%20c", "/x.git/git-upload-pack", "/%41", "/b..c", "/..b", "/.b/"]);
        let query = random.of(&["", "", "?", "?q=1", "?q=%2e%2e/..", "?service=git-upload-pack", "?a=b?c=/../"]);
        let target = format!("{start}{rest}{query}");
        let target = if target.starts_with('/') { target } else { format!("/{target}") };
        let method = random.of(&["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "PROPFIND"]);
        let kind =
            random.of(&["application/json", "*/*", "application/x-git-upload-pack-request", "text/html, */*;q=0.8"]);
        let is_http2 = random.percent(15);
        Case {
            authority: (host.clone(), "443".into()),
            scheme: None,
            is_http2,
            target: target.into_bytes(),
            signatures: random.of(&[0, 1, 1, 1, 2]),
            request: Request::new(&host, method, ""),
            inner_authority: is_http2.then(|| host.clone()),
            host_headers: if is_http2 { Vec::new() } else { vec![("Host", host.into_bytes())] },
            type_headers: if random.percent(40) { vec![("Accept", kind.into())] } else { Vec::new() },
        }
    }

    fn host(&self) -> String {
        self.authority.0.clone()
    }

    fn mutate(&mut self, random: &mut Random) {
        match random.below(20) {
            0..=8 => mutate_target(&mut self.target, random),
            9 => self.set_host(random.of(&FOREIGN)),
            10 => match random.below(3) {
                0 => self.set_host(&self.host().to_ascii_uppercase()),
                1 => self.authority.1 = (random.of(&["80", "8443", "0443", "444", "65535", "1"])).to_owned(),
                _ => self.request.tls = false,
            },
            11..=12 => self.mutate_hosts(random),
            13 => {
                let host = self.host();
                let upper = host.to_ascii_uppercase();
                let dotted = format!("{host}.");
                let foreign = "evil.example".to_owned();
                self.request.sni =
                    random.of(&[None, Some(upper), Some(dotted), Some(foreign), Some("a_b".into())]).clone();
            }
            14..=15 => {
                let methods = [
                    "TRACE",
                    "trace",
                    "TRACK",
                    "Track",
                    "X-TRACE",
                    "M-SEARCH",
                    "weird!",
                    "g\u{e9}t",
                    "TRACE\u{301}",
                    "\u{17f}",
                ];
                self.request.method = (random.of(&methods)).to_owned();
            }
            16..=18 => self.push(random),
            _ => match random.below(6) {
                0 => self.scheme = Some("http"),
                1 => self.scheme = Some("https"),
                2 => self.authority.1 = (random.of(&["", "99999", "x", "-1"])).to_owned(),
                3 => self.request.method = (random.of(&["", "connect", "CONNECT"])).to_owned(),
                4 if !self.is_http2 => {
                    self.inner_authority = Some(
                        (random.of(&[
                            &self.host(),
                            "evil.example",
                            &format!("{}:443", self.host()),
                            &format!("{}:80", self.host()),
                        ]))
                        .to_owned(),
                    );
                }
                _ => self.set_host(random.of(&[
                    "user@api.example",
                    ".api.example",
                    "api..example",
                    "b\u{fc}cher.example",
                    "",
                    "a b",
                ])),
            },
        }
    }

    fn set_host(&mut self, host: &str) {
        self.authority.0 = host.to_owned();
        self.inner_authority = self.inner_authority.take().map(|_| host.to_owned());
    }

    fn mutate_hosts(&mut self, random: &mut Random) {
        let host = self.host();
        if self.is_http2 {
            let other = [
                "evil.example",
                &format!("{host}:443"),
                &format!("{host}:80"),
                &host.to_ascii_uppercase(),
                &format!("{host}."),
            ]
            .map(str::to_owned);
            self.inner_authority = if random.percent(30) { None } else { Some(random.of(&other)) };
            if random.percent(60) {
                let host = self.inner_authority.clone().unwrap_or(host);
                self.host_headers = vec![("host", random.of(&[host, "evil.example".into()]).into_bytes())];
            }
            return;
        }
        let spelt = [
            "evil.example".into(),
            format!("{host}:443"),
            format!("{host}:80"),
            format!("{host}:443:443"),
            format!("{host}:0443"),
            format!("{host}:"),
            host.to_ascii_uppercase(),
            format!("{host}."),
            format!("user@{host}"),
            format!("evil.example@{host}"),
            format!("{host}, {host}"),
            format!("{host}/"),
            format!("https://{host}"),
            host.replacen('k', "\u{212a}", 1),
            host.replacen('a', "\u{ff41}", 1),
            String::new(),
            format!("{host}\u{0}"),
        ];
        let spelt = random.of(&spelt).into_bytes();
        match random.below(5) {
            0 => self.host_headers.clear(),
            1 => self.host_headers.push(("hOST", spelt)),
            2 => self.host_headers.insert(0, ("Host", spelt)),
            _ => self.host_headers = vec![("Host", spelt)],
        }
    }

    fn push(&mut self, random: &mut Random) {
        let spelt = random.of(&[
            "git-receive-pack",
            "GIT-RECEIVE-PACK",
            "Git-Receive-Pack",
            "git%2dreceive%2Dpack",
            "git%252dreceive-pack",
            "%67it-receive-pack",
            "g%ef%bd%89t-receive-pack",
            "git-receive-pac%e2%84%aa",
            "git%ef%bc%8dreceive-pack",
            "git-receive-pac%25256b",
            "git-receive-pac%2525256b",
            "git%ad-receive-pack",
            "git_receive_pack",
            "git-receive%00-pack",
        ]);
        let kind = random.of(&[
            "application/x-git-receive-pack-request",
            "a/b, Application/X-GIT-Receive-Pack-Result",
            "x/git%2dreceive-pack",
            "x/git-receive-pac\u{212a}",
        ]);
        let mut add = |text: String| self.target.extend(text.into_bytes());
        match random.below(5) {
            0 => add(format!("/{spelt}")),
            1 => add(format!("?service={spelt}")),
            2 => add(format!("?service=git-upload-pack&service={spelt}")),
            3 => self.type_headers.push(("Content-Type", kind.to_owned())),
            _ => self.type_headers = vec![("accept", "*/*".into()), ("Accept", kind.to_owned())],
        }
    }

    /// What the model is asked, with what HTTP does to it on the way.
    fn asked(&self) -> Request {
        let mut request = self.request.clone();
        request.tunnel_host = self.authority.0.clone();
        request.tunnel_port = self.authority.1.parse().unwrap_or_default();
        let headers = self.host_headers.iter().map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned());
        // The addon is shown an authority decoded, so that over HTTP/2 no `xn--` host is admitted.
        let shown = |host: &String| if host.contains("xn--") { idna::domain_to_unicode(host).0 } else { host.clone() };
        request.hosts = headers.chain(self.inner_authority.as_ref().map(shown)).collect();
        request.types = self.type_headers.iter().map(|(_, value)| value.clone()).collect();
        request.target = String::from_utf8_lossy(&self.target).into_owned();
        request.sni = request.sni.filter(|_| request.tls && self.scheme.is_none());
        if let Some(scheme) = self.scheme {
            request.tls = scheme == "https";
            request.hosts.push(format!("{}:{}", self.authority.0, self.authority.1));
        }
        request
    }

    /// What stands before the path in the first line of HTTP/1.1; the far end sees it too.
    fn absolute(&self) -> String {
        let authority = self.inner_authority.as_ref().filter(|_| !self.is_http2);
        authority.map(|authority| format!("https://{authority}")).unwrap_or_default()
    }

    /// What is sent.
    fn sent(&self, id: usize) -> Value {
        let (host, port) = &self.authority;
        let request = &self.request;
        let mut headers: Vec<(&str, Vec<u8>)> =
            vec![("X-Case", id.to_string().into_bytes()), ("Proxy-Authorization", OWN.into())];
        headers.extend(vec![("Authorization", OWN.into()); self.signatures]);
        headers.extend(self.host_headers.clone());
        headers.extend(self.type_headers.iter().map(|(name, value)| (*name, value.clone().into_bytes())));
        let tunnel = latin_1(format!("CONNECT {host}:{port} HTTP/1.1\r\nX-Tunnel: 1\r\n\r\n").as_bytes());
        let mut sent = json!({ "id": id, "connect": tunnel, "tls": request.tls, "sni": request.sni });
        if self.is_http2 && request.tls && self.scheme.is_none() {
            let mut all = vec![
                (":method", request.method.clone().into_bytes()),
                (":scheme", b"https".to_vec()),
                (":path", self.target.clone()),
            ];
            all.extend(self.inner_authority.clone().map(|host| (":authority", host.into_bytes())));
            all.extend(headers);
            sent["h2"] = all.iter().map(|(name, value)| json!([name.to_lowercase(), latin_1(value)])).collect();
            return sent;
        }
        let mut head = format!("{} ", request.method).into_bytes();
        match self.scheme {
            Some(scheme) => {
                sent["connect"] = Value::Null;
                sent["tls"] = false.into();
                head.extend(format!("{scheme}://{host}:{port}").into_bytes());
            }
            _ => head.extend(self.absolute().into_bytes()),
        }
        head.extend(&self.target);
        head.extend(b" HTTP/1.1\r\n");
        for (name, value) in headers {
            head.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        sent["head"] = latin_1(&head).into();
        sent
    }
}

fn mutate_target(target: &mut Vec<u8>, random: &mut Random) {
    let inserted: [&[u8]; 32] = [
        b"..",
        b".",
        b"/../",
        b"/..",
        b"/./",
        b"//",
        b"\\",
        b"/..\\",
        b"%2e%2e/",
        b"%2E.",
        b"%252e%252e%252f",
        b"%25252525",
        b"%2f",
        b"%5C..%5c",
        b"..;/",
        b";x",
        b";",
        b"%3bx",
        "\u{ff0e}\u{ff0e}\u{ff0f}".as_bytes(),
        b"%ef%bc%8e%ef%bc%8e%ef%bc%8f",
        b"%ef%bc%852e",
        b"%ef%bc%bc",
        b"%c0%ae%c0%ae%c0%af",
        b"\xc0\xae",
        b"%00",
        b"\x00",
        b"/.. /",
        b"/..%20/",
        b"/...",
        b"#",
        b"?",
        b"%e2%80%a5",
    ];
    let place = if random.percent(30) { target.len() } else { 1 + random.below(target.len()) };
    match random.below(6) {
        0..=2 => {
            let piece = random.of(&inserted).to_vec();
            target.splice(place..place, piece);
        }
        3 => {
            let slash = random
                .of(&[
                    "%2f",
                    "%2F",
                    "%252f",
                    "\\",
                    "%5c",
                    "//",
                    "%ef%bc%8f",
                    "\u{ff0f}",
                    "/;/",
                    "/./",
                    "%c0%af",
                    "/%2e%2e/b/",
                ])
                .as_bytes()
                .to_vec();
            let slashes: Vec<usize> = (1..target.len()).filter(|&at| target[at] == b'/').collect();
            if let [_, ..] = slashes.as_slice() {
                let at = random.of(&slashes);
                target.splice(at..=at, slash);
            }
        }
        4 => {
            let place = place.min(target.len() - 1);
            let byte = target[place];
            let wide = char::from_u32(u32::from(byte) + 0xfee0).filter(|_| (0x21..0x7f).contains(&byte)).unwrap_or('x');
            let encoded = wide.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
            let spelt = random
                .of(&[
                    format!("%{byte:02x}"),
                    format!("%25{byte:02X}"),
                    format!("%2525{byte:02x}"),
                    format!("%252525{byte:02x}"),
                    encoded,
                ])
                .clone();
            target.splice(place..=place, spelt.into_bytes());
        }
        _ => {
            let tail = random.of(&[
                "/../../b",
                "/..",
                "/.",
                "..",
                ".",
                "%20",
                "%2e",
                "/%2e%2e;/b",
                "/b/%2e%2e/%2e%2e/c",
                "/%252e%252e/b",
                "%0d%0aX:1",
            ]);
            target.extend(tail.as_bytes());
        }
    }
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn token(slot: Slot) -> Option<&'static str> {
    let held = TOKENS.into_iter().find(|(name, _)| *name == slot.to_string());
    held.map(|(_, token)| token).filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// What the model says: the outcome, and the credentials that arrive.
fn modelled(egress: &Egress, case: &Case) -> (&'static str, Vec<String>) {
    match judge(&egress.routes, &case.asked(), |slot| token(slot).is_some()) {
        Verdict::Refused(rule) => (rule.as_str(), Vec::new()),
        Verdict::Allowed { route, authorization } => {
            let sent = match authorization {
                Authorization::Kept => vec![OWN.to_owned(); case.signatures],
                Authorization::Stripped => Vec::new(),
                Authorization::Injected(slot) => {
                    let (auth, token) = (&route.auth.as_ref().unwrap().0, token(slot).unwrap());
                    vec![match &auth.scheme {
                        Scheme::Bearer => format!("Bearer {token}"),
                        Scheme::Token => format!("token {token}"),
                        Scheme::Basic { username } => {
                            format!("Basic {}", STANDARD.encode(format!("{username}:{token}")))
                        }
                    }]
                }
            };
            ("allowed", sent)
        }
    }
}

fn from_environment(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn egress_does_what_the_model_says() {
    let seed = from_environment("BOTTLEC_AGREEMENT_SEED", SEED);
    let sets = from_environment("BOTTLEC_AGREEMENT_SETS", 320);
    for mitmdump in programs("BOTTLEC_MITMDUMP_BINS") {
        println!("BOTTLEC_AGREEMENT_SEED={seed}");
        agree(&mitmdump, seed, sets);
    }
}

/// pipelock gates by host alone: it refuses by its list what has no route, and nothing else.
#[test]
fn pipelock_admits_the_hosts_that_the_model_admits() {
    // No registry has it, so that nobody can require it.
    let Some(pipelock) = std::env::var_os("BOTTLEC_PIPELOCK_BIN") else {
        return eprintln!("SKIPPED: pipelock judges the same hosts (BOTTLEC_PIPELOCK_BIN is not set)");
    };
    let mut random = Random(from_environment("BOTTLEC_AGREEMENT_SEED", SEED));
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let run = Command::new(&pipelock).args(arguments).current_dir(folder.path()).output().unwrap();
        String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned()
    };
    run(&["tls", "init", "--out", "."]);
    for _ in 0..12 {
        let text = manifest(&mut random);
        let routes = support::merged(&text).routes;
        // Without private ranges it asks no DNS.
        let mut config: Value =
            serde_yaml::from_str(support::compile_text(&text).file("pipelock/pipelock.yaml")).unwrap();
        config["internal"] = json!([]);
        config["tls_interception"]["ca_cert"] = "ca.pem".into();
        config["tls_interception"]["ca_key"] = "ca-key.pem".into();
        fs::write(folder.path().join("pipelock.yaml"), config.to_string()).unwrap();
        let hosts = HOSTS.into_iter().chain(FOREIGN).filter_map(|host| Host::parse(host).ok());
        for host in hosts.chain(routes.iter().map(|route| route.host.clone())) {
            let said = run(&["check", "--config", "pipelock.yaml", "--url", &format!("https://{host}/")]);
            assert!(said.contains("Result: "), "{host}: {said}");
            let is_admitted = !matches!(
                judge(&routes, &Request::new(host.as_str(), "GET", "/"), |_| true),
                Verdict::Refused(Rule::Host)
            );
            assert_eq!(!said.contains("Scanner: allowlist"), is_admitted, "{host}: {said}");
        }
    }
}

fn agree(mitmdump: &Path, seed: u64, sets: u64) {
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let environment: BTreeMap<_, _> = TOKENS.into_iter().collect();
    let mut lines = vec![json!({ "environment": environment })];
    let mut expected = Vec::new();
    for _ in 0..sets {
        let egress = support::merged(&manifest(&mut random));
        let mut cases = Vec::new();
        for _ in 0..8 {
            let mut case = Case::honest(&mut random, &egress);
            if random.percent(60) {
                for _ in 0..=random.below(2) {
                    case.mutate(&mut random);
                }
            }
            let (outcome, authorization) = modelled(&egress, &case);
            let sent = case.sent(expected.len());
            expected.push((outcome, authorization, case, sent.clone()));
            cases.push(sent);
        }
        lines.push(json!({ "routes": egress.wire().unwrap(), "cases": cases }));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("cases"), text).unwrap();
    fs::write(folder.path().join("addon.py"), ADDON).unwrap();
    let run = Command::new(mitmdump.with_file_name("python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/agree.py"))
        .args([mitmdump, folder.path()])
        .stdin(fs::File::open(folder.path().join("cases")).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(run.status.success());

    let said: Vec<Value> =
        run.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let (tunnels, said) = said.split_last().unwrap();
    assert_eq!(said.len(), expected.len());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut disagreements = Vec::new();
    for ((outcome, authorization, case, sent), said) in expected.iter().zip(said) {
        let is_malformed = said["outcome"] == "malformed";
        let host = case.host().to_ascii_lowercase();
        let arrived = match *outcome {
            "allowed" if !is_malformed => json!([
                { "connect": format!("{host}:443"), "sni": host, "target": case.absolute() + &latin_1(&case.target), "authorization": authorization },
            ]),
            _ => json!([]),
        };
        if (!is_malformed && said["outcome"] != *outcome) || said["arrived"] != arrived {
            disagreements.push(format!("model: {outcome} {arrived}\n egress: {said}\n   sent: {sent}"));
        }
        *counts.entry(if is_malformed { "malformed" } else { outcome }).or_default() += 1;
    }
    println!("{counts:?}");
    let malformed = counts.remove("malformed").unwrap_or_default();
    println!(
        "agreement: {sets} route sets, {} requests, {malformed} malformed, {} disagreements",
        expected.len(),
        disagreements.len()
    );
    assert!(disagreements.is_empty(), "{}", disagreements[..disagreements.len().min(10)].join("\n"));
    let arrived: usize = said.iter().map(|said| said["arrived"].as_array().unwrap().len()).sum();
    assert_eq!(tunnels["tunnels"], arrived, "a tunnel was opened for a request that did not go on");
    assert!(malformed * 10 < expected.len(), "too many requests say nothing");
    let rules = [Rule::Host, Rule::Port, Rule::Authority, Rule::Method, Rule::Path, Rule::GitPush, Rule::Slot];
    for outcome in rules.map(Rule::as_str).into_iter().chain(["allowed"]) {
        assert!(counts.get(outcome).is_some_and(|&count| count * 200 >= expected.len()), "{outcome} is hardly tried");
    }
}
