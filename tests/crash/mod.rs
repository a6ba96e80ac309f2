//! Builds that are killed, that run out of disk, that meet errors, each other, readers and attackers: the
//! tree is whole files, a mixture is known as one, the next build mends it, and nothing else is touched.
//!
//! `BOTTLEC_CRASHES=all` tries every system call in the place of some.

mod errors;
mod kill;
mod planted;
#[cfg(target_os = "linux")]
mod race;
mod snapshot;
mod trace;

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::support::{bottlec, folder, screen};
use snapshot::Snapshot;
use tempfile::TempDir;

/// Whether every system call is tried.
fn all() -> bool {
    std::env::var_os("BOTTLEC_CRASHES").is_some_and(|value| value == "all")
}

/// A project whose next build changes its output.
struct Scene {
    name: &'static str,
    folder: TempDir,
    /// The arguments of that build.
    build: Vec<&'static str>,
    bottles: &'static [&'static str],
    /// The output before it, and after it.
    old: Snapshot,
    new: Snapshot,
    /// All that is not output.
    rest: Snapshot,
}

const CODEX: &str = "name: review\nagent_provider: { template: codex, forward_host_credentials: true }\n";
const MORE: &str = "env: { A: b }\negress: { routes: [{ host: a.example.com, path_allowlist: [/a] }] }\n";
const ONE: &[&str] = &["build", "review.yaml", "--hermetic", "-o", "out"];
const DOCKER: &[&str] = &["build", "review.yaml", "-o", "out", "--backend", "docker"];
const THREE: &[&str] = &["build", "review.yaml", "b.yaml", "c.yaml", "--hermetic", "-o", "out", "--jobs", "1"];

impl Scene {
    fn first() -> Self {
        Scene::new("a first build", &["review"], None, &[("review.yaml", CODEX)], ONE)
    }

    fn changed() -> Self {
        let more = format!("{CODEX}{MORE}");
        Scene::new("a build with changes", &["review"], Some(&[("review.yaml", CODEX)]), &[("review.yaml", &more)], ONE)
    }

    fn removing() -> Self {
        let plain: &[(&str, &str)] = &[("review.yaml", "name: review\n")];
        Scene::new("a build that removes files", &["review"], Some(&[("review.yaml", CODEX)]), plain, DOCKER)
    }

    fn batch() -> Self {
        let bottle = |name: &str, subnet: u8, more: &str| {
            format!("name: {name}\nnetwork: {{ subnet: 10.7.{subnet}.0/24 }}\n{more}")
        };
        let codex = format!("{CODEX}network: {{ subnet: 10.7.1.0/24 }}\n");
        let (b, c) = (bottle("b", 2, ""), bottle("c", 3, ""));
        let old: &[(&str, &str)] = &[("review.yaml", &codex), ("b.yaml", &b), ("c.yaml", "name: [\n")];
        let (review, more) = (bottle("review", 1, ""), bottle("b", 2, MORE));
        let new: &[(&str, &str)] = &[("review.yaml", &review), ("b.yaml", &more), ("c.yaml", &c)];
        Scene::new("a build of three", &["review", "b", "c"], Some(old), new, THREE)
    }

    fn new(
        name: &'static str,
        bottles: &'static [&'static str],
        old: Option<&[(&str, &str)]>,
        new: &[(&str, &str)],
        build: &[&'static str],
    ) -> Self {
        let folder = folder(new);
        let out = folder.path().join("out");
        if let Some(old) = old {
            let write = |files: &[(&str, &str)]| {
                files.iter().for_each(|(path, text)| fs::write(folder.path().join(path), text).unwrap());
            };
            write(old);
            let whole = if build == DOCKER { ONE } else { build };
            assert_ne!(bottlec(folder.path(), whole).status.code(), Some(2));
            write(new);
        }
        let before = Snapshot::of(&out);
        let rest = Snapshot::of(folder.path()).without("out/");
        let run = bottlec(folder.path(), build);
        assert_eq!(run.status.code(), Some(0), "{}", screen(&run));
        let after = Snapshot::of(&out);
        assert_ne!(before, after);
        Scene { name, folder, build: build.to_vec(), bottles, old: before, new: after, rest }
    }

    fn out(&self) -> std::path::PathBuf {
        self.folder.path().join("out")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        bottlec(self.folder.path(), arguments)
    }

    /// Puts everything as it was before the build.
    fn reset(&self) {
        self.old.restore(&self.out());
    }

    /// What must be true after the build, however it ended: whole files, a mixture that is known as one,
    /// and a next build that mends all.
    fn judge(&self, what: &str) {
        let what = format!("{}: {what}", self.name);
        let found = Snapshot::of(&self.out());
        found.assert_whole(&self.old, &self.new, &what);
        for bottle in self.bottles {
            let (old, new) = (self.old.below(bottle), self.new.below(bottle));
            let now = found.below(bottle).without_temporary();
            let launch = self.run(&["exec", "--print-env-names", &format!("out/{bottle}")]);
            let is_built = now.files() == new.files();
            let is_sound = is_built || now.files() == old.files() && !old.files().is_empty();
            let expected = if is_sound { &[Some(0)] as &[Option<i32>] } else { &[Some(1), Some(2)] };
            assert!(expected.contains(&launch.status.code()), "{what}: exec: {}", screen(&launch));
        }
        let is_built = found.without_temporary().files() == self.new.files();
        let mut check = self.build.clone();
        check.push("--check");
        let check = self.run(&check);
        assert_eq!(check.status.code(), Some(i32::from(!is_built)), "{what}: --check: {}", screen(&check));
        assert_eq!(Snapshot::of(&self.out()), found, "{what}: nothing was to be written");
        let again = self.run(&self.build);
        assert_eq!(again.status.code(), Some(0), "{what}: the next build: {}", screen(&again));
        Snapshot::of(&self.out()).assert_is(&self.new, &format!("{what}: the next build"));
        Snapshot::of(self.folder.path()).without("out/").assert_is(&self.rest, &format!("{what}: elsewhere"));
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
