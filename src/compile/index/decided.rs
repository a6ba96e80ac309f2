//! Who decided the entries of the files, grouped by who it was. A manifest's keys are named by their JSON pointers
//! and their lines stand on one line of the text, so that a line that moves in a manifest moves little here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::OnceLock;

use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::Provenance;
use crate::manifest::place::Places;
use crate::manifest::written::DEFINITION;
use crate::text::source::{Sources, Span};
use crate::text::visible;
use crate::value::origin::{Origin, nearest};

/// Entries of files: each is `FILE#POINTER`, with a JSON pointer (RFC 6901) into that file.
type Entries = Vec<String>;

/// All entries, by who decided them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Decided {
    /// By the name of the rule.
    built_in: BTreeMap<Cow<'static, str>, Entries>,
    provider: Vec<ByProvider>,
    /// By the pointer of the manifest's key or value.
    manifest: BTreeMap<String, Entries>,
    /// `file:line:column` of each pointer above.
    #[serde(serialize_with = "on_one_line")]
    places: BTreeMap<String, String>,
    #[serde(skip)]
    found: Found,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct ByProvider {
    provider: String,
    rule: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    defined_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    narrowed_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    asked_at: Option<String>,
    entries: Entries,
}

/// Who decided each entry, made when somebody asks: a build never does.
#[derive(Clone, Debug, Default)]
struct Found(OnceLock<BTreeMap<String, Provenance>>);

impl PartialEq for Found {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The name of an entry.
pub(super) fn entry(file: &str, pointer: &str) -> String {
    format!("{file}#{pointer}")
}

impl Decided {
    pub(super) fn of(entries: impl Iterator<Item = (String, Origin)>, sources: &Sources) -> Self {
        let mut pointers = Pointers { places: Places::of(sources), sources, known: BTreeMap::new() };
        let mut by_rule: BTreeMap<_, Entries> = BTreeMap::new();
        let mut by_provider: BTreeMap<_, Entries> = BTreeMap::new();
        let mut by_manifest: BTreeMap<_, Entries> = BTreeMap::new();
        for (entry, origin) in entries {
            match origin {
                Origin::BuiltIn(rule) => by_rule.entry(Cow::Borrowed(rule)).or_default(),
                Origin::Manifest(span) => by_manifest.entry(pointers.of(span)).or_default(),
                Origin::Provider { provider, rule, defined_at, narrowed_at, asked_at } => {
                    let [narrowed_at, asked_at] = [narrowed_at, asked_at].map(|at| at.map(|span| pointers.of(span)));
                    let defined_at = defined_at.map(|span| pointers.of_definition(span));
                    by_provider.entry((provider, rule, defined_at, narrowed_at, asked_at)).or_default()
                }
            }
            .push(entry);
        }
        let by_provider =
            by_provider.into_iter().map(|((provider, rule, defined_at, narrowed_at, asked_at), entries)| ByProvider {
                provider: provider.to_string(),
                rule: rule.to_string(),
                defined_at,
                narrowed_at,
                asked_at,
                entries,
            });
        Decided {
            built_in: by_rule,
            provider: by_provider.collect(),
            manifest: by_manifest,
            places: pointers.into_places(),
            found: Found::default(),
        }
    }

    /// Who decided the entry at a pointer of a file: the longest recorded pointer that is a prefix of it wins.
    pub(super) fn by(&self, file: &str, pointer: &str) -> Option<&Provenance> {
        self.by_entry(&entry(file, pointer))
    }

    pub(super) fn by_entry(&self, entry: &str) -> Option<&Provenance> {
        nearest(self.found.0.get_or_init(|| self.entries()), entry)
    }

    fn entries(&self) -> BTreeMap<String, Provenance> {
        let Decided { built_in, provider, manifest, places, found: _ } = self;
        let place = |pointer: &String| places.get(pointer).cloned().unwrap_or_default();
        let mut found = BTreeMap::new();
        let mut add = |entries: &Entries, by: Provenance| {
            found.extend(entries.iter().map(|entry| (entry.clone(), by.clone())));
        };
        built_in.iter().for_each(|(rule, entries)| add(entries, Provenance::BuiltIn(rule.clone())));
        for ByProvider { provider, rule, defined_at, narrowed_at, asked_at, entries } in provider {
            add(
                entries,
                Provenance::Provider {
                    provider: provider.clone(),
                    rule: rule.clone(),
                    defined_at: defined_at.as_ref().map(place),
                    narrowed_at: narrowed_at.as_ref().map(place),
                    asked_at: asked_at.as_ref().map(place),
                },
            );
        }
        manifest.iter().for_each(|(pointer, entries)| add(entries, Provenance::Manifest(place(pointer))));
        found
    }
}

/// The pointers of spans, each looked for once.
struct Pointers<'s> {
    places: Places<'s>,
    sources: &'s Sources,
    known: BTreeMap<Span, String>,
}

impl Pointers<'_> {
    fn of(&mut self, span: Span) -> String {
        self.known.entry(span).or_insert_with(|| self.places.pointer(span)).clone()
    }

    /// In the user's own definition of the agent, which the manifest of an index has beside its path.
    fn of_definition(&mut self, span: Span) -> String {
        let pointer = || format!("/agent_provider/{DEFINITION}{}", self.places.pointer(span));
        self.known.entry(span).or_insert_with(pointer).clone()
    }

    fn into_places(self) -> BTreeMap<String, String> {
        let mut places = BTreeMap::new();
        for (span, pointer) in self.known {
            if let Entry::Vacant(place) = places.entry(pointer) {
                place.insert(self.sources.reference(span));
            }
        }
        places
    }
}

/// Every line of a manifest moves when one is added at its top: here that is one line, however many there are.
fn on_one_line<S: Serializer>(places: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(places).map_err(S::Error::custom)?;
    RawValue::from_string(visible::json(&text).into_owned()).map_err(S::Error::custom)?.serialize(serializer)
}
