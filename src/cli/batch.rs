//! Many bottles at once: which files, on how many threads, and told of in which order.

use std::collections::HashSet;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvError, RecvTimeoutError, sync_channel};
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};

use super::progress::{INTERVAL, Progress};
use crate::{manifest, manifest::load::regular};

/// How many results a thread may be ahead of what is told: one, since some hold a whole tree.
const AHEAD: usize = 1;

/// The most bytes that a list of paths may have.
const MAX_LIST: usize = 64 << 20;

/// How many threads.
#[derive(clap::Args)]
pub(super) struct Jobs {
    /// Work on up to N bottles at a time; the output is the same for every N [default: the number of
    /// the machine's processors]
    #[arg(short, long, value_name = "N")]
    jobs: Option<NonZeroUsize>,
}

impl Jobs {
    fn threads(&self, items: usize) -> usize {
        let asked = || self.jobs.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        if items < 2 { items } else { asked().min(items) }
    }

    /// Does the work on every item and gives the results to `take`, in the order of the items whichever
    /// is done first. Ends early when `take` fails.
    ///
    /// Each thread has every n-th item and a short queue of its own: nothing is shared between threads,
    /// and no more than the queues is in memory.
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
                        // Nobody takes it: the run ends early.
                        if sender.send(work(index, item)).is_err() {
                            return;
                        }
                    }
                };
                thread::Builder::new().spawn_scoped(scope, lane).context("cannot start a thread: lower --jobs")?;
                queues.push(queue);
            }
            for index in 0..items.len() {
                // A thread that panicked ends the scope with its panic.
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

/// The files that the arguments name, each once, in the order of the arguments. What cannot be read
/// is given to `unread` and hides nothing else.
pub(super) fn inputs(arguments: &[PathBuf], mut unread: impl FnMut(anyhow::Error)) -> Result<Vec<PathBuf>> {
    if arguments.iter().any(|path| is_stdin(path)) && arguments.iter().any(|path| path.as_os_str() == "@-") {
        bail!("stdin is either a manifest (`-`) or a list of manifests (`@-`)");
    }
    let mut inputs = Vec::new();
    for argument in arguments {
        match argument.as_os_str().as_bytes().strip_prefix(b"@") {
            Some(list) => match read_list(Path::new(std::ffi::OsStr::from_bytes(list))) {
                Ok(paths) => paths.into_iter().for_each(|path| add(path, &mut inputs, &mut unread)),
                Err(error) => unread(error),
            },
            None => add(argument.clone(), &mut inputs, &mut unread),
        }
    }
    Ok(once(inputs))
}

/// A file, or the bottles of a folder.
fn add(path: PathBuf, inputs: &mut Vec<PathBuf>, unread: &mut impl FnMut(anyhow::Error)) {
    if !path.is_dir() {
        inputs.push(path);
        return;
    }
    match manifest::bottles_below(&path) {
        Ok(found) if found.is_empty() => unread(anyhow!(
            "{} holds no bottle: name the manifest, or call it bottle.yaml or NAME.bottle.yaml",
            path.display()
        )),
        Ok(found) if inputs.is_empty() => *inputs = found,
        Ok(found) => inputs.extend(found),
        Err(error) => unread(error),
    }
}

/// The paths of a list, a line each; blank lines and lines that start with `#` say nothing.
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
        bail!("the list {shown} has more than {MAX_LIST} bytes: is this another file?");
    }
    let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let paths = lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"));
    Ok(paths.map(|path| PathBuf::from(std::ffi::OsStr::from_bytes(path))).collect())
}

/// Each path once, also when it is spelt with `./` or from the root. Links are not followed: a bottle
/// may take its name from that of the link.
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
