use std::error::Error;
use std::fmt;
use std::str::FromStr;

use log::LevelFilter;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What is logged: a level (`info`), levels of modules (`longshore::http=debug`), or both, by comma.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter {
    directives: Vec<LogDirective>,
}

/// One part of a [`LogFilter`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirective {
    /// The module path that it holds for, with everything below; `None` is everything.
    pub target: Option<String>,
    /// From which level on.
    pub level: LevelFilter,
}

/// A part of a filter that is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilterError {
    part: String,
}

impl LogFilter {
    /// One level for everything.
    pub fn everything(level: LevelFilter) -> Self {
        LogFilter { directives: vec![LogDirective { target: None, level }] }
    }

    /// Its parts in order.
    pub fn directives(&self) -> &[LogDirective] {
        &self.directives
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        LogFilter::everything(LevelFilter::Info)
    }
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        let directives = text.split(',').map(|part| parse_directive(part.trim())).collect::<Result<_, _>>()?;
        Ok(LogFilter { directives })
    }
}

fn parse_directive(part: &str) -> Result<LogDirective, LogFilterError> {
    let (target, level) = match part.split_once('=') {
        None => (None, part),
        Some((target, level)) => (Some(target.trim()), level.trim()),
    };
    let is_target = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'));
    let error = || LogFilterError { part: part.to_owned() };
    if target.is_some_and(|target| target.is_empty() || !is_target(target)) {
        return Err(error());
    }
    Ok(LogDirective { target: target.map(str::to_owned), level: level.parse().map_err(|_| error())? })
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, directive) in self.directives.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            if let Some(target) = &directive.target {
                write!(f, "{target}=")?;
            }
            f.write_str(&directive.level.as_str().to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl fmt::Display for LogFilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a level (off, error, warn, info, debug, trace) or a module and a level, such as \
             longshore::http=debug",
            self.part
        )
    }
}

impl Error for LogFilterError {}

impl Serialize for LogFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_printed() {
        for text in ["info", "off", "warn,longshore::http=debug", "longshore=trace", "error,actix_server=off"] {
            assert_eq!(text.parse::<LogFilter>().unwrap().to_string(), text);
        }
        assert_eq!(" warn , longshore=debug ".parse::<LogFilter>().unwrap().to_string(), "warn,longshore=debug");
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["", "loud", "info,", "=info", "longshore=", "longshore=loud", "a b=info", "a/b=info"] {
            assert!(text.parse::<LogFilter>().is_err(), "{text:?}");
        }
    }
}
