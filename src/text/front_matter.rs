//! Markdown files with YAML front matter, the reference system's layout: the front matter is the
//! manifest, the rest is for people.

use std::ops::Range;

/// Whether the manifest is the front matter of the file.
fn is_markdown(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md"))
}

/// Where the YAML of a manifest stands: all of it, or between the two `---` lines of a Markdown file. Returns `None` if
/// that has no front matter.
pub(crate) fn yaml(path: &str, text: &str) -> Option<Range<usize>> {
    if is_markdown(path) { range(text) } else { Some(0..text.len()) }
}

fn range(text: &str) -> Option<Range<usize>> {
    let is_fence = |line: &str| line.trim_end_matches(['\r', '\n', ' ', '\t']) == "---";
    let skipped = text.strip_prefix('\u{feff}').map_or(0, |rest| text.len() - rest.len());
    let mut lines = text[skipped..].split_inclusive('\n');
    let first = lines.next().filter(|line| is_fence(line))?;
    let start = skipped + first.len();
    let mut end = start;
    for line in lines {
        if is_fence(line) {
            return Some(start..end);
        }
        end += line.len();
    }
    None
}
