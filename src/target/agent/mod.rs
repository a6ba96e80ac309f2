//! The agent's own folder: its variables, its home, and the place of the certificates.

use super::env_file::EnvFile;
use super::{Emitted, Files, Identity, Isolation, Job, RenderError, Target, Unreadable};
use crate::link::environment::TRUST;
use crate::value::artifact::Artifact;
use crate::value::guest;
use crate::value::origin::Origins;

/// The variables with a text, for `docker run --env-file`.
pub const ENV_FILE: &str = "agent/agent.env";

/// How the paths of the files in the agent's home begin.
pub const HOME: &str = "agent/home/";

/// `agent/`.
pub(super) struct AgentFolder;

impl Target for AgentFolder {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn emit(&self, job: &Job, _earlier: &[Emitted]) -> Result<Vec<Emitted>, RenderError> {
        let mut origins = Origins::of(TRUST);
        let literal = origins.top().put_each(job.environment.literals()).collect();
        let variables = EnvFile { literal, ..EnvFile::default() }.render(ENV_FILE)?;
        let home = job.plan.files.iter().map(|file| {
            Emitted::from(Artifact::new(format!("{HOME}{}", file.path), file.content.clone(), file.private))
        });
        let mut emitted = vec![
            Emitted::from(Artifact::private(ENV_FILE, variables)).decided_by(origins),
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
