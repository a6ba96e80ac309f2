//! The project of a checkout: the name of its volumes, networks and machine on this computer. Two checkouts of
//! the same bottle never share a project; a folder that is moved keeps its own.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::cli::checkout::{self, Checkout};
use crate::text::diagnostic::Problem;
use crate::value::artifact::INDEX;
use crate::value::network::Subnet;

/// The name of the record of a checkout's project.
const RECORD: &str = "project";

/// The name of the record of the network of a checkout's microVM.
const MACHINE: &str = "machine";

/// How container engines and smolvm name the resources of a checkout's bottle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Project {
    /// The name of the compose project and of the machine.
    pub(super) name: String,
    /// The first three numbers of the addresses of agent and egress, unless the manifest sets a subnet.
    pub(super) net: String,
    bottle: String,
    folder: PathBuf,
    identity: Identity,
}

/// Identifies a folder even after a move within its file system. Inode numbers are reused; the creation time
/// distinguishes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    device: u64,
    inode: u64,
    /// Nanoseconds since 1970, if the file system records it.
    born: Option<u64>,
}

impl Identity {
    fn of(found: &Metadata) -> Identity {
        let born = found.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|time| u64::try_from(time.as_nanos()).ok());
        Identity { device: found.dev(), inode: found.ino(), born }
    }

    fn is_surely(self, other: Identity) -> bool {
        self == other && self.born.is_some()
    }
}

/// A project, with notes for the user.
pub(super) struct Found {
    pub(super) project: Project,
    pub(super) notes: Vec<String>,
    /// The record of the path from which the folder was moved.
    left: Option<PathBuf>,
}

impl Project {
    /// The project of a checkout; `asked` is the name of a project to take over.
    ///
    /// # Errors
    /// I/O errors and malformed records, with the path.
    pub(super) fn find(checkout: &Checkout, bottle: &str, asked: Option<&str>) -> Result<Found> {
        let folder = checkout.folder.clone();
        let found = folder.metadata().with_context(|| format!("cannot read the metadata of {}", folder.display()))?;
        let identity = Identity::of(&found);
        let others: Vec<(PathBuf, Project)> =
            checkout::all(RECORD)?.into_iter().filter(|(_, other): &(_, Project)| other.folder != folder).collect();
        let with = |old: &Project| Project { folder: folder.clone(), identity, ..old.clone() };
        let fresh = |name: String| {
            let taken = |net: &str| others.iter().any(|(_, other)| other.net == net && other.folder.exists());
            let nets = (0..64).map(|turn| Subnet::of_key(&format!("{name}{}", ".".repeat(turn))).prefix());
            let net = nets.clone().find(|net| !taken(net)).or_else(|| nets.clone().next()).unwrap_or_default();
            Project { name, net, bottle: bottle.to_owned(), folder: folder.clone(), identity }
        };
        if let Some(asked) = asked {
            let old = others.iter().find(|(_, other)| other.name == asked);
            let project = old.map_or_else(|| fresh(asked.to_owned()), |(_, old)| with(old));
            return Ok(Found { project, notes: Vec::new(), left: old.map(|(record, _)| record.clone()) });
        }
        let same = |project: &Project| project.bottle == bottle;
        if let Some(own) = checkout.recall::<Project>(RECORD)?.filter(same) {
            return Ok(Found { project: with(&own), notes: Vec::new(), left: None });
        }
        if let Some((record, old)) = others.iter().find(|(_, old)| same(old) && old.identity.is_surely(identity)) {
            let notes = vec![format!("this folder was moved from {}; it keeps its volumes", old.folder.display())];
            return Ok(Found { project: with(old), notes, left: Some(record.clone()) });
        }
        let taken = |name: &String| others.iter().any(|(_, other)| other.name == *name);
        let own = format!("{bottle}-{}", checkout.id());
        let name =
            std::iter::once(own.clone()).chain((2..).map(|turn| format!("{own}-{turn}"))).find(|name| !taken(name));
        let gone = others.iter().filter(|(_, old)| same(old) && !old.folder.exists());
        let notes = gone.map(|(_, old)| {
            format!(
                "{} no longer exists; if it was moved here, take over its volumes with `bottlec exec --project {} …`",
                old.folder.display(),
                old.name
            )
        });
        Ok(Found { project: fresh(name.unwrap_or(own)), notes: notes.collect(), left: None })
    }
}

impl Project {
    /// The project of a checkout that has no record.
    ///
    /// # Errors
    /// I/O errors, with the path.
    pub(super) fn unrecorded(checkout: &Checkout, bottle: &str) -> Result<Found> {
        let folder = checkout.folder.clone();
        let found = folder.metadata().with_context(|| format!("cannot read the metadata of {}", folder.display()))?;
        let name = format!("{bottle}-{}", checkout.id());
        let net = Subnet::of_key(&name).prefix();
        let project = Project { name, net, bottle: bottle.to_owned(), folder, identity: Identity::of(&found) };
        Ok(Found { project, notes: Vec::new(), left: None })
    }
}

impl Found {
    /// Records the project for this checkout only.
    ///
    /// # Errors
    /// I/O errors, with the path.
    pub(super) fn keep(&self, checkout: &Checkout) -> Result<()> {
        checkout.remember(RECORD, &self.project)?;
        if let Some(record) = &self.left {
            std::fs::remove_file(record).with_context(|| format!("cannot remove {}", record.display()))?;
        }
        Ok(())
    }
}

/// Checks the name of a project by the rules of compose.
pub(super) fn check_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    if name.bytes().all(plain) && name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let message = format!("`{}` is not a valid project name", name.escape_debug());
    Err(Problem::new(message, "use a name shown by `docker volume ls`: the part before `_workspace`"))
}

/// The network of a microVM, which a Smolfile contains as literal addresses.
#[derive(Serialize, Deserialize)]
struct Taken {
    subnet: String,
    folder: PathBuf,
}

/// Reserves the network of a microVM for this checkout.
///
/// # Errors
/// I/O errors, with the path. The inner error says which checkout uses the network already.
pub(super) fn take_network(checkout: &Checkout, subnet: &str) -> Result<Result<(), Problem>> {
    let is_there = |folder: &Path| folder.join(INDEX).exists();
    let others = checkout::all::<Taken>(MACHINE)?;
    let other = others
        .iter()
        .map(|(_, other)| other)
        .find(|other| other.folder != checkout.folder && other.subnet == subnet && is_there(&other.folder));
    if let Some(other) = other {
        let shown = other.folder.display();
        return Ok(Err(Problem::new(
            format!("the network {subnet} is already used by the microVM of {shown}"),
            format!(
                "set another `network.subnet` in one of the two manifests, or delete that microVM: \
                 bottlec exec {shown} -- smolvm machine delete, and bottlec exec {shown} -- docker compose down"
            ),
        )));
    }
    checkout.remember(MACHINE, &Taken { subnet: subnet.to_owned(), folder: checkout.folder.clone() })?;
    Ok(Ok(()))
}

/// Whether this checkout has reserved the network of a microVM.
///
/// # Errors
/// I/O errors, with the path.
pub(super) fn has_network(checkout: &Checkout, subnet: &str) -> Result<bool> {
    let taken = checkout::all::<Taken>(MACHINE)?;
    Ok(taken.iter().any(|(_, taken)| taken.folder == checkout.folder && taken.subnet == subnet))
}

/// Releases the network of this checkout's microVM.
///
/// # Errors
/// I/O errors, with the path.
pub(super) fn free_network(checkout: &Checkout) -> Result<()> {
    for (record, _) in checkout::all::<Taken>(MACHINE)?.iter().filter(|(_, taken)| taken.folder == checkout.folder) {
        std::fs::remove_file(record).with_context(|| format!("cannot remove {}", record.display()))?;
    }
    Ok(())
}
