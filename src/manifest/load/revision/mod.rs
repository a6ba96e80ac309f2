//! A git revision as a place to read files from, beside the work tree. Nothing is checked out: the
//! paths are listed once, and texts come from one `git cat-file`.

mod git;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context as _, Result, anyhow, bail};

use crate::manifest::load::regular;
use crate::manifest::which;
use crate::text::yaml;

/// The files of a git repository as of one commit.
pub struct Revision {
    base: String,
    commit: String,
    root: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    objects: Mutex<git::Objects>,
}

/// What a path of the tree is.
#[derive(Clone, Debug)]
enum Entry {
    File { object: String },
    Link,
    Submodule,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// To nothing.
    Missing,
    /// Out of the project.
    Outside,
    /// To this file or folder, by its one path.
    Inside(PathBuf),
}

impl Revision {
    /// The commit that `base` names (a branch, a tag, a hash, `HEAD~1`) in the repository that
    /// `near` lies in. `near` itself need not be there any more.
    ///
    /// # Errors
    /// There is no git, no repository, or no such commit.
    pub fn open(base: &str, near: &Path) -> Result<Self> {
        let folder = std::path::absolute(near).with_context(|| format!("cannot resolve {}", near.display()))?;
        let folder = folder.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
        let root =
            git::Git::at(folder).output(&["rev-parse", "--show-toplevel"]).map_err(|error| match git::ran(&error) {
                true => error.context(format!("{} is not in the work tree of a git repository", near.display())),
                false => error,
            })?;
        let root = path_of(root.strip_suffix(b"\n").unwrap_or(&root));

        let repository = git::Git::at(&root);
        let unknown = || {
            format!(
                "`{}` is not a revision of the repository {}; in CI, check out with `fetch-depth: 0`",
                base.escape_debug(),
                root.display()
            )
        };
        // No argument can have it.
        if base.contains('\0') {
            bail!(unknown());
        }
        let named = format!("{base}^{{commit}}");
        // A base that begins with a dash is a name like any other after --end-of-options.
        let commit = repository
            .output(&["rev-parse", "--verify", "--quiet", "--end-of-options", &named])
            .map_err(|error| if git::ran(&error) { anyhow!(unknown()) } else { error })?;
        let commit = String::from_utf8(commit).unwrap_or_default().trim_end().to_owned();
        // `^main` has an answer too.
        if !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!(unknown());
        }
        let listing = repository
            .output(&["ls-tree", "-r", "-z", &commit])
            .with_context(|| format!("cannot list the files of `{}`", base.escape_debug()))?;
        let entries = names(&listing).map(entry).collect::<Result<_>>()?;
        let objects = Mutex::new(git::Objects::of(&root));
        Ok(Revision { base: base.to_owned(), commit, root, entries, objects })
    }

    /// The revision's name, as it was given.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The commit's hash.
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// The folder of the work tree.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The path from the root of the repository that a path of the work tree has, whether or not it
    /// leads to something there.
    ///
    /// # Errors
    /// It lies outside the repository.
    pub fn place(&self, path: &Path) -> Result<PathBuf> {
        let mut plain = PathBuf::new();
        for step in std::path::absolute(path)?.components() {
            if step != Component::ParentDir {
                plain.push(step);
                continue;
            }
            // As the system does it: up from where a link leads to, not from the link.
            if plain.is_symlink() {
                plain = plain.canonicalize()?;
            }
            plain.pop();
        }
        // The root has one name, and may have been reached by another: over a link.
        let above: Vec<&Path> = plain.ancestors().collect();
        let is_root = |above: &&&Path| ***above == *self.root || above.canonicalize().is_ok_and(|at| at == self.root);
        let found = above.iter().rev().find(is_root).and_then(|root| plain.strip_prefix(root).ok());
        let outside = || anyhow!("{} is outside the repository {}", path.display(), self.root.display());
        found.map(Path::to_owned).ok_or_else(outside)
    }

    /// What a path in the revision leads to; relative ones count from the root of the repository.
    /// Each step is looked up, so that `..` means what it would mean in a checkout.
    ///
    /// # Errors
    /// A symbolic link or a submodule is on the way. A checkout would follow a link inside the
    /// project; here none is.
    pub fn resolve(&self, path: &Path) -> Result<Resolved> {
        let mut at = PathBuf::new();
        for step in path.strip_prefix(&self.root).unwrap_or(path).components() {
            match step {
                Component::Normal(name) => at.push(name),
                Component::CurDir => continue,
                Component::ParentDir if self.is_folder(&at) => {
                    if !at.pop() {
                        return Ok(Resolved::Outside);
                    }
                    continue;
                }
                Component::ParentDir => return Ok(Resolved::Missing),
                Component::RootDir | Component::Prefix(_) => return Ok(Resolved::Outside),
            }
            match self.entries.get(&at) {
                Some(Entry::Link) => {
                    bail!("{} is a symbolic link; links in a revision are not followed", self.shown(&at))
                }
                Some(Entry::Submodule) => {
                    bail!("{} is a submodule; compare it in its own repository", self.shown(&at))
                }
                Some(Entry::File { .. }) | None => {}
            }
        }
        let is_there = self.entries.contains_key(&at) || self.is_folder(&at);
        Ok(if is_there { Resolved::Inside(at) } else { Resolved::Missing })
    }

    /// Whether a path that [`Revision::resolve`] gave is a file.
    pub fn is_file(&self, path: &Path) -> bool {
        matches!(self.entries.get(path), Some(Entry::File { .. }))
    }

    fn is_folder(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || self
                .entries
                .range(path.to_owned()..)
                .map(|(below, _)| below)
                .find(|below| *below != path)
                .is_some_and(|below| below.starts_with(path))
    }

    /// The text of the file that a path of the work tree names, as of the revision: at most one byte
    /// more than a manifest may have. `None` if there was no regular file.
    ///
    /// # Errors
    /// The path lies outside the repository, a link or a submodule is on the way, or git fails.
    pub fn read(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.read_place(&self.place(path)?)
    }

    /// As [`Revision::read`], by a path from the root of the repository. Nothing of the disk counts.
    ///
    /// # Errors
    /// A link or a submodule is on the way, or git fails.
    pub fn read_place(&self, place: &Path) -> Result<Option<Vec<u8>>> {
        match self.resolve(place)? {
            Resolved::Inside(path) => self.text(&path, yaml::MAX_BYTES + 1),
            Resolved::Missing | Resolved::Outside => Ok(None),
        }
    }

    /// The start of a file, by its path from the root.
    fn text(&self, path: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
        let Some(Entry::File { object }) = self.entries.get(path) else { return Ok(None) };
        let text = self.objects.lock().unwrap_or_else(PoisonError::into_inner).read(object, limit);
        Ok(Some(text.with_context(|| format!("cannot read {}", self.shown(path)))?))
    }

    /// The regular files of the revision below a folder of the work tree, each as the folder's path
    /// with the rest behind it, sorted. Hidden folders are passed over.
    ///
    /// # Errors
    /// As for [`Revision::read`].
    pub fn files(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let Resolved::Inside(place) = self.resolve(&self.place(folder)?)? else { return Ok(Vec::new()) };
        let below = self.entries.range(place.clone()..).take_while(|(path, _)| path.starts_with(&place));
        let files = below.filter(|(_, entry)| matches!(entry, Entry::File { .. }));
        let rest =
            files.filter_map(|(path, _)| path.strip_prefix(&place).ok()).filter(|rest| !rest.as_os_str().is_empty());
        let is_seen = |rest: &&Path| {
            let folders = rest.parent().into_iter().flat_map(Path::components);
            folders.map(Component::as_os_str).all(which::is_searched)
        };
        Ok(rest.filter(is_seen).map(|rest| folder.join(rest)).collect())
    }

    /// The paths of the revision below a folder of it, each from that folder, and whether it is a regular file:
    /// else a link or a submodule.
    pub fn entries(&self, folder: &Path) -> impl Iterator<Item = (&Path, bool)> {
        let below = self.entries.range(folder.to_owned()..).take_while(move |(path, _)| path.starts_with(folder));
        let rest = below.filter_map(move |(path, entry)| Some((path.strip_prefix(folder).ok()?, entry)));
        rest.map(|(path, entry)| (path, matches!(entry, Entry::File { .. })))
    }

    /// A whole file of at most so many bytes, by its path from the root. `None` if it is missing or larger.
    ///
    /// # Errors
    /// When git fails.
    pub fn whole(&self, place: &Path, limit: usize) -> Result<Option<Vec<u8>>> {
        Ok(self.text(place, limit + 1)?.filter(|text| text.len() <= limit))
    }

    /// The paths of the work tree that git does not ignore, from the root, and whether git keeps each: else it
    /// is one that was not added yet.
    ///
    /// # Errors
    /// When git fails.
    pub fn work_tree(&self) -> Result<BTreeMap<PathBuf, bool>> {
        let git = git::Git::at(&self.root).without_filters()?;
        let listing = git.output(&["ls-files", "-z", "-t", "--cached", "--others", "--exclude-standard"])?;
        let entry = |line: &[u8]| {
            // A letter and a space; a slash behind a repository inside this one.
            let (&[letter, _], name) = line.split_first_chunk()?;
            Some((path_of(name.strip_suffix(b"/").unwrap_or(name)), letter != b'?'))
        };
        Ok(names(&listing).filter_map(entry).collect())
    }

    /// The files that differ between the revision and the work tree, by their paths from the root:
    /// staged or not, and those that git does not know and does not ignore. A file that was renamed is
    /// there under both names, a submodule under its folder's.
    ///
    /// # Errors
    /// When git fails.
    pub fn changed(&self) -> Result<BTreeSet<PathBuf>> {
        let git = git::Git::at(&self.root).without_filters()?;
        // Not `git diff`, which brings the index up to date and locks it for that.
        let staged =
            git.output(&["diff-index", "--cached", "--name-only", "-z", "--no-renames", &self.commit, "--"])?;
        let mut changed: BTreeSet<PathBuf> = names(&staged).map(path_of).collect();
        let unstaged = git.output(&[
            "status",
            "--porcelain",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignore-submodules=dirty",
        ])?;
        for line in names(&unstaged) {
            // Two letters, for the index and for the work tree, and a space.
            let Some((&[_, letter, b' '], name)) = line.split_first_chunk() else { continue };
            // A repository inside this one is listed with a slash behind it.
            let path = path_of(name.strip_suffix(b"/").unwrap_or(name));
            if letter == b' ' {
                continue;
            }
            if !changed.contains(&path) || self.differs(&path)? {
                changed.insert(path);
            } else {
                changed.remove(&path);
            }
        }
        Ok(changed)
    }

    /// The files of the revision that the index has under another name, by their paths from the root.
    ///
    /// # Errors
    /// When git fails.
    pub fn renamed(&self) -> Result<BTreeMap<PathBuf, PathBuf>> {
        let git = git::Git::at(&self.root).without_filters()?;
        let listing = git.output(&[
            "diff-index",
            "--cached",
            "--find-renames",
            "-l0",
            "--diff-filter=R",
            "--name-status",
            "-z",
            &self.commit,
            "--",
        ])?;
        let mut fields = names(&listing);
        let mut renamed = BTreeMap::new();
        // `R087`, the old name, the new one.
        while let (Some(_), Some(old), Some(new)) = (fields.next(), fields.next(), fields.next()) {
            renamed.insert(path_of(old), path_of(new));
        }
        Ok(renamed)
    }

    /// A path from the root as the user would type it here.
    pub fn typed(&self, place: &Path) -> PathBuf {
        let path = self.root.join(place);
        let here = std::env::current_dir().unwrap_or_default();
        path.strip_prefix(&here).map_or(path.clone(), Path::to_owned)
    }

    /// Whether a file of the work tree has another text than in the revision, as far as manifests go:
    /// what is larger counts as another.
    fn differs(&self, place: &Path) -> Result<bool> {
        let Some(before) = self.read_place(place).ok().flatten() else { return Ok(true) };
        let path = self.root.join(place);
        let is_alike = |now: std::fs::Metadata| now.is_file() && now.len() == before.len() as u64;
        if before.len() > yaml::MAX_BYTES || !path.symlink_metadata().is_ok_and(is_alike) {
            return Ok(true);
        }
        Ok(regular::read(&path, yaml::MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))? != before)
    }

    /// A path of the revision, for messages.
    pub fn shown(&self, path: &Path) -> String {
        format!("{}:{}", self.base, path.strip_prefix(&self.root).unwrap_or(path).display())
    }
}

/// What git separates by NUL.
fn names(listing: &[u8]) -> impl Iterator<Item = &[u8]> {
    listing.split(|&byte| byte == 0).filter(|name| !name.is_empty())
}

fn path_of(name: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(name))
}

/// `MODE TYPE OBJECT<tab>PATH`
fn entry(line: &[u8]) -> Result<(PathBuf, Entry)> {
    let strange = || anyhow!("git lists a file as `{}`", line.escape_ascii());
    let tab = line.iter().position(|&byte| byte == b'\t').ok_or_else(strange)?;
    let fields = std::str::from_utf8(&line[..tab]).map_err(|_| strange())?;
    let fields: Vec<&str> = fields.split(' ').collect();
    let [mode, _, object] = fields[..] else { return Err(strange()) };
    let entry = match mode {
        "120000" => Entry::Link,
        "160000" => Entry::Submodule,
        _ => Entry::File { object: object.to_owned() },
    };
    Ok((path_of(&line[tab + 1..]), entry))
}
