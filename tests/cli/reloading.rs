use serde_json::json;

use crate::fake_admin::{FakeAdmin, errors};
use crate::{against, expect_stdout, stderr};

#[test]
fn a_reload_tells_what_it_changed() {
    let admin = FakeAdmin::always(200, &json!({"changed": ["uploads.max_age", "log.level"], "needs_restart": []}));
    assert_eq!(expect_stdout(&against(&admin, &["reload"])), "changed: uploads.max_age, log.level\n");
    let request = admin.requests().remove(0);
    assert_eq!(request.line, "POST /admin/v1/reload");
    assert_eq!((request.headers["content-type"].as_str(), request.body.as_str()), ("application/json", "{}"));

    let admin = FakeAdmin::always(200, &json!({"changed": [], "needs_restart": ["http.addr"]}));
    assert_eq!(expect_stdout(&against(&admin, &["reload"])), "nothing changed\nneeds a restart: http.addr\n");
}

#[test]
fn a_wrong_configuration_is_told_as_the_registry_tells_it() {
    let wrong = errors("CONFIGURATION_INVALID", "uploads.max_age: \"soon\" is not a time", json!(null));
    let output = against(&FakeAdmin::always(422, &wrong), &["reload"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "longshore: uploads.max_age: \"soon\" is not a time\n");
}
