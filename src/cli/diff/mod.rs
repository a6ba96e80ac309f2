//! `bottlec diff`: what a change allows the agent to do.

mod text;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::trees::Trees;
use super::{Screen, Status, say, side};
use crate::manifest::load::revision::Revision;
use crate::manifest::{self, Loaded, bottles_below, bottles_below_revision};
use crate::model::review::{Review, Side, Terms, json, markdown, review, sarif};
use crate::model::{Change, edits};
use crate::text::accept::AcceptFrom;
use crate::text::diagnostic::Grade;

/// Show what a change allows the agent and what it takes away, graded, followed by the text diff
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// The old and the new bottle, each a manifest or a compiled folder; with --rev, the manifests or
    /// folders to compare with the revision [default: .]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Compare manifests and their parents with this git revision
    #[arg(long, value_name = "BASE")]
    rev: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Exit 1 only if a change of at least this grade has not been accepted
    #[arg(long, value_name = "GRADE")]
    fail_on: Option<Grade>,
    /// Date used to decide whether acceptances have expired [default: today, in UTC]
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<Date>,
    /// Which side's acceptances count, with --rev
    #[arg(long, value_name = "WHOSE", default_value = "head", requires = "rev")]
    accept_from: AcceptFrom,
}

/// Output formats for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Human-readable text
    Text,
    /// JSON, as documented in docs/formats.md
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Markdown, for a pull request
    Markdown,
}

const EXAMPLES: &str = "\
Examples:
  bottlec diff old.yaml new.yaml
  bottlec diff golden/review manifest.yaml
  bottlec diff --rev origin/main
  bottlec diff --rev HEAD~1 bottles/ --format markdown --fail-on high

Grades: critical, high, medium, low, info; `bottlec rule BTL801` explains a code. Accept a change with
a comment on its line of the new manifest: # bottlec: accept BTL811 until 2027-01-31 reason

Manifests are compiled with a placeholder account: nothing is read from the host.

Exit codes: 0 no differences, or none that --fail-on selects, 1 differences, 2 usage, I/O or
internal error.";

impl Diff {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let Compared { pairs, trees, same, broken } = match (&self.rev, self.paths.as_slice()) {
            (Some(base), paths) => since(base, paths, screen)?,
            (None, [old, new]) => {
                let [old, new] = [old, new].map(|path| side::open(path, screen));
                let (old, new) = (old?, new?);
                // Either of the two may be the edited one.
                let edits = edits(old.edited.iter().chain(&new.edited).collect::<BTreeMap<_, _>>());
                Compared { pairs: vec![Pair { old: Some(old), new: Some(new), edits }], ..Compared::default() }
            }
            (None, _) => bail!("diff needs two bottles, the old one and the new one, or --rev BASE"),
        };
        let today = self.today.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date());
        let terms = Terms { today, accept_from: self.accept_from };
        let compared = pairs.len() + trees.len() + same;
        let reviews = |pairs: Vec<Pair>| -> Vec<Review> {
            pairs
                .into_iter()
                .filter_map(|pair| review(pair.old.as_ref(), pair.new.as_ref(), pair.edits, terms))
                .collect()
        };
        let mut reviews_of_trees = reviews(trees);
        let mut reviews = reviews(pairs);
        reviews_of_trees.iter_mut().for_each(|tree| tree.leave_out(&reviews));
        reviews.extend(reviews_of_trees);
        reviews.retain(|review| !review.is_empty());

        let text = match self.format {
            Format::Text => text::render(&reviews),
            Format::Json => json::render(&reviews),
            Format::Sarif => sarif::render(&reviews),
            Format::Markdown => markdown::render(&reviews),
        };
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        if self.format == Format::Text {
            screen.note(format_args!("{}", summary(compared, &reviews)));
        }
        if broken > 0 {
            bail!("{broken} of the bottles could not be compared");
        }
        let highest = reviews.iter().filter_map(Review::grade).max();
        let fails = match self.fail_on {
            Some(grade) => highest.is_some_and(|highest| highest >= grade),
            None => reviews.iter().any(Review::differs),
        };
        Ok(if fails { Status::Findings } else { Status::Clean })
    }
}

fn summary(compared: usize, reviews: &[Review]) -> String {
    let bottles = |count| if count == 1 { "1 bottle".to_owned() } else { format!("{count} bottles") };
    let accepted = reviews.iter().flat_map(|review| &review.changes).filter(|graded| graded.accepted.is_some()).count();
    let also = if accepted > 0 { format!(", {accepted} accepted") } else { String::new() };
    let changed = reviews.iter().filter(|review| review.differs()).count();
    match reviews.iter().filter_map(Review::grade).max() {
        Some(grade) => {
            format!("{} of {} changed, highest grade: {}{also}", changed, bottles(compared), grade.as_str())
        }
        None if changed == 0 => format!("no differences in {}", bottles(compared)),
        None => format!("{changed} of {} changed, nothing to review{also}", bottles(compared)),
    }
}

/// A bottle before and after a change.
struct Pair {
    old: Option<Side>,
    new: Option<Side>,
    /// Changes to the compiled trees themselves.
    edits: Vec<Change>,
}

/// The bottles to compare.
#[derive(Default)]
struct Compared {
    pairs: Vec<Pair>,
    /// Compiled trees, which may repeat the changes of a manifest.
    trees: Vec<Pair>,
    /// How many are unchanged.
    same: usize,
    /// How many could not be read or compiled.
    broken: usize,
}

/// The bottles below the paths that differ from a revision or are missing from it, and how many are unchanged,
/// comparing their manifests, parents and Dockerfiles.
fn since(base: &str, paths: &[PathBuf], screen: &Screen) -> Result<Compared> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let plain = |path: PathBuf| path.strip_prefix(".").map_or_else(|_| path.clone(), Path::to_owned);
    let revision = Revision::open(base, &paths[0])?;
    let mut manifests = BTreeSet::new();
    for path in paths {
        if path.is_dir() {
            manifests.extend(bottles_below(path)?.into_iter().map(plain));
        } else if path.exists() {
            manifests.insert(plain(path.clone()));
        }
        manifests.extend(bottles_below_revision(&revision, path)?.into_iter().map(plain));
    }
    let changed = revision.changed()?;
    let mut since = Compared::default();
    for path in manifests {
        // A bottle with errors does not stop the others.
        match pair(&path, &revision, &changed, screen) {
            Ok(Some(pair)) => since.pairs.push(pair),
            Ok(None) => since.same += 1,
            Err(error) => {
                say(format_args!("bottlec: {error:#}"));
                since.broken += 1;
            }
        }
    }
    let trees = Trees::below(paths, &revision, &changed)?;
    for (place, shown) in &trees.folders {
        match trees.pair(place, shown) {
            Ok(Some(pair)) => since.trees.push(pair),
            Ok(None) => since.same += 1,
            Err(error) => {
                say(format_args!("bottlec: {error:#}"));
                since.broken += 1;
            }
        }
    }
    Ok(since)
}

/// A bottle before and after the change. Returns `None` if it is unchanged.
fn pair(path: &Path, revision: &Revision, changed: &BTreeSet<PathBuf>, screen: &Screen) -> Result<Option<Pair>> {
    let new = if path.exists() { Some(manifest::load(path)?) } else { None };
    // A sparse checkout omits files that have not been removed.
    if new.is_none() && !changed.contains(&revision.place(path)?) {
        return Ok(None);
    }
    let old = manifest::load_revision(revision, path)?;
    let read = |loaded: &Option<Loaded>, revision: Option<&Revision>| match loaded {
        Some(loaded) => side::dockerfile(loaded, revision),
        None => Ok(None),
    };
    let (was, is) = (read(&old, Some(revision))?, read(&new, None)?);
    if texts(old.as_ref()) == texts(new.as_ref()) && was == is {
        return Ok(None);
    }
    // A bottle that had errors counts as new: it could not be built before.
    let old = match old.map(|old| side::compiled(path, old, was)).transpose()? {
        None => None,
        Some(Ok(old)) => Some(old),
        Some(Err(_)) => {
            let base = revision.base();
            screen.note(format_args!(
                "bottlec: {} did not compile at {base}; treating it as a new bottle",
                path.display()
            ));
            None
        }
    };
    let new = new.map(|new| side::compiled(path, new, is)).transpose()?;
    let new = new.transpose().map_err(|uncompiled| uncompiled.report(screen))?;
    Ok(if old.is_none() && new.is_none() { None } else { Some(Pair { old, new, edits: Vec::new() }) })
}

/// The sources of a bottle: the manifest and its parents, in order.
fn texts(loaded: Option<&Loaded>) -> Vec<(&str, &str)> {
    let Some(Loaded { sources, .. }) = loaded else { return Vec::new() };
    let source = |id| {
        let source = sources.get(id);
        (source.reference.as_str(), source.text.as_str())
    };
    sources.ids().map(source).collect()
}
