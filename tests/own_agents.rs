//! A definition of the user's own: read like a parent, told of like a manifest, kept in the tree, and harmless whatever
//! it says.

use std::fs;
use std::path::Path;

use bottlec::compile::index::Index;
use serde_json::Value;

use crate::support::agents::{self, Way};
use crate::support::{bottlec, compile_file, folder, screen, stdout};
use bottlec::provider::facts::HostFacts;

/// A fixture with `auth_token`.
fn signed() -> Way {
    let is_signed = |way: &Way| way.key == "auth_token" && way.settings.contains("helper.yaml");
    agents::all().into_iter().find(is_signed).unwrap()
}

fn definition(way: &Way) -> &str {
    &way.file.as_ref().unwrap().1
}

/// A built project: its folder, whose tree is `out/bottle`.
fn built(way: &Way) -> tempfile::TempDir {
    let text = way.manifest();
    let folder = folder(&way.files(&text));
    let run = bottlec(folder.path(), &["build", "bottle.yaml", "-o", "out"]);
    assert!(run.status.success(), "{}", screen(&run));
    folder
}

fn index(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("out/bottle/bottle.json")).unwrap()).unwrap()
}

#[test]
fn its_places_are_told_like_those_of_a_manifest() {
    let way = signed();
    let folder = built(&way);
    let run = bottlec(folder.path(), &["plan", "bottle.yaml"]);
    let plan: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(plan["provider"], "agents/helper.yaml");
    let from = &plan["routes"][0]["from"]["provider"];
    assert_eq!(from["defined_at"], "agents/helper.yaml:26:9");
    assert_eq!(from["asked_at"], "bottle.yaml:3:15");
    let run = bottlec(folder.path(), &["why", "bottle.yaml", "https://api.openai.com/v1/responses", "-X", "POST"]);
    assert!(stdout(&run).contains("agents/helper.yaml:26:9"), "{}", stdout(&run));
    let index = Index::parse(&fs::read(folder.path().join("out/bottle/bottle.json")).unwrap()).unwrap();
    for (file, pointer, place) in [
        ("agent/agent.env", "/OPENAI_API_KEY", "agents/helper.yaml:35:7"),
        ("agent/agent.env", "/HELPER_TELEMETRY", "agents/helper.yaml:10:3"),
        ("compose.yaml", "/services/agent/command", "agents/helper.yaml:4:10"),
        ("compose.yaml", "/services/agent/image", "agents/helper.yaml:6:3"),
    ] {
        assert_eq!(index.provenance(file, pointer).and_then(|by| by.place()), Some(place), "{file}{pointer}");
    }
}

#[test]
fn a_tree_is_judged_without_the_file() {
    for way in agents::all().into_iter().filter(|way| way.file.is_some()) {
        let folder = built(&way);
        fs::remove_dir_all(folder.path().join("agents")).unwrap();
        let run = bottlec(folder.path(), &["why", "out/bottle", "https://nowhere.example/"]);
        assert!(!screen(&run).contains("not what a build"), "{}", screen(&run));
        let run = bottlec(folder.path(), &["diff", "out/bottle", "out/bottle"]);
        assert!(run.status.success(), "{}: {}{}", way.settings, stdout(&run), screen(&run));
        // Nothing of where it was built.
        let text = fs::read_to_string(folder.path().join("out/bottle/bottle.json")).unwrap();
        assert!(!text.contains(folder.path().to_str().unwrap()));
    }
}

#[test]
fn a_definition_that_was_edited_in_a_tree_is_not_believed() {
    let way = signed();
    let edits: [(&str, Value, &str); 6] = [
        ("/image/version", "9.9.9".into(), "not what a build of this release writes"),
        ("/command/0", "sh".into(), "not what a build of this release writes"),
        ("/environment/HELPER_TELEMETRY", "on".into(), "not what a build of this release writes"),
        ("/image/npm", "a; reboot".into(), "is not a valid npm package name"),
        ("/sign_in/auth_token/credential/scheme", "Digest".into(), "does not compile"),
        ("/service", "nobody".into(), "`nobody` is not one of"),
    ];
    for (pointer, value, words) in edits {
        let folder = built(&way);
        let mut edited = index(folder.path());
        *edited.pointer_mut(&format!("/manifest/agent_provider/definition{pointer}")).unwrap() = value;
        let path = folder.path().join("out/bottle/bottle.json");
        fs::write(&path, serde_json::to_string_pretty(&edited).unwrap() + "\n").unwrap();
        let run = bottlec(folder.path(), &["exec", "out/bottle", "--", "true"]);
        assert!(!run.status.success(), "{pointer}");
        assert!(screen(&run).contains(words), "{pointer}: {}", screen(&run));
        let run = bottlec(folder.path(), &["diff", "bottle.yaml", "out/bottle"]);
        assert!(stdout(&run).contains("critical"), "{pointer}: {}{}", stdout(&run), screen(&run));
    }
    // Without it, or beside the name of an agent that bottlec knows.
    for name in [None, Some("codex")] {
        let folder = built(&way);
        let mut edited = index(folder.path());
        let settings = edited.pointer_mut("/manifest/agent_provider").unwrap().as_object_mut().unwrap();
        match name {
            None => drop(settings.remove("definition")),
            Some(name) => drop(settings.insert("template".into(), name.into())),
        }
        let path = folder.path().join("out/bottle/bottle.json");
        fs::write(&path, serde_json::to_string_pretty(&edited).unwrap() + "\n").unwrap();
        let run = bottlec(folder.path(), &["exec", "out/bottle", "--", "true"]);
        assert!(!run.status.success() && screen(&run).contains("bottle.json"), "{name:?}: {}", screen(&run));
    }
}

#[test]
fn its_path_counts_from_the_manifest_that_names_it() {
    let way = signed();
    let text = definition(&way);
    let folder = folder(&[
        ("shared/base.yaml", "agent_provider: { template: ./agents/mine.yaml }\n"),
        ("shared/agents/mine.yaml", text),
        ("agents/mine.yaml", &text.replace("1.4.2", "2.0.0")),
        ("team/child.yaml", "extends: ../shared/base.yaml\nagent_provider: { auth_token: T }\n"),
        ("other.yaml", "extends: shared/base.yaml\nagent_provider: { template: ./agents/mine.yaml }\n"),
        ("back.yaml", "extends: shared/base.yaml\nagent_provider: { template: codex }\n"),
    ]);
    for (manifest, provider, version) in [
        ("team/child.yaml", "../shared/agents/mine.yaml", "1.4.2"),
        ("other.yaml", "agents/mine.yaml", "2.0.0"),
        ("back.yaml", "codex", ""),
    ] {
        let run = bottlec(folder.path(), &["plan", manifest]);
        let plan: Value = serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", screen(&run)));
        assert_eq!(plan["provider"], provider);
        assert!(version.is_empty() || plan["image"]["generated"]["version"] == version, "{plan}");
    }
    // What a tree keeps of a path leads to the same name.
    let run = bottlec(folder.path(), &["build", "team/child.yaml", "-o", "out"]);
    assert!(run.status.success(), "{}", screen(&run));
    let run = bottlec(folder.path(), &["diff", "team/child.yaml", "out/child"]);
    assert!(run.status.success(), "{}{}", stdout(&run), screen(&run));
}

#[test]
fn a_definition_of_another_agent_is_a_change_of_each_bottle() {
    let way = signed();
    let (path, text) = way.file.as_ref().unwrap();
    let manifest = way.manifest();
    let wider = text.replace("paths: [/v1/responses, /v1/models]", "paths: [/v1]");
    let old = format!("old/{path}");
    let new = format!("new/{path}");
    let folder =
        folder(&[("old/bottle.yaml", &manifest), (&old, text), ("new/bottle.yaml", &manifest), (&new, &wider)]);
    let run = bottlec(folder.path(), &["diff", "old/bottle.yaml", "new/bottle.yaml"]);
    let said = stdout(&run);
    assert!(said.contains("BTL813") && said.contains("agents/helper.yaml:26:9"), "{said}");
}

/// What may stand anywhere in a definition.
const ODD: [&str; 14] = [
    "~",
    "7",
    "1.5",
    "true",
    "''",
    "\"\\0\"",
    "\"a\\nb\"",
    "[]",
    "[[[]]]",
    "{}",
    "{ a: { b: [~] } }",
    "\"{{ placeholder }} {{ x\"",
    "\"$(reboot) && `reboot` ${HOME} ../../etc\"",
    "\"\u{202e}\u{0}é\"",
];

#[test]
fn nothing_that_a_definition_says_makes_more_than_findings() {
    for way in agents::all().into_iter().filter(|way| way.key == "auth_token" && way.file.is_some()) {
        let (path, text) = way.file.as_ref().unwrap();
        let manifest = way.manifest();
        let folder = folder(&way.files(&manifest));
        let judge = |text: &str| {
            fs::write(folder.path().join(path), text).unwrap();
            let compiled =
                compile_file(&folder.path().join("bottle.yaml"), &HostFacts::hermetic(), &crate::support::BOTH);
            // A tree or a reason, never neither.
            assert!(compiled.tree.is_some() || !compiled.codes.is_empty(), "{text}");
            if let Some(tree) = &compiled.tree {
                let dockerfile = compiled.file("image/Dockerfile");
                let installs = dockerfile.lines().find(|line| line.starts_with("RUN npm install")).unwrap();
                let package = installs.split_once("--global ").and_then(|(_, rest)| rest.split_once(" && "));
                let (package, rest) = package.unwrap();
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "@/._-".contains(c);
                assert!(package.chars().all(is_plain) && rest == "npm cache clean --force", "{installs}");
                assert_eq!(dockerfile.lines().count(), 11, "{dockerfile}");
                let of_home = |artifact: &&bottlec::value::artifact::Artifact| artifact.path.starts_with("agent/home/");
                for artifact in tree.artifacts.iter().filter(of_home) {
                    assert!(artifact.path.split('/').all(|step| !matches!(step, "" | "." | "..")), "{}", artifact.path);
                }
            }
            compiled.tree.is_some()
        };
        assert!(judge(text));
        let mut refused = 0;
        let lines: Vec<&str> = text.lines().collect();
        let with = |line: usize, new: &str| {
            let mut lines = lines.clone();
            lines[line] = new;
            lines.join("\n") + "\n"
        };
        for (number, line) in lines.iter().enumerate() {
            refused += usize::from(!judge(&with(number, "")));
            refused += usize::from(!judge(&with(number, &format!("{line}\n{line}"))));
            let Some((key, _)) = line.split_once(": ") else { continue };
            for odd in ODD {
                refused += usize::from(!judge(&with(number, &format!("{key}: {odd}"))));
                refused += usize::from(!judge(&with(number, &format!("{key}: {odd}\n{}", " ".repeat(60)))));
            }
        }
        assert!(refused > 100, "{refused}");
    }
}
