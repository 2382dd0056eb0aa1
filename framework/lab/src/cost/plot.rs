//! The figures as bars, in SVG written by hand. Pure.
//!
//! A bar is as long as the median, a line on it goes from the lowest to the highest.

use std::fmt::Write;

use super::Batches;
use super::figures::{Costs, Figure, Measurement};
use super::table::number;

const WIDTH: f64 = 860.0;
/// Where bars begin and where the longest ends: names stand left, figures right.
const LEFT: f64 = 180.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 22.0;
const BAR: f64 = 14.0;

/// One plot of the page.
struct Panel {
    title: &'static str,
    figure: Figure,
    decimals: usize,
    /// Lengths follow the logarithm, so that times of a millisecond and of a second fit.
    logarithmic: bool,
}

const PANELS: [Panel; 3] = [
    Panel {
        title: "Records per second at full speed",
        figure: |f| Some(f.records_per_second),
        decimals: 0,
        logarithmic: false,
    },
    Panel {
        title: "Seconds of the client's CPU time per million records",
        figure: |f| f.cpu_seconds_per_million,
        decimals: 2,
        logarithmic: false,
    },
    Panel {
        title: "Milliseconds until half of the records are acknowledged or committed, in logarithmic scale",
        figure: |f| Some(f.counted().p50_ms),
        decimals: 2,
        logarithmic: true,
    },
];

/// The plot of all measurements.
pub(super) fn svg(costs: &Costs) -> String {
    let mut body = String::new();
    let mut y = 30.0;
    for panel in &PANELS {
        y = draw(&mut body, panel, costs, y) + 24.0;
    }
    let under = format!("Bars: medians; lines: lowest to highest. {}", costs.conditions);
    let under = escaped(&under);
    // An error of writing into a string does not exist.
    let _ = writeln!(body, r#"<text class="small" x="16" y="{y}">{under}</text>"#);
    let height = y + 16.0;
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>What guarantees of delivery cost</title>
<style>
text {{ font: 13px sans-serif; fill: #222 }}
.title {{ font-weight: bold }}
.small {{ font-size: 9px; fill: #555 }}
.figure {{ font-size: 12px }}
.small-batches {{ fill: #9db8d9 }}
.large-batches {{ fill: #3b6ea8 }}
.spread {{ stroke: #222; stroke-width: 1.5 }}
</style>
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
    )
}

/// Draws a panel from `y` on and tells where it ends.
fn draw(body: &mut String, panel: &Panel, costs: &Costs, mut y: f64) -> f64 {
    let spreads = || costs.measurements.iter().filter_map(|m| m.spread(panel.figure));
    let most = spreads().map(|s| s.max).fold(0.0, f64::max);
    let least = spreads().map(|s| s.min).fold(f64::INFINITY, f64::min);
    let _ = writeln!(body, r#"<text class="title" x="16" y="{y}">{}</text>"#, panel.title);
    y += 10.0;
    for batches in Batches::ALL {
        let mut measurements = costs.with(batches).peekable();
        if measurements.peek().is_none() {
            continue;
        }
        y += 14.0;
        let _ = writeln!(body, r#"<text x="16" y="{y}">{batches} batches</text>"#);
        y += 6.0;
        for measurement in measurements {
            bar(body, panel, measurement, y, |value| panel.x(value, least, most));
            y += ROW;
        }
    }
    y
}

impl Panel {
    /// Where a value lies from left to right.
    fn x(&self, value: f64, least: f64, most: f64) -> f64 {
        let part = if self.logarithmic {
            // A decade below the least, so that it has a bar too.
            let from = least.max(1e-3) / 10.0;
            (value.max(from) / from).log10() / (most.max(from * 10.0) / from).log10()
        } else {
            value / most.max(f64::MIN_POSITIVE)
        };
        LEFT + part.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }
}

fn bar(body: &mut String, panel: &Panel, m: &Measurement, y: f64, x: impl Fn(f64) -> f64) {
    let middle = y + BAR / 2.0;
    let baseline = y + BAR - 2.0;
    let name = escaped(&m.variant.delivery.to_string());
    let _ = writeln!(body, r#"<text x="28" y="{baseline}">{name}</text>"#);
    let Some(spread) = m.spread(panel.figure) else {
        let _ = writeln!(body, r#"<text class="figure" x="{LEFT}" y="{baseline}">-</text>"#);
        return;
    };
    let (low, end, high) = (x(spread.min), x(spread.median), x(spread.max));
    let length = end - LEFT;
    let class = m.variant.batches;
    let figure = number(spread.median, panel.decimals);
    let beside = high.max(end) + 8.0;
    let (top, bottom) = (middle - 3.0, middle + 3.0);
    let _ = writeln!(
        body,
        r#"<rect class="{class}-batches" x="{LEFT}" y="{y}" width="{length:.1}" height="{BAR}"/>
<path class="spread" d="M{low:.1} {middle}H{high:.1}M{low:.1} {top}V{bottom}M{high:.1} {top}V{bottom}"/>
<text class="figure" x="{beside:.1}" y="{baseline}">{figure}</text>"#
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
