//! Ten thousand bottles at once: by the library in memory, and by the program on disk.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bottlec::compile::compile;
use bottlec::manifest;
use bottlec::provider::facts::HostFacts;
use bottlec::target::Backend;
use rustix::time::{ClockId, clock_gettime};

use crate::pairs::{Quartiles, time};
use crate::programs::{bottlec, scratch};
use crate::row::{Goal, Measured, Row, Unit, thousands};

pub(crate) const BOTTLES: usize = 10_000;
const SIXTY_LINES: &str = include_str!("../sixty-lines.yaml");
const TEN_LINES: &str = include_str!("../ten-lines.yaml");
/// Bottles of which the time is taken together.
const LOT: usize = 500;

/// A manifest with another name, and a network of its own if it names one.
fn numbered(text: &str, number: usize) -> String {
    let (name, rest) =
        text.strip_prefix("name: ").and_then(|text| text.split_once('\n')).expect("its name comes first");
    let network = format!("10.{}.{}.0/24", number / 256, number % 256);
    format!("name: {name}-{number}\n{}", rest.replace("10.200.7.0/24", &network))
}

pub(crate) fn sixty_lines(number: usize) -> String {
    numbered(SIXTY_LINES, number)
}

/// From the bytes of a manifest to the bytes of every file, and how many those are.
pub(crate) fn compiled(text: String) -> usize {
    let loaded = manifest::load_bytes(Path::new("bottle.yaml"), text.into_bytes()).expect("it is read");
    let mut findings = loaded.findings;
    let written = loaded.manifest.expect("a manifest");
    let bottle = manifest::check(&written, &loaded.sources, &mut findings).expect("a bottle");
    let backends = [Backend::Docker, Backend::Smolmachines];
    let tree = compile(&bottle, &loaded.sources, &HostFacts::hermetic(), &backends, &mut findings);
    let tree = tree.expect("no defect").expect("a tree");
    tree.artifacts.iter().map(|artifact| artifact.content.len()).sum()
}

/// The time that a processor worked for this thread: what other programs do is not in it.
fn worked() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).expect("less than a second"))
}

/// Bottles a second of work, in lots.
fn rates(text: &str) -> Quartiles {
    let lot = |first: usize| {
        let manifests: Vec<String> = (first..first + LOT).map(|number| numbered(text, number)).collect();
        let start = worked();
        let bytes: usize = manifests.into_iter().map(compiled).sum();
        assert!(bytes > LOT * 20_000, "whole trees");
        LOT as f64 / (worked() - start).as_secs_f64()
    };
    Quartiles::of((0..BOTTLES).step_by(LOT).map(lot).collect())
}

pub(crate) fn in_memory() -> Row {
    let ten = rates(TEN_LINES);
    let sixty = Measured::from(rates(SIXTY_LINES));
    Row {
        name: "memory",
        work: "10,000 bottles of 60 lines in one process, in memory, every file, on one core",
        goal: Goal::AtLeast(20_000.0, Unit::PerSecond),
        measured: Ok(Measured { note: format!("of 10 lines: {} a second", thousands(ten.median)), ..sixty }),
    }
}

/// Bottles on disk, and the trees that were built of them.
pub(crate) struct OnDisk {
    place: tempfile::TempDir,
    manifests: Vec<PathBuf>,
    /// The most memory that the first build took.
    first: f64,
}

/// What the children of this process worked that have ended, in the kernel as well.
fn children_worked() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc");
    let (_, fields) = stat.rsplit_once(") ").expect("the name of the program");
    let ticks: u64 = fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).expect("a hundred or so")
}

impl OnDisk {
    pub(crate) fn new() -> OnDisk {
        let place = scratch();
        let manifests: Vec<PathBuf> = (0..BOTTLES).map(|number| format!("{number}.bottle.yaml").into()).collect();
        for (number, manifest) in manifests.iter().enumerate() {
            fs::write(place.path().join(manifest), sixty_lines(number)).expect("a manifest");
        }
        let mut disk = OnDisk { place, manifests, first: 0.0 };
        let mut build = disk.command(&["build"], BOTTLES);
        disk.first = peak(build.args(["-o", "out"]));
        disk
    }

    /// A command on the first so many manifests.
    fn command(&self, arguments: &[&str], count: usize) -> Command {
        let list = format!("{count}.list");
        let mut text = String::new();
        for manifest in &self.manifests[..count] {
            let _ = writeln!(text, "{}", manifest.display());
        }
        fs::write(self.place.path().join(&list), text).expect("a list");
        let mut command = bottlec();
        command.args(arguments).arg(format!("@{list}")).current_dir(self.place.path());
        command
    }

    /// A build that finds everything as it should be, on one thread.
    pub(crate) fn build_again(&self, count: usize) -> Command {
        self.command(&["build", "-o", "out", "--jobs", "1"], count)
    }

    pub(crate) fn check(&self, count: usize) -> Command {
        self.command(&["check", "--jobs", "1"], count)
    }

    pub(crate) fn unchanged(&self) -> Row {
        let mut build = self.build_again(BOTTLES);
        let run = |_| {
            let start = children_worked();
            time(&mut build);
            BOTTLES as f64 / (children_worked() - start).as_secs_f64()
        };
        Row {
            name: "disk",
            work: "10,000 bottles of 60 lines, unchanged on disk, on one core",
            goal: Goal::AtLeast(8_000.0, Unit::PerSecond),
            measured: Ok(Quartiles::of((0..5).map(run).collect()).into()),
        }
    }

    pub(crate) fn peak(&self) -> Row {
        let build = |count| peak(&mut self.command(&["build", "-o", "out"], count));
        let check = |count| peak(&mut self.command(&["check"], count));
        let all = [build(1_000), build(BOTTLES), check(1_000), check(BOTTLES), self.first];
        let [build_few, build_many, check_few, check_many, first] = all.map(|peak| format!("{peak:.1}"));
        Row {
            name: "peak",
            work: "peak memory of `build` and `check`, the most of 1,000 and 10,000 bottles",
            goal: Goal::AtMost(10.0, Unit::MiB),
            measured: Ok(Measured {
                value: all.into_iter().fold(0.0, f64::max),
                middle: None,
                note: format!(
                    "1,000 and 10,000 bottles: `build` {build_few} and {build_many}, `check` {check_few} and \
                     {check_many}; 10,000 into an empty folder {first}"
                ),
            }),
        }
    }
}

/// The most memory that a program had, in MiB: the kernel's own mark, looked at until the program ends.
fn peak(command: &mut Command) -> f64 {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let mut peak: f64 = 0.0;
    loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let mark = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")?.trim().parse().ok());
        peak = peak.max(mark.unwrap_or(0.0) / 1024.0);
        if let Some(ended) = child.try_wait().expect("it is ours") {
            assert!(ended.success() && peak > 0.0, "{command:?}: {ended}, {peak} MiB");
            return peak;
        }
        std::thread::sleep(Duration::from_micros(500));
    }
}
