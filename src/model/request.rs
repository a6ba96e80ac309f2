//! What egress does with one request: the rules of `egress/addon.py`, in its order, without a proxy.
//! `tests/agreement.rs` holds the two against each other.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization as _;

use super::Route;
pub use crate::target::egress::rules::Rule;
use crate::target::egress::rules::{
    CONNECTION_WORDS, DEEPEST_ENCODING, GIT_READS, LONGEST_HEAD, LONGEST_TARGET, NO_METHODS,
};
use crate::value::allowlist::Allowlist;
use crate::value::header::{FRAMING, folded};
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::Slot;

/// A request as it reaches egress, each part as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The host that the tunnel is for; an `xn--` name in that form.
    pub tunnel_host: String,
    /// The port that the tunnel is for.
    pub tunnel_port: u16,
    /// Whether TLS is spoken inside the tunnel.
    pub tls: bool,
    /// The server name of the TLS handshake.
    pub sni: Option<String>,
    /// The version, `HTTP/1.1` of an honest client.
    pub version: String,
    /// The method.
    pub method: String,
    /// The host of an absolute target.
    pub authority: Option<String>,
    /// The path with its query.
    pub target: String,
    /// Names and values of the headers, `Host` among them.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// What an honest client sends for `https://HOST/TARGET`.
    pub fn new(host: &str, method: &str, target: &str) -> Request {
        Request {
            tunnel_host: host.to_owned(),
            tunnel_port: 443,
            tls: true,
            sni: Some(host.to_owned()),
            version: "HTTP/1.1".to_owned(),
            method: method.to_owned(),
            authority: None,
            target: target.to_owned(),
            headers: vec![("Host".to_owned(), host.to_owned())],
        }
    }

    /// The values of a header.
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let has_name = move |header: &&(String, String)| header.0.eq_ignore_ascii_case(name);
        self.headers.iter().filter(has_name).map(|(_, value)| value.as_str())
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'r> {
    /// It is passed on to pipelock.
    Allowed {
        /// The route that admits it.
        route: &'r Route,
        /// What it is signed with.
        authorization: Authorization,
    },
    /// It is answered with 403.
    Refused(Rule),
}

/// The `Authorization` of a request that is passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The credential in this slot, in place of the agent's own.
    Injected(Slot),
    /// The agent's own.
    Kept,
    /// None.
    Stripped,
}

/// Judges a request by the routes of a bottle. `is_filled` says whether a slot holds a token that a header
/// can carry.
pub fn judge<'r>(routes: &'r [Route], request: &Request, is_filled: impl Fn(Slot) -> bool) -> Verdict<'r> {
    admit(routes, request, is_filled).unwrap_or_else(Verdict::Refused)
}

fn admit<'r>(routes: &'r [Route], request: &Request, is_filled: impl Fn(Slot) -> bool) -> Result<Verdict<'r>, Rule> {
    let named = |route: &&Route| request.tunnel_host.eq_ignore_ascii_case(route.host.as_str());
    let route = routes.iter().find(named).ok_or(Rule::Host)?;
    require(request.tunnel_port == 443 && request.tls, Rule::Port)?;
    let texts = || request.headers.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let head: usize = texts().map(str::len).sum();
    require(request.target.len() <= LONGEST_TARGET && head <= LONGEST_HEAD, Rule::Size)?;
    require(!texts().flat_map(str::chars).any(|char| char.is_ascii_control() && char != '\t'), Rule::Header)?;
    require(is_framed_for_all(request) && is_switched_to_websocket_alone(request), Rule::Framing)?;
    require(is_for_one_host(route, request), Rule::Authority)?;
    let method = request.method.to_uppercase();
    let is_word = !method.is_empty() && request.method.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
    require(is_word && !NO_METHODS.contains(&method.as_str()), Rule::Method)?;
    require(is_encoded_path(&request.target), Rule::Path)?;

    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let paths = readings(path)?;
    let queries = readings(query)?;
    let pushes = |text: &str| text.to_lowercase().contains("git-receive-pack");
    // Others than these write below a repository without ever saying git-receive-pack.
    let writes = !GIT_READS.contains(&method.as_str());
    require(!writes || !paths.iter().any(|path| path.to_lowercase().contains(".git/")), Rule::GitPush)?;
    let mut types = request.values("content-type").chain(request.values("accept"));
    require(!types.any(pushes), Rule::GitPush)?;
    require(!paths.iter().chain(&queries).any(|text| pushes(text)), Rule::GitPush)?;

    let prefixes = &route.path_allowlist;
    require(prefixes.is_any() || paths.iter().all(|path| is_below(path, prefixes)), Rule::Path)?;

    let authorization = match &route.credential {
        Some(credential) if is_filled(credential.slot) => Authorization::Injected(credential.slot),
        Some(_) => return Err(Rule::Slot),
        None if route.keeps_authorization => Authorization::Kept,
        None => Authorization::Stripped,
    };
    Ok(Verdict::Allowed { route, authorization })
}

fn require(kept: bool, rule: Rule) -> Result<(), Rule> {
    if kept { Ok(()) } else { Err(rule) }
}

/// Whether every server sees the same headers, and the same end of the request.
fn is_framed_for_all(request: &Request) -> bool {
    // Some see the same header in Transfer_Encoding as in Transfer-Encoding.
    let is_alike = |name: &str| {
        !FRAMING.iter().any(|known| name.eq_ignore_ascii_case(known)) && FRAMING.contains(&folded(name).as_str())
    };
    let words = request.values("connection").flat_map(|line| line.split(',')).map(|word| word.trim().to_lowercase());
    request.version == "HTTP/1.1"
        && !request.headers.iter().any(|(name, _)| is_alike(name))
        && request.values("transfer-encoding").all(|coding| coding.to_lowercase() == "chunked")
        && words.filter(|word| !word.is_empty()).all(|word| CONNECTION_WORDS.contains(&word.as_str()))
}

/// Whether the connection stays what it is, or becomes a websocket: of another protocol no rule could be kept, and
/// behind an answer that switches, the rest of a body would go on as it is.
fn is_switched_to_websocket_alone(request: &Request) -> bool {
    let upgrades: Vec<String> = request.values("upgrade").map(str::to_lowercase).collect();
    let has_body = FRAMING.iter().any(|name| request.values(name).next().is_some());
    upgrades.is_empty() || (upgrades == ["websocket"] && request.method == "GET" && !has_body)
}

fn is_for_one_host(route: &Route, request: &Request) -> bool {
    let is_route = |name: &str| name == route.host.as_str();
    let name = |host: &str| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(":443").map(str::to_owned).unwrap_or(host)
    };
    let hosts: Vec<&str> = request.values("host").chain(request.authority.as_deref()).collect();
    request.sni.as_ref().is_some_and(|sni| is_route(&sni.to_lowercase()))
        && !hosts.is_empty()
        && hosts.into_iter().all(|host| is_route(&name(host)))
}

fn is_encoded_path(target: &str) -> bool {
    target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
}

/// The text in every way that some server might read it: decoded or not, however often, `%u002e` as a
/// dot; a backslash as a slash, full-width forms as letters; `;` as the end of a segment.
///
/// # Errors
/// The rule that the text breaks by being encoded too often.
fn readings(text: &str) -> Result<BTreeSet<String>, Rule> {
    let mut found = BTreeSet::new();
    let mut texts = BTreeSet::from([text.to_owned()]);
    for _ in 0..DEEPEST_ENCODING {
        texts.extend(texts.iter().map(|text| with_wide_decoded(text)).collect::<Vec<String>>());
        texts.extend(texts.iter().map(|text| text.nfkc().collect()).collect::<Vec<String>>());
        for text in &texts {
            let slashed = text.replace('\\', "/");
            let bare: Vec<&str> =
                slashed.split('/').map(|segment| segment.split(';').next().unwrap_or_default()).collect();
            found.extend([bare.join("/"), text.clone()]);
            found.insert(slashed);
        }
        let decoded = texts.iter().map(|text| percent_decode_str(text).decode_utf8_lossy().into_owned()).collect();
        if decoded == texts {
            return Ok(found);
        }
        texts = decoded;
    }
    Err(Rule::Path)
}

/// The text with each `%uXXXX` decoded, as some servers do; half a character is dropped.
fn with_wide_decoded(text: &str) -> String {
    let mut pieces = text.split("%u");
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                decoded.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                decoded.push_str(&piece[4..]);
            }
            None => {
                decoded.push_str("%u");
                decoded.push_str(piece);
            }
        }
    }
    decoded
}

/// Whether a reading of a path is below one of the prefixes and cannot climb out.
fn is_below(path: &str, prefixes: &Allowlist<PathPrefix>) -> bool {
    let is_unsafe = |char: char| char.is_ascii_control() || char == char::REPLACEMENT_CHARACTER;
    // `.` and `..`, also with the blanks and dots at the end that some file systems drop.
    let is_dots = |segment: &str| !segment.is_empty() && segment.chars().all(|char| char == ' ' || char == '.');
    if path.contains(is_unsafe) || path.split('/').any(is_dots) {
        return false;
    }
    // A prefix holds no `//`, so that one in the path makes no difference.
    prefixes.admits(path)
}
