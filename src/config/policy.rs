//! What a policy can forbid and require. A mode that can be forbidden is a row of [`MODES`], a release that can be
//! required a row of [`TARGETS`]; both are keys of the schema by that.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value as Json, json};

use super::pattern::{HostPattern, NamePattern};
use crate::compile::Linked;
use crate::link::egress::Route;
use crate::text::diagnostic::{Code, Diagnostic};
use crate::text::source::{SourceId, Span};
use crate::value::origin::Origin;
use crate::value::release::{PipelockTarget, SmolvmTarget};
use crate::value::variable::Binding;

/// A way to run a bottle that a policy can forbid.
pub struct Mode {
    /// Its key below `[policy.forbid]`: that of the manifest.
    pub name: &'static str,
    /// What is forbidden, for the schema.
    description: &'static str,
    /// Where the bottle does it, and what it does there.
    uses: fn(&Linked) -> Vec<Use>,
}

/// A program whose release a policy can require.
pub struct Target {
    /// Its key below `[policy.require-targets]`, and below `targets` in a manifest.
    pub name: &'static str,
    /// The releases that there are.
    releases: fn(&mut SchemaGenerator) -> Schema,
    /// The bottle's release, and where the manifest says so, if it does.
    of: fn(&Linked) -> (Json, Option<Span>),
}

/// The modes that can be forbidden.
pub static MODES: &[Mode] = &[
    Mode {
        name: "forward_host_credentials",
        description: "Sign in as the host's user, from the agent's own credential file.",
        uses: |linked| {
            let asked = linked.bottle().settings.forward_host_credentials;
            asked.into_iter().map(|at| Use::new("egress signs in as the host's user", at)).collect()
        },
    },
    Mode {
        name: "keep_authorization",
        description: "Let the agent's own `Authorization` through, on a route of the manifest or because the agent signs in inside the bottle.",
        uses: |linked| {
            let kept = linked.egress.routes.iter().filter(|route| route.keep_authorization);
            let told = |route: &Route| {
                let says = format!("the agent's own `Authorization` reaches `{}`", route.host);
                Use::new(says, place(&route.parts.keep_authorization))
            };
            kept.map(told).collect()
        },
    },
    Mode {
        name: "tls_passthrough",
        description: "Let pipelock splice a host that the manifest or a definition of your own routes. The hosts of bottlec's own agents are always spliced.",
        uses: |linked| {
            let is_own = |route: &&Route| {
                !matches!(route.parts.tls_passthrough, Origin::Provider { defined_at: None, .. } | Origin::BuiltIn(_))
            };
            let spliced = linked.egress.routes.iter().filter(|route| route.tls_passthrough).filter(is_own);
            let told = |route: &Route| {
                let says = format!("pipelock does not scan `{}`", route.host);
                Use::new(says, place(&route.parts.tls_passthrough))
            };
            spliced.map(told).collect()
        },
    },
    Mode {
        name: "ssrf_ip_allowlist",
        description: "Let a host resolve to private addresses.",
        uses: |linked| {
            let told = |route: &Route| {
                let places = route.parts.ranges.clone();
                let told = |(range, origin)| {
                    Use::new(format!("hosts of the bottle may resolve to {range}, a private range"), place(&origin))
                };
                route.ssrf_ip_allowlist.clone().into_iter().zip(places).map(told).collect::<Vec<_>>()
            };
            linked.egress.routes.iter().flat_map(told).collect()
        },
    },
];

/// The programs whose release can be required.
pub static TARGETS: &[Target] = &[
    Target {
        name: "pipelock",
        releases: PipelockTarget::json_schema,
        of: |linked| (json!(linked.bottle().pipelock), linked.bottle().places.pipelock),
    },
    Target {
        name: "smolvm",
        releases: SmolvmTarget::json_schema,
        of: |linked| (json!(linked.bottle().smolvm), linked.bottle().places.smolvm),
    },
];

/// What a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// These hosts must not be reached.
    Hosts(HostPattern),
    /// These credentials must not be carried.
    Credentials(NamePattern),
    /// This mode must not be used.
    Mode(&'static Mode),
    /// This release must be the one that the bottle is for.
    Target(&'static Target, String),
}

/// A rule of a policy.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is about.
    pub subject: Subject,
    /// Why.
    pub reason: String,
    /// `bottlec.toml:12`: where it is written.
    pub place: String,
    /// Its line.
    pub line: usize,
}

/// Something that a bottle does.
struct Use {
    says: String,
    at: Span,
}

impl Use {
    fn new(says: impl Into<String>, at: Span) -> Self {
        Use { says: says.into(), at }
    }
}

/// A breach of a rule, at the line that asks for it: of the manifest, of a parent or of the agent's definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// Where.
    pub at: Span,
    /// What the bottle does.
    pub message: String,
    /// Which rule forbids it, where that is, and why.
    pub rule: String,
    code: Code,
}

impl Breach {
    /// As a finding.
    pub fn diagnostic(self) -> Diagnostic {
        Diagnostic::new(self.code, self.message).at(self.at, "").help(self.rule)
    }
}

/// What a bottle, with all that its provider brings, does against these rules.
pub fn judge<'r>(rules: impl IntoIterator<Item = &'r Rule>, linked: &Linked) -> Vec<Breach> {
    rules.into_iter().flat_map(|rule| breaches(rule, linked)).collect()
}

fn breaches(rule: &Rule, linked: &Linked) -> Vec<Breach> {
    let Rule { subject, reason, place, line: _ } = rule;
    let (code, verb, uses) = match subject {
        Subject::Hosts(hosts) => (Code::Forbidden, "forbids", reached(hosts, linked)),
        Subject::Credentials(names) => (Code::Forbidden, "forbids", carried(names, linked)),
        Subject::Mode(mode) => (Code::Forbidden, "forbids", (mode.uses)(linked)),
        Subject::Target(target, release) => (Code::Required, "requires", other(target, release, linked)),
    };
    let rule = format!("{place} {verb} {subject}: {reason}");
    let breach = |Use { says, at }| Breach { at, message: says, rule: rule.clone(), code };
    uses.into_iter().map(breach).collect()
}

fn reached(hosts: &HostPattern, linked: &Linked) -> Vec<Use> {
    let routes = linked.egress.routes.iter().filter(|route| hosts.matches(&route.host));
    routes.map(|route| Use::new(format!("`{}` can be reached", route.host), place(&route.origin))).collect()
}

/// Tokens that egress sends, and values that are handed to the agent at launch, by their name there or on the host.
fn carried(names: &NamePattern, linked: &Linked) -> Vec<Use> {
    let mut found = Vec::new();
    for route in &linked.egress.routes {
        if let Some((auth, _)) = route.auth.as_ref().filter(|(auth, _)| names.matches(auth.token_ref.as_str())) {
            let says = format!("egress sends `{}` to `{}`", auth.token_ref, route.host);
            found.push(Use::new(says, place(&route.parts.token)));
        }
    }
    for (name, variable) in &linked.bottle().env {
        let from = match &variable.binding {
            Binding::Literal(_) => continue,
            Binding::Host(host) => Some(host.as_str()).filter(|host| names.matches(host)),
            Binding::Prompt(_) => None,
        };
        if from.is_some() || names.matches(name.as_str()) {
            let value = from.map_or_else(String::new, |from| format!(", the host's `{from}`"));
            found.push(Use::new(format!("the agent is given `{name}`{value}"), variable.value_span));
        }
    }
    found
}

fn other(target: &Target, release: &str, linked: &Linked) -> Vec<Use> {
    let (is, at) = (target.of)(linked);
    let is = is.as_str().unwrap_or_default();
    if is == release {
        return Vec::new();
    }
    let says = format!("the bottle is for {} {is}, not {release}", target.name);
    vec![Use::new(says, at.unwrap_or(START))]
}

/// Where nothing in the manifest asks for it: its first line.
const START: Span = Span { source: SourceId(0), start: 0, end: 0 };

fn place(origin: &Origin) -> Span {
    match origin {
        Origin::Manifest(span) => *span,
        Origin::Provider { narrowed_at, asked_at, defined_at, .. } => {
            narrowed_at.or(*defined_at).or(*asked_at).unwrap_or(START)
        }
        Origin::BuiltIn(_) => START,
    }
}

impl Subject {
    /// Whether a bottle that keeps to this one keeps to the other one.
    pub fn covers(&self, other: &Subject) -> bool {
        match (self, other) {
            (Subject::Hosts(new), Subject::Hosts(old)) => new.covers(old),
            (Subject::Credentials(new), Subject::Credentials(old)) => new.covers(old),
            (new, old) => new == old,
        }
    }

    /// What the policy does with it.
    pub fn verb(&self) -> &'static str {
        match self {
            Subject::Hosts(_) | Subject::Credentials(_) | Subject::Mode(_) => "forbids",
            Subject::Target(..) => "requires",
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match self {
            Subject::Hosts(hosts) => write!(f, "the host `{hosts}`"),
            Subject::Credentials(names) => write!(f, "the credential `{names}`"),
            Subject::Mode(mode) => write!(f, "`{}`", mode.name),
            Subject::Target(target, release) => write!(f, "{} {release}", target.name),
        }
    }
}

/// Two rows are the same if their names are.
macro_rules! by_name {
    ($($row:ident)*) => {$(
        impl PartialEq for $row {
            fn eq(&self, other: &Self) -> bool {
                self.name == other.name
            }
        }
        impl Eq for $row {}
        impl std::fmt::Debug for $row {
            fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str(self.name)
            }
        }
    )*};
}
by_name!(Mode Target);

/// The reason of a rule, for the schema.
fn reason() -> Json {
    json!({ "type": "string", "description": "Why: it is shown with each breach.", "pattern": r"\S", "examples": ["not for agents"] })
}

/// The schema of a table of patterns, each with its reason.
pub(super) fn patterns_schema(pattern: &str, example: &Json) -> Schema {
    schema(json!({
        "type": "object",
        "additionalProperties": reason(),
        "propertyNames": { "pattern": pattern },
        "examples": [example],
    }))
}

/// The schema of `[policy.forbid]`.
pub(super) fn modes_schema(_: &mut SchemaGenerator) -> Schema {
    let mode = |mode: &Mode| {
        let mut schema = reason();
        schema["description"] = format!("{} The value is the reason.", mode.description).into();
        (mode.name.to_owned(), schema)
    };
    let properties: Json = MODES.iter().map(mode).collect::<serde_json::Map<_, _>>().into();
    schema(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
}

/// The schema of `[policy.require-targets]`.
pub(super) fn targets_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut target = |target: &Target| {
        let mut release = (target.releases)(generator);
        release
            .insert("description".into(), format!("The release of {} that every bottle is for.", target.name).into());
        let requirement = json!({
            "type": "object",
            "description": format!("The release of {} that `targets.{}` of every bottle must name.", target.name, target.name),
            "properties": { "version": release, "reason": reason() },
            "required": ["version", "reason"],
            "additionalProperties": false,
        });
        (target.name.to_owned(), requirement)
    };
    let properties: Json = TARGETS.iter().map(&mut target).collect::<serde_json::Map<_, _>>().into();
    schema(json!({ "type": "object", "properties": properties, "additionalProperties": false }))
}

fn schema(value: Json) -> Schema {
    Schema::try_from(value).expect("it is an object")
}
