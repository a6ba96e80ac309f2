//! The model of egress (`model`) against the real mitmdump with the compiled addon: many generated
//! bottles, many requests, half of them hostile, and no difference.
//!
//! Not tried: letters that are newer than the Unicode of mitmdump's Python, and `xn--` labels that
//! hide a U+3002, which mitmdump takes for a dot and the model for no route.
//!
//! `BOTTLEC_AGREEMENT_SEED` repeats a run, `BOTTLEC_AGREEMENT_SETS` makes it longer.

#[path = "agreement/bottle.rs"]
mod bottle;
#[path = "agreement/case.rs"]
mod case;
#[path = "agreement/hostile.rs"]
mod hostile;

use crate::support;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::programs;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bottle::{FOREIGN, HOSTS, Random, manifest};
use bottlec::model::why::{Outcome, why};
use bottlec::model::{Authorization, Model, Request, Rule, Verdict, judge};
use bottlec::target::egress::rules::{BORDERS, head};
use bottlec::target::egress::{ADDON, WIRE};
use bottlec::value::credential::Injection;
use bottlec::value::host::Host;
use bottlec::value::slot::{self, Slot};
use case::{Case, OWN, OWN_KEY, OWN_PARTS, latin_1};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

const SEED: u64 = 20_261_122;

/// Rules that say nothing of a request.
const OF_EGRESS_ITSELF: [&str; 2] = ["internal", "stale"];

/// What the slots hold; those that are not here are not set. A header can carry all but two.
const TOKENS: [(&str, &str); 5] = [
    ("EGRESS_TOKEN_0", "first.token/+=~"),
    ("EGRESS_TOKEN_1", ""),
    ("EGRESS_TOKEN_2", "\"quoted\""),
    ("EGRESS_TOKEN_3", "with blank"),
    ("EGRESS_TOKEN_4", "last-token"),
];

/// What egress is told of the tokens that it has.
const BOUND: &str = "abababababababababababababababababababababababababababababababab";

fn token(slot: Slot) -> Option<&'static str> {
    let held = TOKENS.into_iter().find(|(name, _)| *name == slot.to_string());
    held.map(|(_, token)| token).filter(|token| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// What arrives of a request that egress lets through.
#[derive(Default)]
struct Arrived {
    /// Every `Authorization`.
    authorization: Vec<String>,
    /// Every `X-Example-Key`.
    keys: Vec<String>,
    /// The target; nothing if a mutation leaves open what is dropped of it.
    target: Option<String>,
    /// How it ends.
    end: String,
}

impl Arrived {
    /// What the agent sent, less its credentials.
    fn of(case: &Case) -> Arrived {
        let keys = vec![OWN_KEY.to_owned(); case.keys.len()];
        Arrived { keys, target: Some(latin_1(&case.target)), ..Arrived::default() }
    }

    /// The same, signed with a token.
    fn signed(mut self, injection: &Injection, token: &str) -> Arrived {
        match injection {
            Injection::Basic { username } => {
                self.authorization = vec![format!("Basic {}", STANDARD.encode(format!("{username}:{token}")))];
            }
            Injection::Header { name, prefix } => {
                let value = format!("{}{token}", prefix.as_ref().map_or("", |prefix| prefix.as_str()));
                let is_key = name.as_str() == "x-example-key";
                *(if is_key { &mut self.keys } else { &mut self.authorization }) = vec![value];
            }
            Injection::Query { parameter } => {
                let token = utf8_percent_encode(token, UNRESERVED);
                let target = self.target.take().unwrap_or_default();
                let (path, query) = target.split_once('?').unwrap_or((&target, ""));
                let parts: Vec<&str> = query.split_inclusive(['&', ';']).collect();
                let is_own = |part: &&&str| OWN_PARTS.contains(&part.trim_end_matches(['&', ';']));
                let kept: String = parts.iter().filter(|part| !is_own(part)).copied().collect();
                let is_whole = kept.len() == query.len();
                let kept = if is_whole { query } else { kept.trim_end_matches(['&', ';']) };
                let has_mark = if is_whole { target.contains('?') } else { !kept.is_empty() };
                let (mark, and) = if has_mark { ("?", "&") } else { ("", "?") };
                self.end = format!("{and}{parameter}={token}");
                let is_like_own = |word: &&str| kept.to_ascii_lowercase().contains(word);
                let is_clear = !["exam", "ample", "key", "own"].iter().any(is_like_own);
                self.target = is_clear.then(|| format!("{path}{mark}{kept}{}", self.end));
            }
        }
        self
    }

    /// Whether that is what the far end saw.
    fn is(&self, seen: &Value) -> bool {
        let target = seen["target"].as_str().unwrap_or_default();
        let is_target = self.target.as_ref().map_or(target.ends_with(&self.end), |meant| meant == target);
        is_target && seen["authorization"] == json!(self.authorization) && seen["keys"] == json!(self.keys)
    }
}

/// What a token is made of that needs no encoding in a query.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What the model says: the outcome, and what arrives.
fn modelled(model: &Model, case: &Case, is_bound: bool) -> (&'static str, Arrived) {
    let asked = case.asked();
    let is_filled = |slot| is_bound && token(slot).is_some();
    let told = why(model, &asked, is_filled);
    let verdict = judge(&model.reach.routes, &asked, is_filled);
    // `why` tells of this verdict and no other.
    let rule = told.hops.iter().find_map(|hop| match hop.outcome {
        Outcome::Refused(rule) => Some(rule),
        Outcome::Passes | Outcome::NotAsked => None,
    });
    match (&verdict, rule) {
        (Verdict::Allowed { .. }, None) => assert!(told.is_allowed()),
        (Verdict::Refused(refused), Some(rule)) => assert_eq!(refused.as_str(), rule),
        _ => panic!("why says {rule:?}, and the model {verdict:?}"),
    }
    match verdict {
        Verdict::Refused(rule) => (rule.as_str(), Arrived::default()),
        Verdict::Allowed { route, authorization } => {
            let sent = Arrived::of(case);
            let sent = match authorization {
                Authorization::Kept => Arrived { authorization: vec![OWN.to_owned(); case.signatures], ..sent },
                Authorization::Stripped => sent,
                Authorization::Injected(slot) => {
                    sent.signed(&route.credential.as_ref().unwrap().injection, token(slot).unwrap())
                }
            };
            ("allowed", sent)
        }
    }
}

fn from_environment(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |value| value.parse().unwrap())
}

#[test]
fn egress_does_what_the_model_says() {
    let seed = from_environment("BOTTLEC_AGREEMENT_SEED", SEED);
    let sets = from_environment("BOTTLEC_AGREEMENT_SETS", 320);
    for mitmdump in programs("BOTTLEC_MITMDUMP_BINS") {
        println!("BOTTLEC_AGREEMENT_SEED={seed}");
        agree(&mitmdump, seed, sets);
    }
}

/// pipelock gates by host alone: it refuses by its list what has no route, and nothing else.
#[test]
fn pipelock_admits_the_hosts_that_the_model_admits() {
    // No registry has it, so that nobody can require it.
    let Some(pipelock) = std::env::var_os("BOTTLEC_PIPELOCK_BIN") else {
        return support::skipped("BOTTLEC_PIPELOCK_BIN is not set");
    };
    let mut random = Random(from_environment("BOTTLEC_AGREEMENT_SEED", SEED));
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let run = Command::new(&pipelock).args(arguments).current_dir(folder.path()).output().unwrap();
        String::from_utf8_lossy(&[run.stdout, run.stderr].concat()).into_owned()
    };
    run(&["tls", "init", "--out", "."]);
    for _ in 0..12 {
        let text = manifest(&mut random);
        let model = support::model(&text);
        let routes = model.reach.routes;
        // Without private ranges it asks no DNS.
        let mut config: Value = serde_yaml::from_str(&model.files["pipelock/pipelock.yaml"]).unwrap();
        config["internal"] = json!([]);
        config["tls_interception"]["ca_cert"] = "ca.pem".into();
        config["tls_interception"]["ca_key"] = "ca-key.pem".into();
        fs::write(folder.path().join("pipelock.yaml"), config.to_string()).unwrap();
        let hosts = HOSTS.into_iter().chain(FOREIGN).filter_map(|host| Host::parse(host).ok());
        for host in hosts.chain(routes.iter().map(|route| route.host.clone())) {
            let said = run(&["check", "--config", "pipelock.yaml", "--url", &format!("https://{host}/")]);
            assert!(said.contains("Result: "), "{host}: {said}");
            let is_admitted = !matches!(
                judge(&routes, &Request::new(host.as_str(), "GET", "/"), |_| true),
                Verdict::Refused(Rule::Host)
            );
            assert_eq!(!said.contains("Scanner: allowlist"), is_admitted, "{host}: {said}");
        }
    }
}

fn agree(mitmdump: &Path, seed: u64, sets: u64) {
    let mut random = Random(seed);
    let folder = tempfile::tempdir().unwrap();
    let environment: BTreeMap<_, _> = TOKENS.into_iter().chain([(slot::BINDING, BOUND)]).collect();
    let mut lines = vec![json!({ "environment": environment })];
    let mut expected = Vec::new();
    for _ in 0..sets {
        let model = support::model(&manifest(&mut random));
        let routes = &model.reach.routes;
        // egress is started once; the tokens it has are for these routes, or for others.
        let is_bound = random.percent(90);
        let wire = match model.index.binding().filter(|_| is_bound) {
            Some(binding) => model.files[WIRE].replace(binding.as_str(), BOUND),
            None => model.files[WIRE].clone(),
        };
        let mut cases = Vec::new();
        for _ in 0..8 {
            let mut case = Case::honest(&mut random, routes);
            if random.percent(60) {
                for _ in 0..=random.below(2) {
                    case.mutate(&mut random);
                }
            }
            if case.asks_for_a_tunnel() {
                case.scheme = None;
            }
            let (outcome, arrives) = modelled(&model, &case, is_bound);
            let sent = case.sent(expected.len());
            expected.push((outcome, arrives, case, sent.clone()));
            cases.push(sent);
        }
        lines.push(json!({ "routes": wire, "cases": cases }));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("cases"), text).unwrap();
    fs::write(folder.path().join("addon.py"), ADDON.text).unwrap();
    let run = Command::new(mitmdump.with_file_name("python"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/real/agree.py"))
        .args([mitmdump, folder.path()])
        .stdin(fs::File::open(folder.path().join("cases")).unwrap())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(run.status.success());

    let said: Vec<Value> =
        run.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let (tunnels, said) = said.split_last().unwrap();
    assert_eq!(said.len(), expected.len());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut disagreements = Vec::new();
    let mut signed_by: BTreeMap<&str, usize> = BTreeMap::new();
    for ((outcome, arrives, case, sent), said) in expected.iter().zip(said) {
        let is_malformed = said["outcome"] == "malformed";
        let host = case.host().to_ascii_lowercase();
        let has_arrived = said["arrived"].as_array().unwrap();
        let is_as_modelled = match (*outcome, has_arrived.as_slice()) {
            ("allowed", [seen]) if !is_malformed => {
                seen["connect"] == format!("{host}:443") && seen["sni"] == host && arrives.is(seen)
            }
            ("allowed", _) if !is_malformed => false,
            (_, seen) => seen.is_empty(),
        };
        if (!is_malformed && said["outcome"] != *outcome) || !is_as_modelled {
            let Arrived { authorization, keys, target, end } = arrives;
            let arrives = json!([authorization, keys, target, end]);
            disagreements.push(format!("model: {outcome} {arrives}\n egress: {said}\n   sent: {sent}"));
        }
        if *outcome == "allowed" && !is_malformed {
            let is_query = !arrives.end.is_empty();
            let is_key = arrives.keys.iter().any(|key| key != OWN_KEY);
            *signed_by
                .entry(if is_query {
                    "query"
                } else if is_key {
                    "header"
                } else {
                    "other"
                })
                .or_default() += 1;
        }
        *counts.entry(if is_malformed { "malformed" } else { outcome }).or_default() += 1;
    }
    println!("{counts:?} {signed_by:?}");
    assert!(signed_by.len() == 3, "a form is not tried: {signed_by:?}");
    let malformed = counts.remove("malformed").unwrap_or_default();
    println!(
        "agreement: {sets} route sets, {} requests, {malformed} malformed, {} disagreements",
        expected.len(),
        disagreements.len()
    );
    assert!(disagreements.is_empty(), "{}", disagreements[..disagreements.len().min(10)].join("\n"));
    let arrived: usize = said.iter().map(|said| said["arrived"].as_array().unwrap().len()).sum();
    assert_eq!(tunnels["tunnels"], arrived, "a tunnel was opened for a request that did not go on");
    assert!(malformed * 10 < expected.len(), "too many requests say nothing");
    let rules = breaches_of_the_addon().into_iter().map(|(_, rule)| rule);
    for outcome in rules.filter(|rule| !OF_EGRESS_ITSELF.contains(rule)).chain(["allowed"]) {
        assert!(counts.get(outcome).is_some_and(|&count| count * 400 >= expected.len()), "{outcome} is hardly tried");
    }
}

/// What the addon says: each way to break a rule, with the rule, in its order.
fn breaches_of_the_addon() -> Vec<(&'static str, &'static str)> {
    let table = ADDON.text.split("\nBREACHES = {\n").nth(1).unwrap().split("\n}\n").next().unwrap();
    let quoted = |text: &'static str| text.split('"').nth(1).unwrap();
    table
        .split("    ),")
        .filter(|entry| entry.contains('"'))
        .map(|entry| {
            let (name, rest) = entry.split_once(": (").unwrap();
            (quoted(name), quoted(rest))
        })
        .collect()
}

/// The rules by which the addon refuses are the model's, in the same order, and it raises every breach of them.
#[test]
fn the_model_has_the_rules_of_the_addon() {
    let breaches = breaches_of_the_addon();
    let mut rules: Vec<&str> = breaches.iter().map(|(_, rule)| *rule).collect();
    rules.dedup();
    assert_eq!(rules, Rule::ALL.iter().map(|rule| rule.as_str()).collect::<Vec<_>>());
    let after = ADDON.text.split("Refused(").skip(1);
    let raised = after.filter_map(|text| text.strip_prefix('"')?.split('"').next());
    assert_eq!(raised.collect::<BTreeSet<_>>(), breaches.iter().map(|(name, _)| *name).collect());
}

/// `UPDATE=1` writes it anew.
#[test]
fn the_head_of_the_addon_is_made_from_the_table() {
    let [start, end] = BORDERS;
    let (before, rest) = ADDON.text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    let meant = format!("{before}{start}{}{end}{after}", head());
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/addon.py"), &meant).unwrap();
    }
    let diff = similar::TextDiff::from_lines(ADDON.text, &meant);
    assert!(meant == ADDON.text, "UPDATE=1 accepts:\n{}", diff.unified_diff());
}
