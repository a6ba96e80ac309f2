//! What a change of a bottle asks of one that runs: what its targets say of their files, and what the model says of
//! the rest.

use std::collections::BTreeSet;

use super::reach::Reach;
use super::{Change, Topic};
use crate::target;
use crate::value::host::Host;
use crate::value::isolation::{Files, Part, Role};
use crate::value::restart::Restart;
use crate::value::slot::Slot;
use crate::value::variable::TokenRef;

/// What to do so that a bottle that runs as `old` runs as `new`.
pub fn restarts(old: (&Reach, &Files), new: (&Reach, &Files), changes: &[Change]) -> Vec<Restart> {
    let ((old, old_files), (new, new_files)) = (old, new);
    let differs = |role: Role| {
        let is_other = |name: &String, part: &Part| old.parts.get(name).is_some_and(|old| old.whole != part.whole);
        new.parts.iter().any(|(name, part)| part.role == role && is_other(name, part))
    };
    let touches = |condition: &dyn Fn(&Topic) -> bool| changes.iter().any(|change| condition(&change.topic));

    let of_files: BTreeSet<Restart> = target::restarts(old_files, new_files).collect();
    // A guard that has changed is more than a list of hosts, which is all that pipelock takes while it runs.
    let is_more = of_files.contains(&Restart::ReloadPipelock) && touches(&|topic| matches!(topic, Topic::Guard(_)));
    let networks = old.name != new.name || old.subnet != new.subnet || differs(Role::Network);
    let built = |reach: &Reach| {
        let is_built = |part: &&Part| part.role == Role::Agent && part.image_at.ends_with("/build");
        reach.parts.values().find(is_built).and_then(|part| part.image.clone())
    };
    let is_rebuilt = touches(&|topic| *topic == Topic::Dockerfile) || built(old) != built(new);
    // What binds the slots is among the variables of egress.
    let slots = |reach: &Reach| -> BTreeSet<(Slot, TokenRef, Host)> {
        let signed = reach.routes.iter().filter_map(|route| Some((route.credential.as_ref()?, &route.host)));
        signed.map(|(credential, host)| (credential.slot, credential.token_ref.clone(), host.clone())).collect()
    };
    let home = touches(&|topic| matches!(topic, Topic::HomeFile(_)));

    let of_model = [
        (Restart::Recreate, networks),
        (Restart::RebuildImage, built(new).is_some() && is_rebuilt),
        (Restart::RestartPipelock, is_more || differs(Role::Pipelock)),
        (Restart::RecreateEgress, differs(Role::Egress) || slots(old) != slots(new)),
        (Restart::RecreateAgent, differs(Role::Agent) || home || old.variables != new.variables || is_rebuilt),
    ];
    let asked = of_model.into_iter().filter(|(_, is_asked)| *is_asked).map(|(restart, _)| restart);
    let all: BTreeSet<Restart> = asked.chain(of_files).collect();
    all.iter().copied().filter(|restart| !all.iter().any(|other| other.includes(*restart))).collect()
}
