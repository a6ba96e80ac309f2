//! egress: the wire file, the programs beside it, the variables that it is given, and its rules.

pub mod rules;

use super::{Emitted, Files, Identity, Isolation, Job, RenderError, Target, Unreadable, file};
use crate::link::egress::{ADDON, FIXED, PREPARE, PROBE, WIRE};
use crate::link::environment;
use crate::value::isolation::Guard;

/// `egress/`.
pub(super) struct EgressFolder;

impl Target for EgressFolder {
    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let variables = Emitted::public(environment::EGRESS_FILE, environment::egress_file(job.egress)?);
        let mut emitted = vec![
            Emitted::public(WIRE, job.egress.wire()?).decided_by(job.egress.wire_origins(&job.bottle.routes)),
            variables.decided_by(environment::egress_file_origins(job.bottle, job.egress)),
        ];
        emitted.extend(FIXED.map(Emitted::fixed));
        Ok(emitted)
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
}
