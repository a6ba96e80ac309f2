//! Explains why a tree is not valid, and how to fix it.

use std::path::Path;

use crate::compile::index::NotAnIndex;
use crate::model::rebuild::FOREIGN;
use crate::output::InvalidTree;
use crate::text::diagnostic::Problem;
use crate::value::artifact::INDEX;

/// What is wrong with the tree, and how to fix it.
pub(super) fn explain(folder: &Path, invalid: &InvalidTree) -> Problem {
    let shown = folder.display();
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let again = format!("rebuild it: bottlec build MANIFEST -o {}", above.display());
    match invalid {
        InvalidTree::NoFolder => Problem::new(
            format!("no bottle in {shown}: the folder does not exist"),
            format!("build it first: bottlec build MANIFEST -o {}", above.display()),
        ),
        InvalidTree::NoIndex => Problem::new(
            format!("no bottle in {shown}: {} not found", INDEX),
            "pass the bottle's own folder: `bottlec build MANIFEST -o DIR` writes it to DIR/NAME",
        ),
        InvalidTree::Index(NotAnIndex::Malformed) => Problem::new(format!("{} in {shown} is malformed", INDEX), again),
        InvalidTree::Index(NotAnIndex::OtherFormat(format)) => Problem::new(
            format!("the bottle in {shown} has format {format}, which this release of bottlec does not support"),
            again,
        ),
        InvalidTree::Conflicted => {
            Problem::new(format!("{} in {shown} contains git conflict markers", INDEX), format!("{again} --update"))
        }
        InvalidTree::Unfinished => Problem::new(format!("a previous build of {shown} was interrupted"), again),
        InvalidTree::Building => Problem::new(
            format!("a build is writing to {shown}"),
            "wait until it has finished, then run the same command again",
        ),
        InvalidTree::OtherRelease => Problem::new(format!("{shown} was built by another release of bottlec"), again),
        InvalidTree::Otherwise(wrong, meaning) => {
            let list = wrong.iter().map(|(path, problem)| format!("{} {problem}", path.escape_debug()));
            let meaning = meaning.iter().map(|means| format!("  {means}"));
            let is_foreign = wrong.iter().any(|(_, problem)| problem == FOREIGN);
            let help = if is_foreign {
                format!("remove the files that are not part of the build, then {again}")
            } else {
                again
            };
            Problem::new(format!("{shown} does not match what a build wrote:"), help).listing(list.chain(meaning))
        }
    }
}
