//! The schema of the JSON document.

/// A JSON Schema (draft 2020-12) of a [`Report`](super::Report), with what each field means.
pub const JSON_SCHEMA: &str = include_str!("schema.json");

#[cfg(test)]
mod check;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::check::Schema;
    use super::*;
    use crate::load::report::{Report, samples};

    fn full() -> Value {
        serde_json::to_value(samples::full()).unwrap()
    }

    #[test]
    fn reports_are_as_the_schema_says() {
        let schema = Schema::new(JSON_SCHEMA);
        assert_eq!(schema.violations(&full()), Vec::<String>::new());
        assert_eq!(schema.violations(&serde_json::to_value(samples::empty()).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn every_field_is_in_the_schema_and_none_beside() {
        let schema = Schema::new(JSON_SCHEMA);
        assert_eq!(schema.unknown_fields(&full()), Vec::<String>::new(), "fields that the schema does not know");
        assert_eq!(schema.unused_fields(&full()), Vec::<String>::new(), "fields that only the schema knows");
    }

    #[test]
    fn what_the_schema_requires_is_what_reading_requires() {
        let schema = Schema::new(JSON_SCHEMA);
        let full = full();
        let mut removed = 0;
        for field in fields(&full, String::new()) {
            let mut report = full.clone();
            let (parent, name) = field.rsplit_once('/').unwrap();
            report.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
            let is_read = Report::from_json(report.to_string().as_bytes());
            assert_eq!(is_read.is_ok(), schema.violations(&report).is_empty(), "without {field}: {is_read:?}");
            removed += 1;
        }
        assert!(removed > 100, "only {removed} fields were tried");
    }

    #[test]
    fn what_is_wrong_is_found_by_both() {
        let schema = Schema::new(JSON_SCHEMA);
        for (pointer, wrong) in [
            ("/schema", Value::from(2)),
            ("/tool", Value::from(1)),
            ("/interrupted", Value::from("no")),
            ("/duration_seconds", Value::Null),
            ("/targets/0/kind", Value::from("other")),
            ("/targets/0/server", Value::from(1)),
            ("/targets/0/errors/0/status", Value::from(70_000)),
            ("/targets/0/operations/blob.patch/count", Value::from(-1)),
            ("/targets/0/verification/findings/0/history", Value::from("POST")),
            ("/generator/cpu_seconds_per_gib", Value::from("1")),
        ] {
            let mut report = full();
            *report.pointer_mut(pointer).unwrap() = wrong;
            assert_eq!(schema.violations(&report).len(), 1, "{pointer}: {:?}", schema.violations(&report));
            assert!(Report::from_json(report.to_string().as_bytes()).is_err(), "{pointer}");
        }
    }

    /// The pointers of all fields of all objects, of lists those of the first entry.
    fn fields(value: &Value, at: String) -> Vec<String> {
        match value {
            Value::Object(fields_here) => fields_here
                .iter()
                .filter(|_| at != "/plan")
                .flat_map(|(name, value)| {
                    let field = format!("{at}/{name}");
                    let below = fields(value, field.clone());
                    std::iter::once(field).chain(below)
                })
                .collect(),
            Value::Array(entries) if !entries.is_empty() => fields(&entries[0], format!("{at}/0")),
            _ => Vec::new(),
        }
    }
}
