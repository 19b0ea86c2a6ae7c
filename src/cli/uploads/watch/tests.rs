use longshore::upload::{SortUploads, UploadState};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::columns::{Column, end_of, fit};
use super::draw::draw;
use super::model::{Command, Event, Model, Target};
use super::parse_interval;
use super::snapshot::{Order, Snapshot};
use crate::cli::admin_types::{Moment, Upload};
use crate::cli::uploads::end::End;

const NOW: &str = "2026-01-02T10:00:00Z";

fn upload(repository: &str, number: u32, rate: u64) -> Upload {
    serde_json::from_value(json!({
        "repository": repository, "id": format!("00000000-0000-4000-8000-{number:012}"), "state": "writing",
        "offset_bytes": 3 << 20, "started_at": "2026-01-02T09:00:00Z", "progress_at": "2026-01-02T09:59:58Z",
        "rate_bytes_per_second": rate, "client": "2001:db8:1111:2222:3333:4444:5555:6666",
        "deadline": {"at": "2026-01-02T15:59:58Z", "policy": "idle_timeout"}, "expired": null
    }))
    .unwrap()
}

fn snapshot(uploads: Vec<Upload>) -> Snapshot {
    let total = uploads.len() as u64;
    let rate = uploads.iter().map(|upload| upload.rate_bytes_per_second).sum();
    Snapshot { uploads, total, states: vec![(UploadState::Writing, total)], rate, rate_is_more: false }
}

fn model(uploads: Vec<Upload>) -> Model {
    let mut model = Model::new("http://127.0.0.1:5001".to_owned(), SortUploads::Rate);
    fetched(&mut model, uploads);
    model
}

fn fetched(model: &mut Model, uploads: Vec<Upload>) {
    let order = model.order;
    assert_eq!(model.update(Event::Fetched(order, Ok(snapshot(uploads)))), Command::Nothing);
}

fn three() -> Vec<Upload> {
    vec![upload("demo/one", 1, 30 << 20), upload("demo/two", 2, 2048), upload("other/three", 3, 0)]
}

fn press(model: &mut Model, code: KeyCode) -> Command {
    model.update(Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn type_text(model: &mut Model, text: &str) {
    for c in text.chars() {
        assert_eq!(press(model, KeyCode::Char(c)), Command::Nothing);
    }
}

/// The screen, a line each.
fn screen(model: &Model, width: u16, height: u16) -> Vec<String> {
    let now: Moment = serde_json::from_value(json!(NOW)).unwrap();
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, model, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..height).map(line).collect()
}

fn target(repository: &str, number: u32) -> Target {
    Target { repository: repository.to_owned(), id: format!("00000000-0000-4000-8000-{number:012}") }
}

#[test]
fn a_wide_terminal_shows_all_columns() {
    let lines = screen(&model(three()), 160, 20);
    assert_eq!(lines[0], "uploads by rate at http://127.0.0.1:5001");
    assert_eq!(lines[1], "30.0 MiB/s  3 writing");
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&lines[5]), "REPOSITORY RATE STATE SIZE IDLE GOES IN AGE CLIENT POLICY ID");
    assert_eq!(
        words(&lines[6]),
        "demo/one 30.0 MiB/s writing 3.0 MiB 2s 5h59m 1h 2001:db8:1111:2222:3333:4444:5555:6666 idle_timeout \
         00000000-0000-4000-8000-000000000001"
    );
    assert!(lines[19].starts_with("q quit"));
}

#[test]
fn a_narrow_terminal_loses_columns_and_not_their_texts() {
    let long = "a/very/long/name/of/a/repository/its-end";
    let lines = screen(&model(vec![upload(long, 1, 1023 << 20)]), 40, 10);
    assert_eq!(lines[2], "REPOSITORY         RATE       STATE");
    assert_eq!(lines[3], "…epository/its-end 1023 MiB/s writing");
    assert_eq!(fit(40, &[]).iter().map(|(_, width)| width).sum::<usize>() + 2, 40);
    assert_eq!(fit(5, &[]), vec![(Column::Repository, 5)]);
}

#[test]
fn no_size_of_terminal_is_too_small() {
    let mut model = model(three());
    press(&mut model, KeyCode::Down);
    for width in 1..30 {
        for height in 1..15 {
            screen(&model, width, height);
        }
    }
}

#[test]
fn the_end_of_a_long_name_stays() {
    for (width, text) in [(9, "name/long"), (8, "…me/long"), (2, "…g"), (1, "…"), (0, "")] {
        assert_eq!(end_of("name/long", width), text);
    }
}

#[test]
fn the_curve_shows_the_newest_rates_at_the_right() {
    let mut model = model(three());
    for rate in [0, 8, 4] {
        fetched(&mut model, vec![upload("demo/one", 1, rate)]);
    }
    model.rates.pop_front();
    let lines = screen(&model, 40, 20);
    assert_eq!(lines[4], " ██");
    for rate in 0..2000 {
        fetched(&mut model, vec![upload("demo/one", 1, rate)]);
    }
    assert_eq!(model.rates.back(), Some(&1999));
    assert_eq!(model.rates.len(), 512);
}

#[test]
fn keys_sort_and_sort_the_other_way_round() {
    let mut model = model(three());
    for (key, by, descending) in [
        ('a', SortUploads::Started, false),
        ('i', SortUploads::Progress, false),
        ('d', SortUploads::Deadline, false),
        ('n', SortUploads::Name, false),
        ('r', SortUploads::Rate, true),
    ] {
        assert_eq!(press(&mut model, KeyCode::Char(key)), Command::Refresh);
        assert_eq!(model.order, Order { by, descending });
    }
    assert_eq!(press(&mut model, KeyCode::Char('r')), Command::Refresh);
    assert_eq!(model.order, Order { by: SortUploads::Rate, descending: false });
    assert!(screen(&model, 60, 8)[0].starts_with("uploads by rate, reversed at"));
}

#[test]
fn an_answer_for_another_order_is_passed_over() {
    let mut model = model(three());
    let before = model.order;
    press(&mut model, KeyCode::Char('n'));
    model.update(Event::Fetched(before, Ok(snapshot(Vec::new()))));
    assert_eq!(model.visible().len(), 3);
}

#[test]
fn the_selection_follows_its_upload() {
    let mut model = model(three());
    assert_eq!(model.selected_row(), None);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Down);
    assert_eq!(model.selected_row(), Some(1));
    let mut reversed = three();
    reversed.insert(0, upload("new", 4, 1));
    fetched(&mut model, reversed);
    assert_eq!(model.selected_row(), Some(2));
    // Gone: what moved to its place is selected, or the last one.
    fetched(&mut model, three()[..1].to_vec());
    assert_eq!(model.selected_row(), Some(0));
    press(&mut model, KeyCode::Char('c'));
    assert_eq!(press(&mut model, KeyCode::Char('y')), Command::End(End::Cancel, target("demo/one", 1)));
    fetched(&mut model, Vec::new());
    assert_eq!(model.selected_row(), None);
}

#[test]
fn the_selected_one_is_on_the_screen() {
    let mut model = model((0..50).map(|number| upload(&format!("demo/{number}"), number, 1)).collect());
    press(&mut model, KeyCode::End);
    let lines = screen(&model, 60, 8);
    assert!(lines[6].starts_with("demo/49"), "{lines:?}");
    assert!(lines[3].starts_with("demo/46"), "{lines:?}");
}

#[test]
fn ending_an_upload_takes_a_yes() {
    let mut model = model(three());
    press(&mut model, KeyCode::Char('c'));
    assert_eq!(model.notice.as_deref(), Some("select one first, with up and down"));
    press(&mut model, KeyCode::Down);
    for refusal in [KeyCode::Char('n'), KeyCode::Esc, KeyCode::Enter, KeyCode::Char('q')] {
        press(&mut model, KeyCode::Char('e'));
        assert_eq!(press(&mut model, refusal), Command::Nothing);
    }
    press(&mut model, KeyCode::Char('e'));
    let question = "y/n: expire 00000000-0000-4000-8000-000000000001 of demo/one?";
    assert_eq!(screen(&model, 80, 10)[9], question);
    // The question stays with its upload when another one moves to its place.
    fetched(&mut model, vec![upload("other", 9, 1)]);
    assert_eq!(screen(&model, 40, 10)[9], question[..40]);
    assert_eq!(press(&mut model, KeyCode::Char('y')), Command::End(End::Expire, target("demo/one", 1)));
    assert_eq!(model.update(Event::Ended("expired it".to_owned())), Command::Refresh);
    assert_eq!(screen(&model, 40, 10)[9], "expired it");
}

#[test]
fn a_text_filters_by_repository() {
    let mut model = model(three());
    type_text(&mut model, "/demoq");
    assert_eq!(model.visible().len(), 0);
    press(&mut model, KeyCode::Backspace);
    press(&mut model, KeyCode::Enter);
    assert_eq!(model.visible().len(), 2);
    assert!(screen(&model, 40, 10)[9].starts_with("2 with \"demo\"  Esc all"));
    press(&mut model, KeyCode::Esc);
    assert_eq!(model.visible().len(), 3);
}

#[test]
fn a_registry_that_went_away_leaves_the_last_view_and_a_message() {
    let mut model = model(three());
    model.update(Event::Fetched(model.order, Err("connection refused".to_owned())));
    let lines = screen(&model, 60, 10);
    assert!(lines[3].starts_with("demo/one"));
    assert_eq!(lines[9], "trying again: connection refused");
    fetched(&mut model, three());
    assert!(screen(&model, 60, 10)[9].starts_with("q quit"));
}

#[test]
fn what_is_not_on_the_page_is_said() {
    let mut model = model(three());
    let more = Snapshot { total: 70_000, rate_is_more: true, ..snapshot(three()) };
    model.update(Event::Fetched(model.order, Ok(more)));
    let lines = screen(&model, 60, 10);
    assert_eq!(lines[1], "more than 30.0 MiB/s  3 writing");
    assert!(lines[9].starts_with("the first 3 of 70000"));
}

#[test]
fn names_do_not_steer_the_terminal() {
    let mut model = model(vec![upload("evil\u{1b}[2J", 1, 1)]);
    press(&mut model, KeyCode::Down);
    press(&mut model, KeyCode::Char('c'));
    let lines = screen(&model, 100, 10).join("\n");
    assert_eq!(lines.matches("evil\\u{1b}[2J").count(), 2, "{lines}");
}

#[test]
fn it_ends_by_q_and_by_control_c() {
    let mut model = model(Vec::new());
    assert_eq!(press(&mut model, KeyCode::Char('q')), Command::Quit);
    type_text(&mut model, "/q");
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(model.update(Event::Key(control_c)), Command::Quit);
}

#[test]
fn intervals_are_read() {
    for (text, milliseconds) in [("100ms", 100), ("2s", 2_000), ("1m", 60_000)] {
        assert_eq!(parse_interval(text).unwrap().as_millis(), milliseconds);
    }
    for text in ["", "1", "0s", "99ms", "2h", "-1s", "61m", "1 s"] {
        assert!(parse_interval(text).is_err(), "{text}");
    }
}
