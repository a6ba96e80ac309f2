//! A bottle's folder, held open. Every file is reached from it, a folder at a time, and no link is
//! followed: who swaps a folder for a link meanwhile leads nobody elsewhere. Nothing is read but regular
//! files, and nothing is waited for but another build, for a while.

mod entries;

use std::collections::BTreeMap;
use std::fs::{File, Metadata, Permissions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::{Errno, retry_on_intr};

use crate::value::artifact::{Artifact, temporary};

/// No file of a build is nearly as large; what is larger is not read.
const MAX_BYTES: u64 = 64 << 20;

/// How long a build waits for another one: some thousand times as long as one takes.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(1);

/// Group's and others' rights.
const SHARED: u32 = 0o077;

/// A bottle's folder.
pub(super) struct TreeDir {
    /// For messages.
    path: PathBuf,
    root: File,
    /// The folders below that were needed so far, by their path from the root.
    folders: BTreeMap<PathBuf, File>,
}

/// What is at a path.
pub(super) enum Found {
    Missing,
    File(Open),
    /// A file that this user may not read.
    Unreadable(io::Error),
    /// A link, folder, FIFO, socket or device, there or on the way.
    NoFile(NoFile),
}

/// A regular file, open for reading.
pub(super) struct Open {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

/// Something that is in the way.
pub(super) struct NoFile {
    path: PathBuf,
    wanted: &'static str,
}

enum Way<'p> {
    Missing,
    Folder(&'p File),
    NoFile(NoFile),
}

impl NoFile {
    pub(super) fn refuse(&self) -> anyhow::Error {
        anyhow!(
            "{} exists and is not a {} (links are not followed): move it, or choose another folder with -o",
            self.path.display(),
            self.wanted
        )
    }
}

impl Open {
    /// The permissions.
    pub(super) fn mode(&self) -> u32 {
        self.metadata.permissions().mode() & 0o7777
    }

    /// The content; `None` if it is larger than any file of a build.
    pub(super) fn bytes(self) -> Result<Option<Vec<u8>>> {
        let Open { path, file, metadata } = self;
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or(0) + 1);
        file.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_BYTES))
    }

    /// Whether this is the content. One of another length is not read.
    pub(super) fn is(&mut self, content: &[u8]) -> Result<bool> {
        if self.metadata.len() != content.len() as u64 {
            return Ok(false);
        }
        // One byte more: a file that grew meanwhile is another one.
        let mut bytes = vec![0; content.len() + 1];
        let mut length = 0;
        while length < content.len() {
            match self.file.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", self.path.display())),
            }
        }
        Ok(bytes[..length] == *content)
    }
}

impl TreeDir {
    /// Opens the folder of a bottle that is to be built; `None` if it is not there.
    pub(super) fn open(path: &Path) -> Result<Option<Self>> {
        match open_folder(CWD, path, OFlags::NOFOLLOW) {
            Ok(root) => Ok(Some(TreeDir { path: path.to_owned(), root, folders: BTreeMap::new() })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) if is_no_folder(error) => {
                let out = path.parent().filter(|out| !out.as_os_str().is_empty() && !out.is_dir());
                Err(NoFile { path: out.unwrap_or(path).to_owned(), wanted: "folder" }.refuse())
            }
            Err(error) => Err(error).with_context(|| format!("cannot open {}", path.display())),
        }
    }

    /// The same, made if it is not there, and the folder above it.
    pub(super) fn make(path: &Path) -> Result<Self> {
        if let Some(place) = TreeDir::open(path)? {
            return Ok(place);
        }
        let out = path.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        make_folder(CWD, path, false).with_context(|| format!("cannot make the folder {}", path.display()))?;
        TreeDir::open(path)?.with_context(|| format!("{} was removed during the build", path.display()))
    }

    /// Opens the folder that a user names, who may name it by a link.
    pub(super) fn named(path: &Path) -> Result<Self> {
        let root =
            open_folder(CWD, path, OFlags::empty()).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(TreeDir { path: path.to_owned(), root, folders: BTreeMap::new() })
    }

    /// A path below, for messages.
    pub(super) fn shown(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    /// One build at a time: waits for another one. The lock goes with the process.
    pub(super) fn lock(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            match self.root.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", self.path.display()));
                }
                Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => bail!(
                    "another build has been writing to {} for {} seconds: end it, then build again",
                    self.path.display(),
                    PATIENCE.as_secs()
                ),
            }
        }
    }

    /// Whether a build is at work. Where there are no locks, nobody knows.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.root.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// What is at a path.
    pub(super) fn find(&mut self, path: &str) -> Result<Found> {
        let shown = self.shown(path);
        let (folder, name) = split(path);
        let folder = match self.folder(folder)? {
            Way::Missing => return Ok(Found::Missing),
            Way::Folder(folder) => folder,
            Way::NoFile(found) => return Ok(Found::NoFile(found)),
        };
        let no_file = |path| Ok(Found::NoFile(NoFile { path, wanted: "file" }));
        // A FIFO is not waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match retry_on_intr(|| openat(folder, name, flags, Mode::empty())) {
            Ok(file) => {
                let file = File::from(file);
                let metadata = file.metadata().with_context(|| format!("cannot look at {}", shown.display()))?;
                if metadata.is_file() { Ok(Found::File(Open { path: shown, file, metadata })) } else { no_file(shown) }
            }
            Err(Errno::NOENT) => Ok(Found::Missing),
            // Links, and what cannot be opened like a file.
            Err(Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::NODEV | Errno::OPNOTSUPP) => no_file(shown),
            Err(Errno::ACCESS) if is_file(folder, name) => Ok(Found::Unreadable(Errno::ACCESS.into())),
            Err(Errno::ACCESS) => no_file(shown),
            Err(error) => Err(error).with_context(|| format!("cannot open {}", shown.display())),
        }
    }

    /// Makes a folder and those above it that are not there.
    pub(super) fn make_folder(&mut self, folder: &Path, is_private: bool) -> Result<()> {
        let shown = self.path.join(folder);
        let context = || format!("cannot make the folder {}", shown.display());
        if matches!(self.folder(folder)?, Way::Missing) {
            let name = folder.file_name().with_context(context)?;
            match self.folder(folder.parent().unwrap_or(Path::new("")))? {
                Way::Folder(above) => make_folder(above, name, is_private).with_context(context)?,
                Way::Missing => bail!("{} was removed during the build", shown.display()),
                Way::NoFile(found) => return Err(found.refuse()),
            }
        }
        match self.folder(folder)? {
            Way::Folder(made) if is_private && is_shared(made).with_context(context)? => {
                made.set_permissions(Permissions::from_mode(0o700)).with_context(context)
            }
            Way::Folder(_) => Ok(()),
            Way::Missing => bail!("{} was removed during the build", shown.display()),
            Way::NoFile(found) => Err(found.refuse()),
        }
    }

    /// Whether a folder is there, for its owner alone if it must be private.
    pub(super) fn has_folder(&mut self, folder: &Path, is_private: bool) -> Result<bool> {
        let shown = self.path.join(folder);
        match self.folder(folder)? {
            Way::Folder(found) if is_private => {
                Ok(!is_shared(found).with_context(|| format!("cannot look at {}", shown.display()))?)
            }
            Way::Folder(_) => Ok(true),
            Way::Missing | Way::NoFile(_) => Ok(false),
        }
    }

    /// Writes the file beside its place and renames it there. It has its permissions from the start.
    pub(super) fn replace(&mut self, file: &Artifact) -> Result<()> {
        let shown = self.shown(&file.path);
        let context = || format!("cannot write {}", shown.display());
        let (folder, name) = split(&file.path);
        let folder = match self.folder(folder)? {
            Way::Folder(folder) => folder,
            Way::Missing => bail!("{} was removed during the build", shown.display()),
            Way::NoFile(found) => return Err(found.refuse()),
        };
        let temporary = temporary(name);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let mode = if file.private { mode } else { mode | Mode::RGRP | Mode::ROTH };
        let mut new = match retry_on_intr(|| openat(folder, &temporary, flags, mode)) {
            Ok(new) => File::from(new),
            // Nothing of ours: what a killed build left is gone by now.
            Err(Errno::EXIST) => bail!("{} already exists: move it", shown.with_file_name(temporary).display()),
            Err(error) => return Err(error).with_context(context),
        };
        let written = new.write_all(file.content.as_bytes()).and_then(|()| {
            drop(new);
            Ok(retry_on_intr(|| renameat(folder, &temporary, folder, name))?)
        });
        written
            .inspect_err(|_| {
                // Best effort: the first error is what counts.
                let _ = unlinkat(folder, &temporary, AtFlags::empty());
            })
            .with_context(context)
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, path: &str) -> Result<()> {
        let shown = self.shown(path);
        let (folder, name) = split(path);
        let Way::Folder(folder) = self.folder(folder)? else { return Ok(()) };
        match retry_on_intr(|| unlinkat(folder, name, AtFlags::empty())) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("cannot remove {}", shown.display())),
        }
    }

    /// Removes the folders above a path that are empty.
    pub(super) fn prune(&mut self, path: &str) -> Result<()> {
        let mut empty = split(path).0;
        while let Some(name) = empty.file_name() {
            let above = empty.parent().unwrap_or(Path::new(""));
            match self.folder(above)? {
                Way::Folder(folder) => match retry_on_intr(|| unlinkat(folder, name, AtFlags::REMOVEDIR)) {
                    Ok(()) | Err(Errno::NOENT) => {}
                    // Not empty, in use, or no folder of ours.
                    Err(Errno::NOTEMPTY | Errno::EXIST | Errno::BUSY | Errno::NOTDIR) => break,
                    Err(error) => {
                        return Err(error)
                            .with_context(|| format!("cannot remove the folder {}", self.path.join(empty).display()));
                    }
                },
                Way::Missing => {}
                Way::NoFile(_) => break,
            }
            self.folders.remove(empty);
            empty = above;
        }
        Ok(())
    }

    /// What is beside a file under the name that it has while it is written.
    pub(super) fn beside(&mut self, path: &str) -> Result<Option<PathBuf>> {
        let shown = self.shown(path);
        let (folder, name) = split(path);
        let Way::Folder(folder) = self.folder(folder)? else { return Ok(None) };
        match retry_on_intr(|| statat(folder, temporary(name), AtFlags::SYMLINK_NOFOLLOW)) {
            Ok(_) => Ok(Some(shown.with_file_name(temporary(name)))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read the folder of {}", shown.display())),
        }
    }

    /// Removes what a killed build left beside a file.
    pub(super) fn sweep(&mut self, path: &str) -> Result<()> {
        let (folder, name) = split(path);
        let left = folder.join(temporary(name));
        let Some(left) = left.to_str() else { return Ok(()) };
        match self.find(left)? {
            Found::Missing => Ok(()),
            Found::File(_) | Found::Unreadable(_) => self.remove(left),
            Found::NoFile(found) => Err(found.refuse()),
        }
    }

    /// A folder below, or the root.
    fn folder(&mut self, folder: &Path) -> Result<Way<'_>> {
        if !folder.as_os_str().is_empty() && !self.folders.contains_key(folder) {
            let above = folder.parent().unwrap_or(Path::new(""));
            let name = folder
                .file_name()
                .with_context(|| format!("{} is not a path below the bottle's folder", folder.display()))?;
            let path = self.path.join(folder);
            let opened = match self.folder(above)? {
                Way::Folder(above) => open_folder(above, name, OFlags::NOFOLLOW),
                Way::Missing => return Ok(Way::Missing),
                Way::NoFile(found) => return Ok(Way::NoFile(found)),
            };
            match opened {
                Ok(opened) => drop(self.folders.insert(folder.to_owned(), opened)),
                Err(Errno::NOENT) => return Ok(Way::Missing),
                Err(error) if is_no_folder(error) => return Ok(Way::NoFile(NoFile { path, wanted: "folder" })),
                Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
            }
        }
        Ok(Way::Folder(self.folders.get(folder).unwrap_or(&self.root)))
    }
}

/// The folder and the name in it.
fn split(path: &str) -> (&Path, &str) {
    path.rsplit_once('/').map_or((Path::new(""), path), |(folder, name)| (Path::new(folder), name))
}

fn open_folder<P: rustix::path::Arg + Copy>(
    above: impl rustix::fd::AsFd,
    path: P,
    flags: OFlags,
) -> Result<File, Errno> {
    let flags = flags | OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| openat(&above, path, flags, Mode::empty())).map(File::from)
}

/// What systems say of a link or a file in the place of a folder.
fn is_no_folder(error: Errno) -> bool {
    matches!(error, Errno::NOTDIR | Errno::LOOP | Errno::MLINK)
}

/// Makes a folder, unless another build was quicker.
fn make_folder<P: rustix::path::Arg + Copy>(
    above: impl rustix::fd::AsFd,
    path: P,
    is_private: bool,
) -> Result<(), Errno> {
    let mode = if is_private { Mode::RWXU } else { Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH };
    match retry_on_intr(|| mkdirat(&above, path, mode)) {
        Err(Errno::EXIST) => Ok(()),
        made => made,
    }
}

fn is_file(folder: &File, name: &str) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_file())
}

fn is_shared(folder: &File) -> io::Result<bool> {
    Ok(folder.metadata()?.permissions().mode() & SHARED != 0)
}

/// Whether a file is for its owner alone, by its permissions.
pub(super) fn is_private(mode: u32) -> bool {
    mode & SHARED == 0
}

/// Whether a path that an index lists stays inside the bottle's folder, in the one spelling that a build
/// gives it.
pub(super) fn is_plain(path: &str) -> bool {
    let steps = || Path::new(path).components();
    let spelt: PathBuf = steps().collect();
    !path.is_empty()
        && !path.contains('\0')
        && steps().all(|step| matches!(step, Component::Normal(_)))
        && spelt.as_os_str() == path
}
