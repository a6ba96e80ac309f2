//! Every agent in every way to sign in: bottlec's own, and definitions of a user's own as fixtures.

use std::fs;
use std::path::{Path, PathBuf};

use bottlec::manifest;
use bottlec::provider::definition::SignIn;
use bottlec::provider::{ALL, Provider};

/// The host variable that holds the agent's token, where a sign-in asks for one.
pub(crate) const TOKEN: &str = "HOST_TOKEN";

/// A way to sign in.
pub(crate) struct Way {
    pub(crate) provider: Provider,
    /// Its key under `sign_in`.
    pub(crate) key: &'static str,
    /// The lines below `agent_provider` that ask for it.
    pub(crate) settings: String,
    /// The file of the definition, if the user has one.
    pub(crate) file: Option<(String, String)>,
}

impl Way {
    /// What the definition says of it.
    pub(crate) fn sign_in(&self) -> &SignIn {
        self.provider.agent().sign_in.all().find(|(key, _)| *key == self.key).unwrap().1
    }

    /// The manifest that asks for it and for nothing else.
    pub(crate) fn manifest(&self) -> String {
        format!("agent_provider:\n  {}\n", self.settings)
    }

    /// The files of a project with this manifest.
    pub(crate) fn files<'f>(&'f self, manifest: &'f str) -> Vec<(&'f str, &'f str)> {
        let file = self.file.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        file.chain([("bottle.yaml", manifest)]).collect()
    }
}

/// Every agent of bottlec's in every way to sign in.
pub(crate) fn built_in() -> Vec<Way> {
    ALL.iter().flat_map(|built_in| ways(&Provider::from(built_in), built_in.name(), None)).collect()
}

/// The same, and every fixture of a user's own definition.
pub(crate) fn all() -> Vec<Way> {
    let mut all = built_in();
    for path in fixtures() {
        let template = format!("./agents/{}", path.file_name().unwrap().to_str().unwrap());
        let file = (template.clone(), fs::read_to_string(&path).unwrap());
        let text = format!("agent_provider: {{ template: {template} }}\n");
        let folder = super::folder(&[("bottle.yaml", &text), (&file.0, &file.1)]);
        let loaded = manifest::load(&folder.path().join("bottle.yaml")).unwrap();
        let said: Vec<String> = loaded.findings.into_sorted().into_iter().map(|finding| finding.message).collect();
        let provider = loaded.manifest.unwrap().agent_provider.unwrap().own;
        all.extend(ways(&provider.unwrap_or_else(|| panic!("{}: {said:?}", path.display())), &template, Some(&file)));
    }
    all
}

/// The files of a user's own definitions.
fn fixtures() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/agents", "golden/own-agent/agents"].map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let mut found: Vec<PathBuf> = folders.into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert!(found.len() > 1, "{found:?}");
    found
}

fn ways(provider: &Provider, template: &str, file: Option<&(String, String)>) -> Vec<Way> {
    let way = |(key, _): (&'static str, &SignIn)| {
        let setting = match key {
            "auth_token" => format!("\n  auth_token: {TOKEN}"),
            "forward_host_credentials" => "\n  forward_host_credentials: true".to_owned(),
            "in_bottle" => String::new(),
            other => panic!("how does a manifest ask for `{other}`?"),
        };
        let settings = format!("template: {template}{setting}");
        Way { provider: provider.clone(), key, settings, file: file.cloned() }
    };
    provider.agent().sign_in.all().map(way).collect()
}
