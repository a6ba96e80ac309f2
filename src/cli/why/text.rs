//! The verdict of each hop for a terminal.

use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Style};

use crate::model::why::{Edit, Hop, Outcome, Step, Why};
use crate::text::visible;

/// The verdict on a request that is called `asked`, such as `GET https://a.example/`.
pub(super) fn render(asked: &str, why: &Why) -> String {
    let Why { hops, edit } = why;
    let mut text = String::new();
    let refused = hops.iter().find_map(|hop| match hop.outcome {
        Outcome::Refused(rule) => Some(format!("refused by {}, rule {rule}", hop.name)),
        Outcome::Passes | Outcome::NotAsked => None,
    });
    let (style, verdict) = match refused {
        Some(refused) => (AnsiColor::Red.on_default().bold(), refused),
        None => (AnsiColor::Green.on_default().bold(), "allowed".to_owned()),
    };
    let _ = writeln!(text, "{}: {style}{verdict}{style:#}\n", visible::line(asked));
    hops.iter().for_each(|one| hop(&mut text, one));
    if why.is_allowed() {
        return text;
    }
    match edit {
        None => text.push_str("\nNo change to the manifest can allow it.\n"),
        Some(Edit { file, yaml, opens }) => {
            let place = file.as_ref().map(|file| format!(", in {}", visible::line(file))).unwrap_or_default();
            let _ = writeln!(text, "\nThis would allow it{place}:\n");
            for line in yaml.lines() {
                let _ = writeln!(text, "  {line}");
            }
            text.push_str("\nand everything that it would open:\n\n");
            for change in opens {
                let _ = writeln!(text, "  {:8}  {}  {}", change.grade().as_str(), change.code.as_str(), change.message);
            }
        }
    }
    text
}

fn hop(text: &mut String, hop: &Hop) {
    let Hop { name, outcome, sees_plaintext, steps } = hop;
    let word = match outcome {
        Outcome::Passes => "passes",
        Outcome::Refused(_) => "refuses",
        Outcome::NotAsked => "is not asked",
    };
    let sees = match sees_plaintext {
        Some(true) => ", reads the plain text",
        Some(false) => ", sees only the host name",
        None => "",
    };
    let style = Style::new().bold();
    let _ = writeln!(text, "  {style}{name}{style:#} {word}{sees}");
    for Step { says, from } in steps {
        let from = from.as_ref().map(|from| match from.place() {
            Some(place) if from.to_string() != place => format!("  [{from}; {place}]"),
            _ => format!("  [{from}]"),
        });
        let _ = writeln!(text, "    {}{}", visible::line(says), visible::line(&from.unwrap_or_default()));
    }
}
