//! `check` against other programs that judge the same manifest by the same schema, or that read it with less to judge.
//! `benches/peers` installs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::pairs::{Quartiles, ratios, time};
use crate::programs::{bottlec, root, target};
use crate::row::{Goal, Measured, Row, Unit};

/// Starts of a peer; it is slow, and so is the difference.
const PAIRS: usize = 25;

struct Peer {
    /// As `benches/peers` calls it.
    name: &'static str,
    /// Below the folder of the peers.
    program: &'static str,
    arguments: &'static [&'static str],
    does: &'static str,
    /// Whether it judges the same file by the same schema.
    is_judge: bool,
}

/// `MANIFEST`, `TOML`, `JSON` and `SCHEMA` stand for paths.
const PEERS: [Peer; 5] = [
    Peer {
        name: "check-jsonschema",
        program: "python/bin/check-jsonschema",
        arguments: &["--schemafile", "SCHEMA", "MANIFEST"],
        does: "judges the manifest by the schema",
        is_judge: true,
    },
    Peer {
        name: "ajv-cli",
        program: "ajv/node_modules/.bin/ajv",
        arguments: &["validate", "--spec=draft7", "--strict=false", "-s", "SCHEMA", "-d", "MANIFEST"],
        does: "judges the manifest by the schema",
        is_judge: true,
    },
    Peer {
        name: "a page of Python",
        program: "python/bin/python",
        arguments: &["PAGE", "SCHEMA", "MANIFEST"],
        does: "judges the manifest by the schema and renders three of the files in memory (`benches/peer.py`: PyYAML's C \
               loader, jsonschema, Jinja)",
        is_judge: false,
    },
    Peer {
        name: "taplo",
        program: "python/bin/taplo",
        arguments: &["check", "--schema", "file://SCHEMA", "TOML"],
        does: "judges the same as TOML by the schema (native)",
        is_judge: false,
    },
    Peer {
        name: "jrsonnet",
        program: "jrsonnet/bin/jrsonnet",
        arguments: &["JSON"],
        does: "evaluates the same as JSON, and judges nothing (native)",
        is_judge: false,
    },
];

/// Where `benches/peers` puts them.
fn folder() -> PathBuf {
    target().join("peers")
}

fn manifest() -> PathBuf {
    root().join("benches/sixty-lines.yaml")
}

impl Peer {
    fn command(&self) -> Result<Command, String> {
        let program = folder().join(self.program);
        if !program.exists() {
            return Err(format!("{} is not installed: run `benches/peers`", self.name));
        }
        let mut command = Command::new(program);
        // In a folder without settings for any of them. The interpreter of a script is looked for in the PATH.
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).current_dir(folder());
        let places = [
            ("MANIFEST", manifest()),
            ("SCHEMA", root().join("schema/bottle.schema.json")),
            ("PAGE", root().join("benches/peer.py")),
            ("TOML", folder().join("sixty-lines.toml")),
            ("JSON", folder().join("sixty-lines.json")),
        ];
        for argument in self.arguments {
            let text = places.iter().fold((*argument).to_owned(), |text, (word, path)| {
                text.replace(word, path.to_str().expect("a path of Unicode"))
            });
            command.arg(text);
        }
        Ok(command)
    }

    /// How many times as long as `check` it takes.
    fn against_check(&self) -> Result<Quartiles, String> {
        let mut peer = self.command()?;
        let mut check = bottlec();
        check.arg("check").arg(manifest());
        Ok(ratios(PAIRS, || time(&mut peer), || time(&mut check)))
    }

    /// The command as a person would type it.
    fn shown(&self) -> String {
        let name = Path::new(self.program).file_name().and_then(|name| name.to_str()).expect("a name");
        let words = [("MANIFEST", "bottle.yaml"), ("SCHEMA", "bottle.schema.json"), ("PAGE", "peer.py")];
        let words = words.into_iter().chain([("TOML", "bottle.toml"), ("JSON", "bottle.json")]);
        let arguments = self.arguments.join(" ");
        format!("{name} {}", words.fold(arguments, |text, (word, path)| text.replace(word, path)))
    }
}

/// The row of the goals: the quicker one of those that judge by the same schema.
pub(crate) fn row() -> Row {
    let judges = PEERS.iter().filter(|peer| peer.is_judge);
    let measured: Result<Vec<(&str, Quartiles)>, String> =
        judges.map(|peer| peer.against_check().map(|ratios| (peer.name, ratios))).collect();
    let worst = |judges: Vec<(&'static str, Quartiles)>| {
        let notes: Vec<String> = judges.iter().map(|(name, ratios)| format!("{name} {:.0} ×", ratios.median)).collect();
        let least = judges.into_iter().map(|(_, ratios)| ratios).min_by(|a, b| a.median.total_cmp(&b.median));
        Measured { note: notes.join(", "), ..Measured::from(least.expect("there are some")) }
    };
    Row {
        name: "peers",
        work: "check-jsonschema and ajv-cli against `check`, one file, the same schema",
        goal: Goal::AtLeast(150.0, Unit::Times),
        measured: measured.map(worst),
    }
}

/// The table of all of them.
pub(crate) fn compare(write: bool) -> ExitCode {
    let versions = fs::read_to_string(folder().join("versions")).unwrap_or_default();
    let mut table =
        "| program | does | command | takes, of `bottlec check` | middle half |\n|---|---|---|---|---|\n".to_owned();
    let mut is_whole = true;
    for peer in &PEERS {
        let version = versions.lines().find_map(|line| line.strip_prefix(peer.name)).unwrap_or_default();
        let measured = match peer.against_check() {
            Ok(Quartiles { low, median, high }) => format!("{median:.1} × | {low:.1} × to {high:.1} ×"),
            Err(why) => {
                is_whole = false;
                format!("not measured: {why} |")
            }
        };
        table += &format!("| {}{version} | {} | `{}` | {measured} |\n", peer.name, peer.does, peer.shown());
    }
    println!("{table}");
    if write && is_whole {
        crate::page::write("peers", &table);
    }
    ExitCode::from(u8::from(!is_whole))
}
