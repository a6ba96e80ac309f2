//! What the files of a tree keep up around the agent: invariants, what runs, and every setting of it. Targets read
//! their files into these types, and the model compares them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;

use serde_json::Value;

/// The texts of a compiled bottle by path.
pub type Files = BTreeMap<String, String>;

/// What one target's files keep up around the agent.
#[derive(Debug, Default)]
pub struct Isolation {
    /// What runs, or how something is set, by name.
    pub parts: BTreeMap<String, Part>,
    /// The agent's variables; `None` for a value that is taken at launch.
    pub environment: BTreeMap<String, Option<String>>,
    /// What keeps the agent in.
    pub guards: Vec<Guard>,
    /// Where an agent that the files run finds egress.
    pub egress: Option<Ipv4Addr>,
    /// Where the variables are that get their values at launch: the file, and the JSON pointer of what holds them.
    pub bound_at: Option<At>,
    /// Where the network of agent and egress is.
    pub network_at: Option<At>,
}

/// Something that keeps the agent in, and whether it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// What is true while it is satisfied, a sentence without a full stop.
    pub invariant: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether the files are as a build writes them.
    pub satisfied: bool,
}

/// What a guard is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It refuses what is not allowed.
    Enforce,
    /// It looks into what is.
    Scan,
}

impl Guard {
    /// A guard that refuses what is not allowed.
    pub fn enforce(invariant: &'static str, satisfied: bool) -> Self {
        Guard { invariant, purpose: Purpose::Enforce, satisfied }
    }
}

/// A part of a file: a service, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The file.
    pub file: &'static str,
    /// What it is to the bottle.
    pub role: Role,
    /// What it runs.
    pub image: Option<String>,
    /// The JSON pointer of that.
    pub image_at: String,
    /// What the model says nowhere else, by JSON pointer.
    pub settings: BTreeMap<String, String>,
    /// All of it.
    pub whole: String,
}

/// A file, and a JSON pointer in it.
pub type At = (&'static str, &'static str);

/// What a part is to the bottle, whatever runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The agent.
    Agent,
    /// The first hop.
    Egress,
    /// The second hop.
    Pipelock,
    /// What they are connected by.
    Network,
    /// None of the above.
    Other,
}

/// Every scalar of a value by its JSON pointer below `at`. A list is one setting, an empty mapping too.
pub fn settings(at: &str, value: &Value) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    collect(at.to_owned(), value, &mut found);
    found
}

fn collect(at: String, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                let step = key.replace('~', "~0").replace('/', "~1");
                collect(format!("{at}/{step}"), value, found);
            }
        }
        _ => {
            found.insert(at, value.to_string());
        }
    }
}

/// Why a tree has no model.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Unreadable {
    /// A file and what is wrong with it.
    pub fn new(file: &str, problem: impl Into<String>) -> Self {
        Unreadable { file: file.to_owned(), problem: problem.into() }
    }

    /// The words for it, short: a reader lists every key that it knows.
    pub fn told(&self) -> String {
        let said = self.to_string();
        said.split_once(", expected one of").map_or(said.as_str(), |(unknown, _)| unknown).to_owned()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.problem)
    }
}
