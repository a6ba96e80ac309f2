//! What the bottles of one build take for themselves: a name, which is a folder, and a network. Two may
//! share neither, and that is known before the first is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::bottle::{Bottle, BottleName};
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::{self, Loaded};
use crate::network::Subnet;

/// What one bottle takes. Small, since a build holds one for each of its bottles.
#[derive(PartialEq, Eq)]
pub(super) struct Claim {
    name: BottleName,
    subnet: Subnet,
}

impl Claim {
    /// Reads a manifest for what it claims. One with errors will not be written and claims nothing; what
    /// is wrong with it is said when it is its turn.
    pub(super) fn of(path: &Path) -> Option<Claim> {
        let Loaded { sources, manifest: written, mut findings, .. } = manifest::load(path).ok()?;
        let Bottle { name, subnet, .. } = manifest::check(&written?, &sources, &mut findings)?;
        (!findings.has_errors()).then_some(Claim { name, subnet })
    }

    pub(super) fn is_of(&self, bottle: &Bottle) -> bool {
        self.name == bottle.name && self.subnet == bottle.subnet
    }
}

/// The bottles, by number, that claim what one before them has, each with what is wrong.
pub(super) fn collisions(paths: &[PathBuf], claims: &[Option<Claim>]) -> BTreeMap<usize, Diagnostic> {
    let mut found = BTreeMap::new();
    let all = || claims.iter().enumerate().filter_map(|(number, claim)| Some((claim.as_ref()?, number)));
    let mut by_name: Vec<_> = all().map(|(claim, number)| (&claim.name, number)).collect();
    by_name.sort_unstable();
    for (name, earlier, later) in neighbours(&by_name) {
        let message =
            format!("{} and {} are both named `{}`", shown(later, paths), shown(earlier, paths), name.as_str());
        found.insert(later, Diagnostic::new(Code::BottleCollision, message).help("give each bottle its own `name`"));
    }
    drop(by_name);
    // Two of one name need not be told that they share the network which follows from it.
    let same_name: BTreeSet<usize> = found.keys().copied().collect();
    let others = all().filter(|(_, number)| !same_name.contains(number));
    let mut by_subnet: Vec<_> = others.map(|(claim, number)| (claim.subnet, number)).collect();
    by_subnet.sort_unstable();
    for (subnet, earlier, later) in neighbours(&by_subnet) {
        let message =
            format!("{} and {} both use the network {}", shown(later, paths), shown(earlier, paths), subnet.range());
        let diagnostic = Diagnostic::new(Code::BottleCollision, message);
        found.insert(later, diagnostic.help("give one of them its own `network.subnet`"));
    }
    found
}

/// What two entries in a row of a sorted list share, with their numbers.
fn neighbours<T: Copy + PartialEq>(sorted: &[(T, usize)]) -> impl Iterator<Item = (T, usize, usize)> {
    sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].0, pair[0].1, pair[1].1))
}

fn shown(number: usize, paths: &[PathBuf]) -> impl std::fmt::Display + '_ {
    paths[number].display()
}
