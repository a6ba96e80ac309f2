//! Which of the host's credentials a bottle uses, and which of these uses its owner has allowed. Read from
//! the tree that is about to start; no value is read.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::compile::index::{Index, LaunchSource, LaunchVariable, Provenance};
use crate::output::Verified;
use crate::provider;
use crate::provider::host_credential::is_credential;
use crate::target::egress::{self, Wire};
use crate::text::diagnostic::Problem;
use crate::text::visible;

/// What an owner can allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// egress sends this token to this host.
    Sent {
        /// The name of the token.
        token: String,
        /// The host.
        host: String,
    },
    /// The value of this host variable is passed to the agent.
    Handed {
        /// The name on the host.
        variable: String,
    },
}

/// One use of a credential, as shown to its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// What has to be allowed.
    pub subject: Subject,
    /// The same as a message that is safe to print.
    pub message: String,
    /// What requests it: `file:line:column` in the manifest, or a rule of the provider.
    pub asked_by: String,
}

/// Every use of a credential by a bottle, in the order of its routes and variables, without duplicates.
///
/// # Errors
/// The tree does not say where its tokens are sent.
pub fn uses(bottle: &Verified) -> Result<Vec<Use>, Problem> {
    let invalid = |problem: &str| Problem::new(problem, "rebuild it: bottlec build MANIFEST -o DIR");
    let wire = bottle.file(egress::WIRE).and_then(|text| Wire::parse(std::str::from_utf8(text).ok()?).ok());
    let wire = wire.ok_or_else(|| invalid("egress/routes.yaml does not say which token is sent to which host"))?;
    let index = &bottle.index;
    let mut uses = Vec::new();
    for token in index.tokens() {
        let name = token.token_ref.as_str();
        let called = if token.from_host_file {
            format!(
                "your {} login ({name})",
                provider::find(Some(index.provider())).map_or("agent", |known| known.name())
            )
        } else {
            name.to_owned()
        };
        let routes = wire.routes.iter().enumerate().filter(|(_, route)| route.token_env == Some(token.slot));
        let before = uses.len();
        uses.extend(routes.map(|(number, route)| Use {
            subject: Subject::Sent { token: name.to_owned(), host: route.host.as_str().to_owned() },
            message: format!("{called} is sent to {}", visible::line(route.host.as_str())),
            asked_by: asked_by(index.provenance(egress::WIRE, &format!("/routes/{number}/token_env"))),
        }));
        if uses.len() == before {
            return Err(invalid(&format!("no route sends the token {name}")));
        }
    }
    uses.extend(index.launch_variables().filter_map(|variable| handed(index, &variable)));
    let mut seen = BTreeSet::new();
    uses.retain(|one| seen.insert(one.subject.clone()));
    Ok(uses)
}

fn handed(index: &Index, variable: &LaunchVariable) -> Option<Use> {
    let LaunchVariable { name, source, place } = variable;
    // Answering a question is agreeing to it.
    let LaunchSource::Host(host) = source else { return None };
    let is_token = || index.tokens().any(|token| token.token_ref.as_str() == host.as_str());
    let holds_credential = is_credential(host.as_str()) || is_credential(name.as_str()) || is_token();
    holds_credential.then(|| Use {
        subject: Subject::Handed { variable: host.as_str().to_owned() },
        message: format!("{host} is passed to the agent as {name}"),
        asked_by: visible::short(place),
    })
}

fn asked_by(provenance: Option<&Provenance>) -> String {
    let decided = provenance.map(|by| by.place().map_or_else(|| by.to_string(), str::to_owned));
    visible::short(&decided.unwrap_or_default())
}

/// What the owner of a checkout has allowed. The format is documented in `docs/formats.md`.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    /// The bottle's folder, for readers: the file itself is named by a hash.
    #[serde(default)]
    pub folder: String,
    /// Hosts by token.
    #[serde(default)]
    tokens: BTreeMap<String, BTreeSet<String>>,
    /// Host variables that may be passed to the agent.
    #[serde(default)]
    env: BTreeSet<String>,
}

impl Agreed {
    /// Whether this is allowed.
    pub fn covers(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Sent { token, host } => self.tokens.get(token).is_some_and(|hosts| hosts.contains(host)),
            Subject::Handed { variable } => self.env.contains(variable),
        }
    }

    /// Allows it.
    pub fn add(&mut self, subject: &Subject) {
        match subject.clone() {
            Subject::Sent { token, host } => self.tokens.entry(token).or_default().insert(host),
            Subject::Handed { variable } => self.env.insert(variable),
        };
    }

    /// Everything that is allowed.
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
            Subject::Handed { variable } => write!(f, "{} is passed to the agent", visible::line(variable)),
        }
    }
}
