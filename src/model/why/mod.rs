//! Why a request goes on or not: the verdict of each hop, who decided it, and the smallest change of the
//! manifest that would let it pass. Pure.

pub mod json;

use crate::compile::index::Provenance;
use crate::model::{Authorization, Change, Entry, Model, Reach, Request, Route, Rule, Tls, Verdict, changes, judge};
use crate::target::egress;
use crate::target::pipelock;
use crate::value::allowlist::Admits as _;
use crate::value::credential::Injection;
use crate::value::header::HeaderName;
use crate::value::host::Host;
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::Slot;

/// What becomes of one request, hop by hop.
pub struct Why {
    /// The agent's network, egress and pipelock, in this order.
    pub hops: Vec<Hop>,
    /// What would let a refused request pass. `None` if it passes, or if no manifest can allow it.
    pub edit: Option<Edit>,
}

/// What one hop does.
pub struct Hop {
    /// Its name.
    pub name: &'static str,
    /// What it decides.
    pub outcome: Outcome,
    /// Whether it reads the request in plain text; `None` where it never gets that far.
    pub sees_plaintext: Option<bool>,
    /// What it does, a sentence each, with who decided it.
    pub steps: Vec<Step>,
}

/// What a hop decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The request is passed on.
    Passes,
    /// It ends here; the name of the rule, as the answer of egress has it.
    Refused(&'static str),
    /// An earlier hop refused it.
    NotAsked,
}

/// One thing that a hop does.
pub struct Step {
    /// What, a sentence without a full stop.
    pub says: String,
    /// Who decided it.
    pub from: Option<Provenance>,
}

/// A change of the manifest.
pub struct Edit {
    /// The file, from the manifest's folder; `None` if any manifest of the chain would do.
    pub file: Option<String>,
    /// The route as it must be.
    pub yaml: String,
    /// All that the change gives the agent.
    pub opens: Vec<Change>,
}

impl Why {
    /// Whether the request reaches its host.
    pub fn is_allowed(&self) -> bool {
        self.hops.iter().all(|hop| hop.outcome == Outcome::Passes)
    }
}

/// Follows a request through the hops. `is_filled` says whether a slot will hold a token.
pub fn why(model: &Model, request: &Request, is_filled: impl Fn(Slot) -> bool) -> Why {
    let reach = &model.reach;
    let verdict = judge(&reach.routes, request, &is_filled);
    let edit = match verdict {
        Verdict::Refused(rule) => edit(model, request, rule),
        Verdict::Allowed { .. } => None,
    };
    Why { hops: vec![agent(model), egress(model, request, &verdict), pipelock(model, &verdict)], edit }
}

fn step(says: impl Into<String>, from: Option<&Provenance>) -> Step {
    Step { says: says.into(), from: from.cloned() }
}

fn from<'m>(model: &'m Model, entry: Option<&Entry>) -> Option<&'m Provenance> {
    entry.and_then(|entry| model.index.provenance(entry.file, &entry.pointer))
}

fn agent(model: &Model) -> Hop {
    let at = model.reach.egress.map_or_else(String::new, |address| format!(", at {address}"));
    let mut steps = vec![step(format!("the agent can reach only egress{at}"), None)];
    let broken = model.reach.guards.iter().filter(|guard| !guard.satisfied);
    steps.extend(broken.map(|guard| step(format!("guard does not hold: {}", guard.invariant), None)));
    Hop { name: "agent", outcome: Outcome::Passes, sees_plaintext: None, steps }
}

fn egress(model: &Model, request: &Request, verdict: &Verdict) -> Hop {
    let reach = &model.reach;
    let hop = |outcome, steps| Hop { name: "egress", outcome, sees_plaintext: Some(true), steps };
    let route = reach.routes.iter().find(|route| request.tunnel_host.eq_ignore_ascii_case(route.host.as_str()));
    let at = |key: &str| route.and_then(|route| from(model, reach.at_route(&route.host, key).as_ref()));
    let (route, authorization) = match *verdict {
        Verdict::Allowed { route, authorization } => (route, authorization),
        Verdict::Refused(rule) => {
            // A list of prefixes is somebody's choice; the other rules hold for every bottle.
            let chosen = route.filter(|route| rule == Rule::Path && !route.path_allowlist.is_any());
            let own = Provenance::BuiltIn(rule.as_str().to_owned().into());
            let from = chosen.and_then(|_| at("/path_allowlist/0").or(at(""))).unwrap_or(&own);
            return hop(Outcome::Refused(rule.as_str()), vec![step(refusal(route, request, rule), Some(from))]);
        }
    };
    let host = &route.host;
    let mut steps = vec![step(format!("`{host}` has a route"), at(""))];
    let path = request.target.split('?').next().unwrap_or_default();
    match route.path_allowlist.values().iter().find(|prefix| prefix.admits(path)) {
        Some(prefix) => {
            let entry = reach.at_prefix(host, Some(prefix));
            steps.push(step(format!("the path is below `{}`", prefix.as_str()), from(model, entry.as_ref())));
        }
        None => steps.push(step("any path is allowed except `git push`", None)),
    }
    let (says, key) = match (authorization, &route.credential) {
        (Authorization::Injected(slot), Some(credential)) => {
            let (injection, token) = (&credential.injection, &credential.token_ref);
            let (form, own) = (injection.form(), dropped(injection));
            // A user says nothing of what the service sees.
            let signs = form.scheme.map_or_else(|| injection.describe(), |scheme| format!("as `{scheme}`"));
            (format!("the agent's own {own} removed; egress sends `{token}` {signs}, from {slot}"), "/token_env")
        }
        (Authorization::Kept, _) => {
            ("the agent's own Authorization is kept, if it has one".to_owned(), "/keep_authorization")
        }
        (Authorization::Stripped | Authorization::Injected(_), _) => {
            ("the agent's own Authorization is removed; egress adds none".to_owned(), "")
        }
    };
    steps.push(step(says, at(key)));
    hop(Outcome::Passes, steps)
}

/// What egress takes out of a request that it signs, in words.
fn dropped(injection: &Injection) -> String {
    let header = injection.header().filter(|name| *name != HeaderName::authorization());
    match (header, injection.parameter()) {
        (Some(name), _) => format!("Authorization and `{name}` are"),
        (None, Some(parameter)) => format!("Authorization and query parameter `{parameter}` are"),
        (None, None) => "Authorization is".to_owned(),
    }
}

fn refusal(route: Option<&Route>, request: &Request, rule: Rule) -> String {
    let host = &request.tunnel_host;
    match rule {
        Rule::Internal => "egress failed to check the request".to_owned(),
        Rule::Stale => "egress does not run with the files on disk".to_owned(),
        Rule::Host => format!("`{}` has no route", host.escape_debug()),
        Rule::Port => "only https on port 443 is allowed".to_owned(),
        Rule::Size => "the request target is longer than 16 KiB, or the headers than 256 KiB".to_owned(),
        Rule::Header => "a header contains a control character, which some servers read as its end".to_owned(),
        Rule::Framing => "some server could read the request as another one: a version, coding, `Connection` or \
                          `Upgrade` that does not go on"
            .to_owned(),
        Rule::Authority => format!("the Host header is not for `{host}`, the host of the tunnel"),
        Rule::Method => format!("method `{}` is not allowed", request.method.escape_debug()),
        Rule::GitPush => "it writes to a git repository: `git push` is not allowed".to_owned(),
        Rule::Slot => "the slot of the route's credential is empty".to_owned(),
        Rule::Path => match route.map(|route| &route.path_allowlist).filter(|paths| !paths.is_any()) {
            None => "servers may read the path in different ways".to_owned(),
            Some(paths) => {
                format!("the path, in every way that a server may read it, is not below {}", paths.quoted(" or "))
            }
        },
    }
}

fn pipelock(model: &Model, verdict: &Verdict) -> Hop {
    let reach = &model.reach;
    let hop = |outcome, sees_plaintext, steps| Hop { name: "pipelock", outcome, sees_plaintext, steps };
    let Verdict::Allowed { route, .. } = verdict else { return hop(Outcome::NotAsked, None, Vec::new()) };
    let host = &route.host;
    let Some(tls) = route.tls else {
        let says = format!("`{host}` is not in `api_allowlist`: the files are not from one build");
        return hop(Outcome::Refused("allowlist"), Some(false), vec![step(says, None)]);
    };
    let mut steps =
        vec![step(format!("`{host}` is in `api_allowlist`"), from(model, reach.at_route(host, "").as_ref()))];
    match tls {
        Tls::PassedThrough => {
            let entry = reach.at_spliced(host);
            let says = "TLS is not intercepted (`passthrough_domains`): only the host name is checked";
            steps.push(step(says, from(model, entry.as_ref())));
        }
        Tls::Intercepted => {
            let entry = Entry { file: pipelock::FILE, pointer: "/tls_interception".to_owned() };
            let says = "TLS is intercepted: the request is scanned for secrets, the answer for instructions";
            steps.push(step(says, from(model, Some(&entry))));
        }
    }
    let entry = Entry { file: pipelock::FILE, pointer: "/internal".to_owned() };
    let says = format!("refused anyway if `{host}` resolves to a private address (`internal`)");
    steps.push(step(says, from(model, Some(&entry))));
    for range in &reach.exceptions {
        let from = from(model, reach.at_range(range).as_ref());
        steps.push(step(format!("but addresses in {range} are allowed, for every host (`ssrf`)"), from));
    }
    hop(Outcome::Passes, Some(tls == Tls::Intercepted), steps)
}

/// The smallest change that lets the request pass: a new route or one more prefix, as narrow as the
/// request allows. What no route can allow has none.
fn edit(model: &Model, request: &Request, rule: Rule) -> Option<Edit> {
    let reach = &model.reach;
    let known = reach.routes.iter().position(|route| route.host.as_str() == request.tunnel_host.to_ascii_lowercase());
    match rule {
        Rule::Host | Rule::Path => {}
        Rule::Internal
        | Rule::Stale
        | Rule::Port
        | Rule::Size
        | Rule::Header
        | Rule::Framing
        | Rule::Authority
        | Rule::Method
        | Rule::GitPush
        | Rule::Slot => return None,
    }
    let path = request.target.split('?').next().unwrap_or_default();
    for prefix in prefixes(path) {
        let mut wider = reach.clone();
        let at = match known {
            Some(at) => {
                wider.routes[at].path_allowlist.widen(prefix);
                at
            }
            None => {
                wider.routes.push(Route {
                    host: Host::parse(&request.tunnel_host).ok()?,
                    path_allowlist: Some(prefix).filter(|prefix| prefix.as_str() != "/").into_iter().collect(),
                    credential: None,
                    keeps_authorization: false,
                    tls: Some(Tls::Intercepted),
                });
                wider.routes.len() - 1
            }
        };
        if let Verdict::Allowed { .. } = judge(&wider.routes, request, |_| true) {
            let yaml = yaml(&wider.routes[at]);
            return Some(Edit { file: file(model, reach, known), yaml, opens: changes(reach, &wider) });
        }
    }
    None
}

/// The path and the paths above it that can be prefixes, the longest first.
fn prefixes(path: &str) -> impl Iterator<Item = PathPrefix> {
    let borders = path.match_indices('/').map(|(at, _)| &path[..at.max(1)]).collect::<Vec<_>>();
    let path = path.strip_suffix('/').filter(|path| !path.is_empty()).unwrap_or(path);
    std::iter::once(path).chain(borders.into_iter().rev()).filter_map(|prefix| PathPrefix::parse(prefix).ok())
}

/// Where the route, or the list that a new one belongs to, is written.
fn file(model: &Model, reach: &Reach, known: Option<usize>) -> Option<String> {
    let places = reach.routes.iter().enumerate().filter_map(|(index, _)| {
        let place = model.index.provenance(egress::WIRE, &format!("/routes/{index}"))?;
        match place {
            Provenance::Manifest(_) => Some((index, place.place()?)),
            Provenance::Provider { narrowed_at, .. } => Some((index, narrowed_at.as_deref()?)),
            Provenance::BuiltIn(_) => None,
        }
    });
    let places: Vec<(usize, &str)> = places.collect();
    let own = places.iter().find(|(index, _)| Some(*index) == known);
    let (_, place) = own.or(places.first())?;
    place.split(':').next().map(str::to_owned)
}

fn yaml(route: &Route) -> String {
    let prefixes: Vec<String> =
        route.path_allowlist.values().iter().map(|prefix| format!("        - \"{prefix}\"\n")).collect();
    let list =
        if prefixes.is_empty() { String::new() } else { format!("      path_allowlist:\n{}", prefixes.concat()) };
    format!("egress:\n  routes:\n    - host: {}\n{list}", route.host)
}
