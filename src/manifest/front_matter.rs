//! Markdown files with YAML front matter, the reference system's layout: the front matter is the
//! manifest, the rest is for people.

use std::ops::Range;

/// Where the YAML between the two `---` lines stands; none if the text has no front matter.
pub(super) fn range(text: &str) -> Option<Range<usize>> {
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
