//! One manifest of sixty lines, against the floor: whole processes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::pairs::{Quartiles, ratios, time};
use crate::programs::{bottlec, floor, released, root, scratch};
use crate::row::{Goal, Row, Unit};

const PAIRS: usize = 500;

pub(crate) struct Single {
    place: tempfile::TempDir,
    /// The files of the tree, from the output folder.
    files: Vec<PathBuf>,
}

/// Every file below a folder.
fn files_below(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files_below(&path, into) } else { into.push(path) }
    }
}

impl Single {
    pub(crate) fn new() -> Single {
        let place = scratch();
        fs::copy(root().join("benches/sixty-lines.yaml"), place.path().join("bottle.yaml")).expect("a copy");
        let single = Single { place, files: Vec::new() };
        time(&mut single.build_by(bottlec(), "out"));
        let mut files = Vec::new();
        let out = single.place.path().join("out");
        files_below(&out, &mut files);
        let files = files.iter().map(|file| file.strip_prefix(&out).expect("below it").to_owned()).collect();
        Single { files, ..single }
    }

    fn build_by(&self, mut program: Command, out: &str) -> Command {
        program.args(["build", "bottle.yaml", "-o", out]).current_dir(self.place.path());
        program
    }

    /// The floor that reads the manifest and the files of the tree, and compares them.
    fn comparing_floor(&self) -> Command {
        let files: Vec<PathBuf> = self.files.iter().map(|file| Path::new("out").join(file)).collect();
        let sum = floor().arg("sum").args(&files).current_dir(self.place.path()).output().expect("it starts");
        let mut command = floor();
        command.args(["compare", "bottle.yaml", String::from_utf8_lossy(&sum.stdout).trim()]).args(&files);
        command.current_dir(self.place.path());
        command
    }

    fn unchanged(&self, mut build: Command) -> Quartiles {
        let mut floor = self.comparing_floor();
        ratios(PAIRS, || time(&mut build), || time(&mut floor))
    }

    pub(crate) fn build(&self) -> Row {
        Row {
            name: "build",
            work: "`build` of one bottle, outputs unchanged, against a floor that reads and compares the same files",
            goal: Goal::AtMost(1.5, Unit::Times),
            measured: Ok(self.unchanged(self.build_by(bottlec(), "out")).into()),
        }
    }

    pub(crate) fn build_static(&self) -> Row {
        Row {
            name: "static",
            work: "the same, the static program of a release against the floor of the row above",
            goal: Goal::AtMost(1.1, Unit::Times),
            measured: released().map(|program| self.unchanged(self.build_by(program, "out")).into()),
        }
    }

    /// Into a folder that is empty each time.
    pub(crate) fn write(&self) -> Row {
        let out = self.place.path().join("new");
        let fresh = |command: &mut Command| -> Duration {
            if out.exists() {
                fs::remove_dir_all(&out).expect("it can be removed");
            }
            time(command)
        };
        let mut build = self.build_by(bottlec(), "new");
        let mut floor = floor();
        floor.args(["write", "bottle.yaml", "new"]).current_dir(self.place.path());
        for file in &self.files {
            let bytes = fs::metadata(self.place.path().join("out").join(file)).expect("a file").len();
            floor.arg(format!("{}:{bytes}", file.display()));
        }
        Row {
            name: "write",
            work: "`build` that writes all files, against a floor that writes them by temporary file and rename",
            goal: Goal::AtMost(1.4, Unit::Times),
            measured: Ok(ratios(PAIRS, || fresh(&mut build), || fresh(&mut floor)).into()),
        }
    }

    pub(crate) fn check(&self) -> Row {
        let manifest = self.place.path().join("bottle.yaml");
        let (mut check, mut floor) = (bottlec(), floor());
        check.arg("check").arg(&manifest);
        floor.arg("read").arg(&manifest);
        Row {
            name: "check",
            work: "`check` of one 60-line manifest, against a floor that reads it",
            goal: Goal::AtMost(1.3, Unit::Times),
            measured: Ok(ratios(PAIRS, || time(&mut check), || time(&mut floor)).into()),
        }
    }
}
