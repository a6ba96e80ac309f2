//! Host variables that hold credentials, known by their names: what a manifest should not hand to an agent,
//! and how egress sends it instead.

use crate::provider;

/// How a request gets what such a variable holds, without the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Egress signs at this host, in this scheme (the part of `auth` before `token_ref`).
    Signed(&'static str, &'static str),
    /// Egress signs at a host that depends on the user.
    OwnHost,
    /// The client computes signatures or speaks another protocol than HTTP: egress cannot do it.
    Client,
}

/// Names with what is known of them, each group after the pages that define it (2026-11).
const KNOWN: [(&str, Way); 31] = [
    // cli.github.com/manual/gh_help_environment
    ("GH_TOKEN", Way::Signed("api.github.com", "scheme: Bearer")),
    ("GITHUB_TOKEN", Way::Signed("api.github.com", "scheme: Bearer")),
    ("GH_ENTERPRISE_TOKEN", Way::OwnHost),
    ("GITHUB_ENTERPRISE_TOKEN", Way::OwnHost),
    // docs.gitlab.com: cli (glab), api/rest/authentication, ci/jobs/ci_job_token
    ("GITLAB_TOKEN", Way::Signed("gitlab.com", "scheme: Bearer")),
    ("GITLAB_ACCESS_TOKEN", Way::Signed("gitlab.com", "scheme: Bearer")),
    ("CI_JOB_TOKEN", Way::OwnHost),
    // docs.npmjs.com: using private packages in a CI/CD workflow; github.com/actions/setup-node
    ("NPM_TOKEN", Way::Signed("registry.npmjs.org", "scheme: Bearer")),
    ("NODE_AUTH_TOKEN", Way::Signed("registry.npmjs.org", "scheme: Bearer")),
    // pypi.org/help/#apitoken, twine.readthedocs.io, docs.astral.sh/uv/reference/environment
    ("PYPI_TOKEN", Way::Signed("upload.pypi.org", "scheme: Basic, username: __token__")),
    ("TWINE_PASSWORD", Way::Signed("upload.pypi.org", "scheme: Basic, username: __token__")),
    ("UV_PUBLISH_TOKEN", Way::Signed("upload.pypi.org", "scheme: Basic, username: __token__")),
    // doc.rust-lang.org/cargo/reference/registry-authentication: the value alone, without a scheme
    ("CARGO_REGISTRY_TOKEN", Way::Client),
    // huggingface.co/docs/huggingface_hub/package_reference/environment_variables
    ("HF_TOKEN", Way::Signed("huggingface.co", "scheme: Bearer")),
    ("HUGGING_FACE_HUB_TOKEN", Way::Signed("huggingface.co", "scheme: Bearer")),
    // docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars: requests are signed by the client
    ("AWS_SECRET_ACCESS_KEY", Way::Client),
    ("AWS_SESSION_TOKEN", Way::Client),
    // learn.microsoft.com: azure-identity's EnvironmentCredential; registry.terraform.io: azurerm
    ("AZURE_CLIENT_SECRET", Way::Client),
    ("ARM_CLIENT_SECRET", Way::Client),
    // docs.docker.com/reference/cli/docker: logins of registries; docs.gitlab.com/ci/docker
    ("DOCKER_AUTH_CONFIG", Way::Client),
    // postgresql.org/docs/current/libpq-envars; dev.mysql.com: environment variables; redis.io: redis-cli;
    // 12factor.net/config and what hosts of databases set: the password is part of the URL
    ("PGPASSWORD", Way::Client),
    ("MYSQL_PWD", Way::Client),
    ("REDISCLI_AUTH", Way::Client),
    ("DATABASE_URL", Way::Client),
    ("SSHPASS", Way::Client),
    // developer.hashicorp.com/vault/docs/commands: a header of its own
    ("VAULT_TOKEN", Way::Client),
    // developers.cloudflare.com/fundamentals/api, docs.digitalocean.com/reference/doctl, docs.sentry.io/cli
    ("CLOUDFLARE_API_TOKEN", Way::Signed("api.cloudflare.com", "scheme: Bearer")),
    ("CF_API_TOKEN", Way::Signed("api.cloudflare.com", "scheme: Bearer")),
    ("DIGITALOCEAN_ACCESS_TOKEN", Way::Signed("api.digitalocean.com", "scheme: Bearer")),
    ("SENTRY_AUTH_TOKEN", Way::Signed("sentry.io", "scheme: Bearer")),
    ("SLACK_BOT_TOKEN", Way::Signed("slack.com", "scheme: Bearer")),
];

/// How names end that say of themselves that they hold a credential.
const ENDINGS: [&str; 12] = [
    "TOKEN",
    "SECRET",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "CREDENTIAL",
    "CREDENTIALS",
    "APIKEY",
    "API_KEY",
    "ACCESS_KEY",
    "SECRET_KEY",
    "PRIVATE_KEY",
];

/// Whether a variable of this name holds a credential, as far as a name can tell.
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let ends = |ending: &str| name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('_'));
    known(&name).is_some()
        || ENDINGS.iter().any(|ending| ends(ending))
        || provider::ALL
            .iter()
            .any(|provider| provider.get().credential_variables.iter().any(|own| own.as_str() == name))
}

/// What to do in place of handing the variable to the agent, as a remedy.
pub fn remedy(name: &str) -> String {
    match known(&name.to_ascii_uppercase()).unwrap_or(Way::OwnHost) {
        Way::Signed(host, scheme) => format!(
            "remove it and let egress send it: a route `host: {host}` with `auth: {{ {scheme}, token_ref: {name} }}`"
        ),
        Way::OwnHost => format!(
            "remove it and let egress send it: a route for the service's host with `auth: {{ scheme: Bearer, token_ref: {name} }}`"
        ),
        Way::Client => {
            "remove it; egress cannot send it. If the agent must have it, use one that is limited to the task"
                .to_owned()
        }
    }
}

fn known(name: &str) -> Option<Way> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, way)| *way)
}
