//! Trees that are not what one build wrote, explained.

use std::path::Path;

use crate::compile::index::NotAnIndex;
use crate::model::rebuild::FOREIGN;
use crate::output::Unfit;
use crate::text::diagnostic::Refusal;
use crate::value::artifact::INDEX;

/// What is wrong with the tree, and how to mend it.
pub(super) fn explain(folder: &Path, unfit: &Unfit) -> Refusal {
    let shown = folder.display();
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let again = format!("build it again: bottlec build MANIFEST -o {}", above.display());
    match unfit {
        Unfit::NoIndex => Refusal::new(
            format!("there is no bottle in {shown}: it has no {}", INDEX),
            "give the folder that `bottlec build MANIFEST -o DIR` made in DIR, which has the bottle's name",
        ),
        Unfit::Index(NotAnIndex::Malformed) => {
            Refusal::new(format!("{} in {shown} is not what a build writes", INDEX), again)
        }
        Unfit::Index(NotAnIndex::OtherFormat(format)) => {
            Refusal::new(format!("the bottle in {shown} has format {format}, which this bottlec does not know"), again)
        }
        Unfit::Conflicted => {
            Refusal::new(format!("{} in {shown} has git conflict markers", INDEX), format!("{again} --update"))
        }
        Unfit::Unfinished => Refusal::new(format!("a build of {shown} did not come to its end"), again),
        Unfit::Building => Refusal::new(
            format!("a build is writing to {shown}"),
            "wait until it is done, then run the same command again",
        ),
        Unfit::OtherRelease => Refusal::new(format!("another release of bottlec built {shown}"), again),
        Unfit::Otherwise(wrong, meaning) => {
            let list = wrong.iter().map(|(path, problem)| format!("{} {problem}", path.escape_debug()));
            let meaning = meaning.iter().map(|means| format!("  {means}"));
            let is_foreign = wrong.iter().any(|(_, problem)| problem == FOREIGN);
            let help = if is_foreign { format!("remove what no build writes, then {again}") } else { again };
            Refusal::new(format!("{shown} is not what one build wrote:"), help).listing(list.chain(meaning))
        }
    }
}
