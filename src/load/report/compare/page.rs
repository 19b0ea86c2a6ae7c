use super::text::{change, times};
use super::{Comparison, Pair, Regression, Row};
use crate::load::report::html::{Html, comparison, header_line, latencies, mind, page};
use crate::load::report::{Report, Target, TargetKind};

/// What is so much worse or better is marked.
const MARKED: f64 = 0.05;

impl Comparison {
    /// One page for a browser, as [`html`](crate::load::report::html()) is one of a report. `before` and `after` are
    /// those that were compared, each with the name that it is to be told by.
    pub fn html(&self, before: (&str, &Report), after: (&str, &Report), regressions: &[Regression]) -> String {
        page("Two load reports", |html| {
            html.element("header", &[], |html| {
                html.leaf("h1", &[], "Two load reports");
                for (when, (name, report)) in [("Before", before), ("Now", after)] {
                    html.leaf("p", &[], &format!("{when}: {name}, {}", header_line(report)));
                }
            });
            html.element("main", &[("id", "content")], |html| {
                let told = |regression: &Regression| {
                    format!("{} {}: {}", regression.target, regression.figure, regression.detail)
                };
                mind(html, "Worse than allowed", &regressions.iter().map(told).collect::<Vec<_>>());
                mind(html, "Mind", &self.notes);
                self.targets.iter().for_each(|pair| self.section(html, pair));
            });
        })
    }

    fn section(&self, html: &mut Html, pair: &Pair) {
        let is_normalised = self.has_controls && !pair.before.is_control();
        html.element("section", &[("aria-label", &pair.name())], |html| {
            html.leaf("h2", &[], &pair.name());
            let label = format!("Figures of {}", pair.name());
            let scroll = [("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", label.as_str())];
            html.element("div", &scroll, |html| {
                html.element("table", &[], |html| {
                    html.leaf("caption", &[], &label);
                    html.element("thead", &[], |html| {
                        html.element("tr", &[], |html| {
                            let titles = ["Figure", "Before", "Now", "Ratio", "Change"];
                            titles.iter().for_each(|title| html.leaf("th", &[("scope", "col")], title));
                            if is_normalised {
                                html.leaf("th", &[("scope", "col")], "By control");
                            }
                        });
                    });
                    html.element("tbody", &[], |html| {
                        pair.rows.iter().for_each(|row| self::row(html, row, is_normalised));
                    });
                });
            });
            let both = both(pair);
            comparison::section(html, &both);
            latencies::section(html, &both);
        });
    }
}

fn row(html: &mut Html, row: &Row, is_normalised: bool) {
    let value = |value: Option<f64>| value.map_or("–".to_owned(), |value| row.unit.show(value));
    html.element("tr", &[], |html| {
        html.leaf("th", &[("scope", "row")], &row.title);
        html.leaf("td", &[], &value(row.before));
        html.leaf("td", &[], &value(row.after));
        html.leaf("td", &[], &times(row.ratio()));
        html.leaf("td", &[("class", mark(row, false))], &change(row, false));
        if is_normalised {
            let ratio = if row.by_control.is_some() { change(row, true) } else { String::new() };
            html.leaf("td", &[("class", mark(row, row.by_control.is_some()))], &ratio);
        }
    });
}

fn mark(row: &Row, by_control: bool) -> &'static str {
    match row.worse_by(by_control) {
        Some(worse) if worse > MARKED => "bad",
        Some(worse) if worse < -MARKED => "good",
        _ => "plain",
    }
}

/// The two as if they were targets of one run.
fn both(pair: &Pair) -> [Target; 2] {
    let named = |target: &Target, when: &str| Target {
        name: format!("{}, {when}", target.name),
        kind: TargetKind::Remote,
        ..target.clone()
    };
    [named(&pair.before, "before"), named(&pair.after, "now")]
}
