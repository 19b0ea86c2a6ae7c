use super::{Comparison, Pair, Regression, Row};
use crate::load::report::figures::percent;
use crate::load::report::table::{Cell, Table, wrap};

/// Lines that one sentence may take.
const SENTENCE_LINES: usize = 3;

impl Comparison {
    /// What a terminal shows of it: lines of at most 100 columns, with no character that steers.
    pub fn summary(&self, regressions: &[Regression]) -> String {
        let mut out = String::new();
        for pair in &self.targets {
            out.push_str(&wrap(&pair.name(), 0, SENTENCE_LINES));
            out.push_str(&self.table(pair));
            out.push('\n');
        }
        paragraph(&mut out, "mind", self.notes.iter().cloned());
        let worse =
            |regression: &Regression| format!("{} {}: {}", regression.target, regression.figure, regression.detail);
        paragraph(&mut out, "worse than allowed", regressions.iter().map(worse));
        out
    }

    fn table(&self, pair: &Pair) -> String {
        let is_normalised = self.has_controls && !pair.before.is_control();
        let mut titles = vec!["before", "now", "change"];
        titles.extend(is_normalised.then_some("by control"));
        let mut table = Table::new(titles);
        for row in &pair.rows {
            let value = |value: Option<f64>| Cell::new(value.map_or("–".to_owned(), |value| row.unit.show(value)));
            let mut cells =
                vec![value(row.before), value(row.after), Cell::noted(times(row.ratio()), change(row, false))];
            if is_normalised {
                cells.push(match row.by_control {
                    Some(_) => Cell::noted(times(row.by_control), change(row, true)),
                    None => Cell::default(),
                });
            }
            table.row(&row.title, cells);
        }
        table.render()
    }
}

fn paragraph(out: &mut String, title: &str, sentences: impl Iterator<Item = String>) {
    let sentences: String = sentences.map(|sentence| wrap(&sentence, 2, SENTENCE_LINES)).collect();
    if !sentences.is_empty() {
        out.push_str(title);
        out.push('\n');
        out.push_str(&sentences);
    }
}

/// `×1.25`, or nothing.
pub(super) fn times(ratio: Option<f64>) -> String {
    ratio.map(|ratio| crate::load::report::figures::times(Some(ratio), Some(1.0))).unwrap_or_default()
}

/// `12 % worse`, `same`.
pub(super) fn change(row: &Row, by_control: bool) -> String {
    match row.worse_by(by_control) {
        None => String::new(),
        Some(worse) if worse.is_infinite() => "worse".to_owned(),
        Some(worse) if worse.abs() < 0.005 => "same".to_owned(),
        Some(worse) if worse > 0.0 => format!("{} worse", percent(worse)),
        Some(better) => format!("{} better", percent(-better)),
    }
}
