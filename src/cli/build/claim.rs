//! The names and networks that the bottles of one build claim. No two bottles may share either, which is
//! checked before the first one is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::manifest::bottle::Bottle;
use crate::manifest::{self, Loaded};
use crate::text::diagnostic::{Code, Diagnostic};
use crate::value::network::Subnet;

/// What one bottle claims. A build holds one for each of its bottles, so only a fingerprint of the name is
/// kept: equal names are never missed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    name: u64,
    subnet: Subnet,
}

/// What two bottles share.
#[derive(Clone, Copy)]
enum Shared {
    Name,
    Network,
}

/// A claim that an earlier bottle has made already.
#[derive(Clone, Copy)]
pub(super) struct Collision {
    earlier: usize,
    shared: Shared,
}

impl Claim {
    /// Reads what a manifest claims. A manifest with errors is not written and claims nothing; its errors are
    /// reported when it is compiled.
    pub(super) fn read(path: &Path) -> Option<Claim> {
        let Loaded { sources, manifest: written, mut findings, .. } = manifest::load(path).ok()?;
        let bottle = manifest::check(&written?, &sources, &mut findings)?;
        (!findings.has_errors()).then(|| Claim::of(&bottle))
    }

    pub(super) fn of(bottle: &Bottle) -> Claim {
        let mut name = [0; 8];
        name.copy_from_slice(&Sha256::digest(bottle.name.as_str())[..8]);
        Claim { name: u64::from_le_bytes(name), subnet: bottle.subnet }
    }
}

/// The bottles, by number, that claim what an earlier one has claimed. Two bottles with the same name also
/// share the network derived from it, which is not reported.
pub(super) fn collisions(claims: &[Option<Claim>]) -> BTreeMap<usize, Collision> {
    let mut found = BTreeMap::new();
    let all = || claims.iter().enumerate().filter_map(|(number, claim)| Some((claim.as_ref()?, number)));
    let names = all().map(|(claim, number)| (claim.name, number)).collect();
    found.extend(repeated(names, Shared::Name));
    let others = all().filter(|(_, number)| !found.contains_key(number));
    let networks = others.map(|(claim, number)| (claim.subnet, number)).collect();
    found.extend(repeated(networks, Shared::Network));
    found
}

fn repeated<T: Ord>(mut claims: Vec<(T, usize)>, shared: Shared) -> Vec<(usize, Collision)> {
    claims.sort_unstable();
    let pairs = claims.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs.map(|pair| (pair[1].1, Collision { earlier: pair[0].1, shared })).collect()
}

impl Collision {
    /// The finding for the later bottle.
    pub(super) fn diagnostic(self, later: &Path, bottle: &Bottle, paths: &[PathBuf]) -> Diagnostic {
        let both = format!("{} and {}", later.display(), paths[self.earlier].display());
        let (message, help) = match self.shared {
            Shared::Name => {
                (format!("{both} are both named `{}`", bottle.name.as_str()), "give each bottle its own `name`")
            }
            Shared::Network => (
                format!("{both} both use the network {}", bottle.subnet.range()),
                "give one of them its own `network.subnet`",
            ),
        };
        Diagnostic::new(Code::BottleCollision, message).help(help)
    }
}
