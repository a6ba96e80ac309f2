//! A prefix that admits every path.

use super::{Context, warn};
use crate::text::diagnostic::{Code, Findings, code};

pub(super) const CODE: Code = code!("BTL607" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(path) = route.path_allowlist.iter().find(|path| path.value.as_str() == "/") {
            let message = "the prefix `/` admits every path".to_owned();
            warn(findings, CODE, path.span, message, "remove `path_allowlist` if every path is meant");
        }
    }
}
