//! What somebody might do to a request to get past a rule.

use crate::agreement::bottle::{FOREIGN, Random};
use crate::agreement::case::Case;

impl Case {
    /// One change.
    pub(crate) fn mutate(&mut self, random: &mut Random) {
        match random.below(24) {
            0..=9 => mutate_target(&mut self.target, random),
            10 => self.set_host(random.of(&FOREIGN)),
            11 => match random.below(3) {
                0 => self.set_host(&self.host().to_ascii_uppercase()),
                1 => self.authority.1 = (random.of(&["80", "8443", "0443", "444", "65535", "1"])).to_owned(),
                _ => self.request.tls = false,
            },
            12..=13 => self.mutate_hosts(random),
            14 => {
                let host = self.host();
                let upper = host.to_ascii_uppercase();
                let dotted = format!("{host}.");
                let foreign = "evil.example".to_owned();
                self.request.sni =
                    random.of(&[None, Some(upper), Some(dotted), Some(foreign), Some("a_b".into())]).clone();
            }
            15..=16 => {
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
            17 => self.push(random),
            18 => {
                let value = random.of(&["a\tb", "a\rb", "a\0b", "a\r\n b", "a\x7fb", "\u{e9}"]);
                self.other_headers.push(("X-Other", value.to_owned()));
            }
            19..=21 => self.mutate_framing(random),
            22 => match random.below(2) {
                0 => {
                    let length = random.of(&[16 << 10, (16 << 10) + 1, 40_000]);
                    let more = length - self.target.len().min(length);
                    self.target.extend(vec![b'b'; more]);
                }
                _ => {
                    let length = random.of(&[100_000, 257 << 10]);
                    self.other_headers.push(("X-Other", "b".repeat(length)));
                }
            },
            _ => match random.below(6) {
                0 => self.scheme = Some("http"),
                1 => self.scheme = Some("https"),
                2 => self.authority.1 = (random.of(&["", "99999", "x", "-1"])).to_owned(),
                3 => self.request.method = (random.of(&["", "connect", "CONNECT"])).to_owned(),
                4 => {
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

    /// mitmproxy takes this for a tunnel, in any case.
    pub(crate) fn asks_for_a_tunnel(&self) -> bool {
        self.scheme.is_some() && self.request.method.eq_ignore_ascii_case("connect")
    }

    fn set_host(&mut self, host: &str) {
        self.authority.0 = host.to_owned();
        self.inner_authority = self.inner_authority.take().map(|_| host.to_owned());
    }

    fn mutate_hosts(&mut self, random: &mut Random) {
        let host = self.host();
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

    /// What some server reads in another way, with its honest neighbours.
    fn mutate_framing(&mut self, random: &mut Random) {
        if random.percent(15) {
            self.version = random.of(&["HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9"]);
            return;
        }
        let (name, value) = random.of(&[
            ("Connection", "authorization"),
            ("Connection", "keep-alive, Host"),
            ("connection", "Keep-Alive, TE"),
            ("Connection", "close,, te"),
            ("Connection", "http2-settings"),
            ("Content_Length", "0"),
            ("Content.Length", "0"),
            ("Transfer_Encoding", "chunked"),
            ("Transfer-Encoding", "gzip"),
            ("Transfer-Encoding_", "chunked"),
            ("Content-Length", "0"),
            ("Upgrade", "websocket"),
            ("upgrade", "WebSocket"),
            ("Upgrade", "h2c"),
            ("Upgrade", "websocket, h2c"),
            ("Upgrade", "other"),
        ]);
        self.other_headers.push((name, value.to_owned()));
        if name == "Upgrade" && random.percent(40) {
            let (name, value) = random.of(&[("Upgrade", "websocket"), ("Content-Length", "0")]);
            self.other_headers.push((name, value.to_owned()));
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
    let path = target.iter().position(|&byte| byte == b'?').unwrap_or(target.len());
    let end = if random.percent(80) { path } else { target.len() };
    let place = if random.percent(30) { end } else { 1 + random.below(end) };
    match random.below(9) {
        0..=2 => climb(target, path, random),
        3..=5 => {
            let piece = random.of(&inserted).to_vec();
            target.splice(place..place, piece);
        }
        6 => {
            let slash: &str = random.of(&[
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
            ]);
            if let Some(border) = border(target, end, random) {
                target.splice(border..=border, slash.bytes());
            }
        }
        7 => {
            let place = place.min(target.len() - 1);
            let byte = target[place];
            let wide = char::from_u32(u32::from(byte) + 0xfee0).filter(|_| (0x21..0x7f).contains(&byte)).unwrap_or('x');
            let encoded = wide.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
            let spelt = random.of(&[
                format!("%{byte:02x}"),
                format!("%25{byte:02X}"),
                format!("%2525{byte:02x}"),
                format!("%252525{byte:02x}"),
                encoded,
            ]);
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

/// Puts a segment of dots, spelt somehow, between two segments.
fn climb(target: &mut Vec<u8>, path: usize, random: &mut Random) {
    let slashes = ["/", "/", "\\", "//", "%2f", "%5C", "%252f", "%255c", "%ef%bc%8f", "%ef%bc%bc", "%25252f"];
    let dots = [
        "..",
        ".",
        "%2e%2e",
        ".%2E",
        "%252e%252e",
        "%25252e.",
        "%ef%bc%8e%ef%bc%8e",
        "%e2%80%a5",
        "..;",
        "..;x=y",
        ".%3b.",
        "..%20",
        "..%00",
        "%20..",
        "...",
        "..%09",
        "%c0%ae%c0%ae",
        "%e0%80%ae.",
        "..%7f",
        "..x",
        "x..",
    ];
    let segment = [random.of(&slashes), random.of(&dots), random.of(&slashes)].concat();
    match border(target, path, random).filter(|_| random.percent(40)) {
        Some(border) => target.splice(border..=border, segment.into_bytes()),
        None => target.splice(path..path, segment.into_bytes()),
    };
}

/// Where a slash is, but for the first.
fn border(target: &[u8], end: usize, random: &mut Random) -> Option<usize> {
    let borders: Vec<usize> = (1..end).filter(|&at| target[at] == b'/').collect();
    if borders.is_empty() { None } else { Some(random.of(&borders)) }
}
