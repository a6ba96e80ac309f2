//! The closed forms of a definition's texts: what is in one of these fits where it is written.

use std::sync::Arc;

use serde::Deserialize;

use crate::provider::PLACEHOLDER;
use crate::text::diagnostic::Problem;
use crate::text::render::Data;
use crate::value::artifact::final_name;
use crate::value::closed;
use crate::value::guest;
use crate::value::variable::carriable;

/// What the name of a package looks like, for the schema.
pub(super) const PACKAGE_PATTERN: &str = "^(@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*$";
/// What a version looks like, for the schema.
pub(super) const VERSION_PATTERN: &str = r"^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$";
/// What a word of a command looks like, for the schema.
pub(super) const WORD_PATTERN: &str = "^[A-Za-z0-9_@%+=:,./-]+$";
/// What the name of a rule, or of a host of a service, looks like, for the schema.
pub(super) const LABEL_PATTERN: &str = "^[a-z0-9]+(-[a-z0-9]+)*$";

macro_rules! text_form {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, serde::Serialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        closed!($name);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
    };
}

text_form! {
    /// The name of an npm package.
    PackageName
}

text_form! {
    /// An exact version: no range and no tag, which would be another program tomorrow.
    Version
}

text_form! {
    /// A word of a command. No shell reads it, and none would take it for more than a word.
    Word
}

text_form! {
    /// A path below the agent's home.
    HomePath
}

impl PackageName {
    /// Reads a name.
    ///
    /// # Errors
    /// What the registry would not take: a URL, a version, a path, more than one word.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let name = match text.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').filter(|(scope, _)| is_package(scope)).map(|(_, name)| name),
            None => Some(text),
        };
        if text.len() <= 214 && name.is_some_and(is_package) {
            return Ok(PackageName(text.to_owned()));
        }
        Err(Problem::new(
            format!("`{}` is not a valid npm package name", text.escape_debug()),
            "write only the name, such as `@example/agent`; the version has a key of its own",
        ))
    }
}

fn is_package(part: &str) -> bool {
    part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
        && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

impl Version {
    /// Reads a version.
    ///
    /// # Errors
    /// Anything but three numbers, with a pre-release behind them or not.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let (numbers, pre) = text.split_once('-').map_or((text, None), |(numbers, pre)| (numbers, Some(pre)));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let is_exact = numbers.split('.').count() == 3 && numbers.split('.').all(is_number);
        let is_word =
            |pre: &str| !pre.is_empty() && pre.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b));
        if text.len() <= 100 && is_exact && pre.is_none_or(is_word) {
            return Ok(Version(text.to_owned()));
        }
        Err(Problem::new(
            format!("`{}` is not an exact version", text.escape_debug()),
            "pin one release, such as `1.2.3`; a range or a tag would be another program tomorrow",
        ))
    }
}

impl Word {
    /// Reads a word.
    ///
    /// # Errors
    /// What a shell would take for more than a word.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b)) {
            return Ok(Word(text.to_owned()));
        }
        Err(Problem::new(
            format!("`{}` is not a plain word", text.escape_debug()),
            "write each word as a separate item; no shell reads them",
        ))
    }
}

impl HomePath {
    /// Reads a path.
    ///
    /// # Errors
    /// What could lead out of the home, or would be read differently somewhere.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let is_step = |step: &str| {
            !matches!(step, "" | "." | "..")
                && step.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                // What a build calls a file that it has not finished.
                && final_name(step).is_none()
        };
        if text.len() <= 200 && text.split('/').all(is_step) {
            return Ok(HomePath(text.to_owned()));
        }
        Err(Problem::new(
            format!("`{}` is not a path below the agent's home", text.escape_debug()),
            "write it relative to the home, with `/`, letters, digits, `.`, `_` and `-`, such as `.agent/settings.json`",
        ))
    }
}

/// The name of a rule: what something is for, short and stable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Label(Arc<str>);

closed!(Label);

impl Label {
    /// Reads a name.
    ///
    /// # Errors
    /// Anything but words of lower-case letters and digits, with `-` between them.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if text.len() <= 60 && text.split('-').all(is_word) {
            return Ok(Label(text.into()));
        }
        Err(Problem::new(
            format!("`{}` is not a short name", text.escape_debug()),
            "use lower-case letters and digits, with `-` between words, such as `model-api`",
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, to be kept.
    pub(in crate::provider) fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

/// A text of the agent's environment in which words between `{{ }}` stand for what bottlec knows.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Text(String);

impl Text {
    /// Reads a text.
    ///
    /// # Errors
    /// An unknown word between braces, and what an environment cannot carry.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let text = filled(text)?;
        carriable(&text)?;
        Ok(Text(text))
    }

    /// The text with its words filled in.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Text::parse(&text).map_err(|refusal| refusal.message)
    }
}

/// What stands for a credential in a text.
pub(super) const PLACEHOLDER_WORD: &str = "{{ placeholder }}";

/// The words. No template engine: a definition may be somebody else's.
const WORDS: [(&str, &str); 3] =
    [("{{ workspace }}", guest::WORKSPACE), ("{{ egress_ca }}", guest::EGRESS_CA), (PLACEHOLDER_WORD, PLACEHOLDER)];

/// A text with its words filled in.
pub(super) fn filled(text: &str) -> Result<String, Problem> {
    let filled = WORDS.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value));
    if filled.contains("{{") {
        let known = WORDS.map(|(word, _)| format!("`{word}`")).join(", ");
        return Err(Problem::new(
            format!("unknown placeholder in `{}`", text.escape_debug()),
            format!("known placeholders are {known}"),
        ));
    }
    Ok(filled)
}

/// What a file says, its words filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Data")]
pub struct Content(pub(super) Data);

impl TryFrom<Data> for Content {
    type Error = String;
    fn try_from(data: Data) -> Result<Self, String> {
        data.try_map(&|text: String| filled(&text).map_err(|refusal| refusal.message)).map(Content)
    }
}
