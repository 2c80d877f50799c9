//! Plots as SVG that needs nothing else: bars with the interval of each figure.

use std::fmt::Write as _;

use crate::bench::estimate::Estimate;

/// The sizes of a plot, in pixels.
const LABELS: f64 = 240.0;
const BARS: f64 = 420.0;
const ROW: f64 = 20.0;
const TOP: f64 = 44.0;

const STYLE: &str = "text{font:12px sans-serif;fill:#1f2328}.title{font-weight:bold}.bar{fill:#4f7cac}.whisker{stroke:#1f2328}\
.one{stroke:#8b949e;stroke-dasharray:3 3}svg{background:#fff}";

/// A bar: its name, and its figure.
pub(super) type Bar = (String, Estimate);

/// A plot of bars. A dashed line is where they would be if they cost nothing.
pub(super) fn bars(title: &str, bars: &[Bar], nothing: Option<f64>) -> String {
    let longest = bars.iter().map(|(_, figure)| figure.high).fold(nothing.unwrap_or(0.0), f64::max);
    let x = |value: f64| LABELS + value / longest * BARS;
    let (width, mut y) = (LABELS + BARS + 70.0, TOP);
    let mut svg = String::new();
    for (name, Estimate { value, low, high }) in bars {
        let (middle, text) = (y + ROW * 0.35, y + ROW * 0.55);
        // Writing to a String cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{}</text>\
<rect class=\"bar\" x=\"{LABELS}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>\
<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\
<text x=\"{:.1}\" y=\"{text}\">{value:.2}</text>",
            LABELS - 8.0,
            escape(name),
            x(*value) - LABELS,
            ROW * 0.7,
            x(*low),
            x(*high),
            x(*high) + 6.0,
        );
        y += ROW;
    }
    if let Some(nothing) = nothing {
        let _ = writeln!(svg, "<line class=\"one\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{TOP}\" y2=\"{y}\"/>", x(nothing));
    }
    let title = escape(title);
    let height = y + 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
role=\"img\" aria-label=\"{title}\">\n<style>{STYLE}</style>\n<text class=\"title\" x=\"8\" y=\"20\">{title}</text>\n{svg}</svg>\n"
    )
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_well_formed_and_no_name_in_it_is_markup() {
        let figure = Estimate { value: 2.0, low: 1.5, high: 2.5 };
        let svg = bars("cost", &[("a <b> & \"c\"".to_owned(), figure), ("d".to_owned(), figure)], Some(1.0));
        assert!(svg.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !svg.contains("<b>"), "{svg}");
        assert_eq!(svg.matches("class=\"bar\"").count(), 2);
        assert!(!svg.contains("href") && !svg.contains("@import"), "nothing is loaded");
    }
}
