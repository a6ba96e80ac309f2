//! Targets: what is theirs alone, and which address their files give.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bottlec::model::why::why;
use bottlec::model::{Model, Request, Topic, changes};
use bottlec::provider::facts::HostFacts;
use bottlec::target::{ALL, Backend};

use crate::support::{BOTH, compile_with, model};

/// What only targets know: programs, their files, and what a bottle's services and networks are called there.
const WORDS: [&str; 10] = [
    "docker",
    "compose",
    "smolvm",
    "smolmachines",
    "smolfile",
    "\"inside\"",
    "\"machine\"",
    "machine-egress",
    "machine_egress",
    "bottle_net",
];

/// Where such a word is something else: a key or an example of the manifest or of the project's configuration, a
/// variable of the host.
const OTHERWISE: [(&str, &str); 6] = [
    ("src/", "dockerfile"),
    ("src/config/", "smolvm"),
    ("src/manifest/", "smolvm"),
    ("src/manifest/", "docker/"),
    ("src/value/release.rs", "smolvm"),
    ("src/provider/host_credential.rs", "docker_auth_config"),
];

#[test]
fn only_targets_know_what_they_write_for() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found = Vec::new();
    let mut read = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            // The command line starts these programs, and names backends to the user.
            if name == "src/target" || name == "src/cli" {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            read += 1;
            for (number, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let mut code = line.to_ascii_lowercase();
                if code.trim_start().starts_with("//") {
                    continue;
                }
                for (_, word) in OTHERWISE.iter().filter(|(place, _)| name.starts_with(place)) {
                    code = code.replace(word, "");
                }
                let known = WORDS.iter().filter(|word| code.contains(**word));
                found.extend(known.map(|word| format!("{name}:{}: {word}", number + 1)));
            }
        }
    }
    assert!(read > 60, "the sources were not found");
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn every_target_has_a_folder_and_every_folder_a_target() {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/target")).unwrap();
    let entries = entries.map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
    let folders: BTreeSet<String> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
    let names: Vec<&str> = ALL.iter().map(|target| target.name()).collect();
    assert_eq!(names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>(), folders);
    assert_eq!(names.len(), folders.len());
}

const BOTTLE: &str = "name: own\nnetwork: { subnet: 10.1.1.0/24 }\negress:\n  routes:\n    - host: api.example.com\n";

#[test]
fn every_file_of_a_microvms_bottle_leads_to_the_egress_that_it_has() {
    for (backends, address) in
        [(&[Backend::Smolmachines][..], "10.1.1.130"), (&[Backend::Docker], "10.1.1.2"), (&BOTH, "10.1.1.2")]
    {
        let compiled = compile_with(BOTTLE, &HostFacts::hermetic(), backends);
        let proxy = format!("HTTP_PROXY=http://{address}:9099\n");
        assert!(compiled.file("agent/agent.env").contains(&proxy), "{backends:?}");

        let model = Model::of_tree(compiled.tree.as_ref().unwrap()).unwrap();
        let request = Request::new("api.example.com", "GET", "/");
        let steps = why(&model, &request, |_| true).hops.into_iter().flat_map(|hop| hop.steps);
        let told: Vec<String> = steps.map(|step| step.says).collect();
        assert!(told.iter().any(|step| step.ends_with(&format!(" at {address}"))), "{backends:?}: {told:?}");
    }
    let both = compile_with(BOTTLE, &HostFacts::hermetic(), &BOTH);
    assert!(both.file("Smolfile").contains("HTTP_PROXY=http://10.1.1.130:9099"));
}

#[test]
fn a_variable_that_looks_like_an_address_of_the_bottle_is_compared_as_it_is_written() {
    let bottle = |net: &str, value: &str| {
        model(&format!("{}env: {{ X: \"{value}\" }}\n", BOTTLE.replace("10.1.1.0", &format!("{net}.0"))))
    };
    let is_told = |old: (&str, &str), new: (&str, &str)| {
        let (old, new) = (bottle(old.0, old.1), bottle(new.0, new.1));
        let changes = changes(&old.reach, &new.reach);
        changes.iter().any(|change| change.topic == Topic::Literal("X".to_owned()))
    };
    assert!(is_told(("10.1.1", "http://10.1.1.25/"), ("10.1.2", "http://10.1.2.25/")));
    assert!(is_told(("10.1.1", "http://10.1.1.2:9099"), ("10.1.2", "http://10.1.2.2:9099")));
    assert!(!is_told(("10.1.1", "http://10.1.1.25/"), ("10.1.2", "http://10.1.1.25/")));
    // What bottlec sets is the same for both.
    let (old, new) = (bottle("10.1.1", "same"), bottle("10.1.2", "same"));
    let others: Vec<Topic> = changes(&old.reach, &new.reach).into_iter().map(|change| change.topic).collect();
    assert_eq!(others, [Topic::Subnet]);
}
