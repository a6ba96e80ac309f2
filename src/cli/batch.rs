//! Batches of bottles: input files, worker threads and the order of results.

use std::collections::HashSet;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, sync_channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};

use super::config::Configs;
use super::progress::{INTERVAL, Progress};
use crate::manifest::load::find::{self, Found};
use crate::manifest::load::regular;
use crate::text::visible;

/// How many results a thread may be ahead of the output: one, because a result may hold a whole tree.
const AHEAD: usize = 1;

/// The maximum size of a list of paths, in bytes.
const MAX_LIST: usize = 64 << 20;

/// The number of threads.
#[derive(clap::Args)]
pub(super) struct Jobs {
    /// Process up to N bottles in parallel; the output does not depend on N [default: the number of CPUs]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl Jobs {
    fn threads(&self, items: usize) -> usize {
        let asked = || self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        if items < 2 { items } else { asked().min(items) }
    }

    /// Runs `work` on every item and passes the results to `take` in the order of the items. Stops early if
    /// `take` fails.
    ///
    /// Each thread processes every n-th item and has a short queue of its own: threads share nothing, and only
    /// the queues are held in memory.
    pub(super) fn run<T: Sync, R: Send>(
        &self,
        items: &[T],
        progress: &mut Progress,
        work: impl Fn(usize, &T) -> R + Sync,
        mut take: impl FnMut(usize, R, &mut Progress) -> Result<()>,
    ) -> Result<()> {
        let threads = self.threads(items.len());
        if threads < 2 {
            for (index, item) in items.iter().enumerate() {
                take(index, work(index, item), progress)?;
                progress.advance();
            }
            return Ok(());
        }
        thread::scope(|scope| {
            let mut queues = Vec::with_capacity(threads);
            for first in 0..threads {
                let (sender, queue) = sync_channel(AHEAD);
                let work = &work;
                let lane = move || {
                    for (index, item) in items.iter().enumerate().skip(first).step_by(threads) {
                        // The receiver is gone: the run has stopped early.
                        if sender.send(work(index, item)).is_err() {
                            return;
                        }
                    }
                };
                thread::Builder::new().spawn_scoped(scope, lane).context("cannot start a thread: lower --jobs")?;
                queues.push(queue);
            }
            for index in 0..items.len() {
                // If a thread panicked, the scope panics as well.
                let Ok(result) = receive(&queues[index % threads], progress) else { break };
                take(index, result, progress)?;
                progress.advance();
            }
            Ok(())
        })
    }
}

fn receive<R>(queue: &Receiver<R>, progress: &mut Progress) -> Result<R, RecvError> {
    while progress.is_seen {
        match queue.recv_timeout(INTERVAL) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => progress.draw(),
            Err(RecvTimeoutError::Disconnected) => return Err(RecvError),
        }
    }
    queue.recv()
}

/// The files named by the arguments, without duplicates, in argument order, and what was found in their folders and has
/// another name than a bottle's. Errors are passed to `unread` and do not stop the others.
pub(super) fn inputs(arguments: &[PathBuf], configs: &Configs, mut unread: impl FnMut(anyhow::Error)) -> Result<Found> {
    if arguments.iter().any(|path| is_stdin(path)) && arguments.iter().any(|path| path.as_os_str() == "@-") {
        bail!("`-` and `@-` cannot be used together: both read stdin");
    }
    let mut inputs = Found::default();
    for argument in arguments {
        match argument.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(list) => match read_list(Path::new(std::ffi::OsStr::from_bytes(list))) {
                Ok(paths) => paths.into_iter().for_each(|path| add(path, configs, &mut inputs, &mut unread)),
                Err(error) => unread(error),
            },
            None => add(argument.clone(), configs, &mut inputs, &mut unread),
        }
    }
    Ok(Found { bottles: once(inputs.bottles), look_alikes: once(inputs.look_alikes) })
}

/// Adds a file, or every bottle in a folder.
fn add(path: PathBuf, configs: &Configs, inputs: &mut Found, unread: &mut impl FnMut(anyhow::Error)) {
    if !path.is_dir() {
        inputs.bottles.push(path);
        return;
    }
    // As git and ripgrep print them.
    let plain = |found: PathBuf| {
        if path == Path::new(".") { found.strip_prefix(".").map_or(found.clone(), Path::to_owned) } else { found }
    };
    match find::below(&path, &|file| configs.names(file)) {
        Ok(found) => {
            if found.bottles.is_empty() {
                unread(none_in(&path.display().to_string(), &found.look_alikes));
            }
            inputs.bottles.extend(found.bottles.into_iter().map(plain));
            inputs.look_alikes.extend(found.look_alikes.into_iter().map(plain));
        }
        Err(error) => unread(error),
    }
}

/// The error for a search that finds no bottle: what it looked for, and a file that looks like one.
pub(super) fn none_in(shown: &str, look_alikes: &[PathBuf]) -> anyhow::Error {
    let looked_for = find::RULE;
    match look_alikes {
        [] => anyhow!("no bottle found in {shown}: looked for {looked_for}"),
        [first, ..] => anyhow!(
            "no bottle found in {shown}: looked for {looked_for}; {} looks like one: rename it to {}",
            visible::line(&first.display().to_string()),
            visible::line(&renamed(first).display().to_string())
        ),
    }
}

/// The name under which a file is found.
pub(super) fn renamed(path: &Path) -> PathBuf {
    path.with_extension("bottle.yaml")
}

/// The paths in a list, one per line; blank lines and lines that start with `#` are skipped.
fn read_list(list: &Path) -> Result<Vec<PathBuf>> {
    let mut bytes = Vec::new();
    let shown = if is_stdin(list) { "on stdin".to_owned() } else { list.display().to_string() };
    let context = || format!("cannot read the list {shown}");
    if is_stdin(list) {
        std::io::stdin().take(MAX_LIST as u64 + 1).read_to_end(&mut bytes).with_context(context)?;
    } else {
        bytes = regular::read(list, MAX_LIST).with_context(context)?;
    }
    if bytes.len() > MAX_LIST {
        bail!("the list {shown} is larger than {MAX_LIST} bytes: is it the right file?");
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let paths = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    Ok(paths.map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path))).collect())
}

/// Removes duplicate paths, also when they are written with `./` or as absolute paths. Links are not
/// followed: a bottle may be named after its link.
fn once(mut inputs: Vec<PathBuf>) -> Vec<PathBuf> {
    let here = std::env::current_dir().unwrap_or_default();
    let mut seen = HashSet::with_capacity(inputs.len());
    let is_first: Vec<bool> = inputs
        .iter()
        .map(|path| {
            let path = path.strip_prefix(&here).unwrap_or(path);
            seen.insert(path.strip_prefix(".").unwrap_or(path))
        })
        .collect();
    let mut is_first = is_first.into_iter();
    inputs.retain(|_| is_first.next().unwrap_or(true));
    inputs
}

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}
