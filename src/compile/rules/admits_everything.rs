//! A prefix that admits every path.

use super::Context;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Fix, Safety, code};
use crate::text::source::Span;
use crate::text::yaml;

pub(super) const CODE: Code = code!("BTL607" Warning);

pub(super) fn check(cx: &Context, findings: &mut Findings) {
    for route in &cx.routes {
        if let Some(path) = route.path_allowlist.iter().find(|path| path.value.as_str() == "/") {
            findings.push(
                Diagnostic::new(CODE, "the prefix `/` allows every path")
                    .at(path.span, "")
                    .help("remove `path_allowlist` to allow every path")
                    .fix(fix(cx, path.span)),
            );
        }
    }
}

/// Without the list every path is admitted too.
fn fix(cx: &Context, path: Span) -> Option<Fix> {
    let removal = yaml::without_holder(cx.sources.get(path.source), path)?;
    let safety = if removal.takes_comment { Safety::Unsafe } else { Safety::Safe };
    Some(Fix { title: "remove `path_allowlist`".to_owned(), safety, edits: removal.edits })
}
