//! `bottlec diff`: what a change allows the agent to do.

mod terms;
mod text;
mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::terms::{Both, Judged};
use self::trees::Trees;
use super::config::Isolation;
use super::{Screen, Status, batch, human, say, side};
use crate::config::{Config, FailOn};
use crate::manifest::load::find;
use crate::manifest::load::revision::Revision;
use crate::manifest::{self, Loaded};
use crate::model::review::{Review, Side, Terms, json, markdown, review, sarif};
use crate::model::{Change, edits, manifest_gone, manifest_hidden};
use crate::text::accept::AcceptFrom;
use crate::text::diagnostic::Grade;
use crate::value::artifact::INDEX;

/// Show what a change allows the agent and what it takes away, graded, followed by the text diff
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// The old and the new bottle, each a manifest or a compiled folder; with --rev, the manifests or
    /// folders to compare with the revision (without any, the current folder)
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Compare manifests and their parents with this git revision
    #[arg(long, value_name = "BASE")]
    rev: Option<String>,
    /// Output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Exit 1 only if a change of at least this grade has not been accepted [default with --rev: the stricter
    /// `fail-on` of both sides' bottlec.toml]
    #[arg(long, value_name = "GRADE")]
    fail_on: Option<FailOn>,
    /// Date used to decide whether acceptances have expired [default: today, in UTC]
    #[arg(long, value_name = "YYYY-MM-DD")]
    today: Option<Date>,
    /// Which side's acceptances count, with --rev [default: base if either side's bottlec.toml says so, else head]
    #[arg(long, value_name = "WHOSE", requires = "rev")]
    accept_from: Option<AcceptFrom>,
    /// Judge as a gate for pull requests does: what neither an option nor bottlec.toml says is `--fail-on high` and
    /// `--accept-from base`
    #[arg(long, requires = "rev")]
    gate: bool,
    #[command(flatten)]
    isolation: Isolation,
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
    /// Lines for scripts: `grade=`, `fails=`, `fail-on=` and `accept-from=`
    Verdict,
}

const EXAMPLES: &str = "\
Examples:
  bottlec diff old.yaml new.yaml
  bottlec diff golden/review manifest.yaml
  bottlec diff --rev origin/main
  bottlec diff --rev HEAD~1 bottles/ --format markdown --fail-on high

Grades: critical, high, medium, low, info; `bottlec rule BTL801` explains a code. Accept a change with \
a comment on its line of the new manifest:
  # bottlec: accept BTL811 until 2027-01-31 reason

Manifests are compiled with a placeholder account: nothing is read from the host.

Exit codes: 0 no differences, or none that --fail-on selects, 1 differences, 2 usage, I/O or \
internal error.";

impl Diff {
    pub(super) fn run(&self, screen: &Screen) -> Result<Status> {
        let Compared { pairs, trees, same, broken, look_alikes, judged } = match (&self.rev, self.paths.as_slice()) {
            (Some(base), paths) => since(base, paths, &self.isolation, screen)?,
            (None, [old, new]) => {
                let [old, new] = [old, new].map(|path| side::open(path, screen));
                let (old, new) = (old?, new?);
                // Either of the two may be the edited one.
                let edits = edits(old.edited.iter().chain(&new.edited).collect::<BTreeMap<_, _>>());
                Compared { pairs: vec![Pair { old: Some(old), new: Some(new), edits }], ..Compared::default() }
            }
            (None, _) => {
                bail!("diff needs two bottles, the old one and the new one, or a revision: bottlec diff --rev BASE")
            }
        };
        let today = self.today.unwrap_or_else(|| Timestamp::now().to_zoned(TimeZone::UTC).date());
        let accept_from = self.accept_from.unwrap_or_else(|| judged.accept_from(self.gate));
        let terms = Terms { today, accept_from };
        let compared = pairs.len() + trees.len() + same;
        if let (Some(base), 0, 0) = (&self.rev, compared, broken) {
            let paths: Vec<String> = self.paths.iter().map(|path| path.display().to_string()).collect();
            let shown = if paths.is_empty() { ".".to_owned() } else { paths.join(", ") };
            return Err(batch::none_in(&format!("{shown}, now and at {base}"), &look_alikes));
        }
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
        let bottles = summary(compared, &reviews);
        let weaker = judged.reviews(terms);
        let is_weaker = weaker.iter().any(Review::differs);
        reviews.splice(0..0, weaker);

        let highest = reviews.iter().filter_map(Review::grade).max();
        let fail_on = self.fail_on.or_else(|| judged.fail_on(self.gate));
        let fails = match fail_on {
            Some(fail_on) => fail_on.is_reached(highest),
            None => reviews.iter().any(Review::differs),
        };
        let text = match self.format {
            Format::Verdict => verdict(highest, fails, fail_on, accept_from),
            Format::Text => text::render(&reviews, human::width(std::io::stdout())),
            Format::Json => json::render(&reviews),
            Format::Sarif => sarif::render(&reviews),
            Format::Markdown => markdown::render(&reviews),
        };
        let mut stdout = anstream::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("cannot write to stdout")?;
        if self.format == Format::Text {
            let also = if is_weaker { "; bottlec.toml asks for less" } else { "" };
            screen.note(format_args!("{bottles}{also}"));
        }
        if broken > 0 {
            bail!("{broken} of the bottles could not be compared");
        }
        Ok(if fails { Status::Findings } else { Status::Clean })
    }
}

/// Lines that a script reads without a parser.
fn verdict(grade: Option<Grade>, fails: bool, fail_on: Option<FailOn>, accept_from: AcceptFrom) -> String {
    format!(
        "grade={}\nfails={fails}\nfail-on={}\naccept-from={}\n",
        grade.map_or("none", Grade::as_str),
        fail_on.map_or("any", FailOn::as_str),
        accept_from.as_str()
    )
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
    /// What has the keys of a bottle and another name.
    look_alikes: Vec<PathBuf>,
    /// The configurations of both sides.
    judged: Judged,
}

/// The bottles below the paths that differ from a revision or are missing from it, and how many are unchanged,
/// comparing their manifests, parents and Dockerfiles.
fn since(base: &str, paths: &[PathBuf], isolation: &Isolation, screen: &Screen) -> Result<Compared> {
    let here = [PathBuf::from(".")];
    let paths = if paths.is_empty() { &here } else { paths };
    let plain = |path: PathBuf| path.strip_prefix(".").map_or_else(|_| path.clone(), Path::to_owned);
    let revision = Revision::open(base, &paths[0])?;
    let mut configs = Both::of(&revision, isolation);
    configs.paths(paths)?;
    let (mut was, mut is, mut look_alikes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for path in paths {
        if path.is_dir() {
            let found = find::below_work_tree(&revision, path, &|file| configs.names(file))?;
            is.extend(found.bottles.into_iter().map(plain));
            look_alikes.extend(found.look_alikes.into_iter().map(plain));
        } else if path.exists() {
            is.insert(plain(path.clone()));
        }
        let there = revision.read(path).ok().flatten().is_some();
        was.extend(there.then(|| plain(path.clone())));
        let found = find::below_revision(&revision, path, &|file| configs.names(file))?;
        was.extend(found.into_iter().map(plain));
    }
    let changed = revision.changed()?;
    let mut since = Compared::default();
    let mut moves = Vec::new();
    let renamed = revision.renamed()?;
    for old in &was {
        // What was a bottle is one, whatever became of its name and its content.
        let new = match renamed.get(&revision.place(old)?) {
            Some(place) if !old.exists() => plain(revision.typed(place)),
            _ => old.clone(),
        };
        let is_found = is.remove(&new);
        moves.push(Move { old: Some(old.clone()), is_hidden: !is_found && new.exists(), new });
    }
    moves.extend(is.into_iter().map(|new| Move { old: None, new, is_hidden: false }));
    moves.sort_by(|a, b| a.new.cmp(&b.new));
    for path in &look_alikes {
        if changed.contains(&revision.place(path)?) && !moves.iter().any(|one| one.new == *path) {
            screen.note(format_args!(
                "bottlec: {} looks like a bottle but was not compared; rename it to {}",
                path.display(),
                batch::renamed(path).display()
            ));
        }
    }
    let policies: Vec<Vec<Arc<Config>>> =
        moves.iter().map(|one| configs.bottle(one.old.as_deref(), &one.new)).collect::<Result<_>>()?;
    let trees = Trees::below(paths, &revision, &changed)?;
    let of_tree = |shown: &PathBuf| shown.join(INDEX);
    let policies_of_trees: Vec<Vec<Arc<Config>>> =
        trees.folders.values().map(|shown| configs.bottle(None, &of_tree(shown))).collect::<Result<_>>()?;
    since.judged = configs.judged(screen)?;
    for (one, policies) in moves.iter().zip(policies) {
        // A bottle with errors does not stop the others.
        match pair(one, &revision, &changed, &policies, screen) {
            Ok(Some(pair)) => since.pairs.push(pair),
            Ok(None) => since.same += 1,
            Err(error) => {
                say(format_args!("bottlec: {error:#}"));
                since.broken += 1;
            }
        }
    }
    since.look_alikes = look_alikes.into_iter().collect();
    for ((place, shown), policies) in trees.folders.iter().zip(policies_of_trees) {
        match trees.pair(place, shown, &policies) {
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

/// Where a manifest was and is.
struct Move {
    /// Its path in the revision, if it was there.
    old: Option<PathBuf>,
    /// Its path now; the old one if it was removed.
    new: PathBuf,
    /// Whether it is there and no search finds it any more.
    is_hidden: bool,
}

/// A bottle before and after the change. Returns `None` if it is unchanged.
fn pair(
    one: &Move,
    revision: &Revision,
    changed: &BTreeSet<PathBuf>,
    policies: &[Arc<Config>],
    screen: &Screen,
) -> Result<Option<Pair>> {
    let path = &one.new;
    let new = if path.exists() { Some(manifest::load(path)?) } else { None };
    // A sparse checkout omits files that have not been removed.
    if new.is_none() && !changed.contains(&revision.place(path)?) {
        return Ok(None);
    }
    let before = one.old.as_ref().unwrap_or(path);
    let old = manifest::load_revision(revision, before)?;
    let read = |loaded: &Option<Loaded>, revision: Option<&Revision>| match loaded {
        Some(loaded) => side::dockerfile(loaded, revision),
        None => Ok(None),
    };
    let (was, is) = (read(&old, Some(revision))?, read(&new, None)?);
    if texts(old.as_ref()) == texts(new.as_ref()) && was == is && !one.is_hidden {
        return Ok(None);
    }
    // A bottle that had errors counts as new: it could not be built before.
    let old = match old.map(|old| side::compiled(before, old, was, &[])).transpose()? {
        None => None,
        Some(Ok(old)) => Some(old),
        Some(Err(_)) => {
            let base = revision.base();
            screen.note(format_args!(
                "bottlec: {} did not compile at {base}; treating it as a new bottle",
                before.display()
            ));
            None
        }
    };
    let new = new.map(|new| side::compiled(path, new, is, policies)).transpose()?;
    let new = new.transpose().map_err(|uncompiled| uncompiled.report(screen))?;
    let edits = match (&old, &new) {
        (None, None) => return Ok(None),
        (Some(_), None) => vec![manifest_gone()],
        _ if one.is_hidden => vec![manifest_hidden(&path.display().to_string())],
        _ => Vec::new(),
    };
    Ok(Some(Pair { old, new, edits }))
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
