//! Reads a manifest, its parents and the definition of its agent, from disk or as of a git revision.

mod files;
pub mod find;
pub mod project;
pub(crate) mod regular;
pub mod revision;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use files::Files;
use revision::{Resolved, Revision};

use super::{AgentProvider, Manifest, extends, parse, which};
use crate::provider;
use crate::text::diagnostic::{Code, Diagnostic, Findings, Problem};
use crate::text::source::{Source, SourceId, Sources, Span};
use crate::text::yaml::{self, Spanned};

/// The longest path that a system takes.
const MAX_PATH: usize = 4096;

/// A manifest with its parents laid under it.
#[derive(Debug)]
pub struct Loaded {
    /// The texts: the manifest's own, its parents' and that of the definition of its agent.
    pub sources: Sources,
    /// The merged manifest, if its text could be used.
    pub manifest: Option<Manifest>,
    /// What is wrong so far.
    pub findings: Findings,
    /// The Dockerfile that it names, if it is there: its real path, from the root in a revision.
    pub dockerfile: Option<PathBuf>,
}

/// Reads the manifest at `path`, then its parents.
///
/// # Errors
/// When the manifest itself cannot be read. What is wrong with a parent is a finding at the line
/// that names it.
pub fn load(path: &Path) -> Result<Loaded> {
    let bytes = Files::Disk.read(path).with_context(|| format!("cannot read {}", path.display()))?;
    load_bytes(path, bytes)
}

/// Reads the manifest that a path of the work tree names, and its parents, as of a git revision.
/// `None` if the revision has no such file. Of the disk nothing is read.
///
/// # Errors
/// The path lies outside the repository, or it leads over a link or into a submodule there.
pub fn load_revision(revision: &Revision, path: &Path) -> Result<Option<Loaded>> {
    let Some(bytes) = revision.read(path)? else { return Ok(None) };
    let path = revision.root().join(revision.place(path)?);
    take_bytes(Files::Revision(revision), &path, bytes).map(Some)
}

/// Takes the bytes of a manifest that would lie at `path`, and reads its parents.
///
/// # Errors
/// When a folder on the way to a parent cannot be resolved.
pub fn load_bytes(path: &Path, bytes: Vec<u8>) -> Result<Loaded> {
    take_bytes(Files::Disk, path, bytes)
}

fn take_bytes(files: Files, path: &Path, bytes: Vec<u8>) -> Result<Loaded> {
    let mut loader = Loader {
        files,
        top: path.to_owned(),
        root: None,
        sources: Sources::default(),
        findings: Findings::default(),
        chain: Vec::new(),
        dockerfile: None,
    };
    let reference = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let top = loader.take(path, reference, bytes);
    let mut manifest = loader.with_parents(top)?;
    if let Some(manifest) = &mut manifest {
        loader.check_dockerfile(manifest)?;
        if let Some(settings) = &mut manifest.agent_provider {
            loader.read_definition(settings)?;
        }
    }
    let Loader { sources, findings, dockerfile, .. } = loader;
    Ok(Loaded { sources, manifest, findings, dockerfile })
}

struct Loader<'r> {
    files: Files<'r>,
    /// The manifest's own path.
    top: PathBuf,
    /// The project's folder; looked for when a manifest names another file.
    root: Option<PathBuf>,
    sources: Sources,
    findings: Findings,
    /// Canonical path and shown path of each bottle so far, child first.
    chain: Vec<(PathBuf, String)>,
    dockerfile: Option<PathBuf>,
}

/// One bottle as its file has it.
struct Bottle {
    id: SourceId,
    path: PathBuf,
    manifest: Option<Manifest>,
}

impl Loader<'_> {
    fn take(&mut self, path: &Path, reference: String, bytes: Vec<u8>) -> Bottle {
        let (id, is_text) = self.add(path, reference, bytes);
        // In its folder, a file is named without it.
        let is_shared = std::path::absolute(path).is_ok_and(|path| which::is_shared(&path));
        let manifest = if is_text { parse::parse(&self.sources, id, is_shared, &mut self.findings) } else { None };
        Bottle { id, path: path.to_owned(), manifest }
    }

    /// Adds the bytes of a file to the sources; whether they are text, which is reported if they are not.
    fn add(&mut self, path: &Path, reference: String, bytes: Vec<u8>) -> (SourceId, bool) {
        // What was cut off in the middle of a character is too large, not out of form.
        let is_whole = bytes.len() <= yaml::MAX_BYTES;
        let (text, bad_byte) = match String::from_utf8(bytes) {
            Ok(text) => (text, None),
            Err(error) => {
                let valid = error.utf8_error().valid_up_to();
                (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(valid).filter(|_| is_whole))
            }
        };
        let id = self.sources.add(Source { path: self.files.shown(path), reference, text });
        if let Some(at) = bad_byte {
            // In the text it is a replacement character, three bytes long.
            let start = u32::try_from(at).unwrap_or(u32::MAX);
            self.findings.push(
                Diagnostic::new(Code::NotUtf8, "the file is not UTF-8 text")
                    .at(Span { source: id, start, end: start + 3 }, "the first bad byte")
                    .help("save the file as UTF-8"),
            );
        }
        (id, bad_byte.is_none())
    }

    /// The bottle laid over its parents. `None` if one of them cannot be used: to judge the child
    /// without its parent would report what is not wrong.
    fn with_parents(&mut self, child: Bottle) -> Result<Option<Manifest>> {
        let Bottle { mut id, mut path, manifest } = child;
        let Some(mut merged) = manifest else { return Ok(None) };
        let mut next = merged.extends.clone();
        while let Some(extends) = next {
            let root = self.root()?;
            match self.parent(&extends, id, &path, &root) {
                Ok(parent) => {
                    let Some(manifest) = parent.manifest else { return Ok(None) };
                    (id, path, next) = (parent.id, parent.path, manifest.extends.clone());
                    merged = extends::overlay(merged, manifest);
                }
                Err(diagnostic) => {
                    self.findings.push(*diagnostic);
                    return Ok(Some(merged));
                }
            }
        }
        Ok(Some(merged))
    }

    fn root(&mut self) -> Result<PathBuf> {
        let root = match self.root.take() {
            Some(root) => root,
            None => {
                let root = self.files.root(&self.top)?;
                let canonical = match self.files.resolve(&self.top, &root) {
                    Ok(Resolved::Inside(canonical)) => canonical,
                    _ => self.top.clone(),
                };
                self.chain.push((canonical, self.files.shown(&self.top)));
                root
            }
        };
        self.root = Some(root.clone());
        Ok(root)
    }

    /// Finds and reads the bottle that `extends` names.
    fn parent(
        &mut self,
        extends: &Spanned<String>,
        child: SourceId,
        child_path: &Path,
        root: &Path,
    ) -> Result<Bottle, Box<Diagnostic>> {
        let chain = self.chain.iter().map(|(_, shown)| shown.as_str()).collect::<Vec<_>>().join(" -> ");
        let reached = if self.chain.len() > 1 { format!(" (reached by {chain})") } else { String::new() };
        let refuse = |message: String, help: &str| {
            Box::new(Diagnostic::new(Code::Extends, message).at(extends.span, "named here").help(help))
        };
        let name = extends.value.as_str();
        let folder = folder_of(child_path);
        if Path::new(name).is_absolute() || name.contains('\\') {
            return Err(refuse(
                "`extends` takes a name or a relative path with `/`".into(),
                "name a bottle inside the project",
            ));
        }
        if name.len() > MAX_PATH {
            let message = format!("`extends` must not have more than {MAX_PATH} bytes; it has {}", name.len());
            return Err(refuse(message, "name a bottle inside the project"));
        }
        let is_path = name.contains('/') || [".yaml", ".yml", ".md"].iter().any(|end| name.ends_with(end));
        let candidates: Vec<String> = if is_path {
            vec![name.to_owned()]
        } else {
            ["yaml", "yml", "bottle.yaml", "md"].iter().map(|end| format!("{name}.{end}")).collect()
        };
        for candidate in &candidates {
            let path = folder.join(candidate);
            let canonical = match self.files.resolve(&path, root) {
                Ok(Resolved::Inside(canonical)) => canonical,
                Ok(Resolved::Missing) => continue,
                Ok(Resolved::Outside) => {
                    return Err(refuse(
                        format!("`{candidate}` is outside the project{reached}"),
                        "copy the bottle into the project; bottlec reads nothing outside it",
                    ));
                }
                Err(error) => return Err(refuse(format!("cannot resolve `{candidate}`: {error}"), "check the path")),
            };
            let path = self.files.name(&path, &canonical);
            if let Some(seen) = self.chain.iter().position(|(known, _)| *known == canonical) {
                let mut circle: Vec<&str> = self.chain[seen..].iter().map(|(_, shown)| shown.as_str()).collect();
                circle.push(&self.chain[seen].1);
                let message = if circle.len() == 2 {
                    "the bottle extends itself"
                } else {
                    "the bottles extend each other in a cycle"
                };
                return Err(refuse(format!("{message}: {}", circle.join(" -> ")), "remove one `extends` of the cycle"));
            }
            if self.chain.len() == extends::MAX_CHAIN {
                return Err(refuse(
                    format!("more than {} bottles extend each other", extends::MAX_CHAIN),
                    "flatten the chain",
                ));
            }
            let reference = self.sources.get(child).resolve(candidate);
            return match self.files.read(&path) {
                Ok(bytes) => {
                    self.chain.push((canonical, self.files.shown(&path)));
                    Ok(self.take(&path, reference, bytes))
                }
                Err(error) => Err(refuse(format!("cannot read `{candidate}`: {error}{reached}"), "check the file")),
            };
        }
        let looked_in = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        Err(refuse(
            format!("bottle `{}` not found{reached}", name.escape_debug()),
            &format!("looked for {} in {}", candidates.join(", "), self.files.shown(looked_in)),
        ))
    }

    /// Finds and reads the definition that `template` names, if it names a file.
    fn read_definition(&mut self, settings: &mut AgentProvider) -> Result<()> {
        let AgentProvider { template, own, .. } = settings;
        let Some(template) = template.as_ref().filter(|template| provider::is_path(&template.value)) else {
            return Ok(());
        };
        let root = self.root()?;
        match self.definition(template, &root) {
            Ok((path, reference, bytes)) => {
                let (id, is_text) = self.add(&path, reference, bytes);
                if is_text {
                    *own = parse::parse_definition(&self.sources, id, &mut self.findings);
                }
            }
            Err(refusal) => self.findings.push(refusal.at(Code::Path, template.span)),
        }
        Ok(())
    }

    /// The path, the reference and the bytes of a definition.
    fn definition(&self, template: &Spanned<String>, root: &Path) -> Result<(PathBuf, String, Vec<u8>), Problem> {
        let name = template.value.as_str();
        let shown = name.escape_debug();
        let inside = "name a file inside the project; the path counts from the manifest that names it";
        if Path::new(name).is_absolute() || name.contains('\\') {
            return Err(Problem::new("the path of a definition is relative, with `/`", inside));
        }
        if name.len() > MAX_PATH {
            return Err(Problem::new(format!("the path has {} bytes; one has at most {MAX_PATH}", name.len()), inside));
        }
        let source = self.sources.get(template.span.source);
        let path = folder_of(&self.top).join(source.folder()).join(name);
        let real = match self.files.resolve(&path, root) {
            Ok(Resolved::Inside(real)) => real,
            Ok(Resolved::Missing) => {
                return Err(Problem::new(format!("definition `{shown}` not found"), inside));
            }
            Ok(Resolved::Outside) => {
                let help = "copy the definition into the project; nothing outside it is read";
                return Err(Problem::new(format!("`{shown}` is outside the project"), help));
            }
            Err(error) => return Err(Problem::new(format!("cannot resolve `{shown}`: {error}"), "check the path")),
        };
        let path = self.files.name(&path, &real);
        let bytes = self.files.read(&path);
        let bytes = bytes.map_err(|error| Problem::new(format!("cannot read `{shown}`: {error}"), "check the file"))?;
        Ok((path, source.resolve(name), bytes))
    }

    /// The file is the engine's to read; bottlec only makes sure that it is there and inside.
    fn check_dockerfile(&mut self, manifest: &Manifest) -> Result<()> {
        let Some(dockerfile) = manifest.agent_provider.as_ref().and_then(|provider| provider.dockerfile.as_ref())
        else {
            return Ok(());
        };
        let root = self.root()?;
        let source = self.sources.get(dockerfile.span.source);
        let path = folder_of(&self.top).join(source.folder()).join(&dockerfile.value);
        let (message, help) = match self.files.resolve(&path, &root) {
            Ok(Resolved::Outside) => ("the Dockerfile is outside the project".to_owned(), "move it into the project"),
            Ok(Resolved::Inside(real)) if !self.files.is_file(&real) => {
                ("the Dockerfile is not a file".to_owned(), "name the file itself")
            }
            Ok(Resolved::Inside(real)) => {
                self.dockerfile = Some(real);
                return Ok(());
            }
            Ok(Resolved::Missing) => {
                ("the Dockerfile does not exist".to_owned(), "the path is relative to the manifest that names it")
            }
            Err(error) => (format!("cannot look for the Dockerfile: {error}"), "check the path"),
        };
        self.findings.push(Diagnostic::new(Code::Path, message).at(dockerfile.span, "").help(help));
        Ok(())
    }
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
