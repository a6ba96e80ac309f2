//! The pipeline in one screen: a bottle and host facts into artifacts. Pure: no file, clock,
//! environment, network or chance.

pub mod index;
pub mod lint;
pub mod tree;

use crate::compile::index::{Compiled, Index};
use crate::compile::tree::Tree;
use crate::link::egress::{self, Egress};
use crate::link::environment::{self, Environment};
use crate::manifest::bottle::Bottle;
use crate::provider::facts::{HostCredentials, HostFacts};
use crate::provider::plan::AgentProvisionPlan;
use crate::target::pipelock::{self, Pipelock};
use crate::target::{self, Backend, Job};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError};
use crate::text::source::Sources;
use crate::value::artifact::{Artifact, INDEX};
use crate::value::guest;

/// A bottle with all that its provider brings: everything is known, nothing is rendered.
pub struct Linked<'b> {
    bottle: &'b Bottle,
    /// The provider's plan.
    pub plan: AgentProvisionPlan,
    /// The merged routes.
    pub egress: Egress,
    backends: &'b [Backend],
    /// Whether the account is made up.
    hermetic: bool,
}

/// Compiles a bottle. Problems are findings; with an error among them there is no tree.
///
/// # Errors
/// An artifact does not read back as what was meant, or holds a secret: a defect of bottlec.
pub fn compile(
    bottle: &Bottle,
    sources: &Sources,
    host: &HostFacts,
    backends: &[Backend],
    findings: &mut Findings,
) -> Result<Option<Tree>, RenderError> {
    let linked = link(bottle, host, backends, findings)?;
    if findings.has_errors() { Ok(None) } else { linked.render(sources) }
}

/// Joins a bottle and its provider's plan and judges the whole.
///
/// # Errors
/// A file of the plan does not read back as what was meant: a defect of bottlec.
pub fn link<'b>(
    bottle: &'b Bottle,
    host: &HostFacts,
    backends: &'b [Backend],
    findings: &mut Findings,
) -> Result<Linked<'b>, RenderError> {
    let plan = bottle.provider.plan(&bottle.settings, host, findings)?;
    let egress = egress::merge(&plan, &bottle.routes, findings);
    environment::check(bottle, &plan, &egress, findings);
    target::check(bottle, backends, findings);
    if egress.routes.is_empty() {
        findings.push(Diagnostic::new(Code::NoRoutes, "the bottle has no route").help("add one under `egress.routes`"));
    }
    // Without forwarded credentials there is nothing that a made-up account could stand for.
    let hermetic = matches!(host.credentials, HostCredentials::Synthetic) && !plan.provisioned_env.is_empty();
    Ok(Linked { bottle, plan, egress, backends, hermetic })
}

impl Linked<'_> {
    /// Every artifact; nothing without a route.
    fn render(&self, sources: &Sources) -> Result<Option<Tree>, RenderError> {
        let Linked { bottle, plan, egress, backends, hermetic } = self;
        let Some(filter) = Pipelock::of(&bottle.name, egress, bottle.pipelock) else { return Ok(None) };
        let environment = Environment::of(bottle, plan, bottle.subnet.egress());
        let mut artifacts =
            vec![Artifact::public(egress::WIRE, egress.wire()?), Artifact::public(pipelock::FILE, filter.render()?)];
        artifacts.extend(egress::FIXED.map(Artifact::fixed));
        let hashes = artifacts.iter().map(|file| (file.path.clone(), file.sha256())).collect();
        let job = Job { bottle, plan, egress, environment: &environment, backends, hashes: &hashes };
        artifacts.extend(target::render(&job)?);
        artifacts.push(Artifact::private(environment::FILE, environment.file()?));
        artifacts.push(Artifact::public("agent/ca/.gitignore", guest::IGNORED_CERTIFICATES.to_owned()));
        for file in &plan.files {
            let path = format!("agent/home/{}", file.path);
            artifacts.push(Artifact::new(path, file.content.clone(), file.private));
        }
        artifacts.push(Artifact::public(environment::EGRESS_FILE, environment::egress_file(egress)?));
        artifacts.sort_by(|a, b| a.path.cmp(&b.path));

        let mut origins = target::origins(&job);
        origins.extend([
            (environment::FILE, environment.file_origins()),
            (egress::WIRE, egress.wire_origins(&bottle.routes)),
            (environment::EGRESS_FILE, environment::egress_file_origins(bottle, egress)),
            (pipelock::FILE, filter.origins(bottle, egress)),
        ]);
        let compiled = Compiled {
            bottle,
            plan,
            egress,
            environment: &environment,
            origins,
            built_in_env: guest::environment(bottle.subnet.egress()).into_keys().collect(),
            hermetic: *hermetic,
            backends,
            sources,
        };
        let index = Index::of(compiled, &artifacts);
        artifacts.push(Artifact::public(INDEX, render::json(INDEX, &index)?));
        plan.withheld.refuse_in(&artifacts, sources)?;
        Ok(Some(Tree {
            name: bottle.name.clone(),
            artifacts,
            index,
            names_local_file: bottle.settings.image.as_ref().is_some_and(|image| image.value.is_local()),
            made_at_run_time: target::made_at_run_time(backends),
        }))
    }
}
