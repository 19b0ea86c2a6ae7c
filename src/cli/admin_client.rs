//! A client of the admin API.

use std::fmt;
use std::future::Future;
use std::io;
use std::io::Read;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::exit;
use super::text::printable;

/// For the whole of a request; the server answers each from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A page of a thousand uploads is below 1 MiB, so more than this is no answer of ours.
const MAX_ANSWER_BYTES: usize = 32 << 20;

/// As the server's own bound.
const MAX_TOKEN_BYTES: usize = 4096;

#[derive(Args)]
pub(super) struct AdminArguments {
    /// Where the registry's admin server is: its http.admin_addr, or the URL of a proxy before it
    #[arg(long, value_name = "URL or IP:PORT", env = "LONGSHORE_ADMIN", default_value = "127.0.0.1:5001")]
    #[arg(value_parser = parse_address)]
    admin: Url,
    /// A file that holds the admin token
    #[arg(long, value_name = "FILE", env = "LONGSHORE_ADMIN_TOKEN_FILE", value_hint = clap::ValueHint::FilePath)]
    token_file: Option<PathBuf>,
}

impl AdminArguments {
    /// Runs a command against the admin API.
    pub(super) fn run<F: Future<Output = ExitCode>>(&self, command: impl FnOnce(AdminClient) -> F) -> ExitCode {
        let client = match AdminClient::new(self) {
            Ok(client) => client,
            Err(cause) => return exit::of_wrong_use(&cause),
        };
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(command(client)),
            Err(error) => exit::of_failure(&format!("cannot start: {error}")),
        }
    }
}

fn parse_address(text: &str) -> Result<Url, String> {
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url = Url::parse(&text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "http" | "https" if url.username().is_empty() && url.password().is_none() => Ok(url),
        "http" | "https" => Err("a user or password in it is not used; there is --token-file".to_owned()),
        other => Err(format!("{other} is neither http nor https")),
    }
}

/// Why there is no answer, or which one there is.
#[derive(Debug)]
pub(super) enum AdminError {
    /// Nobody listens there, or the connection broke.
    Unreachable { address: String, cause: String },
    /// There was no answer in time.
    TimedOut { address: String },
    /// The registry said no.
    Refused { status: StatusCode, problems: Vec<Problem> },
    /// Somebody answered, but not as the admin API does.
    Foreign { address: String, cause: String },
}

/// One entry of `errors`.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    code: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: Value,
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct AdminClient {
    http: Client,
    base: Url,
}

impl AdminClient {
    fn new(arguments: &AdminArguments) -> Result<Self, String> {
        // Fails when there is one already, which is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        if let Some(file) = &arguments.token_file {
            headers.insert(AUTHORIZATION, read_token(file)?);
        }
        // A redirection would carry the token elsewhere.
        let redirects = reqwest::redirect::Policy::none();
        let mut builder = Client::builder().default_headers(headers).timeout(TIMEOUT).redirect(redirects);
        if is_loopback(&arguments.admin) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| format!("cannot make an HTTP client: {}", innermost(&error)))?;
        Ok(AdminClient { http, base: arguments.admin.clone() })
    }

    /// The address as a person writes it.
    pub(super) fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The answer as it came and as it is understood.
    ///
    /// # Errors
    /// [`AdminError`].
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<(String, T), AdminError> {
        self.call(Method::GET, path, query, None).await
    }

    /// The same for what changes something.
    ///
    /// # Errors
    /// [`AdminError`].
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
        body: Value,
    ) -> Result<(String, T), AdminError> {
        self.call(Method::POST, path, query, Some(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Value>,
    ) -> Result<(String, T), AdminError> {
        let mut request = self.http.request(method, self.url(path, query));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let response = request.send().await.map_err(|error| self.no_answer(&error))?;
        let status = response.status();
        let text = self.read(response).await?;
        if !status.is_success() {
            return Err(self.refusal(status, &text));
        }
        let value = serde_json::from_str(&text).map_err(|error| self.foreign(format!("its answer: {error}")))?;
        Ok((text, value))
    }

    fn url(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(["admin", "v1"]).extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    async fn read(&self, mut response: Response) -> Result<String, AdminError> {
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.no_answer(&error))? {
            if body.len() + piece.len() > MAX_ANSWER_BYTES {
                return Err(self.foreign(format!("its answer is larger than {MAX_ANSWER_BYTES} bytes")));
            }
            body.extend_from_slice(&piece);
        }
        String::from_utf8(body).map_err(|_| self.foreign("its answer is not UTF-8".to_owned()))
    }

    fn no_answer(&self, error: &reqwest::Error) -> AdminError {
        let address = self.address().to_owned();
        match error.is_timeout() {
            true => AdminError::TimedOut { address },
            false => AdminError::Unreachable { address, cause: innermost(error) },
        }
    }

    fn refusal(&self, status: StatusCode, text: &str) -> AdminError {
        #[derive(Deserialize)]
        struct Refusal {
            errors: Vec<Problem>,
        }
        match serde_json::from_str::<Refusal>(text) {
            Ok(refusal) => AdminError::Refused { status, problems: refusal.errors },
            Err(_) => self.foreign(format!("it answered {status}")),
        }
    }

    fn foreign(&self, cause: String) -> AdminError {
        AdminError::Foreign { address: self.address().to_owned(), cause }
    }
}

/// The body of a call that needs none.
pub(super) fn no_body() -> Value {
    json!({})
}

fn read_token(file: &Path) -> Result<HeaderValue, String> {
    let unusable = |cause: &dyn fmt::Display| format!("--token-file {}: {cause}", file.display());
    let mut text = String::new();
    let opened = std::fs::File::open(file);
    let read = opened.and_then(|file| file.take(MAX_TOKEN_BYTES as u64 + 1).read_to_string(&mut text));
    read.map_err(|error| unusable(&error))?;
    let token = text.trim();
    if token.is_empty() || token.len() > MAX_TOKEN_BYTES {
        return Err(unusable(&"it does not hold a token"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
        .map_err(|_| unusable(&"it holds what cannot be sent as a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.map_or(host == "localhost", |address| address.to_canonical().is_loopback())
}

/// The cause of all; what stands around it repeats the URL.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>().map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection refused".to_owned(),
        _ => innermost.to_string(),
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            AdminError::Unreachable { address, cause } => format!(
                "cannot reach {address}: {cause}; does the registry run, and is --admin (LONGSHORE_ADMIN) its \
                 http.admin_addr?"
            ),
            AdminError::TimedOut { address } => format!("{address} did not answer within {}s", TIMEOUT.as_secs()),
            AdminError::Foreign { address, cause } => {
                format!("{address} does not speak the admin API: {cause}; is --admin its http.admin_addr?")
            }
            AdminError::Refused { status, problems } => refused(*status, problems),
        };
        f.write_str(&printable(&text))
    }
}

fn refused(status: StatusCode, problems: &[Problem]) -> String {
    let told: Vec<String> = problems.iter().map(Problem::to_string).collect();
    let told = if told.is_empty() { format!("refused with {status}") } else { told.join("; ") };
    match status {
        StatusCode::UNAUTHORIZED => format!("{told}; the token comes from --token-file (LONGSHORE_ADMIN_TOKEN_FILE)"),
        _ => told,
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.message.is_empty() { &self.code } else { &self.message })?;
        match &self.detail {
            Value::Null => Ok(()),
            Value::Object(detail) if detail.is_empty() => Ok(()),
            Value::String(detail) => write!(f, ": {detail}"),
            detail => write!(f, ": {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, url) in [
            ("127.0.0.1:5001", "http://127.0.0.1:5001/"),
            ("[::1]:5001", "http://[::1]:5001/"),
            ("https://registry.example/longshore/", "https://registry.example/longshore/"),
        ] {
            assert_eq!(parse_address(text).unwrap().as_str(), url);
        }
        for text in ["", "ftp://127.0.0.1", "http://user:secret@127.0.0.1", "127.0.0.1:port"] {
            assert!(parse_address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_loopback_addresses_pass_by_the_proxy() {
        for (text, expected) in [
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:1", true),
            ("localhost.example:1", false),
            ("10.0.0.1:1", false),
        ] {
            assert_eq!(is_loopback(&parse_address(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn a_detail_that_says_nothing_is_not_shown() {
        for (detail, shown) in [
            (json!({}), "no"),
            (json!(null), "no"),
            (json!("why"), "no: why"),
            (json!({"repositories": ["a"]}), "no: {\"repositories\":[\"a\"]}"),
        ] {
            assert_eq!(Problem { code: "DENIED".into(), message: "no".into(), detail }.to_string(), shown);
        }
    }
}
