//! Starting git so that it reads this repository, asks nobody, fetches nothing and starts no program
//! that the repository names.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, Result, anyhow, bail};

/// Would lead git elsewhere than to the repository around the folder. Git sets some of them for hooks.
const ELSEWHERE: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
];

/// A variable that is empty, for settings that are turned off.
const EMPTY: &str = "BOTTLEC_EMPTY";

/// Git in a folder.
pub(super) struct Git {
    folder: PathBuf,
    settings: Vec<String>,
}

/// Git said no.
#[derive(Debug)]
struct Refused(String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "git says: {}", self.0)
    }
}

impl std::error::Error for Refused {}

/// Whether git ran, and said no.
pub(super) fn ran(error: &anyhow::Error) -> bool {
    error.is::<Refused>()
}

impl Git {
    pub(super) fn at(folder: &Path) -> Self {
        Git { folder: folder.to_owned(), settings: Vec::new() }
    }

    /// Git that compares files of the work tree as they are. A filter is a program that the
    /// repository's configuration names.
    pub(super) fn without_filters(mut self) -> Result<Self> {
        let filters = match self.output(&["config", "-z", "--name-only", "--get-regexp", r"^filter\."]) {
            Ok(filters) => filters,
            // It says nothing where there is none.
            Err(error) if ran(&error) => return Ok(self),
            Err(error) => return Err(error),
        };
        let filters = String::from_utf8(filters).context("the name of a filter in git's configuration is not UTF-8")?;
        // What follows the last `=` is a variable's name; there may be others in the filter's name.
        self.settings = filters
            .split('\0')
            .filter(|key| !key.is_empty())
            .map(|key| format!("--config-env={key}={EMPTY}"))
            .collect();
        Ok(self)
    }

    /// What git prints.
    pub(super) fn output(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.command(arguments).output().map_err(not_started)?;
        if !output.status.success() {
            return Err(Refused(said(&output.stderr)).into());
        }
        Ok(output.stdout)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .arg("-C")
            .arg(&self.folder)
            .args(["--no-pager", "--no-replace-objects", "--literal-pathspecs"])
            .args(["-c", "core.quotepath=off", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
            .args(&self.settings)
            .args(arguments)
            .env(EMPTY, "")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_TERMINAL_PROMPT", "0")
            // A partial clone would fetch what it lacks; older releases know the second way alone.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        for variable in ELSEWHERE {
            command.env_remove(variable);
        }
        command
    }
}

fn not_started(error: std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::NotFound => anyhow!("git is required to read revisions and was not found"),
        _ => anyhow!("cannot start git: {error}"),
    }
}

/// Git's words on one line.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(" ") }
}

/// Reads objects of a repository through one `git cat-file`, which is started for the first of them.
pub(super) struct Objects {
    folder: PathBuf,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Objects {
    pub(super) fn of(folder: &Path) -> Self {
        Objects { folder: folder.to_owned(), running: None }
    }

    /// The first bytes of an object.
    pub(super) fn read(&mut self, object: &str, limit: usize) -> Result<Vec<u8>> {
        let (child, answers) = match &mut self.running {
            Some(running) => running,
            None => self.running.insert(start(&self.folder)?),
        };
        let mut header = String::new();
        let asked = child.stdin.as_mut().map_or(Ok(()), |requests| writeln!(requests, "{object}"));
        asked.and_then(|()| answers.read_line(&mut header)).context("cannot ask git cat-file")?;
        let fields: Vec<&str> = header.split_whitespace().collect();
        let [_, "blob", size] = fields[..] else {
            bail!("its content is not in this clone; fetch it, or clone without `--filter`");
        };
        let size: u64 = size.parse().context("git cat-file gives no size")?;
        let mut bytes = Vec::new();
        let kept = size.min(limit as u64);
        answers.by_ref().take(kept).read_to_end(&mut bytes)?;
        // The rest of it, and the line's end behind it.
        let passed = std::io::copy(&mut answers.by_ref().take(size - kept + 1), &mut std::io::sink())?;
        if bytes.len() as u64 != kept || passed != size - kept + 1 {
            bail!("git cat-file ended in the middle of its output");
        }
        Ok(bytes)
    }
}

fn start(folder: &Path) -> Result<(Child, BufReader<ChildStdout>)> {
    let mut command = Git::at(folder).command(&["cat-file", "--batch"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(not_started)?;
    let answers = child.stdout.take().context("git cat-file has no output")?;
    Ok((child, BufReader::new(answers)))
}

impl Drop for Objects {
    fn drop(&mut self) {
        if let Some((mut child, answers)) = self.running.take() {
            // It ends when nobody can ask any more, or read.
            drop(answers);
            let _ = child.wait();
        }
    }
}
