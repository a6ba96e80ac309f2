//! The page of a rule: what it is about, why, a manifest that breaches it and one that does not, or one
//! before and after a change that the rule grades. The pages are Markdown files in `docs/rules/`, compiled in, so that the program and the documents say
//! the same.

use crate::text::wrap::wrap;

/// A rule's page.
#[derive(Clone, Copy, Debug)]
pub struct Page(&'static str);

/// A manifest on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// What it shows.
    pub shows: Shows,
    /// The manifest, and its parents or the definition of its agent, each under a line `# file: NAME`.
    pub text: String,
}

/// What a manifest on a page shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shows {
    /// The rule breached at `line:column`, with a file in front if it is not the manifest.
    Bad(String),
    /// The rule kept.
    Good,
    /// What a change starts from.
    Before,
    /// What the change that the rule grades leads to.
    After,
}

/// The width at which lines of prose are still read with ease.
const READABLE: usize = 100;

/// A text with the words of its links alone.
fn without_links(text: &str) -> String {
    let mut pieces = text.split("](");
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let opened = plain.rfind('[');
        match (opened, piece.split_once(')')) {
            (Some(opened), Some((_, rest))) => {
                plain.remove(opened);
                plain.push_str(rest);
            }
            _ => {
                plain.push_str("](");
                plain.push_str(piece);
            }
        }
    }
    plain
}

impl Page {
    pub(super) fn new(text: &'static str) -> Self {
        Page(text)
    }

    /// The whole page.
    pub fn text(self) -> &'static str {
        self.0
    }

    /// The page for a terminal, without the marks of Markdown: manifests are indented. With a width, paragraphs are
    /// broken to it.
    pub fn plain(self, width: Option<usize>) -> String {
        let mut plain = String::new();
        let mut is_code = false;
        for block in self.0.trim_end().split("\n\n") {
            // A manifest may have blank lines; a paragraph has no fence.
            let fences = block.lines().filter(|line| line.starts_with("```")).count();
            if is_code || fences > 0 {
                for line in block.lines().filter(|line| !line.starts_with("```")) {
                    plain.push_str(&format!("    {line}\n"));
                }
                is_code ^= fences % 2 == 1;
            } else {
                let text = without_links(block.trim_start_matches("# "));
                let lines = width.map(|width| wrap(&text.replace('\n', " "), width.min(READABLE)));
                lines.unwrap_or_else(|| vec![text]).iter().for_each(|line| {
                    plain.push_str(line);
                    plain.push('\n');
                });
            }
            plain.push('\n');
        }
        plain.truncate(plain.trim_end().len());
        plain + "\n"
    }

    /// The rule in a few words: the first line without its code.
    pub fn title(self) -> &'static str {
        let line = self.0.lines().next().unwrap_or_default();
        line.split_once(": ").map_or(line, |(_, title)| title)
    }

    /// What the rule is about: the first paragraph.
    pub fn what(self) -> String {
        let paragraph = self.0.split("\n\n").nth(1).unwrap_or_default();
        paragraph.replace('\n', " ")
    }

    /// The manifests: blocks that start with ```` ```yaml bad LINE:COLUMN ````, ```` ```yaml good ````,
    /// ```` ```yaml before ```` or ```` ```yaml after ````.
    pub fn examples(self) -> Vec<Example> {
        let mut examples = Vec::new();
        let mut lines = self.0.lines();
        while let Some(line) = lines.next() {
            let Some(words) = line.strip_prefix("```yaml ") else { continue };
            let shows = match words.split_once(' ') {
                Some(("bad", place)) => Shows::Bad(place.to_owned()),
                None if words == "good" => Shows::Good,
                None if words == "before" => Shows::Before,
                None if words == "after" => Shows::After,
                _ => continue,
            };
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            examples.push(Example { shows, text });
        }
        examples
    }
}
