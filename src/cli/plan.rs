//! `bottlec plan`: what a manifest and its provider request, before anything is rendered.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::{Screen, Status};
use crate::compile;
use crate::compile::index::Provenance;
use crate::link::egress::{Egress, Route};
use crate::manifest::{self, Loaded};
use crate::provider::ImageChoice;
use crate::provider::facts::HostFacts;
use crate::provider::plan::{AgentImage, AgentProvisionPlan, HomeFile, NpmPackage};
use crate::target::Backend;
use crate::text::diagnostic::Severity;
use crate::text::source::Sources;
use crate::value::credential::Injection;

/// Print the provider's plan and the merged routes as JSON; reads nothing from the host
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plan {
    /// Manifest: a YAML file, or a Markdown file with front matter
    manifest: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  bottlec plan manifest.yaml
  bottlec plan manifest.yaml | jq '.routes[].host'

This is what the manifest and its provider ask for, not what a build would change: for that, run \
`bottlec build MANIFEST -o DIR --check`. What a change allows the agent: `bottlec diff`.

The format is documented in docs/formats.md.

Exit codes: 0 no errors, 1 errors, 2 usage, I/O or internal error.";

/// The version of this format.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'p> {
    version: u32,
    name: &'p str,
    provider: &'p str,
    image: Image<'p>,
    command: &'p [String],
    home: &'p str,
    /// Without the hidden ones.
    guest_env: BTreeMap<&'p str, &'p str>,
    hidden_env_names: Vec<&'p str>,
    provisioned_env: BTreeMap<&'p str, Source<'p>>,
    files: Vec<File<'p>>,
    routes: Vec<MergedRoute<'p>>,
    slots: BTreeMap<String, &'p str>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Image<'p> {
    Generated { package: &'p str, version: &'p str },
    Reference(&'p str),
    Archive(&'p str),
    Dockerfile(&'p str),
}

#[derive(Serialize)]
struct Source<'p> {
    folder_variable: &'p str,
    name: &'p str,
    in_home: &'p str,
    json_pointer: &'p str,
}

#[derive(Serialize)]
struct File<'p> {
    path: &'p str,
    mode: &'static str,
}

#[derive(Serialize)]
struct MergedRoute<'p> {
    host: &'p str,
    path_allowlist: Vec<&'p str>,
    auth: Option<Signed<'p>>,
    tls_passthrough: bool,
    keep_authorization: bool,
    ssrf_ip_allowlist: Vec<String>,
    from: Provenance,
}

#[derive(Serialize)]
struct Signed<'p> {
    #[serde(flatten)]
    injection: &'p Injection,
    token_ref: &'p str,
    slot: String,
}

impl Plan {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let Loaded { sources, manifest, mut findings, .. } = manifest::load(&self.manifest)?;
        let bottle = manifest.and_then(|manifest| manifest::check(&manifest, &sources, &mut findings));
        let mut text = None;
        if let Some(bottle) = &bottle {
            let linked = compile::link(bottle, &HostFacts::hermetic(), &[] as &[Backend], &mut findings)
                .with_context(|| format!("internal error in {}: please report it", self.manifest.display()))?;
            if !findings.has_errors() {
                let report = report(bottle.name.as_str(), &linked.plan, &linked.egress, &sources);
                text = Some(serde_json::to_string_pretty(&report)? + "\n");
            }
        }
        let mut findings = findings.into_sorted();
        findings.retain(|diagnostic| diagnostic.severity == Severity::Error);
        screen.show(&findings, sources);
        let Some(text) = text else { return Ok(Status::Findings) };
        std::io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
        Ok(Status::Clean)
    }
}

fn report<'p>(name: &'p str, plan: &'p AgentProvisionPlan, egress: &'p Egress, sources: &Sources) -> Report<'p> {
    let hidden = &plan.hidden_env_names;
    let shown = plan.guest_env.iter().filter(|(name, _)| !hidden.contains(name));
    let source = |source: &crate::provider::plan::TokenSource| Source {
        folder_variable: source.file.folder_variable,
        name: source.file.name,
        in_home: source.file.in_home,
        json_pointer: source.file.token_pointer,
    };
    Report {
        version: VERSION,
        name,
        provider: &plan.provider,
        image: match &plan.image {
            AgentImage::Generated(NpmPackage { package, version }) => {
                Image::Generated { package: package.as_str(), version: version.as_str() }
            }
            AgentImage::Chosen(ImageChoice::Reference(reference)) => Image::Reference(reference),
            AgentImage::Chosen(ImageChoice::Archive(path)) => Image::Archive(path),
            AgentImage::Chosen(ImageChoice::Dockerfile(path)) => Image::Dockerfile(path),
        },
        command: &plan.command,
        home: plan.home,
        guest_env: shown.map(|(name, text)| (name.as_str(), text.as_str())).collect(),
        hidden_env_names: hidden.iter().map(|name| name.as_str()).collect(),
        provisioned_env: plan.provisioned_env.iter().map(|(token, from)| (token.as_str(), source(from))).collect(),
        files: plan.files.iter().map(file).collect(),
        routes: egress.routes.iter().map(|route| merged(route, sources)).collect(),
        slots: egress.slots.iter().map(|(slot, token)| (slot.to_string(), token.as_str())).collect(),
    }
}

fn file(file: &HomeFile) -> File<'_> {
    let HomeFile { path, content: _, private } = file;
    File { path, mode: if *private { "0600" } else { "0644" } }
}

fn merged<'p>(route: &'p Route, sources: &Sources) -> MergedRoute<'p> {
    let Route { host, path_allowlist, auth, keep_authorization, tls_passthrough, ssrf_ip_allowlist, origin, parts: _ } =
        route;
    MergedRoute {
        host: host.as_str(),
        path_allowlist: path_allowlist.values().iter().map(|prefix| prefix.as_str()).collect(),
        auth: auth.as_ref().map(|(auth, slot)| Signed {
            injection: &auth.injection,
            token_ref: auth.token_ref.as_str(),
            slot: slot.to_string(),
        }),
        tls_passthrough: *tls_passthrough,
        keep_authorization: *keep_authorization,
        ssrf_ip_allowlist: ssrf_ip_allowlist.iter().map(ToString::to_string).collect(),
        from: Provenance::of(origin, sources),
    }
}
