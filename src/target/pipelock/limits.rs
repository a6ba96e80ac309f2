//! What of pipelock's file an agent's real load decides, each as measured with 2.3.0 (2026-11).

/// How long a tunnel lives, in seconds: a day. 2.3.0 ends every tunnel then, busy or not.
pub(super) const TUNNEL_SECONDS: u32 = 86_400;

/// When a tunnel is idle, in seconds: never before its end. 2.3.0 has a clock for each direction and half-closes a
/// tunnel that long after the client's last byte, however busy the server is: an answer that streams for longer
/// would be cut, for some servers with a correct end.
pub(super) const IDLE_SECONDS: u32 = TUNNEL_SECONDS;

/// Requests a minute to one registered domain. Package managers open a tunnel for each of theirs (1,700 for one
/// web project, in 20 to 35 s), and a request to an opened host counts twice; what is over the limit ends as 502. Ten
/// times the 6,000 that must pass: the limit guards nothing that many requests on one tunnel do not give away, and
/// pipelock keeps 24 bytes of each for a minute. It cannot be off: 0 means 60.
pub(super) const REQUESTS_PER_MINUTE: u32 = 60_000;

/// The largest answer of an opened host, in bytes: pipelock's own default. It is held and scanned whole, at 1.6 to
/// 3.3 s a MiB and some 11 times its size in memory: four at once of 32 MiB needed more than the container has.
pub(super) const LARGEST_ANSWER: u32 = 5 << 20;

/// The one header that pipelock does not scan for secrets: it must be the tunnel's host. An empty list
/// would be pipelock's own of 13, in which `User-Agent` and `Accept` could carry one. Trace ids, `ETag`s and
/// cookies of hexadecimal digits pass the scan (300 random ones of each, 2.3.0).
pub(super) const IGNORED_HEADERS: [&str; 1] = ["Host"];
