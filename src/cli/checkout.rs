//! A checkout: one tree in one place of this machine, and what bottlec remembers of it there.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::value::digest;

/// One bottle's folder on this machine. Another clone of the same repository has another.
pub(crate) struct Checkout {
    /// The folder, links resolved.
    pub folder: PathBuf,
    key: String,
}

impl Checkout {
    /// The checkout of a bottle's folder.
    ///
    /// # Errors
    /// I/O errors, with the path.
    pub(crate) fn of(folder: &Path) -> Result<Checkout> {
        let folder = folder.canonicalize().with_context(|| format!("cannot open {}", folder.display()))?;
        let key = digest::hash(folder.as_os_str().as_bytes());
        Ok(Checkout { folder, key })
    }

    /// Eight hexadecimal digits that differ from folder to folder.
    pub(crate) fn id(&self) -> &str {
        &self.key[..8]
    }

    /// What was kept of this checkout under a name, if anything.
    ///
    /// # Errors
    /// I/O errors, and a file that bottlec did not write, with the path.
    pub(crate) fn recall<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>> {
        let path = self.memory()?.join(name).with_extension("json");
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map(Some)
                .with_context(|| format!("{} is not what bottlec wrote; remove it", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Keeps something of this checkout, for its owner alone; whole or not at all.
    ///
    /// # Errors
    /// I/O errors, with the path.
    pub(crate) fn remember<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let folder = self.memory()?;
        let path = folder.join(name).with_extension("json");
        let write = || -> io::Result<()> {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
            let new = folder.join(format!(".{name}.{}.new", std::process::id()));
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            serde_json::to_writer_pretty(&mut file, value)?;
            file.write_all(b"\n")?;
            fs::rename(new, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }

    /// The folder with what is kept of this checkout.
    fn memory(&self) -> Result<PathBuf> {
        Ok(config_folder()?.join("checkouts").join(&self.key[..32]))
    }
}

/// bottlec's configuration folder: `$XDG_CONFIG_HOME/bottlec`, else `~/.config/bottlec`.
///
/// # Errors
/// Neither variable is set to an absolute path.
pub(crate) fn config_folder() -> Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    let config = config.ok_or_else(|| anyhow!("neither HOME nor XDG_CONFIG_HOME is set to an absolute path"))?;
    Ok(config.join("bottlec"))
}

/// What is kept of every checkout under a name, with the file that it is in. What cannot be read as it
/// is left out: it is another checkout's, and its own start says so.
///
/// # Errors
/// I/O errors, with the path.
pub(crate) fn all<T: DeserializeOwned>(name: &str) -> Result<Vec<(PathBuf, T)>> {
    let folder = config_folder()?.join("checkouts");
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", folder.display())),
    };
    let mut paths: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path().join(name).with_extension("json")).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let value = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        Some((path, value))
    };
    Ok(paths.into_iter().filter_map(read).collect())
}

/// A file without anything in it, for programs that read one unless they are given another.
///
/// # Errors
/// I/O errors, with the path.
pub(crate) fn empty_file() -> Result<PathBuf> {
    let folder = config_folder()?;
    let path = folder.join("empty");
    let write = || -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
