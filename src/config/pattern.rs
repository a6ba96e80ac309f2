//! The patterns of a configuration: of files, hosts and names.

use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::manifest::which;
use crate::text::diagnostic::Problem;
use crate::value::host::Host;
use crate::value::variable::VariableName;

/// What a pattern of hosts looks like, for the schema.
pub(super) const HOST_PATTERN: &str = r"^(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?$";
/// What a pattern of names looks like, for the schema.
pub(super) const NAME_PATTERN: &str = r"^([A-Za-z_][A-Za-z0-9_]*\*?|\*)$";
/// What a pattern of files looks like, for the schema.
pub(super) const FILES_PATTERN: &str = r"^[^/\\]([^\\]*[^/\\])?$";

/// Files below the folder of a configuration. `*` stands for a part of a name, `**` for any folders.
#[derive(Clone, Debug)]
pub struct FilePattern {
    text: String,
    matcher: GlobMatcher,
}

impl FilePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What leads out of the folder, into a folder that is not searched, or is not a pattern.
    pub fn parse(text: &str) -> Result<FilePattern, Problem> {
        relative(text, "a pattern")?;
        let mut folders = Path::new(text).parent().into_iter().flat_map(Path::iter);
        if let Some(folder) = folders.find(|folder| !which::is_searched(folder)) {
            return Err(Problem::new(
                format!("`{}` is not searched: it is hidden, or holds packages", folder.display()),
                "move the bottles to another folder",
            ));
        }
        let glob = GlobBuilder::new(text).literal_separator(true).build().map_err(|error| {
            let message = format!("`{}` is not a pattern: {}", text.escape_debug(), error.kind());
            Problem::new(message, "write a pattern such as `agents/*.yaml`")
        })?;
        Ok(FilePattern { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether a file is meant, by its path from the configuration's folder.
    pub fn matches(&self, path: &Path) -> bool {
        self.matcher.is_match(path)
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// Whether a path or a pattern stays below the folder of the configuration.
///
/// # Errors
/// It does not, or is empty.
pub(super) fn relative(text: &str, what: &str) -> Result<(), Problem> {
    let help = "write a relative path with `/`, inside the folder of bottlec.toml";
    if text.trim().is_empty() {
        return Err(Problem::new(format!("{what} must not be empty"), help));
    }
    if text.starts_with('/') || text.contains('\\') || text.split('/').any(|step| step == "..") {
        return Err(Problem::new(format!("{what} must not leave the folder of bottlec.toml"), help));
    }
    if text.ends_with('/') || text.split('/').any(|step| step.is_empty() || step == ".") {
        return Err(Problem::new(format!("`{}` contains an empty or `.` component", text.escape_debug()), help));
    }
    Ok(())
}

/// A host, or with `*.` in front a domain: its own name and every name below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    name: Host,
    is_domain: bool,
}

impl HostPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A wildcard anywhere else, and what is not a host.
    pub fn parse(text: &str) -> Result<HostPattern, Problem> {
        let (name, is_domain) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
        if name.contains('*') {
            return Err(Problem::new(
                "a wildcard is only allowed as the first label",
                "write `*.example.com` for `example.com` and every host below it",
            ));
        }
        Ok(HostPattern { name: Host::parse(name)?, is_domain })
    }

    /// Whether it means this host.
    pub fn matches(&self, host: &Host) -> bool {
        let below = || host.as_str().strip_suffix(self.name.as_str()).is_some_and(|rest| rest.ends_with('.'));
        *host == self.name || (self.is_domain && below())
    }

    /// Whether it means every host that the other one means.
    pub fn covers(&self, other: &HostPattern) -> bool {
        self.matches(&other.name) && (self.is_domain || !other.is_domain)
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_domain { "*." } else { "" }, self.name)
    }
}

/// The name of a variable, or with `*` at its end how such names begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    start: String,
    is_prefix: bool,
}

impl NamePattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A wildcard anywhere but at the end, and what is not the name of a variable.
    pub fn parse(text: &str) -> Result<NamePattern, Problem> {
        let (start, is_prefix) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        if start.contains('*') {
            return Err(Problem::new(
                "a wildcard is only allowed at the end of a name",
                "write a pattern such as `PROD_*`",
            ));
        }
        if !(start.is_empty() && is_prefix) {
            VariableName::parse(start)?;
        }
        Ok(NamePattern { start: start.to_owned(), is_prefix })
    }

    /// Whether it means this name.
    pub fn matches(&self, name: &str) -> bool {
        if self.is_prefix { name.starts_with(&self.start) } else { name == self.start }
    }

    /// Whether it means every name that the other one means.
    pub fn covers(&self, other: &NamePattern) -> bool {
        self.matches(&other.start) && (self.is_prefix || !other.is_prefix)
    }
}

impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}{}", self.start, if self.is_prefix { "*" } else { "" })
    }
}
