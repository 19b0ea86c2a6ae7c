//! `WWW-Authenticate`.
//!
//! Source: RFC 9110, section 11.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// More than this in one answer is not read.
const MAX_CHALLENGES: usize = 16;

/// One way to say who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In lower case.
    pub(super) scheme: String,
    /// Names in lower case.
    pub(super) parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The first of this name.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of an answer, of all its headers. Reading ends where one cannot be understood.
pub(super) fn challenges(headers: &HeaderMap) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in headers.get_all(WWW_AUTHENTICATE) {
        if let Ok(text) = value.to_str() {
            parse(text, &mut found);
        }
    }
    found.truncate(MAX_CHALLENGES);
    found
}

fn parse(text: &str, found: &mut Vec<Challenge>) {
    let mut rest = skip_separators(text);
    while !rest.is_empty() && found.len() < MAX_CHALLENGES {
        let (word, behind) = token(rest);
        if word.is_empty() {
            return;
        }
        rest = behind.trim_start();
        match rest.strip_prefix('=') {
            // `name=value`, of the challenge that is open.
            Some(value) if !is_token68_padding(value) => {
                let Some((value, behind)) = value_of(value.trim_start()) else { return };
                let Some(challenge) = found.last_mut() else { return };
                challenge.parameters.push((word.to_ascii_lowercase(), value));
                rest = behind;
            }
            // The rest of a token68, which no scheme that is spoken here has.
            Some(_) => rest = rest.trim_start_matches('='),
            None => found.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() }),
        }
        rest = skip_separators(rest);
    }
}

fn is_token68_padding(behind: &str) -> bool {
    let behind = behind.trim_start_matches('=').trim_start();
    behind.is_empty() || behind.starts_with(',')
}

fn skip_separators(text: &str) -> &str {
    text.trim_start_matches([' ', '\t', ','])
}

/// A token, or what a token68 has beside.
fn token(text: &str) -> (&str, &str) {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~/".contains(c);
    text.split_at(text.find(|c: char| !is_part(c)).unwrap_or(text.len()))
}

/// A quoted string, or what others put without quotes, up to a separator.
fn value_of(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return Some((text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(headers: &[&str]) -> Vec<(String, Vec<(String, String)>)> {
        let headers = headers.iter().map(|text| (WWW_AUTHENTICATE, HeaderValue::from_str(text).unwrap()));
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        challenges(&map).into_iter().map(|challenge| (challenge.scheme, challenge.parameters)).collect()
    }

    fn challenge(scheme: &str, parameters: &[(&str, &str)]) -> (String, Vec<(String, String)>) {
        (scheme.into(), parameters.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    #[test]
    fn challenges_are_told_apart() {
        let bearer = challenge(
            "bearer",
            &[("realm", "https://auth.example/token"), ("service", "a, \"b\""), ("scope", "repository:a:pull,push")],
        );
        let basic = challenge("basic", &[("realm", "x")]);
        let bearer_text =
            r#"Bearer realm="https://auth.example/token",service="a, \"b\"" , scope="repository:a:pull,push""#;
        assert_eq!(read(&[bearer_text]), std::slice::from_ref(&bearer));
        assert_eq!(read(&[&format!("Basic realm=\"x\", {bearer_text}")]), [basic.clone(), bearer.clone()]);
        assert_eq!(read(&[bearer_text, "BASIC Realm = x"]), [bearer, basic]);
    }

    #[test]
    fn schemes_without_parameters_and_with_a_token_are_passed_by() {
        assert_eq!(read(&["Negotiate, Basic realm=\"x\""])[1], challenge("basic", &[("realm", "x")]));
        let told = read(&["Negotiate YWJj/+==, Basic realm=\"x\""]);
        assert_eq!(told.last(), Some(&challenge("basic", &[("realm", "x")])));
        assert_eq!(read(&["Basic"]), [challenge("basic", &[])]);
    }

    #[test]
    fn what_cannot_be_understood_ends_it() {
        assert_eq!(read(&["", "=", "realm=\"x\"", "\"", ",,,"]), []);
        assert_eq!(read(&["Bearer realm=\"open"]), [challenge("bearer", &[])]);
        assert_eq!(read(&[&"Basic, ".repeat(100)]).len(), MAX_CHALLENGES);
    }
}
