//! The log, on standard error: for people, or as JSON lines for machines. Times are UTC.
//!
//! A line holds what its record holds and nothing forges a second one: control characters are escaped.

use std::fmt;
use std::io::{self, Write};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use log::kv::{self, Key, Value, VisitSource};
use log::{LevelFilter, Log, Metadata, Record};
use serde::ser::{SerializeMap, Serializer};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, module, message, `key=value`.
    Text,
    /// One JSON object: `time`, `level`, `target`, `message`, and every key of the record beside them.
    Json,
}

/// The log of this process, once it was started.
static LOG: ProcessLog = ProcessLog { writer: RwLock::new(None) };

struct ProcessLog {
    /// Made anew for other levels.
    writer: RwLock<Option<(LogFormat, env_logger::Logger)>>,
}

/// Starts the log of this process. Each level holds for a module path with everything below it, or (`None`) for
/// everything.
///
/// # Errors
/// When a log has been started before.
pub fn start_log<'a>(
    format: LogFormat,
    levels: impl IntoIterator<Item = (Option<&'a str>, LevelFilter)>,
) -> Result<(), log::SetLoggerError> {
    log::set_logger(&LOG)?;
    LOG.put(format, levels);
    Ok(())
}

/// Puts other levels in force, as [`start_log`] takes them. `false`: the process's log was not started by it.
pub fn change_log_levels<'a>(levels: impl IntoIterator<Item = (Option<&'a str>, LevelFilter)>) -> bool {
    let format = LOG.writer().as_ref().map(|(format, _)| *format);
    if let Some(format) = format {
        LOG.put(format, levels);
    }
    format.is_some()
}

impl ProcessLog {
    fn put<'a>(&self, format: LogFormat, levels: impl IntoIterator<Item = (Option<&'a str>, LevelFilter)>) {
        let writer = writer(format, levels);
        let max_level = writer.filter();
        *self.writer.write().unwrap_or_else(PoisonError::into_inner) = Some((format, writer));
        log::set_max_level(max_level);
    }

    fn writer(&self) -> RwLockReadGuard<'_, Option<(LogFormat, env_logger::Logger)>> {
        self.writer.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log for ProcessLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.writer().as_ref().is_some_and(|(_, writer)| writer.enabled(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some((_, writer)) = &*self.writer() {
            writer.log(record);
        }
    }

    fn flush(&self) {
        if let Some((_, writer)) = &*self.writer() {
            writer.flush();
        }
    }
}

fn writer<'a>(
    format: LogFormat,
    levels: impl IntoIterator<Item = (Option<&'a str>, LevelFilter)>,
) -> env_logger::Logger {
    let mut builder = env_logger::Builder::new();
    for (module, level) in levels {
        builder.filter(module, level);
    }
    match format {
        LogFormat::Text => builder.format(|out, record| {
            let time = out.timestamp_millis();
            let style = out.default_level_style(record.level());
            write!(out, "{time} {style}{:<5}{style:#} ", record.level())?;
            write_text(out, record)
        }),
        LogFormat::Json => builder.format(|out, record| {
            let time = out.timestamp_millis();
            write_json(out, &time, record)
        }),
    };
    builder.target(env_logger::Target::Stderr).build()
}

fn write_text(out: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    let message = record.args().to_string();
    write!(out, "{} {}", record.target(), Escaped(&message))?;
    record.key_values().visit(&mut TextPairs(out)).map_err(io::Error::other)?;
    writeln!(out)
}

struct TextPairs<'a>(&'a mut dyn Write);

impl<'kvs> VisitSource<'kvs> for TextPairs<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = value.to_string();
        let needs_quotes =
            value.is_empty() || value.contains([' ', '"', '=', '\\']) || value.contains(char::is_control);
        match needs_quotes {
            true => write!(self.0, " {key}={value:?}")?,
            false => write!(self.0, " {key}={value}")?,
        }
        Ok(())
    }
}

/// A text on one line.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.char_indices().next_back() {
                Some((end, last)) if last.is_control() => write!(f, "{}{}", &part[..end], last.escape_default())?,
                _ => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

/// The keys that every line has.
const OWN_KEYS: [&str; 4] = ["time", "level", "target", "message"];

fn write_json(mut out: &mut dyn Write, time: &dyn fmt::Display, record: &Record<'_>) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::new(&mut out);
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry("time", &format_args!("{time}"))?;
    map.serialize_entry("level", record.level().as_str())?;
    map.serialize_entry("target", record.target())?;
    map.serialize_entry("message", record.args())?;
    record.key_values().visit(&mut JsonPairs(&mut map)).map_err(io::Error::other)?;
    map.end()?;
    writeln!(out)
}

struct JsonPairs<'a, M>(&'a mut M);

impl<'kvs, M: SerializeMap> VisitSource<'kvs> for JsonPairs<'_, M> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = JsonValue(serde_json::Value::Null);
        value.visit(&mut json)?;
        let written = match OWN_KEYS.contains(&key.as_str()) {
            true => self.0.serialize_entry(&format!("field_{key}"), &json.0),
            false => self.0.serialize_entry(key.as_str(), &json.0),
        };
        written.map_err(|_| kv::Error::msg("a value cannot be written as JSON"))
    }
}

/// Numbers and truth values stay what they are; everything else is a text.
struct JsonValue(serde_json::Value);

impl<'v> kv::VisitValue<'v> for JsonValue {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        self.0 = value.to_string().into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = serde_json::Value::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log::Level;

    use super::*;

    fn with_record(message: &str, pairs: &[(&str, Value<'_>)], write: impl FnOnce(&Record<'_>)) {
        let mut builder = Record::builder();
        builder.level(Level::Info).target("longshore::test").key_values(&pairs);
        write(&builder.args(format_args!("{message}")).build());
    }

    fn text(message: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let mut out = Vec::new();
        with_record(message, pairs, |record| write_text(&mut out, record).unwrap());
        String::from_utf8(out).unwrap()
    }

    fn json(message: &str, pairs: &[(&str, Value<'_>)]) -> String {
        let mut out = Vec::new();
        with_record(message, pairs, |record| write_json(&mut out, &"2026-01-02T03:04:05.678Z", record).unwrap());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_for_people_has_module_message_and_pairs() {
        let pairs = [("repository", Value::from("a/b")), ("bytes", Value::from(5_u64)), ("client", Value::from("x y"))];
        assert_eq!(text("blob pushed", &pairs), "longshore::test blob pushed repository=a/b bytes=5 client=\"x y\"\n");
    }

    #[test]
    fn no_text_forges_a_line() {
        let line = text("first\nsecond\u{1b}[31m", &[("path", Value::from("/v2/\r\nINFO forged"))]);
        assert_eq!(line, "longshore::test first\\nsecond\\u{1b}[31m path=\"/v2/\\r\\nINFO forged\"\n");
        assert_eq!(json("a\nb", &[("c", Value::from("\n"))]).lines().count(), 1);
    }

    #[test]
    fn a_line_for_machines_is_one_json_object_in_order() {
        let pairs = [
            ("bytes", Value::from(5_u64)),
            ("delta", Value::from(-5_i64)),
            ("seconds", Value::from(0.25)),
            ("ok", Value::from(true)),
            ("repository", Value::from("a/b")),
            ("error", Value::from_display(&io::ErrorKind::NotFound)),
            ("level", Value::from("a key that every line has")),
        ];
        let line = json("he said \"so\"", &pairs);
        assert_eq!(
            line,
            "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"INFO\",\"target\":\"longshore::test\",\
             \"message\":\"he said \\\"so\\\"\",\"bytes\":5,\"delta\":-5,\"seconds\":0.25,\"ok\":true,\
             \"repository\":\"a/b\",\"error\":\"entity not found\",\"field_level\":\"a key that every line has\"}\n"
        );
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }
}
