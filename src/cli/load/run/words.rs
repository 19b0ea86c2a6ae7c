//! Sections of a plan in one argument: `push-chunked weight=2 chunk_sizes=64KiB..1MiB`.

use serde_json::{Map, Number, Value};

/// Reads words of the form `key=value` into a section. A key with dots goes into a section of the section; a value is
/// taken for a number or a truth where it is one.
fn section<'a>(words: impl Iterator<Item = &'a str>) -> Result<Map<String, Value>, String> {
    let mut section = Map::new();
    for word in words {
        let (key, value) = word.split_once('=').ok_or_else(|| format!("{word:?} is not of the form key=value"))?;
        let mut place = &mut section;
        let mut names: Vec<&str> = key.split('.').collect();
        let last = names.pop().unwrap_or_default();
        for name in names {
            let inner = place.entry(name).or_insert_with(|| Value::Object(Map::new()));
            place = inner.as_object_mut().ok_or_else(|| format!("{name} is a value, not a section"))?;
        }
        if place.insert(last.to_owned(), read_value(last, value)).is_some() {
            return Err(format!("{key} is said twice"));
        }
    }
    Ok(section)
}

/// What a value stands for. Only `cuts` is a list of names; lists of sizes are read as they are.
fn read_value(key: &str, text: &str) -> Value {
    if key == "cuts" {
        return text.split(',').map(Value::from).collect();
    }
    if let Ok(number) = text.parse::<u64>() {
        return Value::from(number);
    }
    if let Some(number) = text.parse::<f64>().ok().and_then(Number::from_f64) {
        return Value::Number(number);
    }
    text.parse::<bool>().map_or_else(|_| Value::from(text), Value::Bool)
}

/// `KIND key=value …`
pub(super) fn workload(text: &str) -> Result<Value, String> {
    let mut words = text.split_ascii_whitespace();
    let kind = words.next().ok_or("a workload begins with its kind, such as push-streamed")?;
    let mut section = section(words)?;
    if section.insert("kind".to_owned(), Value::from(kind)).is_some() {
        return Err("the kind is said twice".to_owned());
    }
    Ok(Value::Object(section))
}

/// `KEY=VALUE`
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it is not of the form key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// `TIME [workers=N | rate=N] [step]`
pub(super) fn stage(text: &str) -> Result<Value, String> {
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let is_step = words.last() == Some(&"step");
    words.truncate(words.len() - usize::from(is_step));
    let mut words = words.into_iter();
    let length = words.next().ok_or("a stage begins with its length, such as 30s")?;
    let mut section = section(words)?;
    section.insert("for".to_owned(), Value::from(length));
    if is_step {
        section.insert("step".to_owned(), Value::Bool(true));
    }
    Ok(Value::Object(section))
}

/// `[NAME=]ADDRESS [server_pid=N] [username=NAME password_file=FILE]`; without a name, the address is it.
pub(super) fn target(text: &str) -> Result<Value, String> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().ok_or("a target is an address, or name=address")?;
    let (name, address) = first.split_once('=').unwrap_or((first, first));
    let mut section = section(words)?;
    let mut credentials = Map::new();
    for key in ["username", "password_file"] {
        credentials.extend(section.remove_entry(key));
    }
    if !credentials.is_empty() {
        section.insert("credentials".to_owned(), Value::Object(credentials));
    }
    section.insert("name".to_owned(), Value::from(name));
    section.insert("address".to_owned(), Value::from(address));
    Ok(Value::Object(section))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_are_read() {
        let expected = json!({"kind": "resume", "weight": 0.5, "cuts": ["reset", "silence"], "times": 2, "wait": "1s"});
        assert_eq!(workload("resume weight=0.5 cuts=reset,silence times=2 wait=1s").unwrap(), expected);
        let expected = json!({"kind": "trace", "shares": {"get_layer": 1, "put_layer": 2}});
        assert_eq!(workload("trace shares.get_layer=1 shares.put_layer=2").unwrap(), expected);
        let expected = json!({"kind": "image-push", "head_before": false});
        assert_eq!(workload("image-push head_before=false").unwrap(), expected);
        let expected = json!({"kind": "push-chunked", "chunk_sizes": "1KiB,2MiB"});
        assert_eq!(workload("push-chunked chunk_sizes=1KiB,2MiB").unwrap(), expected);
    }

    #[test]
    fn stages_and_targets_are_read() {
        assert_eq!(stage("30s workers=8 step").unwrap(), json!({"for": "30s", "workers": 8, "step": true}));
        assert_eq!(stage("30s").unwrap(), json!({"for": "30s"}));
        assert_eq!(target("a=127.0.0.1:5000").unwrap(), json!({"name": "a", "address": "127.0.0.1:5000"}));
        assert_eq!(target("[::1]:1").unwrap(), json!({"name": "[::1]:1", "address": "[::1]:1"}));
        let credentials = json!({"username": "me", "password_file": "p.txt"});
        let expected = json!({"name": "b", "address": "x:1", "server_pid": 3, "credentials": credentials});
        assert_eq!(target("b=x:1 server_pid=3 username=me password_file=p.txt").unwrap(), expected);
    }

    #[test]
    fn what_is_no_section_is_refused() {
        for text in ["", "resume times", "resume times=1 times=2", "resume a=1 a.b=2", "resume kind=mount"] {
            assert!(workload(text).is_err(), "{text:?}");
        }
        assert!(stage("").is_err() && target("  ").is_err());
    }
}
