//! What must be restarted or rebuilt before a changed bottle is what runs.

use std::collections::BTreeSet;

use super::reach::Reach;
use super::{Change, Direction, Topic};
use crate::target::{egress, pipelock};
use crate::value::host::Host;
use crate::value::isolation::{Files, Part, Role};
use crate::value::slot::Slot;
use crate::value::variable::TokenRef;

/// Something to do with a running bottle, in the order in which it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Restart {
    /// Everything, since the networks are others.
    Recreate,
    /// The agent's image is built from something else.
    RebuildImage,
    /// pipelock refuses to take the change while it runs.
    RestartPipelock,
    /// pipelock reads its file again by itself.
    ReloadPipelock,
    /// egress has another environment, addon or command.
    RecreateEgress,
    /// egress reads its routes again by itself.
    ReloadEgress,
    /// The agent has another environment, home or command.
    RecreateAgent,
}

impl Restart {
    /// The stable word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Restart::Recreate => "recreate-bottle",
            Restart::RebuildImage => "rebuild-image",
            Restart::RestartPipelock => "restart-pipelock",
            Restart::ReloadPipelock => "reload-pipelock",
            Restart::RecreateEgress => "recreate-egress",
            Restart::ReloadEgress => "reload-egress",
            Restart::RecreateAgent => "recreate-agent",
        }
    }

    /// What to do, in words.
    pub fn says(self) -> &'static str {
        match self {
            Restart::Recreate => "take the bottle down and up again: its networks have changed",
            Restart::RebuildImage => "rebuild the agent's image",
            Restart::RestartPipelock => "stop and recreate pipelock: it does not apply this change while it runs",
            Restart::ReloadPipelock => "nothing to do for pipelock: it reloads its file by itself",
            Restart::RecreateEgress => "recreate egress with `bottlec exec`: its environment or program has changed",
            Restart::ReloadEgress => "nothing to do for egress: it reloads its routes by itself",
            Restart::RecreateAgent => "recreate the agent with `bottlec exec`",
        }
    }
}

/// What to do so that a bottle that runs as `old` runs as `new`.
pub fn restarts(old: (&Reach, &Files), new: (&Reach, &Files), changes: &[Change]) -> Vec<Restart> {
    let ((old, old_files), (new, new_files)) = (old, new);
    let mut all = Vec::new();
    let differs = |role: Role| {
        let is_other = |name: &String, part: &Part| old.parts.get(name).is_some_and(|old| old.whole != part.whole);
        new.parts.iter().any(|(name, part)| part.role == role && is_other(name, part))
    };
    let is_other = |path: &str| old_files.get(path) != new_files.get(path);
    let touches = |condition: &dyn Fn(&Topic) -> bool| changes.iter().any(|change| condition(&change.topic));

    let networks = old.name != new.name || old.subnet != new.subnet || differs(Role::Network);
    if networks {
        all.push(Restart::Recreate);
    }
    let built = |reach: &Reach| {
        let is_built = |part: &&Part| part.role == Role::Agent && part.image_at.ends_with("/build");
        reach.parts.values().find(is_built).and_then(|part| part.image.clone())
    };
    let is_rebuilt = touches(&|topic| *topic == Topic::Dockerfile) || built(old) != built(new);
    if built(new).is_some() && is_rebuilt {
        all.push(Restart::RebuildImage);
    }
    if networks {
        return all;
    }
    if is_other(pipelock::FILE) || differs(Role::Pipelock) {
        // Only hosts and ranges are taken while it runs: another passthrough counts as a downgrade (seen
        // with pipelock 2.3.0 in strict mode).
        let splices = changes
            .iter()
            .any(|change| matches!(change.topic, Topic::Splice(_)) && change.direction == Direction::Gain);
        let settings = touches(&|topic| matches!(topic, Topic::Guard(_) | Topic::Setting(..)));
        let restart = splices || settings || differs(Role::Pipelock) || is_less_watched(old, new);
        all.push(if restart { Restart::RestartPipelock } else { Restart::ReloadPipelock });
    }
    // What binds the slots is among the variables of egress.
    let slots = |reach: &Reach| -> BTreeSet<(Slot, TokenRef, Host)> {
        let signed = reach.routes.iter().filter_map(|route| Some((route.credential.as_ref()?, &route.host)));
        signed.map(|(credential, host)| (credential.slot, credential.token_ref.clone(), host.clone())).collect()
    };
    // It lets nothing through while pipelock's file is not the one that both were started with.
    if differs(Role::Egress) || is_other(egress::ADDON.path) || is_other(pipelock::FILE) || slots(old) != slots(new) {
        all.push(Restart::RecreateEgress);
    } else if is_other(egress::WIRE) {
        all.push(Restart::ReloadEgress);
    }
    let home = touches(&|topic| matches!(topic, Topic::HomeFile(_)));
    if differs(Role::Agent) || home || old.variables != new.variables || is_rebuilt {
        all.push(Restart::RecreateAgent);
    }
    all
}

/// Whether a range was added that names may resolve to: it weakens a running pipelock.
fn is_less_watched(old: &Reach, new: &Reach) -> bool {
    !new.exceptions.is_subset(&old.exceptions)
}
