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
use bottlec::link::egress::{ADDON, WIRE};
use bottlec::model::why::{Outcome, why};
use bottlec::model::{Authorization, Model, Request, Rule, Verdict, judge};
use bottlec::value::credential::Scheme;
use bottlec::value::host::Host;
use bottlec::value::slot::{self, Slot};
use case::{Case, OWN, latin_1};
use serde_json::{Value, json};

const SEED: u64 = 20_261_122;

/// Rules that say nothing of a request.
const OF_EGRESS_ITSELF: [Rule; 2] = [Rule::Internal, Rule::Stale];

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

/// What the model says: the outcome, and the credentials that arrive.
fn modelled(model: &Model, case: &Case, is_bound: bool) -> (&'static str, Vec<String>) {
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
        Verdict::Refused(rule) => (rule.as_str(), Vec::new()),
        Verdict::Allowed { route, authorization } => {
            let sent = match authorization {
                Authorization::Kept => vec![OWN.to_owned(); case.signatures],
                Authorization::Stripped => Vec::new(),
                Authorization::Injected(slot) => {
                    let (credential, token) = (route.credential.as_ref().unwrap(), token(slot).unwrap());
                    vec![match &credential.scheme {
                        Scheme::Bearer => format!("Bearer {token}"),
                        Scheme::Token => format!("token {token}"),
                        Scheme::Basic { username } => {
                            format!("Basic {}", STANDARD.encode(format!("{username}:{token}")))
                        }
                    }]
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
            let (outcome, authorization) = modelled(&model, &case, is_bound);
            let sent = case.sent(expected.len());
            expected.push((outcome, authorization, case, sent.clone()));
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
    for ((outcome, authorization, case, sent), said) in expected.iter().zip(said) {
        let is_malformed = said["outcome"] == "malformed";
        let host = case.host().to_ascii_lowercase();
        let arrived = match *outcome {
            "allowed" if !is_malformed => json!([
                { "connect": format!("{host}:443"), "sni": host, "target": latin_1(&case.target), "authorization": authorization },
            ]),
            _ => json!([]),
        };
        if (!is_malformed && said["outcome"] != *outcome) || said["arrived"] != arrived {
            disagreements.push(format!("model: {outcome} {arrived}\n egress: {said}\n   sent: {sent}"));
        }
        *counts.entry(if is_malformed { "malformed" } else { outcome }).or_default() += 1;
    }
    println!("{counts:?}");
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
    let tried = Rule::ALL.into_iter().filter(|rule| !OF_EGRESS_ITSELF.contains(rule)).map(Rule::as_str);
    for outcome in tried.chain(["allowed"]) {
        assert!(counts.get(outcome).is_some_and(|&count| count * 400 >= expected.len()), "{outcome} is hardly tried");
    }
}

/// Every rule by which the addon refuses is one of the model's, and the other way round.
#[test]
fn the_model_has_the_rules_of_the_addon() {
    let after = ADDON.text.split("Refused(").skip(1);
    let named = after.filter_map(|text| text.trim_start().strip_prefix('"')?.split('"').next());
    let named: BTreeSet<&str> = named.collect();
    assert_eq!(named, Rule::ALL.into_iter().map(Rule::as_str).collect());
}
