//! `kill -9` before a system call.

use std::time::Instant;

use super::{Scene, all, trace};
use crate::support::programs;

/// Before each call that changes the disk, which are all states that a kill can leave; with
/// `BOTTLEC_CRASHES=all` before each call at all.
fn killed(scene: &Scene, every: usize) {
    for strace in programs("BOTTLEC_STRACE_BINS") {
        let start = Instant::now();
        let mut points = 0;
        let calls = trace::calls(&strace, scene);
        // The first call is the one that starts it.
        let is_chosen = |call: &trace::Call| if all() { call.name != "execve" } else { call.is_work && call.changes() };
        let chosen: Vec<_> = calls.iter().filter(|call| is_chosen(call)).collect();
        let every = if all() { 1 } else { every };
        // The last one removes the mark of a build at work.
        for (_, call) in chosen.iter().enumerate().filter(|(index, _)| index % every == 0 || index + 1 == chosen.len())
        {
            assert!(trace::kill(&strace, scene, call), "{}", call.line);
            scene.judge(&format!("killed before {} {}", call.number, call.line));
            points += 1;
        }
        eprintln!("{}: killed at {points} points in {:?}", scene.name, start.elapsed());
        assert!(points > 5);
    }
}

#[test]
fn a_first_build_that_is_killed_is_known_and_mended() {
    killed(&Scene::first(), 5);
}

#[test]
fn a_build_with_changes_that_is_killed_is_known_and_mended() {
    killed(&Scene::changed(), 2);
}

#[test]
fn a_build_that_removes_files_and_is_killed_is_known_and_mended() {
    killed(&Scene::removing(), 2);
}

#[test]
fn a_build_of_several_that_is_killed_is_known_and_mended() {
    killed(&Scene::batch(), 7);
}
