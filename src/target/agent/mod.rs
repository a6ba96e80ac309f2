//! The agent's own folder: its variables, its home, and the place of the certificates.

use super::{Emitted, Files, Identity, Isolation, Job, RenderError, Target, Unreadable};
use crate::link::environment;
use crate::value::artifact::Artifact;
use crate::value::guest;

/// `agent/`.
pub(super) struct AgentFolder;

impl Target for AgentFolder {
    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let variables = Emitted::from(Artifact::private(environment::FILE, job.environment.file()?));
        let home = job.plan.files.iter().map(|file| {
            Emitted::from(Artifact::new(format!("agent/home/{}", file.path), file.content.clone(), file.private))
        });
        let mut emitted = vec![
            variables.decided_by(job.environment.file_origins()),
            Emitted::public("agent/ca/.gitignore", guest::IGNORED_CERTIFICATES.to_owned()),
        ];
        emitted.extend(home);
        Ok(emitted)
    }

    /// Nothing here keeps the agent in: what it is given is compared by the model.
    fn read(&self, _files: &Files, _bottle: &Identity) -> Result<Isolation, Unreadable> {
        Ok(Isolation::default())
    }

    fn made_at_run_time(&self) -> &'static [&'static str] {
        &guest::CERTIFICATES
    }
}
