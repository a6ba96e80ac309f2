//! Manifests as of a git revision, from repositories that each test makes.

mod asking;
use crate::support;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::repository::{Repository, git};
use crate::support::{BOTH, skipped};
use bottlec::compile::compile;
use bottlec::compile::tree::Tree;
use bottlec::manifest::load::revision::{Resolved, Revision};
use bottlec::manifest::{self, Loaded};
use bottlec::provider::facts::HostFacts;
use tempfile::TempDir;

/// A repository with one commit; nothing, and a line about it, without git.
fn repository(files: &[(&str, &str)]) -> Option<Repository> {
    let repository = Repository::new();
    if repository.is_none() {
        skipped("there is no git");
    }
    let repository = repository?;
    repository.commit(files);
    Some(repository)
}

/// Codes, messages and helps of all findings, and the tree.
fn compiled(loaded: Loaded) -> (Option<Tree>, String) {
    let Loaded { sources, manifest, mut findings, .. } = loaded;
    let bottle = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings));
    let host = HostFacts::hermetic();
    let tree = bottle.and_then(|bottle| compile(&bottle, &sources, &host, &BOTH, &mut findings).unwrap());
    let said = findings.into_sorted().into_iter();
    let said = said.map(|it| format!("{} {} ({})\n", it.code.as_str(), it.message, it.help.unwrap_or_default()));
    (tree, said.collect())
}

fn file(tree: &Tree, path: &str) -> String {
    tree.artifacts.iter().find(|artifact| artifact.path == path).unwrap().content.to_string()
}

/// The texts that a bottle is made of, with the names that artifacts have for them.
fn texts(loaded: &Loaded) -> Vec<(String, String)> {
    let texts = loaded.sources.ids().map(|id| loaded.sources.get(id));
    texts.map(|source| (source.reference.clone(), source.text.clone())).collect()
}

fn at(revision: &Revision, path: &Path) -> Loaded {
    manifest::load_revision(revision, path).unwrap().unwrap()
}

#[test]
fn a_manifest_and_its_parents_are_those_of_the_revision() {
    let Some(repository) = repository(&[
        ("bottles/bottle.yaml", "name: review\nextends: ../shared/base.yaml\nenv: { A: old }\n"),
        ("shared/base.yaml", "env: { B: old }\negress: { routes: [ { host: old.example } ] }\n"),
    ]) else {
        return;
    };
    let manifest = repository.path("bottles/bottle.yaml");
    repository.write("bottles/bottle.yaml", "name: review\nextends: other\nenv: { A: new }\n");
    repository.write("bottles/other.yaml", "env: { B: new }\n");
    fs::remove_dir_all(repository.path("shared")).unwrap();

    let revision = Revision::open("main", &manifest).unwrap();
    let loaded = at(&revision, &manifest);
    let shown: Vec<&str> = loaded.sources.ids().map(|id| loaded.sources.get(id).path.as_str()).collect();
    assert_eq!(shown, ["main:bottles/bottle.yaml", "main:shared/base.yaml"]);
    let (tree, said) = compiled(loaded);
    assert_eq!(said, "");
    let tree = tree.unwrap();
    assert!(file(&tree, "agent/agent.env").contains("\nA=old\nB=old\n"));
    assert!(file(&tree, "bottle.json").contains("../shared/base.yaml:2"));

    let (tree, _) = compiled(manifest::load(&manifest).unwrap());
    assert!(file(&tree.unwrap(), "agent/agent.env").contains("\nA=new\nB=new\n"));
}

#[test]
fn the_texts_of_a_revision_compile_to_what_a_checkout_of_it_builds() {
    let Some(repository) = repository(&[
        ("a/deep/bottle.yaml", "name: same\nextends: ../../base.md\nenv: { I: \"İı\", A: child }\n"),
        (
            "base.md",
            "---\nextends: more/root\nagent_provider: { dockerfile: docker/Dockerfile }\nnetwork: { subnet: 10.9.8.0/24 }\n---\n",
        ),
        ("more/root", "no bottle, by its name\n"),
        ("docker/Dockerfile", "FROM scratch\n"),
    ]) else {
        return;
    };
    repository.commit(&[
        ("base.md", "---\nextends: more/root.yml\nagent_provider: { dockerfile: docker/Dockerfile }\n---\n"),
        (
            "more/root.yml",
            "egress:\n  routes:\n    - host: a.example\n      auth: { scheme: Bearer, token_ref: T }\n      pipelock: { tls_passthrough: true }\n",
        ),
    ]);
    let checkout = TempDir::new().unwrap();
    let copy = checkout.path().join("copy");
    git(repository.root(), &["worktree", "add", "--quiet", "--detach", copy.to_str().unwrap(), "HEAD"]);
    fs::remove_dir_all(repository.path("more")).unwrap();
    fs::remove_dir_all(repository.path("docker")).unwrap();
    repository.write("a/deep/bottle.yaml", "nme: x\n");

    let revision = Revision::open("HEAD", repository.root()).unwrap();
    let (tree, said) = compiled(at(&revision, &repository.path("a/deep/bottle.yaml")));
    let tree = tree.unwrap_or_else(|| panic!("{said}"));
    let out = TempDir::new().unwrap();
    let built = Command::new(env!("CARGO_BIN_EXE_bottlec"))
        .args(["build", "a/deep/bottle.yaml", "--hermetic", "-o"])
        .arg(out.path())
        .current_dir(&copy)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", support::screen(&built));
    assert!(tree.artifacts.len() > 8);
    for artifact in &tree.artifacts {
        let path = out.path().join("same").join(&artifact.path);
        assert_eq!(fs::read_to_string(&path).unwrap(), artifact.content, "{}", artifact.path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, artifact.mode(), "{}", artifact.path);
    }
}

#[test]
fn a_parent_that_changed_is_seen_in_its_children_alone() {
    let mut files: Vec<(String, String)> = (0..200)
        .map(|number| {
            let parent = if number % 90 == 7 { "shared" } else { "other" };
            (format!("bottles/b{number:03}.bottle.yaml"), format!("name: b{number:03}\nextends: {parent}\n"))
        })
        .collect();
    files.push(("bottles/shared.yaml".to_owned(), "env: { A: old }\n".to_owned()));
    files.push(("bottles/other.yaml".to_owned(), "env: { A: other }\n".to_owned()));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let Some(repository) = repository(&files) else { return };
    repository.write("bottles/shared.yaml", "env: { A: new }\n");

    let revision = Revision::open("HEAD", repository.root()).unwrap();
    assert_eq!(revision.changed().unwrap().into_iter().collect::<Vec<_>>(), [Path::new("bottles/shared.yaml")]);
    let bottles =
        manifest::load::find::below_revision(&revision, repository.root(), manifest::load::find::NONE).unwrap();
    assert_eq!(bottles.len(), 200);
    assert_eq!(bottles, manifest::load::find::below(repository.root(), manifest::load::find::NONE).unwrap().bottles);
    let is_changed = |path: &&PathBuf| texts(&at(&revision, path)) != texts(&manifest::load(path).unwrap());
    let changed: Vec<&Path> =
        bottles.iter().filter(is_changed).map(|path| path.strip_prefix(repository.root()).unwrap()).collect();
    let expected = ["b007", "b097", "b187"].map(|name| PathBuf::from(format!("bottles/{name}.bottle.yaml")));
    assert_eq!(changed, expected);
}

#[test]
fn a_definition_that_changed_is_a_change_of_every_bottle_that_uses_it() {
    let definition = |paths: &str| {
        format!(
            "service: openai\ncommand: [mine]\nimage: {{ npm: mine, version: 1.0.0 }}\n\
             routes: [{{ to: model, rule: model-api, paths: [{paths}] }}]\nsign_in: {{ in_bottle: {{}} }}\n"
        )
    };
    let (old, new) = (definition("/v1/responses"), definition("/v1"));
    let Some(repository) = repository(&[
        ("agents/mine.yaml", &old),
        ("a.bottle.yaml", "name: a\nagent_provider: { template: ./agents/mine.yaml }\n"),
        ("sub/b.bottle.yaml", "name: b\nextends: ../a.bottle.yaml\n"),
        ("c.bottle.yaml", "name: c\n"),
    ]) else {
        return;
    };
    repository.write("agents/mine.yaml", &new);
    let run = crate::support::bottlec(repository.root(), &["diff", "--rev", "HEAD", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let bottles = report["bottles"].as_array().unwrap();
    let changed: Vec<&str> = bottles.iter().map(|bottle| bottle["path"].as_str().unwrap()).collect();
    assert_eq!(changed, ["a.bottle.yaml", "sub/b.bottle.yaml"], "{report}");
    for bottle in bottles {
        assert_eq!(bottle["changes"][0]["code"], "BTL813", "{bottle}");
    }
    // Of the revision as it was, and of the work tree.
    let revision = Revision::open("HEAD", repository.root()).unwrap();
    let (tree, said) = compiled(at(&revision, &repository.path("sub/b.bottle.yaml")));
    assert!(file(&tree.unwrap_or_else(|| panic!("{said}")), "egress/routes.yaml").contains("/v1/responses"));
}

#[test]
fn what_is_wrong_with_a_revision_is_found_as_on_disk() {
    let Some(repository) = repository(&[
        ("own.yaml", "extends: own\n"),
        ("a.yaml", "extends: sub/b.yaml\n"),
        ("sub/b.yaml", "extends: ../sub/../a.yaml\n"),
        ("missing.yaml", "extends: nobody\n"),
        ("over-nothing.yaml", "extends: nothing/../base.yaml\n"),
        ("over-file.yaml", "extends: base.yaml/../base.yaml\n"),
        ("outside.yaml", "extends: ../outside.yaml\n"),
        ("around.yaml", "extends: sub/../../project/base.yaml\n"),
        ("folder.yaml", "extends: ./sub\n"),
        ("link.yaml", "extends: linked\n"),
        ("over-link.yaml", "extends: link/b.yaml\n"),
        ("up-from-link.yaml", "extends: link/../base.yaml\n"),
        ("submodule.yaml", "extends: module/base.yaml\n"),
        ("image.yaml", "agent_provider: { dockerfile: gone/Dockerfile }\n"),
        ("image-link.yaml", "agent_provider: { dockerfile: linked.yaml }\n"),
        ("image-folder.yaml", "agent_provider: { dockerfile: sub }\n"),
        ("image-outside.yaml", "agent_provider: { dockerfile: ../Dockerfile }\n"),
        ("agent.yaml", "agent_provider: { template: ./gone/agent.yaml }\n"),
        ("agent-link.yaml", "agent_provider: { template: ./linked.yaml }\n"),
        ("agent-folder.yaml", "agent_provider: { template: ./tree.yaml }\n"),
        ("agent-outside.yaml", "agent_provider: { template: ../agent.yaml }\n"),
        ("agent-broken.yaml", "agent_provider: { template: ./base.yaml }\n"),
        ("tree.yaml/leaf", ""),
        ("base.yaml", "env: { A: b }\n"),
    ]) else {
        return;
    };
    symlink("base.yaml", repository.path("linked.yaml")).unwrap();
    symlink("sub", repository.path("link")).unwrap();
    repository.commit(&[]);
    let commit = git(repository.root(), &["rev-parse", "HEAD"]);
    git(repository.root(), &["update-index", "--add", "--cacheinfo", &format!("160000,{},module", commit.trim())]);
    git(repository.root(), &["commit", "--quiet", "-m", "a submodule"]);
    let revision = Revision::open("HEAD", repository.root()).unwrap();

    // What the work tree has by these names now is of no account.
    for gone in ["linked.yaml", "link"] {
        fs::remove_file(repository.path(gone)).unwrap();
    }
    for (path, text) in [
        ("linked.yaml", "env: { A: b }\n"),
        ("link/b.yaml", "env: { A: b }\n"),
        ("nothing/x", ""),
        ("module/base.yaml", "env: { A: b }\n"),
        ("gone/Dockerfile", "FROM scratch\n"),
        ("gone/agent.yaml", "service: openai\n"),
        ("nobody.yaml", "env: { A: b }\n"),
    ] {
        repository.write(path, text);
    }
    for (path, words) in [
        ("own.yaml", "BTL202 the bottle extends itself: HEAD:own.yaml -> HEAD:own.yaml"),
        ("a.yaml", "in a cycle: HEAD:a.yaml -> HEAD:sub/b.yaml -> HEAD:a.yaml"),
        (
            "missing.yaml",
            "BTL202 bottle `nobody` not found (looked for nobody.yaml, nobody.yml, nobody.bottle.yaml, nobody.md in HEAD:)",
        ),
        ("over-nothing.yaml", "BTL202 bottle `"),
        ("over-file.yaml", "BTL202 bottle `"),
        ("outside.yaml", "BTL202 `../outside.yaml` is outside the project"),
        ("around.yaml", "is outside the project"),
        ("folder.yaml", "BTL202 cannot read `./sub`: not a regular file"),
        ("link.yaml", "BTL202 cannot resolve `linked.yaml`: HEAD:linked.yaml is a symbolic link"),
        ("over-link.yaml", "HEAD:link is a symbolic link"),
        ("up-from-link.yaml", "HEAD:link is a symbolic link"),
        ("submodule.yaml", "HEAD:module is a submodule"),
        ("image.yaml", "BTL215 the Dockerfile does not exist"),
        ("image-link.yaml", "BTL215 cannot look for the Dockerfile: HEAD:linked.yaml is a symbolic link"),
        ("image-folder.yaml", "BTL215 the Dockerfile is not a file"),
        ("image-outside.yaml", "BTL215 the Dockerfile is outside the project"),
        ("agent.yaml", "BTL215 definition `./gone/agent.yaml` not found"),
        ("agent-link.yaml", "BTL215 cannot resolve `./linked.yaml`: HEAD:linked.yaml is a symbolic link"),
        ("agent-folder.yaml", "BTL215 cannot read `./tree.yaml`: not a regular file"),
        ("agent-outside.yaml", "BTL215 `../agent.yaml` is outside the project"),
        ("agent-broken.yaml", "BTL101 unknown key `env` in an agent's definition"),
    ] {
        let (tree, said) = compiled(at(&revision, &repository.path(path)));
        assert!(said.contains(words), "{path}: {said}");
        assert!(tree.is_none(), "{path}");
    }
    for (path, words) in [("linked.yaml", "symbolic link"), ("link/b.yaml", "link"), ("module/base.yaml", "submodule")]
    {
        let refused = format!("{:#}", manifest::load_revision(&revision, &repository.path(path)).unwrap_err());
        assert!(refused.contains(words), "{path}: {refused}");
    }
    let missing = manifest::load_revision(&revision, &repository.path("nobody.yaml")).unwrap();
    assert!(missing.is_none(), "it is in the work tree alone");
    assert!(revision.read(&repository.path("sub")).unwrap().is_none(), "a folder is no file");
    assert_eq!(revision.resolve(Path::new("sub/../base.yaml")).unwrap(), Resolved::Inside("base.yaml".into()));
    assert!(revision.read(Path::new("/nowhere/x.yaml")).unwrap_err().to_string().contains("outside the repository"));
}

#[test]
fn deleted_bottles_are_found_by_the_rule_for_those_on_disk() {
    let Some(repository) = repository(&[
        ("all/bottle.yaml", "name: a\n"),
        ("all/deep/review.bottle.yml", "name: b\n"),
        ("all/notes/dev.md", "---\nname: c\negress: {}\n---\n"),
        ("all/notes/page.md", "---\ntitle: no bottle\n---\n"),
        ("all/.bot-bottle/bottles/old.md", "---\nname: i\n---\n"),
        ("all/manifest.yaml", "egress: {}\n"),
        ("all/k8s/manifest.yaml", "kind: Pod\n"),
        ("all/node_modules/bottle.yaml", "name: j\n"),
        ("all/notes/readme.md", "# no bottle\n"),
        ("all/other.yaml", "name: d\n"),
        ("all/.hidden/bottle.yaml", "name: e\n"),
        ("all/a.bottle.yaml", "name: f\n"),
        ("all/a/bottle.yaml", "name: g\n"),
        ("allother/bottle.yaml", "name: h\n"),
    ]) else {
        return;
    };
    symlink("bottle.yaml", repository.path("all/link.bottle.yaml")).unwrap();
    repository.commit(&[]);
    let on_disk = manifest::load::find::below(&repository.path("all"), manifest::load::find::NONE).unwrap().bottles;
    assert_eq!(on_disk.len(), 7);
    fs::remove_dir_all(repository.path("all")).unwrap();
    let revision = Revision::open("HEAD", &repository.path("all")).unwrap();
    assert_eq!(
        manifest::load::find::below_revision(&revision, &repository.path("all"), manifest::load::find::NONE).unwrap(),
        on_disk
    );
    for (folder, count) in [("all/deep", 1), ("all/nothing", 0), ("all/bottle.yaml", 0), ("", 8), ("all/.hidden", 1)] {
        let found =
            manifest::load::find::below_revision(&revision, &repository.path(folder), manifest::load::find::NONE)
                .unwrap();
        assert_eq!(found.len(), count, "{folder}");
    }
}
