//! Sets JSON against a JSON Schema: the few keywords that ours has, and no others.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// A schema that was read.
pub struct Schema(Value);

#[derive(Default)]
struct Findings {
    violations: Vec<String>,
    unknown: Vec<String>,
    used: BTreeSet<String>,
}

impl Schema {
    pub fn new(text: &str) -> Self {
        Schema(serde_json::from_str(text).expect("the schema is JSON"))
    }

    /// Where and how a document is not as the schema says.
    pub fn violations(&self, document: &Value) -> Vec<String> {
        self.look(document).violations
    }

    /// Fields of a document that the schema does not name.
    pub fn unknown_fields(&self, document: &Value) -> Vec<String> {
        self.look(document).unknown
    }

    /// Fields that the schema names and the document does not have, by their parent's name in `$defs`.
    pub fn unused_fields(&self, document: &Value) -> Vec<String> {
        let used = self.look(document).used;
        let of = |parent: &str, schema: &Value| -> Vec<String> {
            let names = schema["properties"].as_object().expect("it is an object").keys();
            names.map(|name| format!("{parent}.{name}")).collect()
        };
        let definitions = self.0["$defs"].as_object().expect("it is an object");
        let mut named = of("", &self.0);
        named.extend(definitions.iter().flat_map(|(parent, schema)| of(parent, schema)));
        named.retain(|field| !used.contains(field));
        named
    }

    fn look(&self, document: &Value) -> Findings {
        let mut findings = Findings::default();
        self.check(&self.0, "", document, "$", &mut findings);
        findings
    }

    fn check(&self, schema: &Value, name: &str, value: &Value, at: &str, findings: &mut Findings) {
        let schema = schema.as_object().expect("it is an object");
        let mut wrong = |what: String| findings.violations.push(format!("{at}: {what}"));
        for (keyword, expected) in schema {
            match keyword.as_str() {
                "$schema"
                | "$defs"
                | "title"
                | "description"
                | "properties"
                | "additionalProperties"
                | "items"
                | "oneOf"
                | "$ref" => {}
                "type" if !has_type(value, expected) => wrong(format!("{value} is not of type {expected}")),
                "const" if value != expected => wrong(format!("{value} is not {expected}")),
                "enum" if !expected.as_array().expect("it is a list").contains(value) => {
                    wrong(format!("{value} is not of {expected}"))
                }
                "minimum" if value.as_f64() < expected.as_f64() => wrong(format!("{value} is below {expected}")),
                "maximum" if value.as_f64() > expected.as_f64() => wrong(format!("{value} is above {expected}")),
                "required" => {
                    let missing = expected
                        .as_array()
                        .expect("it is a list")
                        .iter()
                        .filter(|name| value.get(name.as_str().expect("it is a text")).is_none());
                    missing.for_each(|name| wrong(format!("{name} is missing")));
                }
                "type" | "const" | "enum" | "minimum" | "maximum" => {}
                other => panic!("the checker does not know {other}"),
            }
        }
        if let Some(name) = schema.get("$ref") {
            let name = name
                .as_str()
                .expect("it is a text")
                .strip_prefix("#/$defs/")
                .expect("all references are to definitions");
            self.check(&self.0["$defs"][name], name, value, at, findings);
        }
        if let Some(options) = schema.get("oneOf") {
            let fits = |option: &&Value| {
                let mut tried = Findings::default();
                self.check(option, name, value, at, &mut tried);
                tried.violations.is_empty()
            };
            match options.as_array().expect("it is a list").iter().find(fits) {
                Some(option) => self.check(option, name, value, at, findings),
                None => findings.violations.push(format!("{at}: {value} is none of {options}")),
            }
        }
        if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
            for (index, value) in values.iter().enumerate() {
                self.check(items, name, value, &format!("{at}[{index}]"), findings);
            }
        }
        if let Some(fields) = value.as_object() {
            self.check_fields(schema, name, fields, at, findings);
        }
    }

    fn check_fields(
        &self,
        schema: &Map<String, Value>,
        name: &str,
        fields: &Map<String, Value>,
        at: &str,
        findings: &mut Findings,
    ) {
        let properties = schema.get("properties");
        for (field, value) in fields {
            let at = format!("{at}.{field}");
            if let Some(property) = properties.and_then(|properties| properties.get(field)) {
                findings.used.insert(format!("{name}.{field}"));
                self.check(property, "", value, &at, findings);
            } else if let Some(any) = schema.get("additionalProperties") {
                self.check(any, "", value, &at, findings);
            } else if properties.is_some() {
                findings.unknown.push(at);
            }
        }
    }
}

fn has_type(value: &Value, expected: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "null" => value.is_null(),
        other => panic!("the checker does not know the type {other}"),
    };
    match expected {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().expect("it is a text"))),
        other => panic!("{other} is no type"),
    }
}
