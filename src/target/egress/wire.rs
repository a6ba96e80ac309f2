//! The wire file, `egress/routes.yaml`: the routes as the addon reads them.

use serde::{Deserialize, Serialize};

use crate::link::egress::{Egress, PartOrigins, Route};
use crate::text::render::{self, RenderError, Template};
use crate::value::allowlist::Allowlist;
use crate::value::credential::{Form, Injection, Parameter, Prefix, Username};
use crate::value::header::HeaderName;
use crate::value::host::Host;
use crate::value::origin::{At, By, Origins};
use crate::value::path_prefix::PathPrefix;
use crate::value::slot::{Binding, Slot};

/// Where the wire file lies in a tree.
pub const WIRE: &str = "egress/routes.yaml";

static TEMPLATE: Template = render::template!("routes.yaml");

/// The wire file as the addon reads it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wire {
    /// One for each host.
    pub routes: Vec<WireRoute>,
    /// What binds the slots, if a route has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Binding>,
}

/// A route on the wire: four fields of the reference system and ours; empty ones are left out.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireRoute {
    /// The host.
    pub host: Host,
    /// Path prefixes; empty for any path.
    #[serde(default, skip_serializing_if = "Allowlist::is_any")]
    pub path_allowlist: Allowlist<PathPrefix>,
    /// The scheme of the `Authorization` that egress puts on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_scheme: Option<String>,
    /// The user, for `Basic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_username: Option<Username>,
    /// The header that egress puts on, in place of a scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_header: Option<HeaderName>,
    /// What stands before the token in that header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_prefix: Option<Prefix>,
    /// The query parameter that egress puts on, in place of a header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_query: Option<Parameter>,
    /// The slot that holds the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_env: Option<Slot>,
    /// Whether the agent's own `Authorization` goes through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_authorization: Option<bool>,
    /// Whether pipelock opens the host's TLS. pipelock 2.3 ends such a connection behind each answer without
    /// saying so, and 1 to 5 % of what follows on it is lost (measured); egress then asks for a new one each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened: Option<bool>,
}

impl Wire {
    /// The file for these routes, and who decides its entries.
    pub(super) fn of(egress: &Egress) -> (Wire, Origins) {
        let mut origins = Origins::of("merged-routes");
        let mut top = origins.top();
        let routes = egress.routes.iter().enumerate();
        let routes = routes.map(|(index, route)| WireRoute::of(route, top.below(format_args!("routes/{index}"))));
        (Wire { routes: routes.collect(), slots: egress.binding() }, origins)
    }

    /// The text.
    ///
    /// # Errors
    /// When it does not read back: a defect of bottlec.
    pub(super) fn render(&self) -> Result<String, RenderError> {
        render::yaml(WIRE, &TEMPLATE, self)
    }

    /// Reads the wire file.
    ///
    /// # Errors
    /// What the addon would not take either, in the words of the YAML reader.
    pub fn parse(text: &str) -> Result<Wire, String> {
        serde_yaml::from_str(text).map_err(|error| error.to_string())
    }
}

impl WireRoute {
    fn of(route: &Route, mut at: At) -> Self {
        // Exhaustive: what does not cross to egress is named here.
        let Route {
            host,
            path_allowlist,
            auth,
            keep_authorization,
            tls_passthrough,
            ssrf_ip_allowlist: _,
            origin,
            parts,
        } = route;
        let PartOrigins {
            paths,
            form,
            detail,
            token,
            keep_authorization: keep,
            tls_passthrough: passthrough,
            ranges: _,
        } = parts;
        let signed = auth.as_ref().map(|(auth, _)| auth.injection.form()).unwrap_or_default();
        let Form { scheme, username, header, prefix, query } = signed;
        at.decided_by(origin.clone());
        let prefixes = path_allowlist.values().iter().enumerate();
        let prefixes =
            prefixes.map(|(index, path)| (index, By { value: path.clone(), origin: paths.get(index).cloned() }));
        WireRoute {
            host: host.clone(),
            path_allowlist: at.below("path_allowlist").put_each(prefixes).map(|(_, path)| path).collect(),
            auth_scheme: at.put_some("auth_scheme", scheme, form.clone()),
            auth_username: at.put_some("auth_username", username, detail.clone()),
            auth_header: at.put_some("auth_header", header, form.clone()),
            auth_prefix: at.put_some("auth_prefix", prefix, detail.clone()),
            auth_query: at.put_some("auth_query", query, form.clone()),
            token_env: at.put_some("token_env", auth.as_ref().map(|(_, slot)| *slot), token.clone()),
            keep_authorization: at.put_some("keep_authorization", keep_authorization.then_some(true), keep.clone()),
            opened: at.put_some("opened", (!tls_passthrough).then_some(true), passthrough.clone()),
        }
    }

    /// How egress signs, and the slot. `None` if it does not.
    ///
    /// # Errors
    /// Half a credential, and a form that no build writes.
    pub fn credential(&self) -> Result<Option<(Injection, Slot)>, String> {
        let form = Form {
            scheme: self.auth_scheme.clone(),
            username: self.auth_username.clone(),
            header: self.auth_header.clone(),
            prefix: self.auth_prefix.clone(),
            query: self.auth_query.clone(),
        };
        match self.token_env {
            None if form == Form::default() => Ok(None),
            None => Err(format!("{} has an incomplete credential", self.host)),
            Some(slot) => {
                let injection = form.try_into().map_err(|problem| format!("{}: {problem}", self.host))?;
                Ok(Some((injection, slot)))
            }
        }
    }
}
