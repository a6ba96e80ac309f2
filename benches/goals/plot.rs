//! The growth as a picture: time for one more, relative to the largest measured. A flat line is linear growth.

use std::fmt::Write as _;

use crate::growth::{Curve, LIMIT};

const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 56.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 78.0;
/// Of the time for one, relative to the last point.
const RANGE: (f64, f64) = (0.5, 100.0);
/// Readable on white and on black alike.
const TEXT: &str = "#797979";
const COLOURS: [&str; 2] = ["#3c7fc0", "#c06a1e"];

/// One panel for each thing that there are more and more of, one line for each command.
pub(crate) fn draw(curves: &[Curve]) -> String {
    let panels: Vec<&[Curve]> = curves.chunk_by(|a, b| a.of == b.of).collect();
    let (width, height) = (panels.len() as f64 * (WIDTH + LEFT) + 40.0, TOP + HEIGHT + BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\" fill=\"{TEXT}\" role=\"img\">\n\
         <title>Time for one bottle, route or byte, by how many there are</title>\n"
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} {TOP})\">", number as f64 * (WIDTH + LEFT) + LEFT);
        draw_panel(&mut svg, panel);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Where a value is between two others, of which the logarithms count.
fn place(value: f64, (from, to): (f64, f64)) -> f64 {
    (value.clamp(from, to) / from).ln() / (to / from).ln()
}

fn draw_panel(svg: &mut String, curves: &[Curve]) {
    let points = &curves[0].points;
    let span = (points[0].0, points[points.len() - 1].0);
    let (x, y) = (|count| place(count, span) * WIDTH, |ratio| (1.0 - place(ratio, RANGE)) * HEIGHT);
    let text = |svg: &mut String, x: f64, y: f64, anchor: &str, words: &str| {
        let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"{y:.0}\" text-anchor=\"{anchor}\">{words}</text>");
    };
    for ratio in [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0] {
        let (at, opacity) = (y(ratio), if ratio == 1.0 { 1.0 } else { 0.3 });
        let _ = writeln!(svg, "<path d=\"M0 {at:.1}H{WIDTH}\" stroke=\"{TEXT}\" stroke-opacity=\"{opacity}\"/>");
        text(svg, -6.0, at + 4.0, "end", &format!("{ratio} ×"));
    }
    let mut decade = span.0;
    while decade <= span.1 * 1.01 {
        let at = x(decade);
        let _ = writeln!(svg, "<path d=\"M{at:.1} 0V{HEIGHT}\" stroke=\"{TEXT}\" stroke-opacity=\"0.3\"/>");
        text(svg, at, HEIGHT + 18.0, "middle", &crate::row::thousands(decade));
        decade *= 10.0;
    }
    // What the exponent may be, through the last decade, from which it is taken.
    let (from, limit) = (span.1 / 10.0, 10_f64.powf(LIMIT - 1.0));
    let _ = writeln!(
        svg,
        "<path d=\"M{:.1} {:.1}L{:.1} {:.1}\" stroke=\"{TEXT}\" stroke-dasharray=\"4 3\"/>",
        x(from),
        y(1.0 / limit),
        x(span.1),
        y(1.0)
    );
    for (number, (curve, colour)) in curves.iter().zip(COLOURS).enumerate() {
        let (count, seconds) = curve.points[curve.points.len() - 1];
        let at = |(n, s): &(f64, f64)| (x(*n), y((s / n) / (seconds / count)));
        let line: Vec<String> = curve.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for (x, y) in curve.points.iter().map(at) {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>");
        }
        let label = format!("{}: exponent {:.2} over the last decade", curve.command, curve.exponent());
        let at = HEIGHT + 58.0 + number as f64 * 16.0;
        let _ = writeln!(svg, "<circle cx=\"4\" cy=\"{:.0}\" r=\"3\" fill=\"{colour}\"/>", at - 4.0);
        text(svg, 14.0, at, "start", &label);
    }
    let what = if curves[0].of == "bytes" { "bytes of the manifest" } else { curves[0].of };
    text(svg, WIDTH / 2.0, HEIGHT + 38.0, "middle", what);
    text(svg, -40.0, -16.0, "start", "time for one of them, relative to the last point");
}
