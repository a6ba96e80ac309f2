//! Files in which git left both sides of a merge.

/// The two texts that git could not merge, if there is a whole conflict in the text: its markers, in
/// their order, each at the start of a line.
pub(super) fn sides(text: &str) -> Option<[String; 2]> {
    enum Part {
        Both,
        Ours,
        /// What both come from, in the styles that show it.
        Base,
        Theirs,
    }
    let [mut ours, mut theirs] = [String::new(), String::new()];
    let mut part = Part::Both;
    let mut found = false;
    for line in text.split_inclusive('\n') {
        match part {
            Part::Both if line.starts_with("<<<<<<< ") => part = Part::Ours,
            Part::Ours if line.starts_with("|||||||") => part = Part::Base,
            Part::Ours | Part::Base if line.trim_end() == "=======" => part = Part::Theirs,
            Part::Theirs if line.starts_with(">>>>>>> ") => {
                part = Part::Both;
                found = true;
            }
            Part::Both => {
                ours.push_str(line);
                theirs.push_str(line);
            }
            Part::Ours => ours.push_str(line),
            Part::Base => {}
            Part::Theirs => theirs.push_str(line),
        }
    }
    found.then_some([ours, theirs])
}
