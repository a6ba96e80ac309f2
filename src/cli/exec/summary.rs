//! What `bottlec exec` says before it starts something: what runs, where, and which tokens and variables it is given, by
//! name.

use std::path::Path;

use super::starting::Start;
use crate::cli::Screen;
use crate::compile::index::Index;
use crate::text::visible;

pub(super) fn show(index: &Index, start: &Start, folder: &Path, screen: &Screen) {
    let words: Vec<_> = start.command().iter().map(|word| word.to_string_lossy()).collect();
    let mut lines =
        vec![format!("bottlec: {} in {}, project {}", words.join(" "), folder.display(), start.project().name)];
    let tokens: Vec<String> =
        index.tokens().map(|token| format!("{} for {}", token.token_ref, token.hosts.join(", "))).collect();
    if !tokens.is_empty() {
        lines.push(format!("  egress gets  {}", tokens.join("; ")));
    }
    let variables: Vec<&str> = index.launch_variables().map(|variable| variable.name.as_str()).collect();
    if !variables.is_empty() {
        lines.push(format!("  agent gets   {}", variables.join(", ")));
    }
    for line in lines {
        screen.note(format_args!("{}", visible::line(&line)));
    }
}
