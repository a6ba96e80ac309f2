//! The page of a rule: what it is about, why, a manifest that breaches it and one that does not, or one
//! before and after a change that the rule grades. The pages are Markdown files in `docs/rules/`, compiled in, so that the program and the documents say
//! the same.

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

impl Page {
    pub(super) fn new(text: &'static str) -> Self {
        Page(text)
    }

    /// The whole page.
    pub fn text(self) -> &'static str {
        self.0
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
