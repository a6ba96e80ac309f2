//! The table of egress's rules: names, order, messages, remedies, and the constants that they compare with. The head
//! of `templates/addon.py` is made from it, and the model judges by it. The logic is written twice on purpose, there
//! and in `model::request`, so that a mistake in one is found by the other (`tests/agreement.rs`).

use std::fmt::Write as _;

use crate::value::header::{CREDENTIALS, DROPPED, FRAMING, NO_CREDENTIAL};

/// The lines of `templates/addon.py` between which the head stands.
pub const BORDERS: [&str; 2] = [
    "# Made from bottlec's table of rules, down to the next line like this one.\n",
    "# The end of the table of rules.\n",
];

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $name:literal,)+) => {
        /// The first rule that a refused request breaks, in the order in which they are asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Rule {
            $($(#[doc = $doc])+ $rule,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Rule] = &[$(Rule::$rule,)+];

            /// The name in the body of the 403.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Rule::$rule => $name,)+
                }
            }
        }
    };
}

rules! {
    /// Egress could judge the request. Not a matter of the request: the model never says it.
    Internal = "internal",
    /// Egress runs on the files that lie there. Not a matter of the request either.
    Stale = "stale",
    /// The host has a route.
    Host = "host",
    /// It is https on port 443.
    Port = "port",
    /// Target and headers are not too long.
    Size = "size",
    /// No header has a control character, which some server reads as its end.
    Header = "header",
    /// All servers read alike where it ends and which headers it has.
    Framing = "framing",
    /// Server name, `Host` and tunnel are for one host.
    Authority = "authority",
    /// The method is for that host and not for the way to it.
    Method = "method",
    /// The path is written as one and is below a prefix of the route.
    Path = "path",
    /// It is not a `git push`.
    GitPush = "git-push",
    /// Egress has the route's credential.
    Slot = "slot",
}

/// One way to break a rule.
pub struct Breach {
    /// The name by which the addon raises it.
    pub name: &'static str,
    /// The rule.
    pub rule: Rule,
    /// What is wrong; `{word}` is filled in.
    pub message: &'static str,
    /// What would allow it.
    pub remedy: &'static str,
}

const fn breach(name: &'static str, rule: Rule, message: &'static str, remedy: &'static str) -> Breach {
    Breach { name, rule, message, remedy }
}

/// Every way to break a rule, in the order of the rules.
pub const BREACHES: [Breach; 16] = [
    breach("internal", Rule::Internal, "egress failed to check the request", "report this with its log"),
    breach("stale", Rule::Stale, "{reasons}", "recreate the bottle's services with `bottlec exec`"),
    breach(
        "host",
        Rule::Host,
        "the bottle has no route for {host}",
        "add the host under `egress.routes` in the manifest; a service's regional address is a separate host",
    ),
    breach("port", Rule::Port, "only https on port 443 is allowed", "use https:// without a port"),
    breach(
        "size",
        Rule::Size,
        "the request target or the headers are too long",
        "send at most 16 KiB of target and 256 KiB of headers; put long content in the body",
    ),
    breach("header", Rule::Header, "a header contains a control character", "send the header without it"),
    breach(
        "framing",
        Rule::Framing,
        "servers may read the request in different ways",
        "use HTTP/1.1, at most the transfer coding `chunked`, and no header names in `Connection`",
    ),
    breach(
        "upgrade",
        Rule::Framing,
        "a connection can only be upgraded to a websocket",
        "send `Upgrade: websocket` with GET and without a body, or no `Upgrade`",
    ),
    breach(
        "authority",
        Rule::Authority,
        "the TLS server name, the Host header and the tunnel do not name the same host",
        "open a separate tunnel for each host",
    ),
    breach("method", Rule::Method, "this method is not allowed", "use another method"),
    breach("target", Rule::Path, "the request target is not an encoded path", "send an absolute path, percent-encoded"),
    breach("encoding", Rule::Path, "the request target is encoded too often", "encode it once"),
    breach(
        "path",
        Rule::Path,
        "no `path_allowlist` prefix of {host} allows this path",
        "add a prefix to the route's `path_allowlist` in the manifest; dots and encoded slashes that could lead out \
         of a prefix are never allowed",
    ),
    breach("git-push", Rule::GitPush, "git push is not allowed", "push from outside the bottle"),
    breach(
        "binding",
        Rule::Slot,
        "egress was started with tokens for other routes",
        "recreate egress with `bottlec exec`",
    ),
    breach("slot", Rule::Slot, "the credential of this host is empty", "start the bottle with `bottlec exec`"),
];

/// Of a refused request mitmproxy holds the body in memory before it answers; a longer one is cut off.
const LARGEST_REFUSED_BODY: usize = 1 << 20;
/// Bytes of the request target, and of all names and values of its headers: more than servers take.
pub const LONGEST_TARGET: usize = 16 << 10;
/// The same of the headers.
pub const LONGEST_HEAD: usize = 256 << 10;
/// A path that is percent-encoded more often than this is meant to deceive.
pub const DEEPEST_ENCODING: usize = 4;
/// What a client says in `Connection`; a server drops each header that is named there, egress's own too.
pub const CONNECTION_WORDS: [&str; 4] = ["close", "keep-alive", "upgrade", "te"];
/// Methods that are for the way to a host, or answer with the headers of the request.
pub const NO_METHODS: [&str; 3] = ["CONNECT", "TRACE", "TRACK"];
/// What a git client reads with; others write below a repository without ever saying git-receive-pack.
pub const GIT_READS: [&str; 4] = ["GET", "HEAD", "POST", "OPTIONS"];

/// The head of the addon, in Python.
pub fn head() -> String {
    let mut head = String::new();
    let mut line = |text: &str| head.extend([text, "\n"]);
    line("# Each way to break a rule: the rule, what is wrong, and what would allow it.");
    line("BREACHES = {");
    for Breach { name, rule, message, remedy } in BREACHES {
        line(&format!("    {}: (", text(name)));
        for part in [rule.as_str(), message, remedy] {
            line(&format!("        {},", text(part)));
        }
        line("    ),");
    }
    line("}");
    line("# Of a refused request mitmproxy holds the body in memory before it answers; a longer one is cut off.");
    line(&format!("LARGEST_REFUSED_BODY = {LARGEST_REFUSED_BODY}"));
    line("# Bytes of the request target, and of all names and values of its headers: more than servers take.");
    line(&format!("LONGEST_TARGET, LONGEST_HEAD = {LONGEST_TARGET}, {LONGEST_HEAD}"));
    line("# A path that is percent-encoded more often than this is meant to deceive.");
    line(&format!("DEEPEST_ENCODING = {DEEPEST_ENCODING}"));
    line(&format!("FRAMING = {}", tuple(&FRAMING)));
    line("# What a client says in Connection; a server drops each header that is named there, egress's own too.");
    line(&format!("CONNECTION_WORDS = {}", tuple(&CONNECTION_WORDS)));
    line("# Methods that are for the way to a host, or answer with the headers of the request.");
    line(&format!("NO_METHODS = {}", tuple(&NO_METHODS)));
    line("# What a git client reads with; others write below a repository without ever saying git-receive-pack.");
    line(&format!("GIT_READS = {}", tuple(&GIT_READS)));
    line("# What is dropped on every route: it is for the way to the service, or against what was judged.");
    line(&listed("DROPPED", DROPPED.into_iter()));
    line(
        "# Where a credential may be. Egress sends its own alone, and where the login is the agent's, Authorization alone.",
    );
    line(&listed("CREDENTIALS", CREDENTIALS.into_iter()));
    line(
        "# Headers that egress's own credential cannot be in, beside those that are dropped: they are for one connection,",
    );
    line("# say where the request goes and how it is read, or are judged before it is signed.");
    line(&listed("NO_CREDENTIAL", NO_CREDENTIAL.into_iter()));
    head
}

/// A text in Python, which writes ASCII without control characters as JSON does.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn tuple(texts: &[&str]) -> String {
    let comma = if texts.len() == 1 { "," } else { "" };
    format!("({}{comma})", texts.iter().map(|one| text(one)).collect::<Vec<_>>().join(", "))
}

fn listed(name: &str, entries: impl Iterator<Item = (&'static str, &'static str)>) -> String {
    let mut table = format!("{name} = listed(\n");
    for (entry, source) in entries {
        let _ = writeln!(table, "    {},  # {source}", text(entry));
    }
    table + ")"
}
