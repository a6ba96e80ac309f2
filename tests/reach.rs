//! Reach: what the model says of compiled bottles, and what must be true of any two of them.
//!
//! `BOTTLEC_CASES=10000 cargo test --profile many --test reach` tries more of them, as CI does.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use bottlec::model::why::why;
use bottlec::model::{Change, Direction, Model, Reach, Request, Route, Tls, Topic, Verdict, changes, judge};
use bottlec::provider::facts::HostFacts;
use bottlec::text::diagnostic::Grade;
use bottlec::value::isolation::{Guard, Part};
use ipnet::IpNet;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::agents::{self, Way};

#[test]
fn every_guard_stands_in_every_golden() {
    let mut seen = BTreeSet::new();
    let (_kept, trees) = support::goldens::whole_trees();
    for tree in trees {
        let model = read(&tree);
        for guard in &model.reach.guards {
            assert!(guard.satisfied, "{}: {}", tree.display(), guard.invariant);
            seen.insert(guard.invariant);
        }
    }
    assert!(seen.len() > 35, "{}", seen.len());
}

/// What one backend's tree has and the other's has not is no change of reach.
#[test]
fn a_tree_for_one_backend_reaches_what_one_for_both_does() {
    let both = support::model(TWO_ROUTES);
    for backend in support::BOTH {
        let tree = support::compile_with(TWO_ROUTES, &HostFacts::hermetic(), &[backend]).tree.unwrap();
        let one = Model::of_tree(&tree).unwrap();
        for changes in [changes(&one.reach, &both.reach), changes(&both.reach, &one.reach)] {
            assert!(gravest(&changes) == Grade::Info, "{changes:?}");
        }
        assert!(is_within(&one.reach, &both.reach) && is_within(&both.reach, &one.reach));
    }
}

const TWO_ROUTES: &str = "egress:\n  routes:\n    - host: a.example\n    - host: b.example\n";

/// The model of a tree on disk.
fn read(tree: &Path) -> Model {
    let text = |(path, content): (std::path::PathBuf, Vec<u8>)| {
        (path.to_str().unwrap().to_owned(), String::from_utf8(content).unwrap())
    };
    let files = support::contents_below(tree).into_iter().map(text).collect();
    Model::of(files).unwrap()
}

/// Whether everything that the reach allows or holds is allowed or held by the other as well, and nothing that watches
/// over it is less. What grades are held against; the program itself has no use for it.
fn is_within(reach: &Reach, other: &Reach) -> bool {
    let credential =
        |route: &Route| route.credential.as_ref().map(|held| (held.injection.clone(), held.token_ref.clone()));
    let covered = |route: &Route| {
        other.route(&route.host).is_some_and(|wider| {
            wider.path_allowlist.admits_all_of(&route.path_allowlist)
                && (route.credential.is_none() || credential(route) == credential(wider))
                && (!route.keeps_authorization || wider.keeps_authorization)
                && (route.tls == wider.tls || wider.tls == Some(Tls::PassedThrough))
        })
    };
    let stands = |guard: &Guard| {
        let same = reach.guards.iter().find(|own| own.invariant == guard.invariant);
        !guard.satisfied || same.is_none_or(|own| own.satisfied)
    };
    let is_same = |(name, part): (&String, &Part)| {
        let old = other.parts.get(name);
        old.is_none_or(|old| old.image == part.image && old.settings == part.settings)
    };
    let exceptions = IpNet::aggregate(&other.exceptions.iter().copied().collect());
    let forwarded: BTreeSet<_> = other.forwarded().collect();
    reach.reachable().all(covered)
        && reach.exceptions.iter().all(|range| exceptions.iter().any(|wider| wider.contains(range)))
        && reach.host_tokens.is_subset(&other.host_tokens)
        && reach.forwarded().all(|variable| forwarded.contains(&variable))
        && reach.parts.iter().all(is_same)
        && other.guards.iter().all(stands)
}

/// A manifest as what it asks for, free of its text.
#[derive(Clone, Debug)]
struct Wish {
    provider: usize,
    routes: BTreeMap<usize, RouteWish>,
    env: BTreeMap<usize, usize>,
    image: Option<usize>,
    pipelock_3: bool,
}

#[derive(Clone, Debug)]
struct RouteWish {
    prefixes: BTreeSet<usize>,
    auth: Option<(usize, usize)>,
    keep: bool,
    spliced: bool,
    range: Option<usize>,
}

/// Every agent in every way to sign in: the lines that ask for it, and its paths at the first of [`HOSTS`], if that is
/// one of its hosts.
static PROVIDERS: LazyLock<Vec<(String, Option<Vec<String>>)>> = LazyLock::new(|| {
    let owned = |way: &Way| {
        let agent = way.provider.agent();
        let mut routes = agent.routes.iter().chain(&way.sign_in().routes);
        let route = routes.find(|route| agent.service.get().hosts[&route.to.value].as_str() == HOSTS[0])?;
        Some(route.paths.iter().map(ToString::to_string).collect())
    };
    let all: Vec<_> = agents::built_in().iter().map(|way| (way.settings.clone(), owned(way))).collect();
    assert!(all.iter().any(|(_, owned)| owned.is_some()) && all.iter().any(|(_, owned)| owned.is_none()));
    all
});
/// The first is a provider's, of which a manifest can choose the paths.
const HOSTS: [&str; 5] = ["api.anthropic.com", "a.example", "b.example", "git.example", "docs.b.example"];
/// None covers another, except that of the same letter.
const PREFIXES: [&str; 5] = ["/a", "/a/b", "/c", "/d/e", "/d/e/f"];
const FORMS: [&str; 6] = [
    "scheme: Bearer",
    "scheme: token",
    "scheme: Basic\n        username: me",
    "header: x-example-key",
    "header: x-example-key\n        prefix: \"Key \"",
    QUERY,
];
/// Refused on a host that pipelock opens.
const QUERY: &str = "query: key";
const RANGES: [&str; 3] = ["10.1.0.0/16", "10.1.2.0/24", "192.168.7.7/32"];
const VALUES: [&str; 5] = ["plain", "${HOST_ONE}", "${HOST_TWO}", "?", "?which one"];

/// How the text is written; none of it means anything.
#[derive(Clone, Debug)]
struct Hand {
    /// Which of the two orders of keys.
    backwards: bool,
    /// Quoting of scalars.
    quotes: usize,
    comments: bool,
    crlf: bool,
}

const PLAIN: Hand = Hand { backwards: false, quotes: 0, comments: false, crlf: false };

impl Wish {
    fn text(&self, hand: &Hand) -> String {
        let quoted = |text: &str| match hand.quotes {
            0 => format!("\"{text}\""),
            1 => format!("'{text}'"),
            _ if text.starts_with(['?', '$']) => format!("'{text}'"),
            _ => text.to_owned(),
        };
        let mut blocks = vec![format!("agent_provider:\n  {}\n", PROVIDERS[self.provider].0)];
        if let Some(image) = self.image {
            blocks[0] += &format!("  image: {}\n", quoted(&format!("registry.example/agent:{image}")));
        }
        let mut routes = String::new();
        for (host, route) in &self.routes {
            let owned = *host == 0 && self.owned().is_some();
            if owned && route.prefixes.is_empty() {
                continue;
            }
            let mut keys = vec![format!("host: {}\n", quoted(HOSTS[*host]))];
            let prefixes: Vec<String> = route.prefixes.iter().map(|prefix| quoted(PREFIXES[*prefix])).collect();
            if !prefixes.is_empty() {
                keys.push(format!("path_allowlist: [{}]\n", prefixes.join(", ")));
            }
            if let Some((form, token)) = route.auth.filter(|_| !owned) {
                keys.push(format!("auth:\n        {}\n        token_ref: TOKEN_{token}\n", FORMS[form]));
            }
            let needs_splice = route.auth.is_some_and(|(form, _)| FORMS[form] == QUERY);
            if route.keep && route.auth.is_none() && !owned {
                keys.push("keep_authorization: true\n".to_owned());
            }
            let mut pipelock = String::new();
            if (route.spliced || needs_splice) && !owned {
                pipelock += "        tls_passthrough: true\n";
            }
            if let Some(range) = route.range.filter(|_| !owned) {
                pipelock += &format!("        ssrf_ip_allowlist: [{}]\n", quoted(RANGES[range]));
            }
            if !pipelock.is_empty() {
                keys.push(format!("pipelock:\n{pipelock}"));
            }
            if hand.backwards {
                keys.reverse();
            }
            if hand.comments {
                keys[0] = keys[0].replacen('\n', "  # a word\n", 1);
            }
            routes += &format!("    - {}", keys.join("      "));
        }
        if !routes.is_empty() {
            blocks.push(format!("egress:\n  routes:\n{routes}"));
        }
        let mut env: Vec<String> =
            self.env.iter().map(|(name, value)| format!("  NAME_{name}: {}\n", quoted(VALUES[*value]))).collect();
        if hand.backwards {
            env.reverse();
        }
        if !env.is_empty() {
            blocks.push(format!("env:\n{}", env.concat()));
        }
        if self.pipelock_3 {
            blocks.push("targets:\n  pipelock: \"3\"\n".to_owned());
        }
        if hand.backwards {
            blocks.reverse();
        }
        let between = if hand.comments { "\n# a line\n\n" } else { "" };
        let text = blocks.join(between);
        if hand.crlf { text.replace('\n', "\r\n") } else { text }
    }

    /// The provider's own paths at the first host, if it is one of its hosts.
    fn owned(&self) -> Option<&[String]> {
        PROVIDERS[self.provider].1.as_deref()
    }

    /// Whether a plain GET goes on, without the model.
    fn allows(&self, host: &str, path: &str) -> bool {
        let at = HOSTS.iter().position(|other| *other == host).unwrap();
        let is_owned = at == 0 && self.owned().is_some();
        let prefixes: Vec<&str> = match self.routes.get(&at) {
            Some(route) if !is_owned || !route.prefixes.is_empty() => {
                route.prefixes.iter().map(|prefix| PREFIXES[*prefix]).collect()
            }
            _ if is_owned => self.owned().into_iter().flatten().map(String::as_str).collect(),
            _ => return false,
        };
        let path = path.split('?').next().unwrap();
        let is_below = |prefix: &&str| format!("{path}/").starts_with(&format!("{prefix}/"));
        prefixes.is_empty() || (!path.contains("..") && prefixes.iter().any(is_below))
    }

    fn model(&self) -> Model {
        support::model(&self.text(&PLAIN))
    }
}

fn route() -> impl Strategy<Value = RouteWish> {
    let prefixes = proptest::collection::btree_set(select(vec![0, 2, 3]), 0..3)
        .prop_flat_map(|chosen| (Just(chosen), proptest::bool::ANY))
        // A longer prefix in the place of its shorter one; both together would be refused.
        .prop_map(|(chosen, longer)| {
            chosen.into_iter().map(|prefix| if longer && prefix != 2 { prefix + 1 } else { prefix }).collect()
        });
    let auth = proptest::option::of((0..FORMS.len(), 0..2_usize));
    let range = proptest::option::weighted(0.3, 0..RANGES.len());
    let flags = (proptest::bool::weighted(0.3), proptest::bool::ANY);
    (prefixes, auth, flags, range).prop_map(|(prefixes, auth, (keep, spliced), range)| RouteWish {
        prefixes,
        auth,
        keep,
        spliced,
        range,
    })
}

fn wish() -> impl Strategy<Value = Wish> {
    let routes = proptest::collection::btree_map(0..HOSTS.len(), route(), 0..4);
    let env = proptest::collection::btree_map(0..3_usize, 0..VALUES.len(), 0..3);
    let image = proptest::option::weighted(0.2, 0..2_usize);
    (0..PROVIDERS.len(), routes, env, image, proptest::bool::weighted(0.1))
        .prop_map(|(provider, routes, env, image, pipelock_3)| Wish { provider, routes, env, image, pipelock_3 })
}

/// Two manifests, mostly with little between them.
fn two() -> impl Strategy<Value = (Wish, Wish)> {
    let near = (wish(), wish(), 0..10_usize, any::<Index>()).prop_map(|(wish, other, part, at)| {
        let mut near = wish.clone();
        let key = wish.routes.keys().nth(at.index(wish.routes.len().max(1))).copied();
        let route = key.and_then(|key| near.routes.get_mut(&key));
        let donor = other.routes.values().next();
        match (part, route, donor) {
            (0, ..) => near.provider = other.provider,
            (1, ..) => near.env = other.env.clone(),
            (2, ..) => near.image = other.image,
            (3, ..) => near.routes.extend(other.routes.clone()),
            (4, Some(_), _) => drop(key.and_then(|key| near.routes.remove(&key))),
            (5, Some(route), Some(donor)) => route.prefixes.clone_from(&donor.prefixes),
            (6, Some(route), Some(donor)) => route.auth = donor.auth,
            (7, Some(route), _) => route.spliced = !route.spliced,
            (8, Some(route), Some(donor)) => route.range = donor.range,
            (9, Some(route), _) => route.keep = !route.keep,
            _ => near.pipelock_3 = !near.pipelock_3,
        }
        (wish, near)
    });
    prop_oneof![4 => near, 1 => (wish(), wish())]
}

fn by_topic(changes: &[Change]) -> BTreeMap<Topic, (Direction, Grade)> {
    let map: BTreeMap<Topic, _> =
        changes.iter().map(|change| (change.topic.clone(), (change.direction, change.grade()))).collect();
    assert_eq!(map.len(), changes.len(), "a topic has two changes: {changes:?}");
    map
}

fn gravest(changes: &[Change]) -> Grade {
    changes.iter().map(Change::grade).max().unwrap_or(Grade::Info)
}

/// Requests that a bottle may admit.
const PATHS: [&str; 11] = [
    "/v1/messages?beta=true",
    "/api/oauth/profile",
    "/",
    "/a",
    "/a/b/x",
    "/ab",
    "/c?q=1",
    "/d/e",
    "/d/e/f/g",
    "/c/../a",
    "/x%2fy/z",
];

fn requests() -> Vec<Request> {
    let hosts = HOSTS.into_iter().chain(["chatgpt.com", "auth.openai.com", "platform.claude.com", "other.example"]);
    hosts.flat_map(|host| PATHS.map(|path| Request::new(host, "GET", path))).collect()
}

fn admits(model: &Model, request: &Request) -> bool {
    match judge(&model.reach.routes, request, |_| true) {
        Verdict::Allowed { route, .. } => route.tls.is_some(),
        Verdict::Refused(_) => false,
    }
}

fn cases() -> u32 {
    std::env::var("BOTTLEC_CASES").map_or(128, |cases| cases.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn grades_say_what_reach_says((old, new) in two()) {
        let (old_model, new_model) = (old.model(), new.model());
        let (old, new) = (&old_model.reach, &new_model.reach);
        let forth = changes(old, new);
        let back = changes(new, old);

        prop_assert_eq!(gravest(&forth) <= Grade::Low, is_within(new, old), "{:?}", forth);
        prop_assert_eq!(gravest(&back) <= Grade::Low, is_within(old, new), "{:?}", back);
        prop_assert!(changes(old, old).is_empty());

        // Whatever one way gives, the other way takes.
        let (forth, back) = (by_topic(&forth), by_topic(&back));
        prop_assert_eq!(forth.keys().collect::<Vec<_>>(), back.keys().collect::<Vec<_>>());
        for (topic, (direction, grade)) in &forth {
            let (other_direction, other_grade) = back[topic];
            match direction {
                Direction::Gain => {
                    prop_assert_eq!(other_direction, Direction::Loss);
                    prop_assert!(*grade > Grade::Low && other_grade == Grade::Low);
                }
                Direction::Loss => {
                    prop_assert_eq!(other_direction, Direction::Gain);
                    prop_assert!(*grade == Grade::Low && other_grade > Grade::Low);
                }
                Direction::Other => prop_assert_eq!((other_direction, other_grade), (Direction::Other, *grade)),
            }
        }

        // What is within something admits nothing that it does not admit.
        for request in requests() {
            if is_within(new, old) && admits(&new_model, &request) {
                prop_assert!(admits(&old_model, &request), "{:?}", request);
            }
        }
    }

    #[test]
    fn why_allows_what_the_manifest_says(wish in wish(), host in select(HOSTS.to_vec()), path in select(PATHS.to_vec())) {
        let model = wish.model();
        let found = why(&model, &Request::new(host, "GET", path), |_| true);
        prop_assert_eq!(found.is_allowed(), wish.allows(host, path), "{} {}", host, path);
        prop_assert_eq!(found.is_allowed(), admits(&model, &Request::new(host, "GET", path)));
        // What it proposes is enough, and all that it opens is said.
        if let Some(edit) = found.edit {
            let mut wider = wish.clone();
            let at = HOSTS.iter().position(|other| *other == host).unwrap();
            let text = wider.routes.remove(&at).map_or_else(|| wish.text(&PLAIN), |_| wider.text(&PLAIN));
            let old = wish.routes.get(&at).filter(|route| route.auth.is_some() || route.keep || route.spliced || route.range.is_some());
            // A route that has more than prefixes is not written anew here.
            if old.is_none() || (at == 0 && wish.owned().is_some()) {
                let item = edit.yaml.trim_start_matches("egress:\n  routes:\n");
                let text = match text.split_once("egress:\n  routes:\n") {
                    Some((before, after)) => format!("{before}egress:\n  routes:\n{item}{after}"),
                    None => format!("{text}{}", edit.yaml),
                };
                let edited = support::model(&text);
                prop_assert!(why(&edited, &Request::new(host, "GET", path), |_| true).is_allowed(), "{}", text);
                let topics = |changes: &[Change]| changes.iter().map(|change| change.topic.clone()).collect::<BTreeSet<_>>();
                prop_assert_eq!(topics(&changes(&model.reach, &edited.reach)), topics(&edit.opens));
            }
        }
    }

    #[test]
    fn to_take_a_route_away_never_adds_reach(wish in wish(), at in any::<Index>()) {
        // An entry for a provider's host is no route but narrows one.
        let own: Vec<usize> = wish.routes.keys().copied().filter(|host| *host != 0 || wish.owned().is_none()).collect();
        if let Some(host) = own.get(at.index(own.len().max(1))) {
            let mut less = wish.clone();
            less.routes.remove(host);
            prop_assert!(is_within(&less.model().reach, &wish.model().reach));
        }
    }

    #[test]
    fn the_hand_that_writes_a_manifest_changes_nothing(
        wish in wish(),
        backwards in proptest::bool::ANY,
        quotes in 0..3_usize,
        comments in proptest::bool::ANY,
        crlf in proptest::bool::ANY,
    ) {
        let hand = Hand { backwards, quotes, comments, crlf };
        let other = support::model(&wish.text(&hand));
        let found = changes(&wish.model().reach, &other.reach);
        prop_assert!(found.is_empty(), "{:?}", found);
        prop_assert_eq!(wish.model().files, other.files);
    }
}
