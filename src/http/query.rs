//! The query of a request.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::error::ApiError;

/// The parameters of a query, decoded, in their order.
///
/// A `+` stands for itself: no value of this API has a space, and media types have a plus that clients
/// do not always encode.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads what follows the question mark.
    pub(super) fn parse(text: &str) -> Result<Query, ApiError> {
        let mut pairs = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.push((decode(key)?.into_owned(), decode(value)?.into_owned()));
        }
        Ok(Query(pairs))
    }

    /// The first value of a parameter.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Every parameter with its value.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The name of every parameter, as often as it is there.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }

    /// Every value of a parameter.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

fn decode(text: &str) -> Result<Cow<'_, str>, ApiError> {
    let decoded =
        percent_decode_str(text).decode_utf8().map_err(|_| ApiError::unsupported("query is not UTF-8 when decoded"))?;
    if decoded.contains(char::is_control) {
        return Err(ApiError::unsupported("query has a control character"));
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_once() {
        let query = Query::parse("tag=a&tag=b%2Bc&digest=sha256%3Aab&x&type=a/b+json&y=%2541").unwrap();
        assert_eq!(query.all("tag").collect::<Vec<_>>(), ["a", "b+c"]);
        assert_eq!(query.get("digest"), Some("sha256:ab"));
        assert_eq!(query.get("x"), Some(""));
        assert_eq!(query.get("type"), Some("a/b+json"));
        assert_eq!(query.get("y"), Some("%41"));
        assert_eq!(query.get("z"), None);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(Query::parse("a=%ff").is_err());
        assert!(Query::parse("a=%00").is_err());
        assert!(Query::parse("").unwrap().get("a").is_none());
    }
}
