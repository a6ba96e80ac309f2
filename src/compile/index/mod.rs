//! `bottle.json`: the plan for machines. Routes, slots, variables by name, who decided what, and the
//! hash of every other file. No value of a variable or token is in it, but what a user's own definition of the agent says.

mod compare;
mod decided;
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
use crate::value::artifact::{Artifact, INDEX};
use crate::value::credential::Injection;
use crate::value::guest;
use crate::value::host::Host;
use crate::value::name::BottleName;
use crate::value::origin::Origins;
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::Slot;
use crate::value::variable::{Binding, TokenRef, VariableName};
use decided::Decided;
pub use provenance::Provenance;
pub use read::{LaunchSource, LaunchVariable, Listing, NotAnIndex, Token};
pub use stamp::BuildInputs;

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
    stamp: BuildInputs,
    /// The manifest, so that the tree can be judged without it.
    manifest: Written,
    /// What the tree was built for.
    backends: Vec<Backend>,
    provider: String,
    command: Vec<String>,
    home: String,
    network: Addresses,
    routes: Vec<RouteEntry>,
    slots: Vec<SlotEntry>,
    env: BTreeMap<VariableName, VariableSource>,
    hidden_env_names: Vec<VariableName>,
    /// Who decides the entries of the files.
    provenance: Decided,
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

/// Where a variable of the agent gets its text.
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
        let Compiled { bottle, plan, egress, environment, origins: _, hermetic, backends, sources } = &compiled;
        let of_files = origins.into_iter().flat_map(|(file, origins)| {
            origins.into_iter().map(move |(pointer, origin)| (decided::entry(&file, &pointer), origin))
        });
        // A variable that gets its text at launch is in no env file.
        let at_launch = environment.bound_at_launch.iter().map(|name| (at_variable(name), environment.origin(name)));
        Index {
            format: FORMAT,
            name: bottle.name.clone(),
            hermetic: *hermetic,
            stamp: BuildInputs::of(sources),
            manifest: bottle.written.clone(),
            backends: backends.to_vec(),
            provider: plan.provider.to_string(),
            command: plan.command.clone(),
            home: plan.home.to_owned(),
            network: Addresses::of(bottle.subnet),
            routes: egress.routes.iter().map(RouteEntry::of).collect(),
            slots: slots(&compiled),
            env: variables(&compiled),
            hidden_env_names: plan.hidden_env_names.iter().cloned().collect(),
            provenance: Decided::of(of_files.chain(at_launch), sources),
            files: artifacts.iter().map(FileEntry::of).collect(),
        }
    }
}

impl RouteEntry {
    fn of(route: &Route) -> Self {
        let Route {
            host,
            path_allowlist,
            auth,
            keep_authorization,
            tls_passthrough,
            ssrf_ip_allowlist,
            origin: _,
            parts: _,
        } = route;
        RouteEntry {
            host: host.clone(),
            path_allowlist: path_allowlist.clone(),
            auth: auth.as_ref().map(|(auth, slot)| AuthEntry { injection: auth.injection.clone(), slot: *slot }),
            tls_passthrough: *tls_passthrough,
            keep_authorization: *keep_authorization,
            ssrf_ip_allowlist: ssrf_ip_allowlist.iter().map(ToString::to_string).collect(),
        }
    }
}

fn slots(compiled: &Compiled) -> Vec<SlotEntry> {
    let Compiled { plan, egress, .. } = compiled;
    let source = |token_ref: &TokenRef| match plan.provisioned_env.get(token_ref) {
        None => SlotSource::HostVariable,
        Some(provision) => SlotSource::HostFile {
            folder_variable: provision.file.folder_variable.to_owned(),
            name: provision.file.name.to_owned(),
            in_home: provision.file.in_home.to_owned(),
            json_pointer: provision.file.token_pointer.to_owned(),
        },
    };
    let entry = |(slot, token_ref): (&Slot, &TokenRef)| SlotEntry {
        slot: *slot,
        token_ref: token_ref.clone(),
        source: source(token_ref),
    };
    egress.slots.iter().map(entry).collect()
}

/// bottlec's own variables, the provider's, and the manifest's.
fn variables(compiled: &Compiled) -> BTreeMap<VariableName, VariableSource> {
    let Compiled { bottle, plan, .. } = compiled;
    let entry = |name: &VariableName| {
        let source = match bottle.env.get(name).map(|variable| &variable.binding) {
            None | Some(Binding::Literal(_)) => VariableSource::Literal,
            Some(Binding::Host(host)) => VariableSource::HostVariable(host.clone()),
            Some(Binding::Prompt(question)) => VariableSource::Prompt(question.clone()),
        };
        (name.clone(), source)
    };
    let built_in: Vec<VariableName> = guest::variables().collect();
    built_in.iter().chain(plan.guest_env.keys()).chain(bottle.env.keys()).map(entry).collect()
}

/// The entry of a variable in the index itself.
fn at_variable(name: &VariableName) -> String {
    decided::entry(INDEX, &format!("/env/{name}"))
}
