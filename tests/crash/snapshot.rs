//! All that is below a folder: its files with content and permissions, its folders with permissions.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// By path; a folder has a slash at its end and no content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<String, (u32, Option<Vec<u8>>)>);

const PENDING: &str = ".bottle.json.pending";
const TEMPORARY: &str = ".bottlec-new";

impl Snapshot {
    pub(crate) fn of(root: &Path) -> Self {
        let mut found = BTreeMap::new();
        walk(root, "", &mut found);
        Snapshot(found)
    }

    /// Makes the folder what it was.
    pub(crate) fn restore(&self, root: &Path) {
        let _ = fs::remove_dir_all(root);
        if self.0.is_empty() {
            return;
        }
        fs::create_dir(root).unwrap();
        for (path, (mode, content)) in &self.0 {
            match content {
                Some(content) => fs::write(root.join(path), content).unwrap(),
                None => fs::create_dir(root.join(path)).unwrap(),
            }
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    fn filter(&self, keep: impl Fn(&str) -> bool) -> Self {
        Snapshot(self.0.iter().filter(|(path, _)| keep(path)).map(|(path, it)| (path.clone(), it.clone())).collect())
    }

    pub(crate) fn without(&self, start: &str) -> Self {
        self.filter(|path| !path.starts_with(start))
    }

    pub(crate) fn below(&self, folder: &str) -> Self {
        self.filter(|path| path.starts_with(&format!("{folder}/")))
    }

    /// Without the file that a build cannot have come further than to begin.
    pub(crate) fn without_temporary(&self) -> Self {
        self.filter(|path| !path.ends_with(&format!(".{PENDING}{TEMPORARY}")))
    }

    /// The files alone, with their content.
    pub(crate) fn files(&self) -> BTreeMap<&str, &[u8]> {
        self.0.iter().filter_map(|(path, (_, content))| Some((path.as_str(), content.as_deref()?))).collect()
    }

    /// Every file is as in one of the two, or one that a build makes for itself; none is missing that both
    /// have.
    pub(crate) fn assert_whole(&self, old: &Self, new: &Self, what: &str) {
        for (path, (mode, content)) in &self.0 {
            let is_own = path.ends_with(PENDING) || path.ends_with(TEMPORARY);
            let is_whole = [old, new].iter().any(|side| side.0.get(path).is_some_and(|(_, is)| is == content));
            assert!(is_own || is_whole, "{what}: {path} is neither old nor new: {:?}", content.as_ref().map(Vec::len));
            // At no time has anybody else a right to what is private.
            let is_private = new.0.get(path).is_some_and(|(mode, _)| mode & 0o077 == 0);
            assert!(!is_private || mode & 0o077 == 0, "{what}: {path} is {mode:o}");
        }
        for path in old.0.keys().filter(|path| new.0.contains_key(*path)) {
            assert!(self.0.contains_key(path), "{what}: {path} is gone");
        }
    }

    pub(crate) fn assert_is(&self, other: &Self, what: &str) {
        let differs = |one: &Self, two: &Self| -> Vec<String> {
            one.0.iter().filter(|(path, it)| two.0.get(*path) != Some(it)).map(|(path, _)| path.clone()).collect()
        };
        assert_eq!(differs(self, other), differs(other, self), "{what}: found and expected");
        assert!(self == other, "{what}: {:?}", differs(self, other));
    }
}

fn walk(folder: &Path, start: &str, found: &mut BTreeMap<String, (u32, Option<Vec<u8>>)>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = format!("{start}{}", path.file_name().unwrap().to_string_lossy());
        let metadata = path.symlink_metadata().unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            found.insert(format!("{name}/"), (mode, None));
            walk(&path, &format!("{name}/"), found);
        } else {
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { b"no file".to_vec() };
            found.insert(name, (mode, Some(content)));
        }
    }
}
