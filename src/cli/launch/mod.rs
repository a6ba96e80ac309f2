//! Launch: finds on the host the values that a compiled bottle needs. All missing values are reported
//! together; nothing is asked, started or written here.

mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::compile::index::{LaunchSource, LaunchVariable, Token};
use crate::output::Verified;
use crate::provider::facts::HostFacts;
use crate::provider::{self, LaunchToken};
use crate::target::agent;
use crate::target::egress::{self, Wire};
use crate::text::diagnostic::Problem;
use crate::text::visible;
use crate::value::artifact;
use crate::value::credential_file::CredentialFile;
use crate::value::guest;
use crate::value::secret::Secret;
use crate::value::slot;

/// The numeric owner of `agent/`, who must be able to read it inside the bottle.
pub const OWNER: [&str; 2] = ["BOTTLE_UID", "BOTTLE_GID"];

/// Access to the host's environment and credential files.
pub struct HostEnv<'h> {
    /// Reads a variable of the host.
    pub variable: &'h dyn Fn(&str) -> Option<OsString>,
    /// Reads the facts in the provider's credential file.
    pub facts: &'h dyn Fn(&'static CredentialFile) -> HostFacts,
}

/// A value that the user has to enter.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The agent's variable that is set to the answer.
    pub name: String,
    /// The question, as written in the manifest.
    pub text: String,
    /// The prompt: the question, marked as coming from a bottle, and the variable it is for.
    pub prompt: String,
    /// The position in the manifest.
    pub place: String,
}

/// What a launch adds to the environment, as far as it is known without asking.
#[derive(Default)]
pub struct Launch {
    /// Names and values.
    pub values: Vec<(String, Secret)>,
    /// Questions to ask, in the order of the index.
    pub questions: Vec<Question>,
    /// Warnings for the user.
    pub warnings: Vec<Problem>,
    /// Problems that prevent a start.
    pub problems: Vec<Problem>,
}

/// The names of all variables that a launch sets, sorted.
pub fn names(bottle: &Verified) -> Vec<String> {
    let binding = bottle.index.binding().map(|_| slot::BINDING.to_owned());
    let slots = bottle.index.tokens().map(|token| token.slot.to_string()).chain(binding);
    let variables = bottle.index.launch_variables().map(|variable| guest::carrier(variable.name.as_str()));
    let mut names: Vec<String> = slots.chain(variables).chain(OWNER.map(str::to_owned)).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a token of this bottle comes from the provider's credential file.
pub fn needs_credential_file(bottle: &Verified) -> bool {
    bottle.index.tokens().any(|token| token.from_host_file)
}

/// Finds the value of every slot and of every variable that is resolved at launch.
pub fn resolve(bottle: &Verified, host: &HostEnv) -> Launch {
    let mut launch = Launch::default();
    if bottle.index.is_hermetic() {
        launch.problems.push(Problem::new(
            "the bottle was built with --hermetic and cannot sign in",
            "rebuild it without --hermetic",
        ));
        return launch;
    }
    if !is_bound(bottle) {
        launch.problems.push(Problem::new(
            format!("`{}` does not send tokens where `{}` says", egress::WIRE, artifact::INDEX),
            "rebuild the bottle with this release of bottlec",
        ));
        return launch;
    }
    let binding = bottle.index.binding().map(|binding| Secret::new(binding.as_str().as_bytes().to_vec()));
    launch.values.extend(binding.map(|binding| (slot::BINDING.to_owned(), binding)));
    let mut unset = Unset::default();
    for token in bottle.index.tokens() {
        if token.from_host_file {
            launch.provision(bottle, &token, host);
        } else {
            launch.token(&token, host, &mut unset);
        }
    }
    for LaunchVariable { name, source, place } in bottle.index.launch_variables() {
        match source {
            LaunchSource::Host(variable) => {
                let purpose = format!("the value of the agent's variable {name} ({})", visible::line(place));
                let Some(found) = (host.variable)(variable.as_str()) else {
                    unset.add(variable.as_str(), purpose);
                    continue;
                };
                let found = Secret::new(found.into_vec());
                match value::check_variable(found.expose()) {
                    Ok(()) => launch.values.push((guest::carrier(name.as_str()), found)),
                    Err((problem, help)) => launch
                        .problems
                        .push(Problem::new(format!("the value of {variable} {problem}; it is {purpose}"), help)),
                }
            }
            LaunchSource::Prompt(text) => {
                let bottle = visible::line(bottle.index.name());
                let place = visible::line(place).into_owned();
                let question = if text.is_empty() { String::new() } else { format!(": {}", visible::quoted(text)) };
                launch.questions.push(Question {
                    name: name.as_str().to_owned(),
                    text: if text.is_empty() { name.as_str().to_owned() } else { visible::line(text).into_owned() },
                    prompt: format!("bottlec: bottle {bottle} asks for {name} (agent variable, {place}){question}"),
                    place,
                });
            }
        }
    }
    launch.problems.extend(unset.into_problems());
    launch
}

/// Whether egress sends the tokens to the hosts listed in the index.
fn is_bound(bottle: &Verified) -> bool {
    let wire = bottle.file(egress::WIRE).and_then(|text| std::str::from_utf8(text).ok()).map(Wire::parse);
    wire.is_some_and(|wire| wire.is_ok_and(|wire| bottle.index.binds(&wire)))
}

impl Launch {
    fn token(&mut self, wanted: &Token, host: &HostEnv, unset: &mut Unset) {
        let name = wanted.token_ref.as_str();
        let purpose = format!("the token for {}", wanted.hosts.join(", "));
        match (host.variable)(name) {
            None => unset.add(name, purpose),
            Some(found) => {
                self.checked_token(wanted, Secret::new(found.into_vec()), &format!("the value of {name}"), &purpose);
            }
        }
    }

    fn provision(&mut self, bottle: &Verified, wanted: &Token, host: &HostEnv) {
        let source = provider::find(Some(bottle.index.provider()))
            .and_then(|provider| provider.get().credential_file().map(|file| (provider, file)));
        let Some((provider, file)) = source else {
            self.problems.push(Problem::new(
                format!(
                    "this release of bottlec does not support logins of the provider `{}`",
                    visible::line(bottle.index.provider())
                ),
                "rebuild the bottle with this release of bottlec",
            ));
            return;
        };
        let prepared = |path: &str| bottle.file(&format!("{}{path}", agent::HOME)).map(<[u8]>::to_vec);
        match provider.launch_token(&(host.facts)(file), &prepared) {
            Ok(LaunchToken { token, warnings }) => {
                self.warnings.extend(warnings);
                let purpose = format!("the token for {}", wanted.hosts.join(", "));
                self.checked_token(wanted, token, "the token in the host's login file", &purpose);
            }
            Err(problem) => self.problems.push(problem),
        }
    }

    fn checked_token(&mut self, wanted: &Token, token: Secret, subject: &str, purpose: &str) {
        match value::check_token(token.expose()) {
            Ok(()) => self.values.push((wanted.slot.to_string(), token)),
            Err((problem, help)) => {
                self.problems.push(Problem::new(format!("{subject} {problem}; it is {purpose}"), help));
            }
        }
    }
}

/// Host variables that are not set, each with all its purposes.
#[derive(Default)]
struct Unset(BTreeMap<String, Vec<String>>);

impl Unset {
    fn add(&mut self, variable: &str, purpose: String) {
        self.0.entry(variable.to_owned()).or_default().push(purpose);
    }

    fn into_problems(self) -> impl Iterator<Item = Problem> {
        self.0.into_iter().map(|(variable, purposes)| {
            Problem::new(
                format!("{variable} is not set; it is {}", purposes.join(", and ")),
                format!("export {variable}, then run the same command again"),
            )
        })
    }
}
