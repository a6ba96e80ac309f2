//! `bottle.json` read back: what a launch wants of it.

use serde::Deserialize;

use super::{BuildInputs, FORMAT, FileEntry, Index, Provenance, SlotSource, VariableSource, at_variable};
use crate::target::Identity;
use crate::target::egress::Wire;
use crate::value::guest::is_reserved;
use crate::value::network::Subnet;
use crate::value::slot::{Binding, Slot};
use crate::value::variable::{TokenRef, VariableName};

/// Why a text is no index.
#[derive(Debug, PartialEq, Eq)]
pub enum NotAnIndex {
    /// It is not what a build writes.
    Malformed,
    /// Another bottlec wrote it, in this format.
    OtherFormat(u32),
}

/// All that every release of the format has had: an index of an older one lists our files too.
#[derive(Debug, Deserialize)]
pub struct Listing {
    #[serde(rename = "format")]
    _format: u32,
    /// What the tree was made from.
    pub stamp: BuildInputs,
    /// Every other file of the tree.
    pub files: Vec<FileEntry>,
}

/// A token that egress is given at launch.
pub struct Token<'i> {
    /// The variable that egress reads.
    pub slot: Slot,
    /// The name of the token.
    pub token_ref: &'i TokenRef,
    /// Whether the provider takes it from a file of the host. Else it is the host variable of this name.
    pub from_host_file: bool,
    /// The hosts that it is sent to.
    pub hosts: Vec<&'i str>,
}

/// A variable of the agent that gets its value at launch.
pub struct LaunchVariable<'i> {
    /// Its name.
    pub name: &'i VariableName,
    /// Where the value comes from.
    pub source: LaunchSource<'i>,
    /// The line of the manifest, `file:line:column`.
    pub place: &'i str,
}

/// Where a value comes from at launch.
#[derive(Clone, Copy)]
pub enum LaunchSource<'i> {
    /// The host's variable of that name.
    Host(&'i VariableName),
    /// The answer to a question, which may be empty.
    Prompt(&'i str),
}

impl Index {
    /// Reads what a build wrote.
    ///
    /// # Errors
    /// Another format, and what no build of this one writes.
    pub fn parse(text: &[u8]) -> Result<Index, NotAnIndex> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let Versioned { format } = serde_json::from_slice(text).map_err(|_| NotAnIndex::Malformed)?;
        if format != FORMAT {
            return Err(NotAnIndex::OtherFormat(format));
        }
        let index: Index = serde_json::from_slice(text).map_err(|_| NotAnIndex::Malformed)?;
        // What the types do not say: the names become parts of those of variables on the host.
        let sound = index.launch_variables().all(|variable| {
            let is_sound_source = match variable.source {
                LaunchSource::Host(_) => true,
                LaunchSource::Prompt(question) => !question.contains(char::is_control),
            };
            is_sound_source && !is_reserved(variable.name)
        });
        if sound { Ok(index) } else { Err(NotAnIndex::Malformed) }
    }

    /// Whether the account is made up, so that the bottle cannot sign in.
    pub fn is_hermetic(&self) -> bool {
        self.hermetic
    }

    /// The bottle's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The /24 of agent and egress.
    pub fn subnet(&self) -> &str {
        &self.network.subnet
    }

    /// Which bottle it is of: only what could be a bottle's. The index may be from anywhere, and another text
    /// would hide what a file says.
    pub fn identity(&self) -> Identity {
        Identity { name: Some(self.name.clone()), subnet: Subnet::parse(&self.network.subnet).ok() }
    }

    /// The provider's name.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Who decided what stands at a JSON pointer (RFC 6901) of a file of the tree; the variables of an
    /// env file are `/NAME`. `None` for a file that says nothing of the sort.
    pub fn provenance(&self, file: &str, pointer: &str) -> Option<&Provenance> {
        self.provenance.by(file, pointer)
    }

    /// Whether it lists a variable of the agent.
    pub fn has_variable(&self, name: &str) -> bool {
        self.env.keys().any(|known| known.as_str() == name)
    }

    /// The variables whose names no summary shows.
    pub fn hidden_env_names(&self) -> impl Iterator<Item = &str> {
        self.hidden_env_names.iter().map(VariableName::as_str)
    }

    /// The tokens that egress is given.
    pub fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        self.slots.iter().map(|entry| Token {
            slot: entry.slot,
            token_ref: &entry.token_ref,
            from_host_file: match entry.source {
                SlotSource::HostVariable => false,
                SlotSource::HostFile { .. } => true,
            },
            hosts: self
                .routes
                .iter()
                .filter(|route| route.auth.as_ref().is_some_and(|auth| auth.slot == entry.slot))
                .map(|route| route.host.as_str())
                .collect(),
        })
    }

    /// What binds the slots to their tokens and hosts. `None` if no route is signed.
    pub fn binding(&self) -> Option<Binding> {
        Binding::of(self.tokens().map(|token| (token.slot, token.token_ref, token.hosts)))
    }

    /// Whether the wire file sends these tokens to these hosts, and says so.
    pub fn binds(&self, wire: &Wire) -> bool {
        let hosts = |slot: Slot| {
            let signed = wire.routes.iter().filter(move |route| route.token_env == Some(slot));
            signed.map(|route| route.host.as_str()).collect()
        };
        let is_known = |slot: Slot| self.slots.iter().any(|entry| entry.slot == slot);
        let sent = Binding::of(self.slots.iter().map(|entry| (entry.slot, &entry.token_ref, hosts(entry.slot))));
        wire.routes.iter().all(|route| route.token_env.is_none_or(is_known))
            && sent == self.binding()
            && wire.slots == sent
    }

    /// The agent's variables that get their values at launch.
    pub fn launch_variables(&self) -> impl Iterator<Item = LaunchVariable<'_>> {
        self.env.iter().filter_map(|(name, source)| {
            let source = match source {
                VariableSource::Literal => return None,
                VariableSource::HostVariable(host) => LaunchSource::Host(host),
                VariableSource::Prompt(question) => LaunchSource::Prompt(question),
            };
            let place = match self.provenance.by_entry(&at_variable(name)) {
                Some(Provenance::Manifest(place)) => place,
                Some(Provenance::Provider { .. } | Provenance::BuiltIn(_)) | None => "",
            };
            Some(LaunchVariable { name, source, place })
        })
    }
}
