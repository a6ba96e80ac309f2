//! `bottle.json`: the plan for machines. Routes with their origin, slots, variables by name, and the
//! hash of every other file. No value of a variable or token is in it.

mod compare;
mod provenance;
mod read;
mod stamp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::link::egress::{Egress, Route};
use crate::link::environment::Environment;
use crate::manifest::bottle::Bottle;
use crate::manifest::written::Written;
use crate::provider::plan::AgentProvisionPlan;
use crate::target::{Addresses, Backend};
use crate::text::source::Sources;
use crate::value::allowlist::Allowlist;
use crate::value::artifact::Artifact;
use crate::value::credential::Injection;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::name::BottleName;
use crate::value::origin::Origins;
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::Slot;
use crate::value::variable::{Binding, TokenRef, VariableName};
pub use provenance::Provenance;
pub use read::{LaunchSource, LaunchVariable, Listing, NotAnIndex, Token};
pub use stamp::Stamp;

/// The version of the layout of `bottle.json`. Keys are added without a new one.
const FORMAT: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Index {
    format: u32,
    /// The bottle's name.
    name: BottleName,
    /// Set when the account is made up: the tree is for comparison and cannot sign in.
    hermetic: bool,
    /// What it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stamp: Option<Stamp>,
    /// The manifest, so that the tree can be judged without it.
    #[serde(default)]
    manifest: Written,
    /// What the tree was built for.
    #[serde(default)]
    backends: Vec<Backend>,
    provider: String,
    command: Vec<String>,
    home: String,
    network: Addresses,
    routes: Vec<RouteEntry>,
    slots: Vec<SlotEntry>,
    env: Vec<VariableEntry>,
    hidden_env_names: Vec<VariableName>,
    /// Who decides the entries of the configuration files: by path, then by JSON pointer.
    #[serde(default)]
    provenance: BTreeMap<String, provenance::Entries>,
    /// Every other file of the tree.
    pub files: Vec<FileEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RouteEntry {
    host: Host,
    path_allowlist: Allowlist<PathPrefix>,
    auth: Option<AuthEntry>,
    tls_passthrough: bool,
    keep_authorization: bool,
    ssrf_ip_allowlist: Vec<String>,
    from: Provenance,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct AuthEntry {
    #[serde(flatten)]
    injection: Injection,
    slot: Slot,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct SlotEntry {
    slot: Slot,
    token_ref: TokenRef,
    source: SlotSource,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Provenance>,
}

/// Where a token comes from at launch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SlotSource {
    /// The host variable that the token ref names.
    HostVariable,
    /// A string in a file of the host.
    HostFile { folder_variable: String, name: String, in_home: String, json_pointer: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct VariableEntry {
    name: VariableName,
    source: VariableSource,
    from: Provenance,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VariableSource {
    /// Text in the artifacts.
    Literal,
    /// The host's variable of this name, at launch.
    HostVariable(VariableName),
    /// The answer to this question, at launch.
    Prompt(String),
}

/// One file of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// The path from the folder of `bottle.json`.
    pub path: String,
    /// Permissions, octal.
    pub mode: String,
    /// SHA-256 of the content, hexadecimal.
    pub sha256: String,
}

impl FileEntry {
    fn of(artifact: &Artifact) -> Self {
        FileEntry { path: artifact.path.clone(), mode: format!("{:04o}", artifact.mode()), sha256: artifact.sha256() }
    }
}

/// What the index is made from.
pub struct Compiled<'c> {
    /// The manifest, checked.
    pub bottle: &'c Bottle,
    /// The provider's plan.
    pub plan: &'c AgentProvisionPlan,
    /// The merged routes.
    pub egress: &'c Egress,
    /// The agent's variables.
    pub environment: &'c Environment,
    /// Who decides the entries of the files, by path.
    pub origins: BTreeMap<String, Origins>,
    /// Whether the account is made up.
    pub hermetic: bool,
    /// What the tree is for.
    pub backends: &'c [Backend],
    /// The texts, for origins.
    pub sources: &'c Sources,
}

impl Index {
    /// The index of a compiled bottle with these files.
    pub fn of(mut compiled: Compiled, artifacts: &[Artifact]) -> Self {
        let origins = std::mem::take(&mut compiled.origins);
        let Compiled { bottle, plan, egress, environment: _, origins: _, hermetic, backends, sources } = &compiled;
        Index {
            format: FORMAT,
            name: bottle.name.clone(),
            hermetic: *hermetic,
            stamp: Some(Stamp::of(sources)),
            manifest: bottle.written.clone(),
            backends: backends.to_vec(),
            provider: plan.provider.to_owned(),
            command: plan.command.clone(),
            home: plan.home.to_owned(),
            network: Addresses::of(bottle.subnet),
            routes: egress.routes.iter().map(|route| RouteEntry::of(route, sources)).collect(),
            slots: slots(&compiled),
            env: variables(&compiled),
            hidden_env_names: plan.hidden_env_names.iter().cloned().collect(),
            provenance: origins
                .into_iter()
                .map(|(path, origins)| (path, provenance::entries(origins, sources)))
                .collect(),
            files: artifacts.iter().map(FileEntry::of).collect(),
        }
    }
}

impl RouteEntry {
    fn of(route: &Route, sources: &Sources) -> Self {
        let Route { host, path_allowlist, auth, keep_authorization, tls_passthrough, ssrf_ip_allowlist, origin } =
            route;
        RouteEntry {
            host: host.clone(),
            path_allowlist: path_allowlist.clone(),
            auth: auth.as_ref().map(|(auth, slot)| AuthEntry { injection: auth.injection.clone(), slot: *slot }),
            tls_passthrough: *tls_passthrough,
            keep_authorization: *keep_authorization,
            ssrf_ip_allowlist: ssrf_ip_allowlist.iter().map(ToString::to_string).collect(),
            from: Provenance::of(origin, sources),
        }
    }
}

fn slots(compiled: &Compiled) -> Vec<SlotEntry> {
    let Compiled { bottle, plan, egress, sources, .. } = compiled;
    let source = |token_ref: &TokenRef| match plan.provisioned_env.get(token_ref) {
        None => SlotSource::HostVariable,
        Some(provision) => SlotSource::HostFile {
            folder_variable: provision.file.folder_variable.to_owned(),
            name: provision.file.name.to_owned(),
            in_home: provision.file.in_home.to_owned(),
            json_pointer: provision.file.token_pointer.to_owned(),
        },
    };
    let origins = egress.slot_origins(&bottle.routes);
    let entry = |(slot, token_ref): (&Slot, &TokenRef)| SlotEntry {
        slot: *slot,
        token_ref: token_ref.clone(),
        source: source(token_ref),
        from: origins.get(slot).map(|origin| Provenance::of(origin, sources)),
    };
    egress.slots.iter().map(entry).collect()
}

/// bottlec's own variables, then the provider's, then the manifest's.
fn variables(compiled: &Compiled) -> Vec<VariableEntry> {
    let Compiled { bottle, plan, environment, sources, .. } = compiled;
    let entry = |name: &VariableName| VariableEntry {
        name: name.clone(),
        source: match bottle.env.get(name).map(|variable| &variable.binding) {
            None | Some(Binding::Literal(_)) => VariableSource::Literal,
            Some(Binding::Host(host)) => VariableSource::HostVariable(host.clone()),
            Some(Binding::Prompt(question)) => VariableSource::Prompt(question.clone()),
        },
        from: Provenance::of(&environment.origin(name), sources),
    };
    let built_in: Vec<VariableName> = guest::variables().collect();
    built_in.iter().chain(plan.guest_env.keys()).chain(bottle.env.keys()).map(entry).collect()
}
