//! The targets' figures as bars, one above the other.

use super::writer::Html;
use super::{color, named};
use crate::load::report::Target;
use crate::load::report::figures::{FIGURES, Figure, times};

pub(in crate::load::report) fn section(html: &mut Html, targets: &[Target]) {
    let title = html.fresh_id();
    html.element("section", &[("aria-labelledby", &title)], |html| {
        html.leaf("h2", &[("id", &title)], "Side by side");
        html.element("div", &[("class", "grid")], |html| {
            for figure in FIGURES.iter().filter(|figure| targets.iter().any(|target| (figure.of)(target).is_some())) {
                bars(html, targets, figure);
            }
        });
    });
}

fn bars(html: &mut Html, targets: &[Target], figure: &Figure) {
    let most = targets.iter().filter_map(figure.of).fold(0.0, f64::max);
    let control = targets.iter().find(|target| target.is_control() && figure.is_told_of_control);
    let control = control.and_then(figure.of);
    let is_compared = targets.len() > 1;
    html.element("table", &[("class", "bars")], |html| {
        let better = if figure.more_is_better { "more is better" } else { "less is better" };
        html.element("caption", &[], |html| {
            html.text(&capital(figure.title));
            html.leaf("span", &[("class", "unit")], &format!(", {better}"));
        });
        html.element("thead", &[], |html| {
            html.element("tr", &[], |html| {
                html.leaf("th", &[("scope", "col")], "Target");
                html.leaf("th", &[("scope", "col")], "Value");
                if is_compared {
                    html.leaf("th", &[("scope", "col")], "Of first");
                }
                if control.is_some() {
                    html.leaf("th", &[("scope", "col")], "Of control");
                }
            });
        });
        html.element("tbody", &[], |html| {
            for target in targets {
                let value = (figure.of)(target);
                html.element("tr", &[], |html| {
                    html.element("th", &[("scope", "row")], |html| {
                        named(html, targets, target);
                        bar(html, &color(targets, target), value.unwrap_or(0.0), most);
                    });
                    html.leaf("td", &[], &value.map_or_else(|| "–".to_owned(), |value| figure.unit.show(value)));
                    if is_compared {
                        html.leaf("td", &[], &times(value, (figure.of)(&targets[0])));
                    }
                    if control.is_some() {
                        let ratio = if target.is_control() { String::new() } else { times(value, control) };
                        html.leaf("td", &[], &ratio);
                    }
                });
            }
        });
    });
}

fn bar(html: &mut Html, color: &str, value: f64, most: f64) {
    let share = if most > 0.0 { (value / most).clamp(0.0, 1.0) } else { 0.0 };
    html.element("svg", &[("class", "bar"), ("aria-hidden", "true")], |html| {
        let width = format!("{:.2}%", share * 100.0);
        html.empty("rect", &[("class", color), ("width", &width), ("height", "100%")]);
    });
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
