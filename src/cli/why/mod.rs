//! `bottlec why`: whether a request is allowed, and which hop decides.

mod text;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::{Screen, Status, side};
use crate::model::Request;
use crate::model::why::{json, why};

/// Explain whether a request is allowed: the verdict of each hop, and what would allow it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Why {
    /// Manifest or compiled folder
    bottle: PathBuf,
    /// URL of the request, or a host; it is sent as written, including dot segments and escapes
    url: String,
    /// Request method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// Request header; can be repeated
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    headers: Vec<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// Output formats for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Human-readable text
    Text,
    /// JSON, as documented in docs/formats.md
    Json,
}

const EXAMPLES: &str = "\
Examples:
  bottlec why manifest.yaml https://api.github.com/repos/me/project
  bottlec why manifest.yaml api.github.com
  bottlec why out/review https://api.github.com/user -X POST
  bottlec why manifest.yaml https://example.com/ -H 'Host: other.example' --format json

Tokens are assumed to be set; no request is sent.

Exit codes: 0 allowed, 1 refused, 2 usage, I/O or internal error.";

impl Why {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let request = request(&self.url, &self.method, &self.headers)?;
        let side = side::open(&self.bottle, screen)?;
        if let Some((path, edit)) = side.stand_ins.iter().find_map(|path| side.edited.get_key_value(path)) {
            bail!("cannot tell what the tree allows: {}; rebuild it", edit.told(path));
        }
        let why = why(&side.model, &request, |_| true);
        let text = match self.format {
            Format::Text => text::render(&format!("{} {}", self.method, self.url), &why),
            Format::Json => json::render(&self.url, &self.method, &why),
        };
        for (path, edit) in &side.edited {
            screen.note(format_args!(
                "bottlec: {}; the answer is based on the other files, and `exec` will not start this tree",
                edit.told(path)
            ));
        }
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        Ok(if why.is_allowed() { Status::Clean } else { Status::Findings })
    }
}

/// The request that a client sends if it does not normalize the URL.
fn request(url: &str, method: &str, headers: &[String]) -> Result<Request> {
    let help = "write it as `https://HOST/PATH`";
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let (tls, usual) = match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => (true, 443),
        "http" | "ws" => (false, 80),
        _ => bail!("unsupported scheme `{scheme}`: {help}"),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.contains('@') {
        bail!("the URL must not contain a user name; pass it as a header: -H 'Authorization: Basic …'");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of an IPv6 address without a port is inside the brackets.
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().with_context(|| format!("`{port}` is not a valid port"))?)
        }
        _ => (authority, usual),
    };
    if host.is_empty() {
        bail!("`{url}` must have a host: {help}");
    }
    let host = if host.is_ascii() {
        host.to_owned()
    } else {
        idna::domain_to_ascii(host).map_err(|_| anyhow!("`{host}` is not a valid host name"))?
    };
    let target = target.split('#').next().unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut request = Request::new(&host, method, &format!("{slash}{}", encoded(target)));
    request.tunnel_port = port;
    request.tls = tls;
    if !tls {
        request.sni = None;
    }
    request.headers.clear();
    for header in headers {
        let (name, value) = header
            .split_once(':')
            .ok_or_else(|| anyhow!("`{header}` is not a valid header: write it as `Name: value`"))?;
        request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let host = if port == usual { host } else { format!("{host}:{port}") };
        request.headers.push(("Host".to_owned(), host));
    }
    Ok(request)
}

/// Percent-encodes the characters that clients never send as they are.
fn encoded(target: &str) -> String {
    const SPACE: &AsciiSet = &AsciiSet::EMPTY.add(b' ');
    utf8_percent_encode(target, SPACE).to_string()
}
