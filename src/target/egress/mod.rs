//! egress: the wire file, the programs beside it, the variables that it is given, and its rules.

mod fixed;
pub mod rules;
mod wire;

use super::env_file::EnvFile;
use super::{Emitted, Files, Identity, Isolation, Job, RenderError, Target, Unreadable, file, pipelock};
use crate::value::artifact::StaticFile;
use crate::value::isolation::Guard;
use crate::value::origin::Origins;
use crate::value::restart::Restart;
pub use fixed::{ADDON, FIXED, PREPARE, PROBE};
pub use wire::{WIRE, Wire, WireRoute};

/// The variables that egress is given, by bare name.
const ENV_FILE: &str = "egress/egress.env";

/// `egress/`.
pub(super) struct EgressFolder;

impl Target for EgressFolder {
    fn name(&self) -> &'static str {
        "egress"
    }

    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let (wire, who_decides) = Wire::of(job.egress);
        let mut origins = Origins::of("slot");
        let bound_at_launch = origins.top().put_each(job.egress.variables()).map(|(name, ())| name).collect();
        let variables = EnvFile { bound_at_launch, ..EnvFile::default() }.render(ENV_FILE)?;
        let mut emitted = vec![
            Emitted::public(WIRE, wire.render()?).decided_by(who_decides),
            Emitted::public(ENV_FILE, variables).decided_by(origins),
        ];
        emitted.extend(FIXED.map(Emitted::fixed));
        Ok(emitted)
    }

    fn fixed(&self) -> &'static [&'static StaticFile] {
        &FIXED
    }

    fn read(&self, files: &Files, _bottle: &Identity) -> Result<Isolation, Unreadable> {
        let guards = vec![
            Guard::enforce(
                "egress enforces the rules of this release of bottlec (`egress/addon.py`)",
                file(files, ADDON.path)? == ADDON.text,
            ),
            Guard::enforce(
                "the walls are probed as this release of bottlec does (`egress/probe.py`)",
                file(files, PROBE.path)? == PROBE.text,
            ),
            Guard::enforce(
                "certificates are handed out as this release of bottlec does (`egress/prepare.py`)",
                file(files, PREPARE.path)? == PREPARE.text,
            ),
        ];
        Ok(Isolation { guards, ..Isolation::default() })
    }

    fn restart(&self, old: &Files, new: &Files) -> Option<Restart> {
        let differs = |path: &str| old.get(path) != new.get(path);
        // It lets nothing through while pipelock's file is not the one that both were started with.
        if differs(ADDON.path) || differs(pipelock::FILE) {
            return Some(Restart::RecreateEgress);
        }
        differs(WIRE).then_some(Restart::ReloadEgress)
    }
}
