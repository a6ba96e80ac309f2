//! What a change does to the reach of an agent, drawn: the hosts that it can newly reach, or no longer, as a Mermaid
//! flowchart. Host names and paths come from whoever proposes the change; none of them can be anything but text in it.

use std::fmt::Write as _;

use super::Review;
use crate::model::{Direction, Topic};
use crate::value::host::Host;
use crate::value::path_prefix::PathPrefix;

/// The maximum number of hosts that are drawn.
const HOSTS: usize = 20;

/// The maximum number of lines on an arrow, and of paths on a line.
const LINES: usize = 4;

/// The maximum length of a path, in characters.
const PATH: usize = 40;

/// A drawing.
pub(super) struct Picture {
    /// The chart, ready for a block of Markdown.
    pub(super) chart: String,
    /// What its arrows mean.
    pub(super) legend: &'static str,
}

/// How an arrow is drawn.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Something is gone, and nothing new.
    Lost,
    /// Something is new.
    Gained,
    /// A credential comes along.
    Signed,
}

impl Kind {
    fn arrow(self) -> &'static str {
        match self {
            Kind::Lost => "-.->",
            Kind::Gained => "-->",
            Kind::Signed => "==>",
        }
    }
}

/// The way to one host.
struct Way<'r> {
    host: &'r Host,
    kind: Kind,
    labels: Vec<String>,
}

/// Draws what changes about the reach. `None` if nothing does.
pub(super) fn draw(review: &Review) -> Option<Picture> {
    let ways = ways(review);
    if ways.is_empty() {
        return None;
    }
    let mut chart = "flowchart LR\n  agent[\"agent\"] --> egress[\"egress\"]\n".to_owned();
    for (number, Way { host, kind, labels }) in ways.iter().take(HOSTS).enumerate() {
        let mut lines: Vec<String> = labels.iter().take(LINES).map(|label| inert(label)).collect();
        lines.extend(more(labels.len(), LINES));
        let (arrow, host) = (kind.arrow(), inert(host.as_str()));
        let _ = writeln!(chart, "  egress {arrow}|\"{}\"| n{number}[\"{host}\"]", lines.join("<br/>"));
    }
    if let Some(more) = more(ways.len(), HOSTS) {
        let _ = writeln!(chart, "  egress --> n{HOSTS}[\"{more} hosts\"]");
    }
    Some(Picture { chart, legend: "Thick: with a credential. Dashed: less than before." })
}

fn more(count: usize, shown: usize) -> Option<String> {
    (count > shown).then(|| format!("{} more", count - shown))
}

/// The hosts, that of the gravest change first.
fn ways(review: &Review) -> Vec<Way<'_>> {
    let mut ways: Vec<Way> = Vec::new();
    for graded in &review.changes {
        let is_gain = graded.change.direction == Direction::Gain;
        let (host, kind, label) = match &graded.change.topic {
            Topic::Host(host) if is_gain => {
                let paths = review.reachable.get(host).map(|paths| paths.values()).unwrap_or_default();
                (host, Kind::Gained, format!("new, {}", listed(paths)))
            }
            Topic::Host(host) => (host, Kind::Lost, "no longer".to_owned()),
            Topic::Path(host, prefix) if is_gain => {
                (host, Kind::Gained, format!("now also {}", listed(prefix.as_slice())))
            }
            Topic::Path(host, Some(prefix)) => (host, Kind::Lost, format!("no longer {}", short(prefix))),
            Topic::Path(host, None) => {
                let paths = review.reachable.get(host).map(|paths| paths.values()).unwrap_or_default();
                (host, Kind::Lost, format!("now only {}", listed(paths)))
            }
            Topic::Credential(host, token) if is_gain => (host, Kind::Signed, format!("with {}", token.as_str())),
            Topic::Credential(host, token) => (host, Kind::Lost, format!("no longer with {}", token.as_str())),
            Topic::OwnCredential(host) if is_gain => {
                (host, Kind::Signed, "with a credential of the agent's own".to_owned())
            }
            Topic::OwnCredential(host) => {
                (host, Kind::Lost, "no longer with a credential of the agent's own".to_owned())
            }
            Topic::Scheme(..)
            | Topic::Splice(_)
            | Topic::Range(_)
            | Topic::HostLogin(_)
            | Topic::Forwarded(..)
            | Topic::Literal(_)
            | Topic::Guard(_)
            | Topic::Edited(_)
            | Topic::Tree
            | Topic::Manifest
            | Topic::Image(_)
            | Topic::Dockerfile
            | Topic::Part(_)
            | Topic::Setting(..)
            | Topic::HomeFile(_)
            | Topic::Name
            | Topic::Subnet
            | Topic::Policy(_)
            | Topic::Configuration(_) => continue,
        };
        match ways.iter_mut().find(|way| way.host == host) {
            Some(way) => {
                way.kind = way.kind.max(kind);
                way.labels.push(label);
            }
            None => ways.push(Way { host, kind, labels: vec![label] }),
        }
    }
    ways
}

fn listed(paths: &[PathPrefix]) -> String {
    if paths.is_empty() {
        return "any path".to_owned();
    }
    let shown = paths.iter().take(LINES).map(short);
    shown.chain(more(paths.len(), LINES)).collect::<Vec<_>>().join(", ")
}

fn short(path: &PathPrefix) -> String {
    let path = path.as_str();
    match path.char_indices().nth(PATH) {
        Some((end, _)) => format!("{}...", &path[..end]),
        None => path.to_owned(),
    }
}

/// A text that Mermaid, its Markdown and a browser can only take for text: all but letters, digits and a few signs that
/// mean nothing to any of the three are written as character codes.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'a'..='z' | 'A'..='Z' | '0'..='9' | ' ' | '.' | ',' | '/' | '-' => inert.push(char),
            '!'..='~' => {
                let _ = write!(inert, "#{};", u32::from(char));
            }
            _ => inert.push_str("#65533;"),
        }
    }
    inert
}
