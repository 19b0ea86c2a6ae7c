//! The OpenAPI document, against the table of routes and against what the server answers.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::http::admin::{OPENAPI, ROUTES};
use crate::upload::{Policy, ScanFinding, SortUploads, UploadState};

fn document() -> Value {
    serde_json::from_str(OPENAPI).unwrap()
}

/// Method and path of everything that the document describes, with its description.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            operations.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    operations
}

/// Follows `{"$ref": "#/…"}`.
fn resolve<'d>(document: &'d Value, node: &'d Value) -> &'d Value {
    match node["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').unwrap();
            document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"))
        }
        None => node,
    }
}

/// Whether `value` is what `schema` says; if not, where it differs.
fn check(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let schema = resolve(document, schema);
    let differs = |problem: &str| Err(format!("{at}: {problem}: {value} is not {schema}"));
    if let Some(choices) = schema["oneOf"].as_array() {
        let fitting = choices.iter().filter(|choice| check(document, choice, value, at).is_ok()).count();
        return if fitting == 1 { Ok(()) } else { differs("not exactly one fits") };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        many => many.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !types.contains(&found) {
        return differs("another type");
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return differs("another value");
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return differs("no such value");
    }
    if let (Some("date-time"), Some(text)) = (schema["format"].as_str(), value.as_str()) {
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339)
            .map_err(|error| format!("{at}: {error}"))?;
    }
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            check(document, &schema["items"], item, &format!("{at}[{index}]"))?;
        }
    }
    if let (Value::Object(fields), Some(properties)) = (value, schema["properties"].as_object()) {
        let names = |map: &serde_json::Map<String, Value>| map.keys().cloned().collect::<BTreeSet<_>>();
        let required: BTreeSet<String> =
            schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
        if names(fields) != names(properties) || required != names(properties) {
            return differs("other fields");
        }
        for (name, field) in fields {
            check(document, &properties[name], field, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

#[test]
fn the_checker_finds_what_differs() {
    let document =
        json!({"s": {"type": "object", "required": ["a"], "properties": {"a": {"type": ["integer", "null"]}}}});
    let of = |value: Value| check(&document, &json!({"$ref": "#/s"}), &value, "it");
    assert!(of(json!({"a": 1})).is_ok() && of(json!({"a": null})).is_ok());
    for wrong in [json!({}), json!({"a": "x"}), json!({"a": 1, "b": 2}), json!([])] {
        assert!(of(wrong).is_err());
    }
}

#[test]
fn everything_that_is_served_is_described_and_the_other_way_round() {
    let described: BTreeSet<(String, String)> =
        operations(&document()).into_iter().map(|(method, path, _)| (method, path)).collect();
    let served: BTreeSet<(String, String)> =
        ROUTES.iter().map(|route| (route.method.to_string(), route.pattern.to_owned())).collect();
    assert_eq!(described, served);
}

#[test]
fn the_names_that_are_described_are_all_there_are() {
    let document = document();
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["Policy"]["enum"], json!(Policy::ALL.map(Policy::as_str)));
    assert_eq!(schemas["Upload"]["properties"]["state"]["enum"], json!(UploadState::ALL.map(UploadState::as_str)));
    let parameters = document["paths"]["/admin/v1/uploads"]["get"]["parameters"].as_array().unwrap();
    let of = |name: &str| &parameters.iter().find(|parameter| parameter["name"] == name).unwrap()["schema"];
    assert_eq!(of("state")["items"]["enum"], json!(UploadState::ALL.map(UploadState::as_str)));
    assert_eq!(of("sort")["enum"], json!(SortUploads::ALL.map(SortUploads::as_str)));
}

/// What a parameter may be set to.
fn example_of(parameter: &Value) -> String {
    let schema = &parameter["schema"];
    let choices = [&schema["enum"], &schema["items"]["enum"]];
    if let Some(choice) = choices.iter().find_map(|values| values[0].as_str()) {
        return choice.to_owned();
    }
    match parameter["name"].as_str().unwrap() {
        "limit" => "1",
        "client" => "10.0.0.7",
        _ => "a",
    }
    .to_owned()
}

#[tokio::test]
async fn every_parameter_that_is_described_is_known() {
    let server = started(patient());
    let id = UploadId::random();
    server.control.uploads.lock().unwrap().push(full_upload("a", id));
    let mut count = 0;
    for (method, path, operation) in operations(&document()) {
        let path = path.replace("{id}", &id.to_string());
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for parameter in parameters.filter(|parameter| parameter["in"] == "query") {
            let path = format!("{path}?{}={}", parameter["name"].as_str().unwrap(), example_of(parameter));
            let reply =
                if method == "GET" { server.ask("GET", &path, "").await } else { server.post(&path, "{}").await };
            assert_eq!(reply.status, 200, "{path} {reply:?}");
            count += 1;
        }
    }
    assert!(count >= 10, "{count}");
}

/// Sends the request of an operation so that it is answered with `status`.
async fn provoke(server: &TestAdmin, id: UploadId, status: &str, method: &str, path: &str, body: &str) -> Reply {
    let control = &server.control;
    *control.failure.lock().unwrap() = None;
    *control.uploads.lock().unwrap() = vec![full_upload("a", id), bare_upload("b", UploadId::random())];
    *server.readiness.0.lock().unwrap() = Ok(());
    let (mut query, mut body) = ("", body.to_owned());
    let mut headers = vec!["Authorization: Bearer s3cret", "Connection: close"];
    let (mut host, mut content_type) = ("localhost", "application/json");
    match status {
        "200" | "202" => {}
        "400" => query = "?unknown=1",
        "401" => headers[0] = "Authorization: Bearer wrong",
        "403" => headers.push("Origin: http://evil.example"),
        "404" => control.uploads.lock().unwrap().clear(),
        "408" => body = String::new(),
        "409" => control.fail_with(ControlError::Busy),
        "413" => body = " ".repeat(20_000),
        "415" => content_type = "text/plain",
        "421" => host = "evil.example",
        "422" => control.fail_with(ControlError::Refused("no".into())),
        "500" => control.fail_with(ControlError::Failed("broken".into())),
        "503" => *server.readiness.0.lock().unwrap() = Err(NotReady::Draining),
        other => panic!("no way to provoke {other}"),
    }
    let path = path.replace("{id}", &id.to_string());
    let length = if status == "408" { 2 } else { body.len() };
    let body_headers = match method {
        "POST" => format!("Content-Type: {content_type}\r\nContent-Length: {length}\r\n"),
        _ => String::new(),
    };
    let headers = headers.join("\r\n");
    let request = format!("{method} {path}{query} HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{body_headers}\r\n{body}");
    server.converse(&request).await
}

#[tokio::test]
async fn every_answer_that_is_described_is_given_with_the_fields_that_are_described() {
    let document = document();
    let (config, _folder) = with_token(HttpConfig { body_timeout: Duration::from_millis(100), ..patient() });
    let server = started(config);
    let id = UploadId::random();
    let finding = ScanFinding {
        repository: "a".parse().unwrap(),
        name: "x".into(),
        bytes: 1,
        progress_at: None,
        reason: "leftover".into(),
    };
    server.control.report.lock().unwrap().findings.push(finding);
    let mut used = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            let body = match (method.as_str(), path.ends_with("/scan")) {
                ("GET", _) => "",
                (_, true) => "{\"dry_run\":true}",
                (_, false) => "{}",
            };
            let reply = provoke(&server, id, status, &method, &path, body).await;
            let at = format!("{method} {path} {status}");
            assert_eq!(reply.status.to_string(), *status, "{at}: {reply:?}");
            used.insert(response["$ref"].as_str().unwrap_or("").to_owned());
            let content = &resolve(&document, response)["content"];
            let (media_type, described) = content.as_object().unwrap().iter().next().unwrap();
            assert!(reply.header("content-type").unwrap().starts_with(media_type.as_str()), "{at}: {reply:?}");
            if media_type == "application/json" {
                check(&document, &described["schema"], &reply.json(), &at).unwrap();
            }
        }
    }
    // Nothing is described that no operation has.
    for status in document["components"]["responses"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/responses/{status}")), "{status}");
    }
}

#[tokio::test]
async fn it_is_served() {
    let server = started(patient());
    let reply = server.ask("GET", "/admin/v1/openapi.json", "").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json(), document());
}
