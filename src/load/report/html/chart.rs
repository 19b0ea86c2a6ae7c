//! A chart of lines. The curves are a drawing that takes any width; what is written beside them is the page's own text,
//! so that it can be read on a phone as well.

use std::fmt::Write as _;

use super::axis::Axis;
use super::writer::Html;

/// The drawing's own units, which the page stretches.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 400.0;

/// What belongs to one target.
pub(super) struct Line<'a> {
    pub(super) name: &'a str,
    pub(super) color: String,
    /// Where it goes, 0 to 1 from the left and from below; one part for each time it is interrupted.
    pub(super) parts: Vec<Vec<(f64, f64)>>,
}

pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// What it shows, for those who do not see it.
    pub(super) description: &'a str,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line<'a>>,
    /// The figures behind it are few, and shown at once.
    pub(super) is_table_open: bool,
}

impl Chart<'_> {
    /// Draws it; `table` writes its figures, which are behind it.
    pub(super) fn draw(&self, html: &mut Html, table: impl FnOnce(&mut Html)) {
        let (title, description) = (html.fresh_id(), html.fresh_id());
        html.element("figure", &[("class", "chart")], |html| {
            html.element("figcaption", &[], |html| {
                html.text(self.title);
                if !self.y.unit.is_empty() {
                    html.leaf("span", &[("class", "unit")], &format!(", {}", self.y.unit));
                }
            });
            self.legend(html);
            html.element("div", &[("class", "frame")], |html| {
                html.element("div", &[("class", "y"), ("aria-hidden", "true")], |html| {
                    for (place, label) in &self.y.ticks {
                        html.leaf("span", &[("style", &format!("bottom:{:.2}%", place * 100.0))], label);
                    }
                });
                let view = format!("0 0 {WIDTH} {HEIGHT}");
                let labels = format!("{title} {description}");
                let attributes = [
                    ("viewBox", view.as_str()),
                    ("preserveAspectRatio", "none"),
                    ("role", "img"),
                    ("aria-labelledby", &labels),
                ];
                html.element("svg", &attributes, |html| {
                    html.leaf("title", &[("id", &title)], self.title);
                    html.leaf("desc", &[("id", &description)], self.description);
                    html.empty("path", &[("class", "grid"), ("d", &self.grid())]);
                    for line in &self.lines {
                        let (lines, dots) = paths(&line.parts);
                        html.empty("path", &[("class", &format!("line {}", line.color)), ("d", &lines)]);
                        if !dots.is_empty() {
                            html.empty("path", &[("class", &format!("dot {}", line.color)), ("d", &dots)]);
                        }
                    }
                });
                html.element("div", &[("class", "x"), ("aria-hidden", "true")], |html| {
                    for (place, label) in &self.x.ticks {
                        html.leaf("span", &[("style", &format!("left:{:.2}%", place * 100.0))], label);
                    }
                });
            });
            let open: &[_] = if self.is_table_open { &[("open", "open")] } else { &[] };
            html.element("details", open, |html| {
                html.leaf("summary", &[], "Figures");
                table(html);
            });
        });
    }

    fn legend(&self, html: &mut Html) {
        html.element("ul", &[("class", "legend")], |html| {
            for line in &self.lines {
                html.element("li", &[], |html| {
                    html.leaf("span", &[("class", &format!("key {}", line.color)), ("aria-hidden", "true")], "");
                    html.leaf("span", &[], line.name);
                });
            }
        });
    }

    fn grid(&self) -> String {
        let mut path = String::new();
        for (place, _) in &self.y.ticks {
            let _ = write!(path, "M0 {:.1}H{WIDTH}", (1.0 - place) * HEIGHT);
        }
        for (place, _) in &self.x.ticks {
            let _ = write!(path, "M{:.1} 0V{HEIGHT}", place * WIDTH);
        }
        path
    }
}

/// The lines, and beside them the dots: single points, as lines of no length with round ends.
fn paths(parts: &[Vec<(f64, f64)>]) -> (String, String) {
    let (mut lines, mut dots) = (String::new(), String::new());
    for part in parts {
        for (index, (x, y)) in part.iter().enumerate() {
            let (step, out) = match (part.len(), index) {
                (1, _) => ('M', &mut dots),
                (_, 0) => ('M', &mut lines),
                _ => ('L', &mut lines),
            };
            let _ = write!(out, "{step}{:.1} {:.1}", x * WIDTH, (1.0 - y) * HEIGHT);
        }
        if part.len() == 1 {
            dots.push_str("h0");
        }
    }
    (lines, dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_interrupted_and_single_points_are_dots() {
        let parts = [vec![(0.0, 0.0), (0.5, 1.0)], vec![(1.0, 0.25)], vec![(0.0, 1.0), (1.0, 1.0)]];
        let (lines, dots) = paths(&parts);
        assert_eq!(lines, "M0.0 400.0L500.0 0.0M0.0 0.0L1000.0 0.0");
        assert_eq!(dots, "M1000.0 300.0h0");
    }
}
