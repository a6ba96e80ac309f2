//! What a change of a bottle gives the agent or takes from it: one finding for each thing that differs
//! between two models, with a grade.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::parts::{guards, parts, rest};
use super::reach::{Credential, Reach, Route, Tls, Value, covers};
use crate::provider::host_credential::is_credential;
use crate::text::diagnostic::{Code, Grade};
use crate::value::host::Host;
use crate::value::path_prefix::PathPrefix;
use crate::value::variable::TokenRef;

/// One difference between two bottles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What differs.
    pub topic: Topic,
    /// Which way.
    pub direction: Direction,
    /// The rule that grades it.
    pub code: Code,
    /// What it means, in one sentence without a full stop.
    pub message: String,
    /// Where it is.
    pub entry: Option<Entry>,
    /// Whether that is in the old tree: nothing of it is in the new one.
    pub is_gone: bool,
}

impl Change {
    /// How grave it is.
    pub fn grade(&self) -> Grade {
        self.code.grade().unwrap_or(Grade::Info)
    }
}

/// What differs. Two models have at most one change of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether a host can be reached.
    Host(Host),
    /// Whether paths below a prefix can be; without one, every path.
    Path(Host, Option<PathPrefix>),
    /// Whether egress signs with a token.
    Credential(Host, TokenRef),
    /// How it does.
    Scheme(Host, TokenRef),
    /// Whether the agent's own credential goes through.
    OwnCredential(Host),
    /// Whether pipelock looks away.
    Splice(Host),
    /// Whether names may resolve to a private range.
    Range(IpNet),
    /// Whether a token comes from the host's login.
    HostLogin(TokenRef),
    /// Whether the agent is given a value at launch.
    Forwarded(String, Value),
    /// The text of a variable.
    Literal(String),
    /// Whether a guard stands.
    Guard(&'static str),
    /// Whether an entry of the tree is as a build writes it.
    Edited(String),
    /// Whether there is a compiled tree.
    Tree,
    /// The manifest itself.
    Manifest,
    /// What a policy forbids.
    Policy(String),
    /// What the project's configuration asks for.
    Configuration(String),
    /// What a part runs.
    Image(String),
    /// The text of the manifest's own Dockerfile.
    Dockerfile,
    /// Whether a part is there.
    Part(String),
    /// A setting of a part.
    Setting(String, String),
    /// A file in the agent's home.
    HomeFile(String),
    /// The bottle's name.
    Name,
    /// The bottle's network.
    Subnet,
}

/// Which way a difference goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The agent gains.
    Gain,
    /// The agent loses.
    Loss,
    /// Neither.
    Other,
}

/// A place in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The file.
    pub file: &'static str,
    /// The JSON pointer in it.
    pub pointer: String,
}

/// What the agent of `new` gains and loses against that of `old`, the gravest first.
pub fn changes(old: &Reach, new: &Reach) -> Vec<Change> {
    let mut found = Vec::new();
    let hosts: BTreeSet<&Host> = old.reachable().chain(new.reachable()).map(|route| &route.host).collect();
    for host in hosts {
        match (old.route(host), new.route(host)) {
            (None, Some(route)) => host_added(&mut found, old, new, route),
            (Some(route), None) => host_removed(&mut found, old, route),
            (Some(before), Some(after)) => route_changed(&mut found, (old, before), (new, after)),
            (None, None) => {}
        }
    }
    ranges(&mut found, old, new);
    host_logins(&mut found, old, new);
    variables(&mut found, old, new);
    guards(&mut found, old, new);
    parts(&mut found, old, new);
    rest(&mut found, old, new);
    sort(&mut found);
    found
}

/// Puts the gravest first.
pub fn sort(changes: &mut [Change]) {
    changes.sort_by(|a, b| (b.grade(), a.code, &a.topic).cmp(&(a.grade(), b.code, &b.topic)));
}

/// The change that says that the Dockerfile of the manifest has another text, under the same path.
pub fn rebuilt(new: &Reach) -> Change {
    let message = "the Dockerfile of the agent's image has changed".to_owned();
    let entry = new.at_agent_image();
    Change { entry, ..change(Topic::Dockerfile, Direction::Other, Code::OtherImage, message) }
}

pub(super) fn change(topic: Topic, direction: Direction, code: Code, message: String) -> Change {
    Change { topic, direction, code, message, entry: None, is_gone: direction == Direction::Loss }
}

pub(super) fn gain(found: &mut Vec<Change>, topic: Topic, code: Code, entry: Option<Entry>, message: String) {
    found.push(Change { entry, ..change(topic, Direction::Gain, code, message) });
}

pub(super) fn loss(found: &mut Vec<Change>, topic: Topic, entry: Option<Entry>, message: String) {
    found.push(Change { entry, ..change(topic, Direction::Loss, Code::Narrowed, message) });
}

fn host_added(found: &mut Vec<Change>, old: &Reach, new: &Reach, route: &Route) {
    let host = &route.host;
    let message = format!("`{host}` can be reached, {}", route.path_allowlist.describe());
    gain(found, Topic::Host(host.clone()), Code::NewHost, new.at_route(host, ""), message);
    if let Some(credential) = &route.credential {
        credential_added(found, old, new, host, credential);
    }
    if route.keeps_authorization {
        own_credential(found, new, host, true);
    }
    if route.tls == Some(Tls::PassedThrough) {
        spliced(found, new, host, true);
    }
}

fn host_removed(found: &mut Vec<Change>, old: &Reach, route: &Route) {
    let host = &route.host;
    let message = format!("`{host}` can no longer be reached");
    loss(found, Topic::Host(host.clone()), old.at_route(host, ""), message);
    if let Some(credential) = &route.credential {
        credential_removed(found, old, host, credential);
    }
    if route.keeps_authorization {
        own_credential(found, old, host, false);
    }
    if route.tls == Some(Tls::PassedThrough) {
        spliced(found, old, host, false);
    }
}

fn route_changed(found: &mut Vec<Change>, (old, before): (&Reach, &Route), (new, after): (&Reach, &Route)) {
    let host = &after.host;
    for prefix in after.path_allowlist.uncovered(&before.path_allowlist) {
        let topic = Topic::Path(host.clone(), prefix.cloned());
        let entry = new.at_prefix(host, prefix);
        gain(found, topic, Code::WidenedPath, entry, format!("`{host}` can be reached {}", below(prefix)));
    }
    for prefix in before.path_allowlist.uncovered(&after.path_allowlist) {
        let topic = Topic::Path(host.clone(), prefix.cloned());
        if prefix.is_none() {
            // What takes the other paths away is what the new tree says.
            let entry = new.at_prefix(host, after.path_allowlist.values().first());
            let message = format!("`{host}` can be reached only {}", after.path_allowlist.describe());
            found.push(Change { entry, is_gone: false, ..change(topic, Direction::Loss, Code::Narrowed, message) });
        } else {
            let entry = old.at_prefix(host, prefix);
            loss(found, topic, entry, format!("`{host}` can no longer be reached {}", below(prefix)));
        }
    }
    match (&before.credential, &after.credential) {
        (Some(old_credential), Some(credential)) if old_credential.token_ref == credential.token_ref => {
            let (now, was) = (&credential.injection, &old_credential.injection);
            if now != was {
                let token = &credential.token_ref;
                let topic = Topic::Scheme(host.clone(), token.clone());
                let message = format!("`{token}` is sent to `{host}` {}, not {}", now.describe(), was.describe());
                let entry = new.at_route(host, &format!("/auth_{}", now.differing_key(was)));
                found.push(Change { entry, ..change(topic, Direction::Other, Code::NewCredential, message) });
            }
        }
        (before, after) => {
            if let Some(credential) = after {
                credential_added(found, old, new, host, credential);
            }
            if let Some(credential) = before {
                credential_removed(found, old, host, credential);
            }
        }
    }
    if before.keeps_authorization != after.keeps_authorization {
        let keeps = after.keeps_authorization;
        own_credential(found, if keeps { new } else { old }, host, keeps);
    }
    if before.tls != after.tls {
        let is_spliced = after.tls == Some(Tls::PassedThrough);
        spliced(found, if is_spliced { new } else { old }, host, is_spliced);
    }
}

fn below(prefix: Option<&PathPrefix>) -> String {
    prefix.map_or_else(|| "at every path".to_owned(), |prefix| format!("below `{prefix}`"))
}

/// A credential that the bottle had already must not come to more hosts unseen; one that is new to the
/// bottle, on a host that could be reached, is a lesser thing.
fn credential_added(found: &mut Vec<Change>, old: &Reach, new: &Reach, host: &Host, credential: &Credential) {
    let token = &credential.token_ref;
    let was_reachable = old.route(host).is_some();
    let code =
        if was_reachable && !old.tokens().contains(token) { Code::NewCredential } else { Code::CredentialReachesHost };
    let message = format!("egress sends `{token}` to `{host}` {}", credential.injection.describe());
    gain(found, Topic::Credential(host.clone(), token.clone()), code, new.at_route(host, "/token_env"), message);
}

fn credential_removed(found: &mut Vec<Change>, old: &Reach, host: &Host, credential: &Credential) {
    let token = &credential.token_ref;
    let message = format!("egress no longer sends `{token}` to `{host}`");
    loss(found, Topic::Credential(host.clone(), token.clone()), old.at_route(host, "/token_env"), message);
}

fn own_credential(found: &mut Vec<Change>, reach: &Reach, host: &Host, is_kept: bool) {
    let topic = Topic::OwnCredential(host.clone());
    let entry = reach.at_route(host, "/keep_authorization");
    if is_kept {
        let message = format!("a credential of the agent's own reaches `{host}`");
        gain(found, topic, Code::OwnCredential, entry, message);
    } else {
        loss(found, topic, entry, format!("a credential of the agent's own no longer reaches `{host}`"));
    }
}

fn spliced(found: &mut Vec<Change>, reach: &Reach, host: &Host, is_spliced: bool) {
    let topic = Topic::Splice(host.clone());
    let entry = reach.at_spliced(host);
    if is_spliced {
        let message = format!("pipelock does not intercept TLS for `{host}`: only the host name is checked");
        gain(found, topic, Code::NotScanned, entry, message);
    } else {
        loss(found, topic, entry, format!("pipelock intercepts TLS for `{host}`"));
    }
}

fn ranges(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    for range in new.exceptions.iter().filter(|range| !covers(&old.exceptions, range)) {
        let message = format!("any host of the bottle may resolve to {range}, a private range");
        gain(found, Topic::Range(*range), Code::PrivateRange, new.at_range(range), message);
    }
    for range in old.exceptions.iter().filter(|range| !covers(&new.exceptions, range)) {
        let message = format!("hosts may no longer resolve to every address in {range}");
        loss(found, Topic::Range(*range), old.at_range(range), message);
    }
}

fn host_logins(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    for token in new.host_tokens.difference(&old.host_tokens) {
        let message = format!("`{token}` is taken from the agent's login on the host");
        gain(found, Topic::HostLogin(token.clone()), Code::HostLogin, new.at_token(token), message);
    }
    for token in old.host_tokens.difference(&new.host_tokens) {
        let message = format!("`{token}` is no longer taken from the agent's login on the host");
        loss(found, Topic::HostLogin(token.clone()), old.at_token(token), message);
    }
}

fn variables(found: &mut Vec<Change>, old: &Reach, new: &Reach) {
    let before: BTreeSet<(&str, &Value)> = old.forwarded().collect();
    let after: BTreeSet<(&str, &Value)> = new.forwarded().collect();
    let tokens: BTreeSet<&str> = old.tokens().into_iter().chain(new.tokens()).map(TokenRef::as_str).collect();
    for (name, value) in after.difference(&before).copied() {
        let topic = Topic::Forwarded(name.to_owned(), value.clone());
        let entry = new.at_variable(name);
        match value {
            Value::Host(host) if tokens.contains(host.as_str()) || host.starts_with(crate::value::slot::PREFIX) => {
                let message = format!("`{host}`, so far visible to egress only, is passed to the agent as `{name}`");
                gain(found, topic, Code::ExposedToken, entry, message);
            }
            Value::Host(host) if is_credential(host) || is_credential(name) => {
                let message = format!("the host's variable `{host}`, a credential, is passed to the agent as `{name}`");
                gain(found, topic, Code::ExposedToken, entry, message);
            }
            value => {
                let message = format!("{} is passed to the agent as `{name}`", given(value));
                gain(found, topic, Code::ForwardedValue, entry, message);
            }
        }
    }
    for (name, value) in before.difference(&after).copied() {
        let topic = Topic::Forwarded(name.to_owned(), value.clone());
        let message = format!("{} is no longer passed to the agent as `{name}`", given(value));
        loss(found, topic, old.at_variable(name), message);
    }
    let literals = |reach: &Reach| -> BTreeMap<String, BTreeSet<Value>> {
        let mut variables = reach.variables.clone();
        variables.values_mut().for_each(|values| values.retain(|value| matches!(value, Value::Literal(_))));
        variables.retain(|_, values| !values.is_empty());
        variables
    };
    let (before, after) = (literals(old), literals(new));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let (is_gone, what) = match (before.get(name), after.get(name)) {
            // What was given at launch, or is now, was told above.
            (None, Some(_)) if old.variables.contains_key(name) => continue,
            (Some(_), None) if new.variables.contains_key(name) => continue,
            (None, Some(_)) => (false, "is set"),
            (Some(_), None) => (true, "is no longer set"),
            (before, after) if before != after => (false, "has changed"),
            _ => continue,
        };
        let message = match old.hidden.contains(name) || new.hidden.contains(name) {
            true => format!("a placeholder for the agent's credential {what}"),
            false => format!("the agent's variable `{name}` {what}"),
        };
        let entry = if is_gone { old } else { new }.at_variable(name);
        let topic = Topic::Literal(name.clone());
        found.push(Change { entry, is_gone, ..change(topic, Direction::Other, Code::SameReach, message) });
    }
}

/// A value that is bound at launch, in words.
fn given(value: &Value) -> String {
    match value {
        Value::Host(name) => format!("the host's variable `{name}`"),
        Value::Prompt(question) if !question.is_empty() => format!("the answer to `{question}`"),
        Value::Prompt(_) | Value::Literal(_) => "the value entered at launch".to_owned(),
    }
}
