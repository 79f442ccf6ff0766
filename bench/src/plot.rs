//! The plot: the cost of our server relative to nginx, for each kind of work.

use std::fmt::Write;

use crate::results::{Measured, Spread};
use crate::servers::Server;

/// Width of the picture, and where the axis begins and ends.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 290.0;
const RIGHT: f64 = 810.0;

/// Height of a work, and of what stands above the first.
const ROW: f64 = 26.0;
const TOP: f64 = 92.0;

/// The ratios at the ends of the axis, which is logarithmic: half and twice are as far from one.
const LEAST: f64 = 0.25;
const MOST: f64 = 4.0;

/// A diamond and a triangle, drawn from their middle.
const H2O: &str = "m-5 0l5 -5l5 5l-5 5z";
const LIGHTTPD: &str = "m-4.5 4l4.5 -8l4.5 8z";

/// Colours for a light and for a dark background; the picture has none of its own.
const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1f2937}.t{font-size:15px;font-weight:600}.s{fill:#6b7280;font-size:11px}\
.g{stroke:#d1d5db}.one{stroke:#6b7280;stroke-width:1.5}.r{stroke:#2563eb;stroke-width:5;stroke-linecap:round;opacity:.35}.p{fill:#2563eb}\
.m{stroke:#d97706;stroke-width:2.5}.h{fill:none;stroke:#6b7280;stroke-width:1.5}\
@media(prefers-color-scheme:dark){text{fill:#e5e7eb}.s{fill:#9ca3af}.g{stroke:#374151}.one,.h{stroke:#9ca3af}.r{stroke:#60a5fa}.p{fill:#60a5fa}.m{stroke:#fbbf24}}";

/// The works that nginx takes part in, each with the range of its ratios, the peers, and the goal.
pub(crate) fn plot(works: &[Measured]) -> String {
    let works: Vec<&Measured> =
        works.iter().filter(|it| it.is_of_pluto() && it.ratio(Server::Nginx).is_some()).collect();
    let bottom = TOP + ROW * works.len() as f64;
    let mut out = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' role='img' aria-label='CPU time of pluto-host for \
         each request, as a part of that of nginx'>\n<style>{STYLE}</style>\n\
         <text class='t' x='20' y='26'>CPU time of the server for each request, as a part of nginx's</text>\n",
        height = bottom + 20.0
    );
    legend(&mut out);
    for ratio in [0.25, 0.5, 1.0, 2.0, 4.0] {
        let (x, class) = (place(ratio), if ratio == 1.0 { "one" } else { "g" });
        let label = if ratio == 1.0 { "nginx".to_owned() } else { format!("{ratio}") };
        let _ = writeln!(
            out,
            "<path class='{class}' d='M{x:.1} {y1}V{bottom}'/><text class='s' x='{x:.1}' y='{y2}' text-anchor='middle'>{label}</text>",
            y1 = TOP - 6.0,
            y2 = TOP - 12.0
        );
    }
    for (number, it) in works.iter().enumerate() {
        row(&mut out, it, TOP + ROW * (number as f64 + 0.5));
    }
    out.push_str("</svg>\n");
    out
}

/// A work, around this height.
fn row(out: &mut String, it: &Measured, y: f64) {
    let Some(Spread { least, median, greatest }) = it.ratio(Server::Nginx) else { return };
    let _ = writeln!(out, "<text x='{}' y='{}' text-anchor='end'>{}</text>", LEFT - 14.0, y + 4.0, it.name());
    for (peer, mark) in [(Server::H2o, H2O), (Server::Lighttpd, LIGHTTPD)] {
        if let Some(theirs) = it.between(peer, Server::Nginx) {
            let _ = writeln!(out, "<path class='h' d='M{:.1} {y}{mark}'/>", place(theirs.median));
        }
    }
    if let Some(goal) = it.goal(Server::Nginx) {
        let _ = writeln!(out, "<path class='m' d='M{:.1} {}v16'/>", place(goal), y - 8.0);
    }
    let (from, to, at) = (place(least), place(greatest), place(median));
    let _ = writeln!(
        out,
        "<path class='r' d='M{from:.1} {y}H{to:.1}'/><circle class='p' cx='{at:.1}' cy='{y}' r='5'/>\
         <text x='{}' y='{}' text-anchor='end'>{median:.2}</text>",
        WIDTH - 20.0,
        y + 4.0
    );
}

fn legend(out: &mut String) {
    let _ = writeln!(
        out,
        "<circle class='p' cx='26' cy='45' r='5'/><path class='r' d='M18 45h16'/><text class='s' x='42' y='49'>pluto-host: median, least and greatest</text>\
         <path class='m' d='M280 37v16'/><text class='s' x='288' y='49'>its goal</text>\
         <path class='h' d='M352 45{H2O}'/><text class='s' x='362' y='49'>h2o</text>\
         <path class='h' d='M402 45{LIGHTTPD}'/><text class='s' x='412' y='49'>lighttpd</text>\
         <text class='s' x='480' y='49'>further left is better; twice and half are as far from one</text>"
    );
}

/// Where a ratio is; what is beyond an end is at the end.
fn place(ratio: f64) -> f64 {
    let part = (ratio.clamp(LEAST, MOST) / LEAST).ln() / (MOST / LEAST).ln();
    LEFT + part * (RIGHT - LEFT)
}
