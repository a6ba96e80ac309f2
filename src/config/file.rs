//! The text of a `bottlec.toml` into a [`Config`]: TOML, schema, forms. Says all that is wrong in one go.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::pattern::{self, FILES_PATTERN, FilePattern, HOST_PATTERN, HostPattern, NAME_PATTERN, NamePattern};
use super::policy::{self, MODES, Rule, Subject, TARGETS};
use super::{Config, FailOn, Level, Written, schema};
use crate::compile::rules;
use crate::text::accept::AcceptFrom;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Problem, Severity};
use crate::text::source::{Source, SourceId, Sources, Span};
use crate::text::suggest::nearest;
use crate::text::yaml::{Entry, Key, MAX_BYTES, MAX_DEPTH, Node, Spanned, Value};

/// What holds for every bottle of a project: the files that are bottles, where their compiled trees are, how `check` and
/// reviews judge, and what no bottle may do.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(title = "bottlec.toml")]
pub(super) struct File {
    /// Files that are bottles too, whatever their names: patterns of paths from the folder of this file. `*` stands for
    /// a part of a name, `**` for any folders.
    #[schemars(inner(regex(pattern = FILES_PATTERN)), extend("default" = [], "examples" = [["agents/*.yaml"]]))]
    bottles: Option<Vec<Spanned<String>>>,
    /// The folder of the committed trees, from the folder of this file: what `bottlec build --check` and `--update`
    /// compare and write, hermetically, when they are given no arguments.
    #[schemars(extend("pattern" = FILES_PATTERN, "examples" = ["golden"]))]
    golden: Option<Spanned<String>>,
    /// How findings are judged.
    #[schemars(extend("default" = {}, "examples" = [{ "strict": true }]))]
    check: Option<Check>,
    /// How changes are judged.
    #[schemars(extend("default" = {}, "examples" = [{ "fail-on": "medium" }]))]
    review: Option<Review>,
    /// What no bottle may do, each with the reason.
    #[schemars(extend("default" = {}, "examples" = [{ "forbid-hosts": { "pastebin.com": "uploads cannot be audited" } }]))]
    policy: Option<Policy>,
}

/// How findings are judged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Check {
    /// Whether warnings of `bottlec check` are errors.
    #[schemars(extend("default" = false, "examples" = [true]))]
    strict: Option<Spanned<bool>>,
    /// What becomes of a warning, by its code. An error cannot be lowered.
    #[schemars(extend(
        "propertyNames" = { "pattern": "^BTL[0-9]{3}$" },
        "default" = {},
        "examples" = [{ "BTL601": "error", "BTL606": "off" }]
    ))]
    severity: Option<BTreeMap<Spanned<String>, Spanned<Level>>>,
}

/// How changes are judged.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Review {
    /// The lowest grade of a change that fails `bottlec diff --rev` and the Action.
    #[schemars(extend("default" = "high", "examples" = ["medium"]))]
    fail_on: Option<Spanned<FailOn>>,
    /// Whose `accept` comments count: those of the base revision, or those of the change under review as well.
    #[schemars(extend("default" = "base", "examples" = ["head"]))]
    accept_from: Option<Spanned<AcceptFrom>>,
}

/// What no bottle may do, each with the reason.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Policy {
    /// Hosts that no bottle may reach, each with the reason: a name, or `*.example.com` for `example.com` and every host
    /// below it.
    #[schemars(schema_with = "hosts_schema")]
    forbid_hosts: Reasons,
    /// Credentials that no bottle may carry, each with the reason: the name of a token or of a variable that is handed
    /// to the agent at launch, or `PREFIX_*`.
    #[schemars(schema_with = "credentials_schema")]
    forbid_credentials: Reasons,
    /// Ways to run a bottle that are not allowed, each with the reason.
    #[schemars(schema_with = "policy::modes_schema", extend("examples" = [{ "keep_authorization": "sign in with a token of the team" }]))]
    forbid: Reasons,
    /// Releases that every bottle must be for, each with the reason.
    #[schemars(schema_with = "policy::targets_schema", extend("examples" = [{ "pipelock": { "version": "2.3", "reason": "what the fleet runs" } }]))]
    require_targets: BTreeMap<Spanned<String>, Requirement>,
}

/// What is forbidden, and why.
type Reasons = BTreeMap<Spanned<String>, Spanned<String>>;

/// A release that every bottle must be for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    version: Spanned<String>,
    reason: Spanned<String>,
}

fn hosts_schema(_: &mut SchemaGenerator) -> Schema {
    policy::patterns_schema(HOST_PATTERN, &json!({ "pastebin.com": "uploads there cannot be audited" }))
}

fn credentials_schema(_: &mut SchemaGenerator) -> Schema {
    policy::patterns_schema(NAME_PATTERN, &json!({ "PROD_*": "production is not for agents" }))
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Broken {
    /// Its text.
    pub sources: Sources,
    /// What is wrong with it, by place.
    pub findings: Vec<Diagnostic>,
}

impl Broken {
    /// One that cannot be read.
    pub fn of(shown: String, problem: String) -> Self {
        let mut sources = Sources::default();
        let source = sources.add(Source { path: shown.clone(), reference: shown, text: String::new() });
        let at = Span { source, start: 0, end: 0 };
        Broken { sources, findings: vec![Diagnostic::new(Code::Configuration, problem).at(at, "")] }
    }
}

/// Reads a configuration; `shown` is its path as the user would type it.
///
/// # Errors
/// What is wrong with it.
pub fn read(shown: String, bytes: Vec<u8>) -> Result<Config, Broken> {
    let is_large = bytes.len() > MAX_BYTES;
    let (text, is_text) = match String::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    };
    let mut sources = Sources::default();
    let id = sources.add(Source { path: shown.clone(), reference: shown.clone(), text: text.clone() });
    let mut findings = Findings::default();
    let whole = Span { source: id, start: 0, end: 0 };
    if is_large || !is_text {
        let (message, help) = match is_large {
            true => (format!("the file is larger than {MAX_BYTES} bytes"), "is this the right file?"),
            false => ("the file is not UTF-8 text".to_owned(), "save the file as UTF-8"),
        };
        findings.push(Diagnostic::new(Code::Configuration, message).at(whole, "").help(help));
    } else if let Some(mut root) = tree(&text, id, &mut findings) {
        schema::validate(&mut root, &mut findings);
        match File::deserialize(&root) {
            Ok(file) => {
                let config = Reader { sources: &sources, findings: &mut findings }.config(file, shown, text);
                if !findings.has_errors() {
                    return Ok(config);
                }
            }
            // Out of reach as long as schema and types agree; never silent if they do not.
            Err(error) if !findings.has_errors() => {
                findings.push(Diagnostic::new(Code::Configuration, error.to_string()).at(whole, ""));
            }
            Err(_) => {}
        }
    }
    let findings = findings.into_sorted().into_iter().map(as_toml).collect();
    Err(Broken { sources, findings })
}

/// The schema speaks of YAML.
fn as_toml(diagnostic: Diagnostic) -> Diagnostic {
    let Diagnostic { code, severity, message, mut labels, mut help, fix: _ } = diagnostic;
    let toml = |text: &str| text.replace("a mapping", "a table");
    if code == Code::WrongType
        && let Some(label) = labels.first()
    {
        help = Some(match label.text.strip_prefix("expected ") {
            Some("a mapping") => "write a table: `[name]`, and `key = value` lines below it".to_owned(),
            Some("a list") => "write a list: `[\"…\"]`".to_owned(),
            Some("a string") => "put the value in double quotes".to_owned(),
            _ => "write `true` or `false`, without quotes".to_owned(),
        });
    }
    labels.iter_mut().for_each(|label| label.text = toml(&label.text));
    Diagnostic { code: Code::Configuration, severity, message: toml(&message), labels, help, fix: None }
}

fn tree<'t>(text: &'t str, id: SourceId, findings: &mut Findings) -> Option<Node<'t>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let span = |range: Option<std::ops::Range<usize>>| {
        let place = |at: usize| u32::try_from(at.min(text.len())).unwrap_or(u32::MAX);
        range.map_or(Span { source: id, start: 0, end: 0 }, |range| Span {
            source: id,
            start: place(range.start),
            end: place(range.end),
        })
    };
    for error in &errors {
        let message = format!("not valid TOML: {}", error.message().trim_end().replace('\n', "; "));
        findings.push(Diagnostic::new(Code::Configuration, message).at(span(error.span()), "").help(
            "TOML has `key = \"value\"` lines, and `[table]` lines above those of a table: https://toml.io/en/v1.0.0",
        ));
    }
    if !errors.is_empty() {
        return None;
    }
    let (range, table) = (table.span(), table.into_inner());
    Some(Node { span: span(Some(range)), value: mapping(table, &|range| span(Some(range)), 0) })
}

fn mapping<'t>(table: DeTable<'t>, span: &dyn Fn(std::ops::Range<usize>) -> Span, depth: usize) -> Value<'t> {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<DeValue<'t>>)| Entry {
        key: Key { span: span(key.span()), name: key.into_inner() },
        value: Node { span: span(value.span()), value: node(value.into_inner(), span, depth) },
    };
    let mut entries: Vec<Entry> = table.into_iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key.span);
    Value::Mapping(entries)
}

fn node<'t>(value: DeValue<'t>, span: &dyn Fn(std::ops::Range<usize>) -> Span, depth: usize) -> Value<'t> {
    match value {
        // Far deeper than anything that the schema knows.
        _ if depth > MAX_DEPTH => Value::Null,
        DeValue::String(text) => Value::String(text),
        DeValue::Boolean(value) => Value::Bool(value),
        // No key takes one.
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => Value::Float(0.0),
        DeValue::Array(items) => {
            let item = |item: toml::Spanned<DeValue<'t>>| Node {
                span: span(item.span()),
                value: node(item.into_inner(), span, depth + 1),
            };
            Value::Sequence(items.into_iter().map(item).collect())
        }
        DeValue::Table(table) => mapping(table, span, depth + 1),
    }
}

/// Reads the values of a file into their closed forms.
struct Reader<'r> {
    sources: &'r Sources,
    findings: &'r mut Findings,
}

impl Reader<'_> {
    fn config(&mut self, file: File, shown: String, text: String) -> Config {
        let File { bottles, golden, check, review, policy } = file;
        let Check { strict, severity } = check.unwrap_or_default();
        let Review { fail_on, accept_from } = review.unwrap_or_default();
        let bottles = bottles.unwrap_or_default();
        Config {
            bottles: bottles.iter().filter_map(|pattern| self.parsed(pattern, FilePattern::parse)).collect(),
            golden: golden.and_then(|folder| {
                self.parsed(&folder, |text| pattern::relative(text, "`golden`").map(|()| text.to_owned()))
            }),
            strict: strict.map(|strict| self.written(strict)),
            severity: severity
                .unwrap_or_default()
                .into_iter()
                .filter_map(|(code, level)| self.severity(code, level))
                .collect(),
            fail_on: fail_on.map(|fail_on| self.written(fail_on)),
            accept_from: accept_from.map(|accept_from| self.written(accept_from)),
            policy: self.policy(policy.unwrap_or_default(), &shown),
            shown,
            text,
        }
    }

    fn policy(&mut self, policy: Policy, shown: &str) -> Vec<Rule> {
        let Policy { forbid_hosts, forbid_credentials, forbid, require_targets } = policy;
        let mut rules = Vec::new();
        for (hosts, reason) in forbid_hosts {
            let subject = self.parsed(&hosts, HostPattern::parse).map(|hosts| Subject::Hosts(hosts.value));
            rules.extend(self.rule(subject, hosts.span, &reason, shown));
        }
        for (names, reason) in forbid_credentials {
            let subject = self.parsed(&names, NamePattern::parse).map(|names| Subject::Credentials(names.value));
            rules.extend(self.rule(subject, names.span, &reason, shown));
        }
        for (name, reason) in forbid {
            let subject = MODES.iter().find(|mode| mode.name == name.value).map(Subject::Mode);
            rules.extend(self.rule(subject, name.span, &reason, shown));
        }
        for (name, Requirement { version, reason }) in require_targets {
            let target = TARGETS.iter().find(|target| target.name == name.value);
            let subject = target.map(|target| Subject::Target(target, version.value));
            rules.extend(self.rule(subject, name.span, &reason, shown));
        }
        rules.sort_by_key(|rule| rule.line);
        rules
    }

    fn rule(&mut self, subject: Option<Subject>, at: Span, reason: &Spanned<String>, shown: &str) -> Option<Rule> {
        let text = reason.value.trim();
        if text.is_empty() {
            let problem = Problem::new("the reason is empty", "say why: the reason is shown with each breach");
            self.findings.push(problem.at(Code::Configuration, reason.span));
            return None;
        }
        let line = self.sources.position(at).line;
        Some(Rule { subject: subject?, reason: text.to_owned(), place: format!("{shown}:{line}"), line })
    }

    fn severity(&mut self, code: Spanned<String>, level: Spanned<Level>) -> Option<(Code, Written<Level>)> {
        let text = code.value.as_str();
        let known = rules::all();
        let problem = match known.iter().find(|known| known.as_str() == text) {
            None => {
                let near = nearest(text, known.iter().map(|known| known.as_str()));
                Problem::new(
                    format!("there is no rule `{}`", text.escape_debug()),
                    near.map_or("`bottlec rule` lists all rules".to_owned(), |near| format!("did you mean `{near}`?")),
                )
            }
            Some(code) if code.severity() == Severity::Error => Problem::new(
                format!("{text} is an error, which cannot be lowered: what it is about cannot be compiled"),
                "remove the line; only warnings have a severity to choose",
            ),
            Some(code) if code.grade().is_some() => Problem::new(
                format!("{text} grades a change, and is not found by `check`"),
                "remove the line; `fail-on` under `[review]` chooses the grades that fail",
            ),
            Some(known) => return Some((*known, self.written(level))),
        };
        self.findings.push(problem.at(Code::Configuration, code.span));
        None
    }

    fn parsed<T>(
        &mut self,
        text: &Spanned<String>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Written<T>> {
        match parse(&text.value) {
            Ok(value) => Some(Written { value, line: self.sources.position(text.span).line }),
            Err(problem) => {
                self.findings.push(problem.at(Code::Configuration, text.span));
                None
            }
        }
    }

    fn written<T>(&self, Spanned { value, span }: Spanned<T>) -> Written<T> {
        Written { value, line: self.sources.position(span).line }
    }
}
