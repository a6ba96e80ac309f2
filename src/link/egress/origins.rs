//! Who decides each entry of the wire file and what each slot holds.

use std::collections::BTreeMap;

use super::{Egress, Route};
use crate::manifest::bottle::ManifestRoute;
use crate::value::credential::Form;
use crate::value::host::Host;
use crate::value::origin::{Origin, Origins};
use crate::value::slot::Slot;

/// The routes of a manifest by their host.
pub struct Written<'m>(BTreeMap<&'m Host, &'m ManifestRoute>);

impl<'m> Written<'m> {
    /// Of hosts that are there twice the first counts, as everywhere.
    pub fn of(manifest: &'m [ManifestRoute]) -> Self {
        Written(manifest.iter().rev().map(|own| (&own.host.value, own)).collect())
    }
}

impl Route {
    /// What the manifest says of the host.
    fn written<'m>(&self, manifest: &Written<'m>) -> Option<&'m ManifestRoute> {
        manifest.0.get(&self.host).copied()
    }

    /// The manifest's route, if no rule of the provider owns the host.
    fn owned_by_manifest<'m>(&self, manifest: &Written<'m>) -> Option<&'m ManifestRoute> {
        match self.origin {
            Origin::Manifest(_) => self.written(manifest),
            Origin::Provider { .. } | Origin::BuiltIn(_) => None,
        }
    }

    /// Who decides that pipelock splices the host.
    pub fn passthrough_origin(&self, manifest: &Written) -> Origin {
        let own = self.owned_by_manifest(manifest).and_then(|own| own.tls_passthrough.as_ref());
        own.map_or_else(|| self.origin.clone().unnarrowed(), |own| Origin::Manifest(own.span))
    }

    /// Who decides that the agent's own `Authorization` goes through.
    fn keep_origin(&self, manifest: &Written) -> Origin {
        let own = self.owned_by_manifest(manifest).and_then(|own| own.keep_authorization.as_ref());
        own.map_or_else(|| self.origin.clone().unnarrowed(), |own| Origin::Manifest(own.span))
    }

    /// Who decides how egress signs: the form, its user or prefix, and the token.
    fn auth_origins(&self, manifest: &Written) -> [Origin; 3] {
        match self.owned_by_manifest(manifest).and_then(|own| own.auth.as_ref()) {
            Some(auth) => [auth.span, auth.detail_span.unwrap_or(auth.span), auth.token_span].map(Origin::Manifest),
            None => std::array::from_fn(|_| self.origin.clone().unnarrowed()),
        }
    }
}

impl Egress {
    /// Who decides the entries of `egress/routes.yaml`.
    pub fn wire_origins(&self, manifest: &[ManifestRoute]) -> Origins {
        let manifest = &Written::of(manifest);
        let mut origins = Origins::of("merged-routes");
        for (index, route) in self.routes.iter().enumerate() {
            let pointer = format!("/routes/{index}");
            origins.set(&pointer, route.origin.clone());
            let prefixes = route.written(manifest).map(|own| own.path_allowlist.as_slice()).unwrap_or_default();
            for (index, prefix) in prefixes.iter().enumerate() {
                origins.set(format!("{pointer}/path_allowlist/{index}"), Origin::Manifest(prefix.span));
            }
            if let Some((auth, _)) = &route.auth {
                let [form, detail, token] = route.auth_origins(manifest);
                origins.set(format!("{pointer}/auth_{}", auth.injection.key()), form);
                let Form { username, prefix, .. } = auth.injection.form();
                if username.is_some() {
                    origins.set(format!("{pointer}/auth_username"), detail.clone());
                }
                if prefix.is_some() {
                    origins.set(format!("{pointer}/auth_prefix"), detail);
                }
                origins.set(format!("{pointer}/token_env"), token);
            }
            if route.keep_authorization {
                origins.set(format!("{pointer}/keep_authorization"), route.keep_origin(manifest));
            }
            if !route.tls_passthrough {
                origins.set(format!("{pointer}/opened"), route.passthrough_origin(manifest));
            }
        }
        origins
    }

    /// Who decides what each slot holds: the first route that has it.
    pub fn slot_origins(&self, manifest: &[ManifestRoute]) -> BTreeMap<Slot, Origin> {
        let manifest = &Written::of(manifest);
        let mut origins = BTreeMap::new();
        for route in &self.routes {
            if let Some((_, slot)) = &route.auth {
                let [_, _, token] = route.auth_origins(manifest);
                origins.entry(*slot).or_insert(token);
            }
        }
        origins
    }
}
