//! `bottlec why`: whether a request goes on, and who says so.

mod text;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::ValueEnum;
use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::{Screen, Status, side};
use crate::model::Request;
use crate::model::why::{json, why};

/// Tell whether the agent may make a request: the verdict of each hop, and what would allow it
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Why {
    /// A manifest, or a compiled folder
    bottle: PathBuf,
    /// What is asked for; it is sent as it is written, dots and escapes included
    url: String,
    /// The method
    #[arg(short = 'X', long, value_name = "METHOD", default_value = "GET")]
    method: String,
    /// A header of the request; can be given more than once
    #[arg(short = 'H', long = "header", value_name = "K: V")]
    headers: Vec<String>,
    /// How to show it
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
}

/// How to show a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs; docs/formats.md has the shape
    Json,
}

const EXAMPLES: &str = "\
Examples:
  bottlec why manifest.yaml https://api.github.com/repos/me/project
  bottlec why out/review https://api.github.com/user -X POST
  bottlec why manifest.yaml https://example.com/ -H 'Host: other.example' --format json

Tokens count as set; nothing is sent.

Exit codes: 0 allowed, 1 refused, 2 usage, input/output or internal error.";

impl Why {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let request = request(&self.url, &self.method, &self.headers)?;
        let side = side::open(&self.bottle, screen)?;
        if let Some((path, edit)) = side.stand_ins.iter().find_map(|path| side.edited.get_key_value(path)) {
            bail!("what the tree lets through cannot be told: {}; build it again", edit.told(path));
        }
        let why = why(&side.model, &request, |_| true);
        let text = match self.format {
            Format::Text => text::render(&format!("{} {}", self.method, self.url), &why),
            Format::Json => json::render(&self.url, &self.method, &why),
        };
        for (path, edit) in &side.edited {
            screen.note(format_args!(
                "bottlec: {}; this tells what the other files say, and `exec` does not start the tree",
                edit.told(path)
            ));
        }
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        Ok(if why.is_allowed() { Status::Clean } else { Status::Findings })
    }
}

/// The request that a client makes of a URL that it does not tidy up.
fn request(url: &str, method: &str, headers: &[String]) -> Result<Request> {
    let help = "write it as `https://HOST/PATH`";
    let (scheme, rest) = url.split_once("://").ok_or_else(|| anyhow!("`{url}` is no URL: {help}"))?;
    let (tls, usual) = match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => (true, 443),
        "http" | "ws" => (false, 80),
        _ => bail!("`{scheme}` is not a scheme of the web: {help}"),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.contains('@') {
        bail!("a user in a URL is not sent; give it as a header: -H 'Authorization: Basic …'");
    }
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of a bare IPv6 address is inside brackets.
        Some((host, port)) if !port.contains(']') => {
            (host, port.parse().with_context(|| format!("`{port}` is no port"))?)
        }
        _ => (authority, usual),
    };
    if host.is_empty() {
        bail!("`{url}` names no host: {help}");
    }
    let host = if host.is_ascii() {
        host.to_owned()
    } else {
        idna::domain_to_ascii(host).map_err(|_| anyhow!("`{host}` is no host name"))?
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
        let (name, value) =
            header.split_once(':').ok_or_else(|| anyhow!("`{header}` is no header: write it as `Name: value`"))?;
        request.headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        let host = if port == usual { host } else { format!("{host}:{port}") };
        request.headers.push(("Host".to_owned(), host));
    }
    Ok(request)
}

/// What no client sends as it is, percent-encoded.
fn encoded(target: &str) -> String {
    const SPACE: &AsciiSet = &AsciiSet::EMPTY.add(b' ');
    utf8_percent_encode(target, SPACE).to_string()
}
