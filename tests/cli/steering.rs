use serde_json::json;

use crate::fake_admin::{FakeAdmin, errors, id};
use crate::{against, expect_stdout, stderr, stdout};

#[test]
fn uploads_are_cancelled_and_made_to_expire() {
    for (verb, done) in [("cancel", "cancelled"), ("expire", "expired")] {
        let ended = json!({"repository": "demo/app", "id": id(1), "offset_bytes": 2048});
        let admin = FakeAdmin::always(200, &ended);
        let text = expect_stdout(&against(&admin, &["uploads", verb, &id(1), "--repository", "demo/app"]));
        assert_eq!(text, format!("{done} {} of demo/app at 2.0 KiB\n", id(1)));
        let request = admin.requests().remove(0);
        assert_eq!(request.line, format!("POST /admin/v1/uploads/{}/{verb}?repository=demo%2Fapp", id(1)));
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.body, "{}");
    }
}

#[test]
fn one_that_fails_is_named_and_keeps_no_other() {
    let admin = FakeAdmin::start(|_, request| match request.line.contains(&id(2)) {
        true => (404, errors("BLOB_UPLOAD_UNKNOWN", "upload is not known", json!(id(2))).to_string()),
        false => (200, json!({"repository": "demo", "id": id(1), "offset_bytes": 0}).to_string()),
    });
    let output = against(&admin, &["uploads", "cancel", &id(1), &id(2), &id(3)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stdout(&output).lines().count(), 2);
    let refused = format!("longshore: {0}: not cancelled: upload is not known: {0}\n", id(2));
    assert_eq!(stderr(&output), refused);
    assert_eq!(admin.lines().len(), 3);
}

#[test]
fn what_is_no_id_is_not_sent() {
    let admin = FakeAdmin::always(200, &json!({}));
    let output = against(&admin, &["uploads", "cancel", &id(1), "../../reload"]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr(&output).contains("../../reload"), "{}", stderr(&output));
    assert!(admin.requests().is_empty());
}
