//! What git is asked, and how: names of revisions and of files, differences, and what it must not do.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use bottlec::manifest;
use bottlec::manifest::load::revision::Revision;
use tempfile::TempDir;

use crate::revision::{at, compiled, file, repository, texts};
use crate::support::repository::git;

#[test]
fn names_are_bytes() {
    let names = [
        "two words",
        "\"quoted\"",
        "tab\there",
        "line\nbreak",
        "ünïcode",
        "$(touch ran)",
        "--output=x",
        "back\\slash",
        ":(top)x",
    ];
    let mut files: Vec<(String, String)> = names
        .iter()
        .map(|name| {
            let parent = serde_json::to_string(&format!("../{name}/base.yaml")).unwrap();
            (format!("{name}/{name}.bottle.yaml"), format!("name: b\nextends: {parent}\n"))
        })
        .collect();
    files.extend(names.iter().map(|name| (format!("{name}/base.yaml"), "env: { A: old }\n".to_owned())));
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let Some(repository) = repository(&files) else { return };
    let odd = PathBuf::from(std::ffi::OsStr::from_bytes(b"not-utf8-\xff.bottle.yaml"));
    fs::write(repository.root().join(&odd), "name: b\n").unwrap();
    repository.commit(&[]);
    for name in names {
        repository.write(&format!("{name}/base.yaml"), "env: { A: new }\n");
    }
    let revision = Revision::open("HEAD", repository.root()).unwrap();
    let mut changed: Vec<PathBuf> = names.iter().map(|name| PathBuf::from(format!("{name}/base.yaml"))).collect();
    changed.sort();
    assert_eq!(revision.changed().unwrap().into_iter().collect::<Vec<_>>(), changed);
    let bottles =
        manifest::load::find::below_revision(&revision, repository.root(), manifest::load::find::NONE).unwrap();
    assert_eq!(bottles, manifest::load::find::below(repository.root(), manifest::load::find::NONE).unwrap().bottles);
    assert_eq!(bottles.len(), names.len() + 1);
    assert!(bottles.contains(&repository.root().join(&odd)));
    for name in names.iter().filter(|name| !name.contains('\\')) {
        let (tree, said) = compiled(at(&revision, &repository.path(&format!("{name}/{name}.bottle.yaml"))));
        let tree = tree.unwrap_or_else(|| panic!("{name:?}: {said}"));
        assert!(file(&tree, "agent/agent.env").contains("\nA=old\n"), "{name:?}");
    }
    assert!(!repository.path("ran").exists());
}

#[test]
fn what_is_no_revision_is_refused_in_clear_words() {
    let Some(repository) = repository(&[("bottle.yaml", "name: b\n")]) else { return };
    for base in [
        "--output=x",
        "-h",
        "--all",
        "",
        "nobody",
        "^HEAD",
        "HEAD..HEAD",
        "HEAD:bottle.yaml",
        "a b",
        "$(touch x)",
        "HEAD\nHEAD",
        "x\0y",
        "0000000000000000000000000000000000000000",
        "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    ] {
        let refused = Revision::open(base, repository.root()).err().map(|error| format!("{error:#}"));
        let refused = refused.unwrap_or_else(|| panic!("{base:?} is taken"));
        assert!(refused.contains(&format!("`{}` is not a revision", base.escape_debug())), "{base:?}: {refused}");
        assert!(refused.contains("fetch-depth: 0"), "{refused}");
    }
    assert_eq!(fs::read_dir(repository.root()).unwrap().count(), 2, "nothing was written");
    git(repository.root(), &["tag", "-a", "-m", "x", "v1"]);
    git(repository.root(), &["update-ref", "refs/heads/--output=x", "HEAD"]);
    let head = git(repository.root(), &["rev-parse", "HEAD"]);
    for base in ["HEAD", "main", "v1", "HEAD^{/^the}", &head.trim()[..9], "--output=x"] {
        let revision = Revision::open(base, repository.root()).unwrap();
        assert_eq!((revision.base(), revision.commit()), (base, head.trim()), "a tag and a strange branch too");
    }
    let elsewhere = TempDir::new().unwrap();
    for place in [elsewhere.path().to_owned(), elsewhere.path().join("not/there.yaml"), repository.path(".git")] {
        let refused = format!("{:#}", Revision::open("HEAD", &place).err().unwrap());
        assert!(refused.contains("is not in the work tree of a git repository: git says: fatal: "), "{refused}");
    }
}

#[test]
fn paths_count_from_the_current_folder_and_over_links_to_it() {
    let Some(repository) = repository(&[("sub/bottle.yaml", "name: old\n"), ("bottle.yaml", "name: top\n")]) else {
        return;
    };
    let away = TempDir::new().unwrap();
    let link = away.path().join("link");
    symlink(repository.root(), &link).unwrap();
    fs::remove_dir_all(repository.path("sub")).unwrap();
    fs::create_dir(repository.path("new")).unwrap();
    let revision = Revision::open("HEAD", &link.join("sub/bottle.yaml")).unwrap();
    assert_eq!(revision.root(), repository.root());
    let up: PathBuf = std::env::current_dir().unwrap().components().skip(1).map(|_| "..").collect();
    let relative = |path: PathBuf| up.join(path.strip_prefix("/").unwrap());
    for (path, place) in [
        (relative(repository.path("sub/bottle.yaml")), "sub/bottle.yaml"),
        (link.join("sub/bottle.yaml"), "sub/bottle.yaml"),
        (link.join("new/../bottle.yaml"), "bottle.yaml"),
        (link.join("./sub/./bottle.yaml"), "sub/bottle.yaml"),
        (repository.path("new/../sub/bottle.yaml"), "sub/bottle.yaml"),
        (link.clone(), ""),
    ] {
        assert_eq!(revision.place(&path).unwrap(), Path::new(place), "{}", path.display());
    }
    assert!(revision.place(&link.join("../x")).is_err() && revision.place(away.path()).is_err());
    let found = manifest::load::find::below_revision(&revision, &link, manifest::load::find::NONE).unwrap();
    assert_eq!(found, [link.join("bottle.yaml"), link.join("sub/bottle.yaml")]);
    assert_eq!(
        found.last().map(|path| texts(&at(&revision, path))),
        Some(vec![("bottle.yaml".into(), "name: old\n".into())])
    );
}

#[test]
fn changed_files_are_all_that_differ_from_the_work_tree() {
    let Some(repository) = repository(&[
        ("same", "1\n"),
        ("touched", "1\n"),
        ("edited", "1\n"),
        ("staged", "1\n"),
        ("back", "1\n"),
        ("twice", "1\n"),
        ("removed", "1\n"),
        ("xM ghost", "long enough to be taken for a rename\nby any measure\n"),
        (".gitignore", "ignored\n"),
    ]) else {
        return;
    };
    repository.commit(&[("committed", "1\n")]);
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().append(true).open(repository.path("touched")).unwrap().set_modified(long_ago).unwrap();
    repository.write("edited", "2\n");
    repository.write("staged", "2\n");
    repository.write("back", "2\n");
    repository.write("twice", "2\n");
    git(repository.root(), &["add", "staged", "back", "twice"]);
    repository.write("back", "1\n");
    repository.write("twice", "3\n");
    fs::remove_file(repository.path("removed")).unwrap();
    git(repository.root(), &["mv", "xM ghost", "new-name"]);
    repository.write("untracked", "1\n");
    repository.write("fresh/untracked", "1\n");
    repository.write("ignored", "1\n");
    fs::create_dir(repository.path("inner")).unwrap();
    git(&repository.path("inner"), &["init", "--quiet"]);
    repository.write("inner/bottle.yaml", "name: b\n");
    git(repository.root(), &["config", "status.renames", "copies"]);
    git(repository.root(), &["config", "diff.relative", "true"]);
    git(repository.root(), &["config", "color.ui", "always"]);

    let index = fs::read(repository.path(".git/index")).unwrap();
    let revision = Revision::open("HEAD~1", &repository.path("fresh")).unwrap();
    let changed = revision.changed().unwrap();
    let changed: Vec<&str> = changed.iter().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        changed,
        [
            "committed",
            "edited",
            "fresh/untracked",
            "inner",
            "new-name",
            "removed",
            "staged",
            "twice",
            "untracked",
            "xM ghost"
        ]
    );
    assert!(fs::read(repository.path(".git/index")).unwrap() == index, "the index was written");
}

#[test]
fn git_starts_no_program_that_the_repository_names() {
    let Some(repository) = repository(&[("bottle.yaml", "name: b\n"), ("other", "1\n"), ("third", "1\n")]) else {
        return;
    };
    let marker = repository.path(".git/ran");
    let program = repository.path(".git/program");
    fs::write(&program, format!("#!/bin/sh\necho \"$@\" >> '{}'\ncat\n", marker.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let program = program.to_str().unwrap();
    for key in [
        "core.fsmonitor",
        "core.pager",
        "pager.diff",
        "diff.external",
        "diff.x.command",
        "diff.x.textconv",
        "filter.x.clean",
        "filter.x=y.clean",
        "filter.z.process",
        "core.sshCommand",
    ] {
        let (section, name) = key.rsplit_once('.').unwrap();
        let header = match section.split_once('.') {
            Some((section, middle)) => format!("[{section} \"{middle}\"]"),
            None => format!("[{section}]"),
        };
        let config = repository.path(".git/config");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("{text}{header}\n\t{name} = {program}\n\trequired = true\n")).unwrap();
    }
    fs::write(repository.path(".git/info/attributes"), "*.yaml diff=x filter=x\nother filter=x=y\nthird filter=z\n")
        .unwrap();
    fs::create_dir_all(repository.path(".git/hooks")).unwrap();
    fs::copy(program, repository.path(".git/hooks/post-index-change")).unwrap();
    repository.write("bottle.yaml", "name: c\n");
    repository.write("other", "2\n");
    repository.write("third", "2\n");
    let revision = Revision::open("HEAD", repository.root()).unwrap();
    assert_eq!(revision.changed().unwrap().len(), 3);
    assert!(revision.read(&repository.path("bottle.yaml")).unwrap().is_some());
    assert!(!marker.exists(), "{}", fs::read_to_string(&marker).unwrap());
}

#[test]
fn a_text_is_read_to_the_size_that_manifests_may_have() {
    let (large, small) = ("#".repeat(3 << 20), "name: b\n");
    let Some(repository) = repository(&[("large.yaml", &large), ("bottle.yaml", small), ("empty.yaml", "")]) else {
        return;
    };
    let revision = Revision::open("HEAD", repository.root()).unwrap();
    for _ in 0..2 {
        assert_eq!(
            revision.read(&repository.path("large.yaml")).unwrap().unwrap().len(),
            bottlec::text::yaml::MAX_BYTES + 1
        );
        assert_eq!(revision.read(&repository.path("bottle.yaml")).unwrap().unwrap(), small.as_bytes());
        assert_eq!(revision.read(&repository.path("empty.yaml")).unwrap().unwrap(), b"");
    }
    let (_, said) = compiled(at(&revision, &repository.path("large.yaml")));
    assert!(said.starts_with("BTL005 "), "{said}");
}

#[test]
fn what_a_partial_clone_lacks_is_not_fetched() {
    let Some(repository) = repository(&[("bottle.yaml", "name: old\n")]) else { return };
    repository.commit(&[("bottle.yaml", "name: new\n")]);
    git(repository.root(), &["config", "uploadpack.allowFilter", "true"]);
    let away = TempDir::new().unwrap();
    let url = format!("file://{}", repository.root().display());
    git(away.path(), &["clone", "--quiet", "--filter=blob:none", &url, "clone"]);
    let manifest = away.path().canonicalize().unwrap().join("clone/bottle.yaml");
    let refused = Revision::open("HEAD~1", &manifest).unwrap().read(&manifest).map_err(|error| format!("{error:#}"));
    assert_eq!(
        refused,
        Err("cannot read HEAD~1:bottle.yaml: its content is not in this clone; fetch it, or clone without `--filter`"
            .into())
    );
    assert!(Revision::open("HEAD", &manifest).unwrap().read(&manifest).is_ok());
}
