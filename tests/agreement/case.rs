//! One request: honest, as it is sent, and as the model is asked about it.

use bottlec::model::{Request, Route};
use serde_json::{Value, json};

use crate::agreement::bottle::Random;

/// The agent's own header, which is kept or stripped.
pub(crate) const OWN: &str = "Bearer the-agents-own";

/// The agent's own key, in a header that only some routes know.
pub(crate) const OWN_KEY: &str = "the-agents-own-key";

/// The same in the query, under names that some server takes for one and the same.
pub(crate) const OWN_PARTS: [&str; 6] = [
    "x-example-key=own",
    "X-Example-Key=own",
    "x%2Dexample-%6bey=own",
    "%2578-example-key=own",
    "x_example.key[]=own",
    "+x-example-key",
];

/// One request: what is sent, and what the model is asked.
pub(crate) struct Case {
    /// The host of the tunnel as it is written, and the port.
    pub(crate) authority: (String, String),
    /// Sent straight to egress, without a tunnel.
    pub(crate) scheme: Option<&'static str>,
    pub(crate) target: Vec<u8>,
    /// Besides the target, everything that the model is asked.
    pub(crate) request: Request,
    /// That of an absolute target.
    pub(crate) inner_authority: Option<String>,
    /// How many `Authorization` headers the agent sends.
    pub(crate) signatures: usize,
    /// The names under which it sends a key of its own in a header.
    pub(crate) keys: &'static [&'static str],
    /// Each with its name.
    pub(crate) host_headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) type_headers: Vec<(&'static str, String)>,
    /// Each with its name.
    pub(crate) other_headers: Vec<(&'static str, String)>,
    pub(crate) version: &'static str,
}

impl Case {
    pub(crate) fn honest(random: &mut Random, routes: &[Route]) -> Case {
        // One with prefixes is likelier: there is more to get wrong.
        let picks = [random.of(routes), random.of(routes), random.of(routes)];
        let route = picks.iter().find(|route| !route.path_allowlist.is_any()).unwrap_or(&picks[0]);
        let host = route.host.as_str().to_owned();
        let start = match route.path_allowlist.values() {
            [] => String::new(),
            prefixes => random.of(prefixes).as_str().to_owned(),
        };
        let rest =
            random.of(&["", "/", "/b", "/b/c.d", "/b%20c", "/x.git/git-upload-pack", "/%41", "/b..c", "/..b", "/.b/"]);
        let query = random.of(&["", "", "?", "?q=1", "?q=%2e%2e/..", "?service=git-upload-pack", "?a=b?c=/../"]);
        let own = random.of(&OWN_PARTS);
        let query = match random.below(6) {
            0 => format!("?{own}"),
            1 => format!("?q=1&{own}&r"),
            2 => format!("?q;{own}"),
            3 => format!("?{own}&{own}"),
            _ => query.to_owned(),
        };
        let target = format!("{start}{rest}{query}");
        let target = if target.starts_with('/') { target } else { format!("/{target}") };
        let method = random.of(&["GET", "GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", "PROPFIND"]);
        let kind =
            random.of(&["application/json", "*/*", "application/x-git-upload-pack-request", "text/html, */*;q=0.8"]);
        Case {
            authority: (host.clone(), "443".into()),
            scheme: None,
            target: target.into_bytes(),
            signatures: random.of(&[0, 1, 1, 1, 2]),
            keys: random.of(&[&[] as &[_], &["X-Example-Key"], &["x-example-key", "X_Example_Key"]]),
            request: Request::new(&host, method, ""),
            inner_authority: None,
            host_headers: vec![("Host", host.into_bytes())],
            other_headers: Vec::new(),
            version: "HTTP/1.1",
            type_headers: if random.percent(40) { vec![("Accept", kind.into())] } else { Vec::new() },
        }
    }

    pub(crate) fn host(&self) -> String {
        self.authority.0.clone()
    }

    /// What the model is asked, with what HTTP does to it on the way.
    pub(crate) fn asked(&self) -> Request {
        let mut request = self.request.clone();
        request.tunnel_host = self.authority.0.clone();
        request.tunnel_port = self.authority.1.parse().unwrap_or_default();
        request.version = self.version.to_owned();
        request.headers = self
            .headers()
            .into_iter()
            .map(|(name, value)| {
                (name.to_owned(), String::from_utf8_lossy(&value).trim_matches([' ', '\t']).to_owned())
            })
            .collect();
        request.authority.clone_from(&self.inner_authority);
        request.target = String::from_utf8_lossy(&self.target).into_owned();
        request.sni = request.sni.filter(|_| request.tls && self.scheme.is_none());
        if let Some(scheme) = self.scheme {
            request.tls = scheme == "https";
            request.authority = Some(format!("{}:{}", self.authority.0, self.authority.1));
        }
        request
    }

    /// The headers that rules ask for, as they are sent.
    fn headers(&self) -> Vec<(&'static str, Vec<u8>)> {
        let texts = self.type_headers.iter().chain(&self.other_headers);
        let texts = texts.map(|(name, value)| (*name, value.clone().into_bytes()));
        self.host_headers.iter().cloned().chain(texts).collect()
    }

    /// What stands before the path in the first line of HTTP/1.1.
    pub(crate) fn absolute(&self) -> String {
        self.inner_authority.as_ref().map(|authority| format!("https://{authority}")).unwrap_or_default()
    }

    /// What is sent.
    pub(crate) fn sent(&self, id: usize) -> Value {
        let (host, port) = &self.authority;
        let request = &self.request;
        let mut headers: Vec<(&str, Vec<u8>)> =
            vec![("X-Case", id.to_string().into_bytes()), ("Proxy-Authorization", OWN.into())];
        headers.extend(vec![("Authorization", OWN.into()); self.signatures]);
        headers.extend(self.keys.iter().map(|name| (*name, OWN_KEY.into())));
        headers.extend(self.headers());
        let tunnel = latin_1(format!("CONNECT {host}:{port} HTTP/1.1\r\nX-Tunnel: 1\r\n\r\n").as_bytes());
        let mut sent = json!({ "id": id, "connect": tunnel, "tls": request.tls, "sni": request.sni });
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
        head.extend(format!(" {}\r\n", self.version).into_bytes());
        for (name, value) in headers {
            head.extend([name.as_bytes(), b": ", &value, b"\r\n"].concat());
        }
        head.extend(b"\r\n");
        sent["head"] = latin_1(&head).into();
        sent
    }
}

pub(crate) fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
