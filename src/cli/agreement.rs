//! What of the host's credentials a bottle uses, and what of that its owner agreed to. Read from the tree
//! that is to be started; no value is looked at.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::compile::index::{Index, LaunchSource, LaunchVariable, Provenance};
use crate::link::egress::{self, Wire};
use crate::output::Verified;
use crate::provider;
use crate::provider::host_credential::is_credential;
use crate::text::diagnostic::Refusal;
use crate::text::visible;

/// What an agreement is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Egress sends the token of this name to the host.
    Sent {
        /// The token ref.
        token: String,
        /// The host.
        host: String,
    },
    /// The agent is given the value of this host variable.
    Handed {
        /// The host's variable.
        variable: String,
    },
}

/// A use of a credential, with what its owner should know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What has to be agreed to.
    pub subject: Subject,
    /// The same in words, which are safe to show.
    pub says: String,
    /// Who asks for it: the manifest's `file:line:column`, or a rule of the provider.
    pub asked_by: String,
}

/// All that a bottle would use, in the order of its routes and variables, each once.
///
/// # Errors
/// The tree does not say where its tokens go.
pub fn uses(bottle: &Verified) -> Result<Vec<Use>, Refusal> {
    let unfit = |problem: &str| Refusal::new(problem, "build it again: bottlec build MANIFEST -o DIR");
    let wire = bottle.file(egress::WIRE).and_then(|text| Wire::parse(std::str::from_utf8(text).ok()?).ok());
    let wire = wire.ok_or_else(|| unfit("egress/routes.yaml does not say which token goes where"))?;
    let index = &bottle.index;
    let mut uses = Vec::new();
    for token in index.tokens() {
        let name = token.token_ref.as_str();
        let called = if token.from_host_file {
            format!(
                "your login of {} ({name})",
                provider::find(Some(index.provider())).map_or("an agent", |known| known.name())
            )
        } else {
            name.to_owned()
        };
        let routes = wire.routes.iter().enumerate().filter(|(_, route)| route.token_env == Some(token.slot));
        let before = uses.len();
        uses.extend(routes.map(|(number, route)| Use {
            subject: Subject::Sent { token: name.to_owned(), host: route.host.as_str().to_owned() },
            says: format!("{called} is sent to {}", visible::line(route.host.as_str())),
            asked_by: asked_by(index.provenance(egress::WIRE, &format!("/routes/{number}/token_env"))),
        }));
        if uses.len() == before {
            return Err(unfit(&format!("no route sends the token {name}")));
        }
    }
    uses.extend(index.launch_variables().filter_map(|variable| handed(index, &variable)));
    let mut told = BTreeSet::new();
    uses.retain(|one| told.insert(one.subject.clone()));
    Ok(uses)
}

fn handed(index: &Index, variable: &LaunchVariable) -> Option<Use> {
    let LaunchVariable { name, source, place } = variable;
    // Who answers a question agrees by that.
    let LaunchSource::Host(host) = source else { return None };
    let is_token = || index.tokens().any(|token| token.token_ref.as_str() == host.as_str());
    let holds_credential = is_credential(host.as_str()) || is_credential(name.as_str()) || is_token();
    holds_credential.then(|| Use {
        subject: Subject::Handed { variable: host.as_str().to_owned() },
        says: format!("{host} is given to the agent, as its variable {name}"),
        asked_by: visible::short(place),
    })
}

fn asked_by(provenance: Option<&Provenance>) -> String {
    let decided = provenance.map(|by| by.place().map_or_else(|| by.to_string(), str::to_owned));
    visible::short(&decided.unwrap_or_default())
}

/// What the owner of a checkout agreed to. A format of its own: `docs/formats.md`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The bottle's folder, for people: the file's own is named by a hash.
    #[serde(default)]
    pub folder: String,
    /// Hosts by token.
    #[serde(default)]
    tokens: BTreeMap<String, BTreeSet<String>>,
    /// Host variables that the agent may be given.
    #[serde(default)]
    env: BTreeSet<String>,
}

impl Agreed {
    /// Whether this was agreed to.
    pub fn covers(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Sent { token, host } => self.tokens.get(token).is_some_and(|hosts| hosts.contains(host)),
            Subject::Handed { variable } => self.env.contains(variable),
        }
    }

    /// Agrees to it.
    pub fn add(&mut self, subject: &Subject) {
        match subject.clone() {
            Subject::Sent { token, host } => self.tokens.entry(token).or_default().insert(host),
            Subject::Handed { variable } => self.env.insert(variable),
        };
    }

    /// All of it.
    pub fn subjects(&self) -> impl Iterator<Item = Subject> {
        let sent = |(token, hosts): (&String, &BTreeSet<String>)| {
            let token = token.clone();
            hosts.clone().into_iter().map(move |host| Subject::Sent { token: token.clone(), host })
        };
        let handed = |variable: &String| Subject::Handed { variable: variable.clone() };
        self.tokens.iter().flat_map(sent).chain(self.env.iter().map(handed))
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Subject::Sent { token, host } => write!(f, "{} is sent to {}", visible::line(token), visible::line(host)),
            Subject::Handed { variable } => write!(f, "{} is given to the agent", visible::line(variable)),
        }
    }
}
