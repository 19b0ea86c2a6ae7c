//! A report as one page for a browser: no script, nothing fetched, light and dark, phone to paper.

mod axis;
mod chart;
pub(super) mod comparison;
pub(super) mod latencies;
mod sections;
mod timeline;
mod writer;

use std::fmt::Write as _;

pub(super) use self::writer::Html;
use super::{Report, Target, warnings};

const STYLE: &str = include_str!("style.css");

/// Nothing is fetched and nothing runs, whatever a target's messages say.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// How many colours there are for registries; the next ones take them again, with dashes.
const COLORS: usize = 7;

/// The whole page.
pub fn html(report: &Report) -> String {
    page("Load report", |html| {
        header(html, report);
        html.element("main", &[("id", "content")], |html| {
            mind(html, "Mind", &warnings(report));
            sections::targets(html, report);
            if !report.targets.is_empty() {
                comparison::section(html, &report.targets);
                timeline::section(html, report);
                latencies::section(html, &report.targets);
                sections::further(html, &report.targets);
            }
            sections::errors(html, &report.targets);
            sections::findings(html, &report.targets);
            sections::machines(html, report);
            sections::plan(html, &report.plan);
        });
    })
}

/// A page with its head, in which `body` is.
pub(super) fn page(title: &str, body: impl FnOnce(&mut Html)) -> String {
    let mut html = Html::default();
    html.element("html", &[("lang", "en")], |html| {
        html.element("head", &[], |html| {
            html.empty("meta", &[("charset", "utf-8")]);
            html.empty("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
            html.empty("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
            html.empty("meta", &[("name", "color-scheme"), ("content", "light dark")]);
            html.leaf("title", &[], title);
            html.style(STYLE);
        });
        html.element("body", &[], |html| {
            html.leaf("a", &[("class", "skip"), ("href", "#content")], "To the figures");
            body(html);
        });
    });
    html.into_page()
}

fn header(html: &mut Html, report: &Report) {
    html.element("header", &[], |html| {
        html.leaf("h1", &[], "Load report");
        html.leaf("p", &[], &header_line(report));
    });
}

/// What wrote a report, when, and of how long a run.
pub(super) fn header_line(report: &Report) -> String {
    let mut line = format!("{}, {}, {:.1} s", report.tool, report.started_at, report.duration_seconds);
    if report.interrupted {
        line.push_str(", interrupted");
    }
    let _ = write!(line, ", {}", counted(report.targets.len(), "target"));
    line
}

/// `1 target`, `2 targets`.
fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

/// What a reader must know first.
pub(super) fn mind(html: &mut Html, title: &str, sentences: &[String]) {
    if sentences.is_empty() {
        return;
    }
    html.element("section", &[("class", "mind"), ("aria-label", title)], |html| {
        html.leaf("h2", &[], title);
        html.element("ul", &[], |html| sentences.iter().for_each(|sentence| html.leaf("li", &[], sentence)));
    });
}

/// The class that gives a target its colour.
fn color(targets: &[Target], target: &Target) -> String {
    if target.is_control() {
        return "control".to_owned();
    }
    let registries = targets.iter().filter(|other| !other.is_control());
    let index = registries.take_while(|other| other.name != target.name).count();
    match index < COLORS {
        true => format!("s{index}"),
        false => format!("s{} dashed", index % COLORS),
    }
}

/// A target's name with its colour.
fn named(html: &mut Html, targets: &[Target], target: &Target) {
    let class = format!("key {}", color(targets, target));
    html.leaf("span", &[("class", &class), ("aria-hidden", "true")], "");
    html.leaf("span", &[], &target.name);
}

/// A table that scrolls by itself where it is wider than the page: titles, then rows whose first cell is their title.
fn table(html: &mut Html, caption: &str, titles: &[&str], rows: &[Vec<String>]) {
    let attributes = [("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", caption)];
    html.element("div", &attributes, |html| {
        html.element("table", &[], |html| {
            html.leaf("caption", &[], caption);
            html.element("thead", &[], |html| {
                html.element("tr", &[], |html| {
                    titles.iter().for_each(|title| html.leaf("th", &[("scope", "col")], title));
                });
            });
            html.element("tbody", &[], |html| {
                for row in rows {
                    html.element("tr", &[], |html| {
                        for (index, cell) in row.iter().enumerate() {
                            match index {
                                0 => html.leaf("th", &[("scope", "row")], cell),
                                _ => html.leaf("td", &[], cell),
                            }
                        }
                    });
                }
            });
        });
    });
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use self::tests::check as check_page;
