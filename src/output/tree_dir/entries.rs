//! What else lies in a bottle's folder than a build writes.

use std::path::Path;

use anyhow::{Context as _, Result};
use rustix::fs::{AtFlags, Dir, FileType, statat};

use super::{TreeDir, Way};
use crate::model::rebuild::{Closed, Standing};

impl TreeDir {
    /// The entries of the folder that it may not hold, sorted. What lies below one of them is not looked at, nor
    /// whether a file that a build writes is one.
    pub(in crate::output) fn foreign(&mut self, closed: &Closed) -> Result<Vec<String>> {
        let mut foreign = Vec::new();
        self.search("", closed, &mut foreign)?;
        foreign.sort();
        Ok(foreign)
    }

    fn search(&mut self, folder: &str, closed: &Closed, foreign: &mut Vec<String>) -> Result<()> {
        let shown = self.shown(folder);
        let context = || format!("cannot read the folder {}", shown.display());
        let Way::Folder(opened) = self.folder(Path::new(folder))? else { return Ok(()) };
        let mut folders = Vec::new();
        for entry in Dir::read_from(opened).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems leave it to be asked for.
                FileType::Unknown => statat(opened, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |found| FileType::from_raw_mode(found.st_mode)),
                kind => kind,
            };
            let separator = if folder.is_empty() { "" } else { "/" };
            let path = format!("{folder}{separator}{}", name.to_string_lossy());
            match closed.standing(&path) {
                Standing::Written => {}
                Standing::MadeAtRunTime if kind == FileType::RegularFile => {}
                Standing::Above if kind == FileType::Directory => folders.push(path),
                Standing::MadeAtRunTime | Standing::Above | Standing::Foreign => foreign.push(path),
            }
        }
        folders.iter().try_for_each(|folder| self.search(folder, closed, foreign))
    }
}
