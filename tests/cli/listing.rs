use serde_json::{Value, json};

use crate::fake_admin::{FakeAdmin, id, upload};
use crate::{against, expect_stdout};

fn page(uploads: Vec<Value>, total: u64, next: Option<&str>) -> Value {
    json!({"uploads": uploads, "total": total, "next": next})
}

#[test]
fn uploads_are_listed_in_aligned_columns() {
    let mut second = upload(2, "library/a-longer-name");
    second["rate_bytes_per_second"] = json!(0);
    second["client"] = Value::Null;
    second["deadline"] = json!({"at": "2020-01-01T00:00:00Z", "policy": "idle_timeout"});
    let admin = FakeAdmin::always(200, &page(vec![upload(1, "demo"), second], 2, None));
    let table = expect_stdout(&against(&admin, &["uploads", "list"]));
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3);
    for title in ["ID ", "STATE", "SIZE", "RATE", "AGE", "IDLE", "DEADLINE", "CLIENT"] {
        let column = lines[0].find(title).unwrap();
        for line in &lines[1..] {
            assert_eq!((&line[column - 1..column], &line[column..=column] == " "), (" ", false), "{title} in {table}");
        }
    }
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let first = words(lines[1]);
    assert_eq!(first[..7], ["demo", &id(1), "writing", "3.0", "MiB", "1.5", "KiB/s"]);
    assert_eq!(first[9..], ["-", "192.0.2.7"]);
    let second = words(lines[2]);
    assert_eq!(second[5], "-");
    assert_eq!(second[8..], ["now", "(idle_timeout)", "-"]);
    assert_eq!(admin.lines(), ["GET /admin/v1/uploads?sort=name&order=asc&limit=1000"]);
}

#[test]
fn all_pages_are_fetched() {
    let admin = FakeAdmin::start(|before, _| {
        let page = match before {
            0 => page(vec![upload(1, "demo"), upload(2, "demo")], 3, Some("a&b=c")),
            _ => page(vec![upload(3, "demo")], 3, None),
        };
        (200, page.to_string())
    });
    let table = expect_stdout(&against(&admin, &["uploads", "list"]));
    assert_eq!(table.lines().count(), 4);
    assert!(table.contains(&id(3)));
    assert_eq!(admin.lines()[1], "GET /admin/v1/uploads?sort=name&order=asc&limit=1000&after=a%26b%3Dc");
    assert_eq!(admin.lines().len(), 2);
}

#[test]
fn a_limit_ends_the_list_and_tells_how_many_there_are() {
    let admin =
        FakeAdmin::start(|_, _| (200, page(vec![upload(1, "demo"), upload(2, "demo")], 90, Some("x")).to_string()));
    let table = expect_stdout(&against(&admin, &["uploads", "list", "--limit", "3"]));
    assert_eq!(table.lines().count(), 5);
    assert_eq!(table.lines().last(), Some("3 of 90"));
    let limits: Vec<bool> = [0, 1].map(|i| admin.lines()[i].contains(["limit=3", "limit=1&"][i])).to_vec();
    assert_eq!(limits, [true, true], "{:?}", admin.lines());
}

#[test]
fn a_server_that_always_has_a_next_page_does_not_hold_for_ever() {
    let admin = FakeAdmin::always(200, &page(vec![], 0, Some("again")));
    expect_stdout(&against(&admin, &["uploads", "list"]));
    assert_eq!(admin.lines().len(), 1);
}

#[test]
fn filters_and_order_are_sent() {
    let admin = FakeAdmin::always(200, &page(vec![], 0, None));
    let filters = ["--repository", "a/b", "--client", "2001:db8::1", "--state", "writing,open", "--sort", "rate"];
    expect_stdout(&against(&admin, &[["uploads", "list", "--desc"].as_slice(), &filters].concat()));
    assert_eq!(
        admin.lines(),
        ["GET /admin/v1/uploads?repository=a%2Fb&client=2001%3Adb8%3A%3A1&state=writing%2Copen&sort=rate&order=desc\
          &limit=1000"]
    );
}

#[test]
fn json_is_one_document_with_what_this_version_does_not_know() {
    let mut first = upload(1, "demo");
    first["added_later"] = json!({"a": [1, 2]});
    let uploads = [first, upload(2, "demo")];
    let admin = FakeAdmin::start({
        let uploads = uploads.clone();
        move |before, _| (200, page(vec![uploads[before].clone()], 2, (before == 0).then_some("x")).to_string())
    });
    let printed = expect_stdout(&against(&admin, &["uploads", "list", "--json"]));
    let document: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(document, json!({"uploads": uploads, "total": 2}));
}

#[test]
fn one_upload_is_shown() {
    let mut expired = upload(7, "demo");
    expired["state"] = json!("expired");
    expired["expired"] = json!({
        "at": "2026-01-02T11:00:00Z", "policy": "min_rate", "kept_until": "2999-01-01T00:00:00Z", "kept_bytes": 2048
    });
    let admin = FakeAdmin::always(200, &expired);
    let text = expect_stdout(&against(&admin, &["uploads", "show", &id(7), "--repository", "demo"]));
    for part in [
        "repository  demo\n",
        "size        3.0 MiB (3145728 bytes)\n",
        "ago (2026-01-02T10:00:00Z)\n",
        "ago (2026-01-02T11:00:00Z) by min_rate\n",
        "kept        2.0 KiB for ",
        " more (until 2999-01-01T00:00:00Z)\n",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert_eq!(admin.lines(), [format!("GET /admin/v1/uploads/{}?repository=demo", id(7))]);
    let printed = expect_stdout(&against(&admin, &["uploads", "show", &id(7), "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), expired);
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let mut evil = upload(1, "evil\u{1b}]0;title\u{7}\n\u{9b}2J\u{202e}");
    evil["state"] = json!("\u{1b}[31m");
    evil["client"] = json!("\u{8}");
    evil["deadline"] = json!({"at": "2999-01-01T00:00:00Z", "policy": "\u{1b}c"});
    let admin = FakeAdmin::start({
        let evil = evil.clone();
        move |_, request| match request.line.contains("/uploads?") {
            true => (200, page(vec![evil.clone()], 1, None).to_string()),
            false => (200, evil.to_string()),
        }
    });
    for arguments in [&["uploads", "list"] as &[&str], &["uploads", "show", &id(1)]] {
        for json in [false, true] {
            let arguments = [arguments, if json { &["--json"] } else { &[] }].concat();
            let printed = expect_stdout(&against(&admin, &arguments));
            let is_bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!printed.contains(is_bad), "{arguments:?}: {printed:?}");
            let escape = if json { "\\u001b" } else { "\\u{1b}" };
            assert!(printed.contains(escape), "{arguments:?}: {printed:?}");
            if json {
                let document: Value = serde_json::from_str(&printed).unwrap();
                assert_eq!(document.get("uploads").map_or(&document, |uploads| &uploads[0]), &evil);
            }
        }
    }
    // One line each, whatever their names have in them.
    assert_eq!(expect_stdout(&against(&admin, &["uploads", "list"])).lines().count(), 2);
}
