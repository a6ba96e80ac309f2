//! Every place of a manifest that takes a text, with texts that break out of quotes, are read as something else
//! or lead elsewhere: each is refused where it stands, or every file that it lands in reads back as what was
//! written, with nothing else changed.

#[path = "injection/hostile.rs"]
mod hostile;
#[path = "injection/place.rs"]
mod place;
#[path = "injection/readers.rs"]
mod readers;

use std::collections::BTreeSet;
use std::path::{Component, Path};
use std::sync::LazyLock;

use crate::support::texts::{quoted, read_yaml};
use crate::support::{Compiled, compile_file, folder};
use bottlec::manifest::schema;
use bottlec::provider::facts::HostFacts;
use place::{PLACES, Place};
use serde_json::Value;

/// The places of the schema that take a text: `a.b` for a key, `a[]` for an item of a list, `a.*` for any value
/// and `a.{}` for any key of a mapping.
fn places_of(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    let known = ["type", "properties", "items", "additionalProperties", "propertyNames", "required"];
    let words = [
        "title",
        "description",
        "default",
        "examples",
        "pattern",
        "patternErrorMessage",
        "minLength",
        "maxLength",
        "enum",
        "enumDescriptions",
        "$id",
        "$schema",
    ];
    // What keys mean beside each other.
    let between = ["anyOf", "oneOf", "dependencies"];
    for word in schema.as_object().unwrap().keys() {
        assert!([&known[..], &words, &between].concat().contains(&word.as_str()), "{path}: `{word}` may hide a text");
    }
    match schema["type"].as_str() {
        Some("string") => {
            found.insert(path.to_owned());
        }
        Some("boolean") => {}
        Some("array") => places_of(&schema["items"], &format!("{path}[]"), found),
        Some("object") => {
            // Of a mapping of fixed keys, what any other key would be.
            found.insert(below("{}"));
            for (name, key) in schema["properties"].as_object().into_iter().flatten() {
                places_of(key, &below(name), found);
            }
            if schema["additionalProperties"] != false {
                places_of(&schema["additionalProperties"], &below("*"), found);
            }
        }
        other => panic!("{path}: nothing is known of the type {other:?}"),
    }
}

#[test]
fn every_text_of_the_schema_has_a_place_in_the_table() {
    let mut found = BTreeSet::new();
    places_of(&serde_json::from_str(schema::TEXT).unwrap(), "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    let table: BTreeSet<String> = PLACES.iter().map(|place| place.path.to_owned()).collect();
    assert_eq!(table, found);
}

/// A place that was filled, and what became of it.
struct Case {
    place: &'static Place,
    text: String,
    compiled: Compiled,
}

fn compiled(place: &Place, text: &str, scalar: &str) -> Compiled {
    let folder = folder(&[]);
    // A text that leads out of the folder, or that no file can have for a name, finds nothing there.
    let stays = |name: &String| Path::new(name).components().all(|step| matches!(step, Component::Normal(_)));
    if let Some(name) = place.beside.map(|beside| beside(text)).filter(stays) {
        let path = folder.path().join(&name);
        let parent = path.parent().map(std::fs::create_dir_all);
        let _ = parent.map(|_| std::fs::write(&path, "env:\n  PARENT: x\n"));
    }
    let manifest = folder.path().join("bottle.yaml");
    std::fs::write(&manifest, place.manifest.replace('@', scalar)).unwrap();
    compile_file(&manifest, &HostFacts::hermetic(), place.backends)
}

/// Every text in every place.
static CASES: LazyLock<Vec<Case>> = LazyLock::new(|| {
    let texts = hostile::texts();
    assert!(texts.len() >= 150 && texts.iter().collect::<BTreeSet<_>>().len() == texts.len());
    let fill = |place: &'static Place| {
        let texts = texts.iter().map(move |text| {
            let written = (place.written)(text);
            Case { place, text: text.clone(), compiled: compiled(place, &written, &quoted(&written)) }
        });
        texts.collect::<Vec<_>>()
    };
    std::thread::scope(|scope| {
        let fills: Vec<_> = PLACES.iter().map(|place| scope.spawn(move || fill(place))).collect();
        fills.into_iter().flat_map(|filled| filled.join().unwrap()).collect()
    })
});

impl Case {
    fn is_taken(&self) -> bool {
        self.compiled.tree.is_some()
    }
}

/// What a document is made of, without its texts.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(items) => items.iter().map(shape).collect(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}

/// Every file that has a parser, by its name.
fn shapes(compiled: &Compiled) -> Vec<(&'static str, Value)> {
    let mut shapes = Vec::new();
    for file in ["compose.yaml", "egress/routes.yaml", "pipelock/pipelock.yaml"] {
        shapes.push((file, shape(&read_yaml(compiled.file(file)))));
    }
    let has = |path: &str| compiled.tree.as_ref().unwrap().artifacts.iter().any(|file| file.path == path);
    if has("Smolfile") {
        let machine: toml::Value = toml::from_str(compiled.file("Smolfile")).unwrap();
        shapes.push(("Smolfile", shape(&serde_json::to_value(machine).unwrap())));
    }
    if has("image/Dockerfile") {
        shapes.push(("image/Dockerfile", compiled.file("image/Dockerfile").into()));
    }
    let mut index: Value = serde_json::from_str(compiled.file("bottle.json")).unwrap();
    // By pointers, which are in another order when a text is.
    index.as_object_mut().unwrap().remove("provenance");
    shapes.push(("bottle.json", shape(&index)));
    let names = compiled.file("agent/agent.env").split('\n').map(|line| line.split('=').next().unwrap());
    shapes.push(("agent/agent.env", names.collect()));
    shapes
}

#[test]
fn a_hostile_text_is_refused_or_comes_out_as_it_went_in() {
    let mut taken = 0;
    for place in &PLACES {
        let honest = (!place.honest.is_empty()).then(|| compiled(place, place.honest, &quoted(place.honest)));
        let honest = honest.map(|compiled| (shapes(&compiled), compiled));
        for case in CASES.iter().filter(|case| std::ptr::eq(case.place, place)) {
            let Case { text, compiled, .. } = case;
            let told = format!("{} {text:.80?}: {:?}", place.path, compiled.codes);
            let meant = (place.written)(text);
            for message in &compiled.messages {
                assert!(!message.contains(char::is_control), "{told} {message:?}");
            }
            if !case.is_taken() {
                assert!(!compiled.codes.is_empty(), "{told}");
                continue;
            }
            taken += 1;
            let expected = (place.means)(text);
            let landed = (place.lands)(compiled, &meant);
            for (file, read) in landed {
                assert_eq!(read, expected, "{told} {file}");
            }
            let (honest, _) = honest.as_ref().unwrap_or_else(|| panic!("{told} was taken"));
            if !place.is_choice && !place.path.ends_with("{}") {
                assert_eq!(&shapes(compiled), honest, "{told}");
            }
        }
    }
    assert!(CASES.len() > 4000 && taken > 400, "{} {taken}", CASES.len());
}

#[test]
fn a_scalar_is_refused_or_is_the_text_that_other_readers_see() {
    let mut taken = 0;
    for place in &PLACES {
        for scalar in hostile::SCALARS {
            let manifest = place.manifest.replace('@', scalar);
            let case = compiled(place, scalar, scalar);
            if case.tree.is_none() {
                assert!(!case.codes.is_empty(), "{manifest}");
                continue;
            }
            taken += 1;
            // Another reader of the same manifest.
            let theirs: Value = serde_yaml::from_str(&manifest).unwrap_or_else(|error| panic!("{manifest}: {error}"));
            let theirs = place.find(&theirs).unwrap_or_else(|| panic!("{manifest} says something else to others"));
            for (file, read) in (place.lands)(&case, &theirs) {
                assert_eq!(read, (place.means)(&theirs), "{manifest} {file}");
            }
        }
    }
    assert!(taken >= 60, "{taken}");
}
