//! A host that pipelock refuses by its name.

use super::{Context, entropy, warn};
use crate::text::diagnostic::{Code, Findings, code};

pub(super) const CODE: Code = code!("BTL605" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        let host = route.host.value.as_str();
        let known_suffix =
            psl::suffix(host.as_bytes()).filter(|suffix| suffix.is_known() && suffix.as_bytes() == host.as_bytes());
        if known_suffix.is_some() {
            let message = format!("`{host}` is a public suffix: anybody can register a name below it");
            warn(findings, CODE, route.host.span, message, "name the host itself");
        }
        // pipelock looks at labels of eight characters and more, except the last two.
        let labels: Vec<&str> = host.split('.').collect();
        let judged = labels.len().saturating_sub(2);
        if let Some(label) = labels[..judged].iter().find(|label| label.len() >= 8 && entropy(label) > 4.0) {
            let message = format!("pipelock refuses this host: the label `{label}` looks like smuggled data");
            warn(findings, CODE, route.host.span, message, "use a name without a random label");
        }
    }
}
