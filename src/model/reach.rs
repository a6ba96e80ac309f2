//! The model: what the agent of a compiled bottle can reach and what it holds, read from the files that
//! the proxies and the engine read. `bottle.json` adds what no other file has: the names of tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::IpNet;

use crate::compile::index::{Index, LaunchSource};
use crate::target::egress::{self, Wire};
use crate::target::pipelock::{self, Pipelock};
use crate::target::{self, agent};
use crate::value::allowlist::Allowlist;
use crate::value::artifact::INDEX;
use crate::value::credential::Injection;
use crate::value::digest::hash;
use crate::value::host::Host;
use crate::value::isolation::{At, Files, Guard, Isolation, Part, Unreadable};
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::Slot;
use crate::value::variable::TokenRef;

/// What an agent can reach and hold.
#[derive(Clone)]
pub struct Reach {
    /// The bottle's name.
    pub name: String,
    /// Whether the account is made up.
    pub hermetic: bool,
    /// The /24 of agent and egress.
    pub subnet: String,
    /// Where the agent finds egress; with several backends, the first one's.
    pub egress: Option<Ipv4Addr>,
    /// Where the variables are that get their values at launch.
    pub bound_at: Option<At>,
    /// Where the network of agent and egress is.
    pub network_at: Option<At>,
    /// The hosts, in the order of the wire file.
    pub routes: Vec<Route>,
    /// Private ranges that any of the hosts may resolve to.
    pub exceptions: BTreeSet<IpNet>,
    /// Tokens that come from the agent's own login on the host.
    pub host_tokens: BTreeSet<TokenRef>,
    /// The agent's variables. Backends may give one different values.
    pub variables: BTreeMap<String, BTreeSet<Value>>,
    /// What keeps the agent in.
    pub guards: Vec<Guard>,
    /// What runs, and how pipelock is set, by name.
    pub parts: BTreeMap<String, Part>,
    /// Variables whose names no summary shows: they hold a placeholder.
    pub hidden: BTreeSet<String>,
    /// Hashes of the files in the agent's home.
    pub home: BTreeMap<String, String>,
}

/// One host that egress lets the agent reach, on port 443.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    pub path_allowlist: Allowlist<PathPrefix>,
    /// What egress signs with.
    pub credential: Option<Credential>,
    /// Whether the agent's own `Authorization` goes through.
    pub keeps_authorization: bool,
    /// What pipelock does with the host. Nothing: it refuses the host.
    pub tls: Option<Tls>,
}

/// A credential on a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// How it is sent.
    pub injection: Injection,
    /// The name of the token.
    pub token_ref: TokenRef,
    /// Where egress finds it.
    pub slot: Slot,
}

/// How pipelock lets a host pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tls {
    /// It opens TLS and scans.
    Intercepted,
    /// It checks the name and sees nothing else.
    PassedThrough,
}

/// What a variable of the agent is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Text of the manifest, the provider or bottlec.
    Literal(String),
    /// The host's variable of that name, at launch.
    Host(String),
    /// The answer to a question, at launch.
    Prompt(String),
}

impl Reach {
    /// The model of a tree and its index.
    ///
    /// # Errors
    /// A file that is missing, or that is not what a build writes.
    pub fn of(files: &Files, index: &Index) -> Result<Reach, Unreadable> {
        let file = |path: &str| files.get(path).ok_or_else(|| Unreadable::new(path, "is missing"));
        let pipelock =
            Pipelock::parse(file(pipelock::FILE)?).map_err(|problem| Unreadable::new(pipelock::FILE, problem))?;
        let lists = pipelock.lists();
        let parse = |range: &String| {
            range.parse::<IpNet>().map_err(|_| Unreadable::new(pipelock::FILE, "not a valid CIDR range"))
        };
        let mut reach = Reach {
            name: index.name().to_owned(),
            hermetic: index.is_hermetic(),
            subnet: index.subnet().to_owned(),
            egress: None,
            bound_at: None,
            network_at: None,
            routes: Vec::new(),
            exceptions: lists.ranges.iter().map(parse).collect::<Result<_, _>>()?,
            host_tokens: index
                .tokens()
                .filter(|token| token.from_host_file)
                .map(|token| token.token_ref.clone())
                .collect(),
            variables: BTreeMap::new(),
            parts: BTreeMap::new(),
            guards: Vec::new(),
            hidden: index.hidden_env_names().map(str::to_owned).collect(),
            home: BTreeMap::new(),
        };
        let bottle = index.identity();
        for target in target::ALL {
            reach.merge(target.read(files, &bottle)?, index);
        }
        let wire = Wire::parse(file(egress::WIRE)?).map_err(|problem| Unreadable::new(egress::WIRE, problem))?;
        reach.guards.push(Guard::enforce(
            "tokens are bound to the hosts that `bottle.json` names for them (`egress/routes.yaml`)",
            index.binds(&wire),
        ));
        for route in wire.routes {
            let credential = match route.credential().map_err(|problem| Unreadable::new(egress::WIRE, problem))? {
                None => None,
                Some((injection, slot)) => {
                    let named = index.tokens().find(|token| token.slot == slot);
                    let named = named.ok_or_else(|| Unreadable::new(INDEX, format!("does not list {slot}")))?;
                    Some(Credential { injection, token_ref: named.token_ref.clone(), slot })
                }
            };
            let tls = match route.host.as_str() {
                host if !lists.hosts.contains(host) => None,
                host if lists.spliced.contains(host) => Some(Tls::PassedThrough),
                _ => Some(Tls::Intercepted),
            };
            reach.routes.push(Route {
                host: route.host,
                path_allowlist: route.path_allowlist,
                credential,
                keeps_authorization: route.keep_authorization == Some(true),
                tls,
            });
        }
        let home = files.iter().filter(|(path, _)| path.starts_with(agent::HOME));
        reach.home = home.map(|(path, text)| (path.clone(), hash(text.as_bytes()))).collect();
        Ok(reach)
    }

    fn merge(&mut self, isolation: Isolation, index: &Index) {
        let Isolation { parts, environment, guards, egress, bound_at, network_at } = isolation;
        self.egress = self.egress.or(egress);
        self.bound_at = self.bound_at.or(bound_at);
        self.network_at = self.network_at.or(network_at);
        self.parts.extend(parts);
        self.guards.extend(guards);
        for (name, text) in environment {
            let bound = || {
                let known = index.launch_variables().find(|variable| variable.name.as_str() == name);
                match known.map(|variable| variable.source) {
                    Some(LaunchSource::Host(host)) => Value::Host(host.as_str().to_owned()),
                    Some(LaunchSource::Prompt(question)) => Value::Prompt(question.to_owned()),
                    // A variable that only the file knows comes from the one who starts the bottle.
                    None => Value::Host(name.clone()),
                }
            };
            let value = text.map_or_else(bound, Value::Literal);
            self.variables.entry(name).or_default().insert(value);
        }
    }

    /// The routes that egress and pipelock both let pass.
    pub fn reachable(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter().filter(|route| route.tls.is_some())
    }

    /// The route that both hops have for a host.
    pub fn route(&self, host: &Host) -> Option<&Route> {
        self.reachable().find(|route| route.host == *host)
    }

    /// The names of every token that egress puts on requests.
    pub fn tokens(&self) -> BTreeSet<&TokenRef> {
        self.reachable().filter_map(|route| route.credential.as_ref()).map(|credential| &credential.token_ref).collect()
    }

    /// Values that the agent is given at launch, by the name of its variable.
    pub fn forwarded(&self) -> impl Iterator<Item = (&str, &Value)> {
        let values = self.variables.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
        values.filter(|(_, value)| !matches!(value, Value::Literal(_))).map(|(name, value)| (name.as_str(), value))
    }

    /// Whether only one of the two has a made-up account in the place of a login: the files of the
    /// agent's home then differ and say nothing.
    pub fn is_of_other_account(&self, other: &Reach) -> bool {
        let have_logins = !self.host_tokens.is_empty() && !other.host_tokens.is_empty();
        have_logins && self.hermetic != other.hermetic
    }

    /// The same walls around nothing: what a bottle that does not exist can reach.
    #[must_use]
    pub fn without_anything(&self) -> Reach {
        let mut variables = self.variables.clone();
        variables.values_mut().for_each(|values| values.retain(|value| matches!(value, Value::Literal(_))));
        Reach {
            name: self.name.clone(),
            hermetic: self.hermetic,
            subnet: self.subnet.clone(),
            egress: self.egress,
            bound_at: self.bound_at,
            network_at: self.network_at,
            routes: Vec::new(),
            exceptions: BTreeSet::new(),
            host_tokens: BTreeSet::new(),
            variables,
            guards: self.guards.clone(),
            parts: self.parts.clone(),
            hidden: self.hidden.clone(),
            home: self.home.clone(),
        }
    }
}

/// Whether the ranges together hold all of this one.
pub(super) fn covers(ranges: &BTreeSet<IpNet>, range: &IpNet) -> bool {
    IpNet::aggregate(&ranges.iter().copied().collect()).iter().any(|wider| wider.contains(range))
}
