//! The walk through a review in `docs/review.md`: what it shows is what the program prints, and so is its
//! picture. `UPDATE=1 cargo test --test quick review_page` draws the picture anew.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{bottlec, folder};

const MANIFEST: &str = "site.bottle.yaml";
const TODAY: [&str; 2] = ["--today", "2026-11-22"];

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(path)).unwrap()
}

/// Runs a command of the page with one of its manifests in the place of the first.
fn run(manifest: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let before = read("review/before.yaml");
    let project = folder(&[(MANIFEST, before.as_str())]);
    fs::remove_dir(project.path().join(".git")).unwrap();
    for arguments in [
        &["init", "--quiet"] as &[&str],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "--message", "before"],
        &["branch", "--force", "base"],
    ] {
        let git = Command::new("git").args(arguments).current_dir(project.path()).env("HOME", project.path()).status();
        assert!(git.unwrap().success());
    }
    fs::write(project.path().join(MANIFEST), read(&format!("review/{manifest}.yaml"))).unwrap();
    let run = bottlec(project.path(), arguments);
    (run.status.code(), String::from_utf8(run.stdout).unwrap())
}

/// The graded part of what `diff` prints.
fn graded(text: &str) -> &str {
    text.split_once("\n--- old/").or(text.split_once("\n\u{1b}[31m--- old/")).map_or(text, |(graded, _)| graded)
}

/// The blocks of the page that are indented by four, without the indent.
fn shown() -> String {
    let page = read("review.md");
    page.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).trim_end().to_owned() + "\n").collect()
}

#[test]
fn the_page_shows_what_the_program_prints() {
    let shown = shown();
    let diff = [&["diff", "--rev", "base", "--fail-on", "high", "--color", "never"] as &[&str], &TODAY].concat();
    for (manifest, arguments, code) in [
        ("proposed", diff.as_slice(), 1),
        ("agreed", diff.as_slice(), 0),
        ("proposed", &["why", MANIFEST, "https://api.github.com/repos/acme/payroll/contents/"], 0),
        ("agreed", &["why", MANIFEST, "https://api.github.com/repos/acme/payroll/contents/"], 1),
    ] {
        let (exit, text) = run(manifest, arguments);
        assert_eq!(exit, Some(code), "{manifest} {arguments:?}: {text}");
        assert!(shown.contains(graded(&text)), "{manifest} {arguments:?} is not on the page:\n{}", graded(&text));
    }
    for manifest in ["before", "proposed", "agreed"] {
        let manifest = read(&format!("review/{manifest}.yaml"));
        assert!(read("review.md").contains(&format!("```yaml\n{manifest}```\n")), "not on the page:\n{manifest}");
    }
}

#[test]
fn the_picture_is_what_the_program_prints() {
    let diff = [&["diff", "--rev", "base", "--color", "always"] as &[&str], &TODAY].concat();
    let (_, text) = run("proposed", &diff);
    let picture = picture(&format!("$ bottlec diff --rev base\n{}", graded(&text)));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/review/proposed.svg");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &picture).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == picture, "UPDATE=1 draws the picture anew");
}

/// A terminal with this text, as SVG.
fn picture(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let columns = lines.iter().map(|line| plain(line).chars().count()).max().unwrap();
    let (width, height) = (columns * 8 + 40, lines.len() * 18 + 40);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n<title>bottlec diff in a terminal</title>\n<rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#1c2128\"/>\n<g font-family=\"ui-monospace, 'DejaVu Sans Mono', monospace\" font-size=\"13\" fill=\"#d1d7e0\" xml:space=\"preserve\">\n"
    );
    for (number, line) in lines.iter().enumerate() {
        let _ = writeln!(svg, "<text x=\"20\" y=\"{}\">{}</text>", number * 18 + 36, spans(line));
    }
    svg + "</g>\n</svg>\n"
}

/// A line with its colours: `ESC [ CODES m`.
fn spans(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let mut svg = escaped(pieces.next().unwrap());
    let mut open = false;
    let mut close = |svg: &mut String, now: bool| {
        if std::mem::replace(&mut open, now) {
            svg.push_str("</tspan>");
        }
    };
    for piece in pieces {
        let (codes, text) = piece.trim_start_matches('[').split_once('m').unwrap();
        let style: Vec<&str> = codes.split(';').filter_map(style).collect();
        close(&mut svg, !style.is_empty());
        if !style.is_empty() {
            let _ = write!(svg, "<tspan {}>", style.join(" "));
        }
        svg.push_str(&escaped(text));
    }
    close(&mut svg, false);
    svg
}

fn style(code: &str) -> Option<&'static str> {
    Some(match code {
        "1" => "font-weight=\"bold\"",
        "2" => "opacity=\"0.6\"",
        "31" => "fill=\"#f47067\"",
        "32" => "fill=\"#57ab5a\"",
        "33" => "fill=\"#c69026\"",
        "36" => "fill=\"#39c5cf\"",
        "0" => return None,
        other => panic!("no colour for {other}"),
    })
}

fn plain(line: &str) -> String {
    let mut pieces = line.split('\u{1b}');
    let first = pieces.next().unwrap().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once('m').unwrap().1)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
