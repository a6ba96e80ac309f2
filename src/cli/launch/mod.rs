//! Launch: the values that a compiled bottle leaves open, found on the host. What cannot be found is
//! reported all at once; nothing is asked, started or written here.

mod value;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::compile::index::{LaunchSource, LaunchVariable, Token};
use crate::link::egress::{self, Wire};
use crate::output::Verified;
use crate::provider::facts::HostFacts;
use crate::provider::{self, LaunchToken};
use crate::text::diagnostic::Refusal;
use crate::text::visible;
use crate::value::artifact;
use crate::value::credential_file::CredentialFile;
use crate::value::guest;
use crate::value::secret::Secret;
use crate::value::slot;

/// The numeric owner of `agent/`, who must be able to read it inside the bottle.
pub const OWNER: [&str; 2] = ["BOTTLE_UID", "BOTTLE_GID"];

/// What of the host is looked at.
pub struct Host<'h> {
    /// A variable of the host.
    pub variable: &'h dyn Fn(&str) -> Option<OsString>,
    /// The facts with the provider's credential file.
    pub facts: &'h dyn Fn(&'static CredentialFile) -> HostFacts,
}

/// A value that only the user knows.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// The agent's variable that gets the answer.
    pub name: String,
    /// What to ask: the manifest's words.
    pub text: String,
    /// The same as it is asked: said to be a bottle's question, and for what.
    pub prompt: String,
    /// The line of the manifest.
    pub place: String,
}

/// What a launch adds to the environment, as far as it can be known without asking.
#[derive(Default)]
pub struct Launch {
    /// Names and values.
    pub values: Vec<(String, Secret)>,
    /// What is left to ask, in the order of the index.
    pub questions: Vec<Question>,
    /// What the user should know.
    pub warnings: Vec<Refusal>,
    /// Why there can be no start.
    pub problems: Vec<Refusal>,
}

/// The names of all that a launch adds to the environment, sorted.
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

/// Finds the value of every slot and of every variable that is bound at launch.
pub fn resolve(bottle: &Verified, host: &Host) -> Launch {
    let mut launch = Launch::default();
    if bottle.index.is_hermetic() {
        launch.problems.push(Refusal::new(
            "the bottle was built with --hermetic and cannot sign in",
            "build it again without --hermetic",
        ));
        return launch;
    }
    if !is_bound(bottle) {
        launch.problems.push(Refusal::new(
            format!("`{}` sends tokens in another way than `{}` says", egress::WIRE, artifact::INDEX),
            "build the bottle again with this bottlec",
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
                        .push(Refusal::new(format!("the value of {variable} {problem}; it is {purpose}"), help)),
                }
            }
            LaunchSource::Prompt(text) => {
                let bottle = visible::line(bottle.index.name());
                let place = visible::line(place).into_owned();
                let said = if text.is_empty() { String::new() } else { format!(": {}", visible::quoted(text)) };
                launch.questions.push(Question {
                    name: name.as_str().to_owned(),
                    text: if text.is_empty() { name.as_str().to_owned() } else { visible::line(text).into_owned() },
                    prompt: format!("bottlec: bottle {bottle} asks for {name} (agent variable, {place}){said}"),
                    place,
                });
            }
        }
    }
    launch.problems.extend(unset.into_problems());
    launch
}

/// Whether egress would send the tokens where the index says.
fn is_bound(bottle: &Verified) -> bool {
    let wire = bottle.file(egress::WIRE).and_then(|text| std::str::from_utf8(text).ok()).map(Wire::parse);
    wire.is_some_and(|wire| wire.is_ok_and(|wire| bottle.index.binds(&wire)))
}

impl Launch {
    fn token(&mut self, wanted: &Token, host: &Host, unset: &mut Unset) {
        let name = wanted.token_ref.as_str();
        let purpose = format!("the token for {}", wanted.hosts.join(", "));
        match (host.variable)(name) {
            None => unset.add(name, purpose),
            Some(found) => {
                self.checked_token(wanted, Secret::new(found.into_vec()), &format!("the value of {name}"), &purpose);
            }
        }
    }

    fn provision(&mut self, bottle: &Verified, wanted: &Token, host: &Host) {
        let source = provider::find(Some(bottle.index.provider()))
            .and_then(|provider| provider.credential_file().map(|file| (provider, file)));
        let Some((provider, file)) = source else {
            self.problems.push(Refusal::new(
                format!("this bottlec knows no login of the provider `{}`", visible::line(bottle.index.provider())),
                "build the bottle again with this bottlec",
            ));
            return;
        };
        let prepared = |path: &str| bottle.file(&format!("agent/home/{path}")).map(<[u8]>::to_vec);
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
                self.problems.push(Refusal::new(format!("{subject} {problem}; it is {purpose}"), help));
            }
        }
    }
}

/// Host variables that are not set, each with all that it is for.
#[derive(Default)]
struct Unset(BTreeMap<String, Vec<String>>);

impl Unset {
    fn add(&mut self, variable: &str, purpose: String) {
        self.0.entry(variable.to_owned()).or_default().push(purpose);
    }

    fn into_problems(self) -> impl Iterator<Item = Refusal> {
        self.0.into_iter().map(|(variable, purposes)| {
            Refusal::new(
                format!("{variable} is not set; it is {}", purposes.join(", and ")),
                format!("export {variable}, then run the same command again"),
            )
        })
    }
}
