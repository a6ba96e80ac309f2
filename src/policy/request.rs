//! What egress does with one request: the rules of `egress/addon.py`, in its order, without a proxy.
//! `tests/agreement.rs` holds the two against each other.

use std::collections::BTreeSet;

use percent_encoding::percent_decode_str;
use unicode_normalization::UnicodeNormalization as _;

use super::Route;
use crate::path_prefix::PathPrefix;
use crate::slot::Slot;

/// A path that is percent-encoded more often than this is meant to deceive.
const DEEPEST_ENCODING: usize = 4;

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
    /// Every `Host` header and `:authority`.
    pub hosts: Vec<String>,
    /// The method.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Every `Content-Type` and `Accept` header.
    pub types: Vec<String>,
    /// Names and values of all other headers.
    pub fields: Vec<String>,
}

impl Request {
    /// What an honest client sends for `https://HOST/TARGET`.
    pub fn new(host: &str, method: &str, target: &str) -> Request {
        Request {
            tunnel_host: host.to_owned(),
            tunnel_port: 443,
            tls: true,
            sni: Some(host.to_owned()),
            hosts: vec![host.to_owned()],
            method: method.to_owned(),
            target: target.to_owned(),
            types: Vec::new(),
            fields: Vec::new(),
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'r> {
    /// It goes on to pipelock.
    Allowed {
        /// The route that admits it.
        route: &'r Route,
        /// What it is signed with.
        authorization: Authorization,
    },
    /// It is answered with 403.
    Refused(Rule),
}

/// The `Authorization` of a request that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// The credential in this slot, in place of the agent's own.
    Injected(Slot),
    /// The agent's own.
    Kept,
    /// None.
    Stripped,
}

/// The first rule that a refused request breaks, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The host has a route.
    Host,
    /// It is https on port 443.
    Port,
    /// No header has a control character, which some server reads as its end.
    Header,
    /// Server name, `Host` and tunnel are for one host.
    Authority,
    /// The method is for that host and not for the way to it.
    Method,
    /// The path is written as one and is below a prefix of the route.
    Path,
    /// It is not a `git push`.
    GitPush,
    /// The route's credential is not empty.
    Slot,
}

impl Rule {
    /// The name in the body of the 403.
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Host => "host",
            Rule::Port => "port",
            Rule::Header => "header",
            Rule::Authority => "authority",
            Rule::Method => "method",
            Rule::Path => "path",
            Rule::GitPush => "git-push",
            Rule::Slot => "slot",
        }
    }
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
    let headers = request.hosts.iter().chain(&request.types).chain(&request.fields);
    require(!headers.flat_map(|text| text.chars()).any(|char| char.is_ascii_control() && char != '\t'), Rule::Header)?;
    require(is_for_one_host(route, request), Rule::Authority)?;
    let method = request.method.to_uppercase();
    let is_word = !method.is_empty() && request.method.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
    require(is_word && !["CONNECT", "TRACE", "TRACK"].contains(&method.as_str()), Rule::Method)?;
    require(is_encoded_path(&request.target), Rule::Path)?;

    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let paths = readings(path)?;
    let queries = readings(query)?;
    let pushes = |text: &String| text.to_lowercase().contains("git-receive-pack");
    // Others than these write below a repository without ever saying git-receive-pack.
    let writes = !["GET", "HEAD", "POST", "OPTIONS"].contains(&method.as_str());
    require(!writes || !paths.iter().any(|path| path.to_lowercase().contains(".git/")), Rule::GitPush)?;
    require(!paths.iter().chain(&queries).chain(&request.types).any(pushes), Rule::GitPush)?;

    let prefixes = &route.path_allowlist;
    require(prefixes.is_empty() || paths.iter().all(|path| is_below(path, prefixes)), Rule::Path)?;

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

fn is_for_one_host(route: &Route, request: &Request) -> bool {
    let is_route = |name: &str| name == route.host.as_str();
    let name = |host: &String| {
        let host = host.to_ascii_lowercase();
        host.strip_suffix(":443").map(str::to_owned).unwrap_or(host)
    };
    request.sni.as_ref().is_some_and(|sni| is_route(&sni.to_lowercase()))
        && !request.hosts.is_empty()
        && request.hosts.iter().all(|host| is_route(&name(host)))
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

/// The text with each `%uXXXX` decoded, as some servers do; half a character is none.
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
fn is_below(path: &str, prefixes: &[PathPrefix]) -> bool {
    let is_unsafe = |char: char| char.is_ascii_control() || char == char::REPLACEMENT_CHARACTER;
    // `.` and `..`, also with the blanks and dots at the end that some file systems drop.
    let is_dots = |segment: &str| !segment.is_empty() && segment.chars().all(|char| char == ' ' || char == '.');
    if path.contains(is_unsafe) || path.split('/').any(is_dots) {
        return false;
    }
    // A prefix holds no `//`, so that one in the path makes no difference.
    prefixes.iter().any(|prefix| prefix.admits(path))
}
