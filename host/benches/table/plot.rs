//! The growth plot as SVG: rate by existing entries.

use std::fmt::Write as _;

use super::report::thousands;

/// One measured rate.
pub struct Point {
    pub series: &'static str,
    pub existing: u64,
    pub rate: f64,
}

const WIDTH: f64 = 820.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 290.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 60.0;
/// Colours that people with any colour vision can distinguish (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];
/// The logarithms of the axes' ends: rates from 1 to 100,000 a second.
const DECADES: i32 = 5;

/// The plot. Both axes are logarithmic; 0 existing entries are at the left end.
pub fn svg(points: &[Point]) -> String {
    let mut sizes: Vec<u64> = points.iter().map(|point| point.existing).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let least = sizes
        .iter()
        .copied()
        .find(|size| *size > 0)
        .unwrap_or(1)
        .min(1_000) as f64
        / 10.0;
    let most = sizes.last().copied().unwrap_or(1).max(10) as f64;
    let x = |existing: u64| {
        let share = (existing as f64).max(least).log10() - least.log10();
        LEFT + share / (most.log10() - least.log10()) * (WIDTH - LEFT - RIGHT)
    };
    let y = |rate: f64| {
        HEIGHT - BOTTOM - rate.max(1.0).log10() / f64::from(DECADES) * (HEIGHT - TOP - BOTTOM)
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{LEFT}\" y=\"22\" font-size=\"14\">outcomes recorded a second, by entries that the trail has already</text>\n"
    );
    for decade in 0..=DECADES {
        let (rate, at) = (10f64.powi(decade), y(10f64.powi(decade)));
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            thousands(rate as u64),
        );
    }
    for size in &sizes {
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(*size),
            HEIGHT - BOTTOM + 20.0,
            thousands(*size)
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LEFT}\" y=\"{}\">entries that exist (logarithmic but for 0)</text>",
        HEIGHT - 16.0
    );
    let mut series: Vec<&str> = Vec::new();
    for point in points {
        if !series.contains(&point.series) {
            series.push(point.series);
        }
    }
    for (name, colour) in series.iter().zip(COLOURS) {
        let of_series: Vec<&Point> = points
            .iter()
            .filter(|point| point.series == *name)
            .collect();
        let line: Vec<String> = of_series
            .iter()
            .map(|point| format!("{:.1},{:.1}", x(point.existing), y(point.rate)))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        for point in &of_series {
            let (at_x, at_y) = (x(point.existing), y(point.rate));
            let _ = writeln!(
                svg,
                "<circle cx=\"{at_x:.1}\" cy=\"{at_y:.1}\" r=\"4\" fill=\"{colour}\"/>\
                 <text x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" font-size=\"11\" fill=\"{colour}\">{}</text>",
                at_y - 8.0,
                thousands(point.rate.round() as u64),
            );
        }
        if let Some(last) = of_series.last() {
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>",
                WIDTH - RIGHT + 34.0,
                y(last.rate) + 4.0
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}
