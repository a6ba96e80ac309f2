//! The pipeline in one screen: a bottle and host facts into artifacts. Pure: no file, clock,
//! environment, network or chance.

pub mod index;
pub mod rules;
pub mod tree;

use std::collections::BTreeMap;

use crate::compile::index::{Compiled, Index};
use crate::compile::tree::Tree;
use crate::link::egress::{self, Egress};
use crate::link::environment::{self, Environment};
use crate::manifest::bottle::Bottle;
use crate::provider::facts::{HostCredentials, HostFacts};
use crate::provider::plan::AgentProvisionPlan;
use crate::target::{self, Backend, Emitted, Job};
use crate::text::diagnostic::{Code, Diagnostic, Findings};
use crate::text::render::{self, RenderError};
use crate::text::source::Sources;
use crate::value::artifact::{Artifact, INDEX};

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
    compile_under(bottle, sources, host, backends, findings, |_, _| {})
}

/// The same under a policy, which may have more to say of the linked bottle.
///
/// # Errors
/// As for [`compile`].
pub fn compile_under(
    bottle: &Bottle,
    sources: &Sources,
    host: &HostFacts,
    backends: &[Backend],
    findings: &mut Findings,
    policy: impl FnOnce(&Linked, &mut Findings),
) -> Result<Option<Tree>, RenderError> {
    let linked = link(bottle, host, backends, findings)?;
    policy(&linked, findings);
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
        findings
            .push(Diagnostic::new(Code::NoRoutes, "the bottle has no routes").help("add one under `egress.routes`"));
    }
    // Without forwarded credentials there is nothing that a made-up account could stand for.
    let hermetic = matches!(host.credentials, HostCredentials::Synthetic) && !plan.provisioned_env.is_empty();
    Ok(Linked { bottle, plan, egress, backends, hermetic })
}

impl Linked<'_> {
    /// The bottle.
    pub fn bottle(&self) -> &Bottle {
        self.bottle
    }

    /// Every artifact. Nothing without a route: pipelock refuses to start with an empty allowlist.
    fn render(&self, sources: &Sources) -> Result<Option<Tree>, RenderError> {
        let Linked { bottle, plan, egress, backends, hermetic } = self;
        if egress.routes.is_empty() {
            return Ok(None);
        }
        let environment = Environment::of(bottle, plan, target::egress_address(bottle.subnet, backends));
        let job = Job { bottle, plan, egress, environment: &environment, backends };
        let (mut artifacts, mut origins) = (Vec::new(), BTreeMap::new());
        for Emitted { artifact, origins: own } in target::emit(&job)? {
            origins.extend(own.map(|own| (artifact.path.clone(), own)));
            artifacts.push(artifact);
        }
        artifacts.sort_by(|a, b| a.path.cmp(&b.path));
        let compiled = Compiled {
            bottle,
            plan,
            egress,
            environment: &environment,
            origins,
            hermetic: *hermetic,
            backends,
            sources,
        };
        let index = Index::of(compiled, &artifacts);
        artifacts.push(Artifact::public(INDEX, render::json(INDEX, &index)?));
        plan.host_secrets.refuse_in(&artifacts, sources)?;
        Ok(Some(Tree {
            name: bottle.name.clone(),
            artifacts,
            index,
            names_local_file: bottle.settings.image.as_ref().is_some_and(|image| image.value.is_local()),
            made_at_run_time: target::made_at_run_time(backends),
        }))
    }
}
