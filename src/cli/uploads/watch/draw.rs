use longshore::upload::SortUploads;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Row, Sparkline, Table};

use super::columns::{self, Column, GAP};
use super::model::{Mode, Model};
use super::snapshot::Snapshot;
use crate::cli::admin_types::Moment;
use crate::cli::text::{printable, size};

/// Below this height the curve is given up for uploads.
const LEAST_HEIGHT_WITH_CURVE: u16 = 12;

const CURVE_HEIGHT: u16 = 3;

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame, model: &Model, now: Moment) {
    let curve_height = if frame.area().height < LEAST_HEIGHT_WITH_CURVE { 0 } else { CURVE_HEIGHT };
    let heights = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(curve_height),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, totals, curve, list, foot] = Layout::vertical(heights).areas(frame.area());
    frame.render_widget(head_line(model), head);
    frame.render_widget(totals_line(model), totals);
    draw_curve(frame, model, curve);
    draw_list(frame, model, list, now);
    frame.render_widget(foot_line(model), foot);
}

fn head_line(model: &Model) -> Line<'static> {
    let by = match model.order.by {
        SortUploads::Name => "name",
        SortUploads::Started => "age",
        SortUploads::Progress => "idle time",
        SortUploads::Offset => "size",
        SortUploads::Rate => "rate",
        SortUploads::Deadline => "deadline",
    };
    let reversed = match model.order == super::snapshot::Order::usual(model.order.by) {
        true => "",
        false => ", reversed",
    };
    let text = format!("uploads by {by}{reversed} at {}", printable(&model.address));
    Line::styled(text, Style::new().add_modifier(Modifier::BOLD))
}

fn totals_line(model: &Model) -> Line<'static> {
    let Some(snapshot) = &model.snapshot else {
        return Line::raw("");
    };
    let more = if snapshot.rate_is_more { "more than " } else { "" };
    let mut parts = vec![format!("{more}{}/s", size(snapshot.rate))];
    let states = snapshot.states.iter().filter(|(_, count)| *count > 0);
    parts.extend(states.map(|(state, count)| format!("{count} {}", state.as_str())));
    if snapshot.total == 0 {
        parts.push("no uploads".to_owned());
    }
    Line::raw(parts.join("  "))
}

/// The newest at the right.
fn draw_curve(frame: &mut Frame, model: &Model, area: Rect) {
    let newest = model.rates.iter().rev().take(usize::from(area.width));
    let rates: Vec<u64> = newest.rev().copied().collect();
    let curve = Sparkline::default().data(rates).style(Style::new().fg(Color::Cyan));
    frame.render_widget(curve, area);
}

fn draw_list(frame: &mut Frame, model: &Model, area: Rect, now: Moment) {
    let uploads = model.visible();
    let columns = columns::fit(usize::from(area.width), &uploads);
    let rows = usize::from(area.height).saturating_sub(1);
    // So far down that the selected one is on the screen.
    let first = model.selected_row().map_or(0, |row| (row + 1).saturating_sub(rows));
    let shown = uploads.iter().enumerate().skip(first).take(rows).map(|(row, upload)| {
        let cells = columns.iter().map(|(column, width)| match column {
            Column::Repository => columns::end_of(&column.text(upload, now), *width),
            _ => column.text(upload, now),
        });
        let style = match model.selected_row() == Some(row) {
            true => Style::new().add_modifier(Modifier::REVERSED),
            false => state_style(&upload.state),
        };
        Row::new(cells).style(style)
    });
    let widths = columns.iter().map(|(_, width)| Constraint::Length(to_cells(*width)));
    let titles = Row::new(columns.iter().map(|(column, _)| column.title()));
    let table = Table::new(shown, widths)
        .header(titles.style(Style::new().add_modifier(Modifier::UNDERLINED)))
        .column_spacing(to_cells(GAP));
    frame.render_widget(table, area);
}

/// No width is more than a terminal's.
fn to_cells(width: usize) -> u16 {
    u16::try_from(width).unwrap_or(u16::MAX)
}

fn state_style(state: &str) -> Style {
    match state {
        "writing" => Style::new().fg(Color::Green),
        "committing" => Style::new().fg(Color::Cyan),
        "expired" => Style::new().fg(Color::Red),
        _ => Style::new(),
    }
}

/// The most urgent of what there is to say. An answer that is waited for stands first, where no width cuts it off.
fn foot_line(model: &Model) -> Line<'static> {
    let urgent = Style::new().fg(Color::Black).bg(Color::Yellow);
    if let Mode::Confirm(how, target) = &model.mode {
        let text = format!("y/n: {} {} of {}?", how.verb(), printable(&target.id), printable(&target.repository));
        return Line::styled(text, urgent);
    }
    if model.mode == Mode::Filter {
        return Line::raw(format!("/{}_", printable(&model.filter)));
    }
    if let Some(problem) = &model.problem {
        return Line::styled(format!("trying again: {}", printable(problem)), urgent);
    }
    if let Some(notice) = &model.notice {
        return Line::raw(printable(notice));
    }
    let keys = "q quit  / filter  c cancel  e expire  sort: r rate a age i idle d deadline n name";
    match (&model.snapshot, model.filter.as_str()) {
        (None, _) => Line::raw("asking"),
        (Some(snapshot), "") => Line::raw(format!("{}{keys}", not_shown(snapshot))),
        (Some(snapshot), filter) => {
            let found = model.visible().len();
            Line::raw(format!("{found} with {:?}  Esc all  {}{keys}", printable(filter), not_shown(snapshot)))
        }
    }
}

/// Only the first page is here; sorting asks for another one, filtering does not.
fn not_shown(snapshot: &Snapshot) -> String {
    match snapshot.uploads.len() as u64 {
        shown if shown < snapshot.total => format!("the first {shown} of {}  ", snapshot.total),
        _ => String::new(),
    }
}
