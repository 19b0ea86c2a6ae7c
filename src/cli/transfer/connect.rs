use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::sync::Arc;

use longshore::client::transport::{HttpTransport, HttpTransportOptions};
use longshore::client::{AddressError, Client, Credentials, ImageReference, ImageReferenceError};
use longshore::oci::RepositoryName;
use longshore::services::RegistryError;
use longshore::transfer::RepositoryEnd;

use super::arguments::RegistryArguments;

const MAX_PASSWORD_BYTES: u64 = 64 << 10;

/// One registry, and how it is spoken to.
pub(in crate::cli) struct Connection {
    pub(in crate::cli) client: Client,
}

/// Why there is no password.
pub(super) enum PasswordError {
    Terminal,
    Empty,
    Unreadable(io::Error),
}

/// `registry.example/app:v1`; with `--plain-http` as if `http://` stood before it.
pub(in crate::cli) fn parse_reference(
    text: &str,
    arguments: &RegistryArguments,
) -> Result<ImageReference, ImageReferenceError> {
    match arguments.plain_http && !text.contains("://") {
        true => format!("http://{text}").parse(),
        false => text.parse(),
    }
}

/// The password of `--user`, if there is one; it is on standard input, where no other user of this machine sees it.
pub(super) fn password(arguments: &RegistryArguments) -> Result<Option<Credentials>, PasswordError> {
    let Some(username) = arguments.user.clone() else { return Ok(None) };
    let input = io::stdin();
    if input.is_terminal() {
        return Err(PasswordError::Terminal);
    }
    let mut line = String::new();
    input.lock().take(MAX_PASSWORD_BYTES).read_line(&mut line).map_err(PasswordError::Unreadable)?;
    match line.trim_end_matches(['\r', '\n']) {
        "" => Err(PasswordError::Empty),
        password => Ok(Some(Credentials::Basic { username, password: password.to_owned() })),
    }
}

impl Connection {
    /// Nothing is sent yet.
    pub(in crate::cli) fn new(
        reference: &ImageReference,
        arguments: &RegistryArguments,
        credentials: Option<Credentials>,
    ) -> Result<Connection, AddressError> {
        let options = HttpTransportOptions {
            ca_file: arguments.ca_file.clone(),
            accepts_any_certificate: arguments.insecure,
            ..HttpTransportOptions::default()
        };
        let mut builder =
            Client::builder_at(reference.registry.clone()).transport(Arc::new(HttpTransport::new(options)));
        if let Some(credentials) = credentials {
            builder = builder.credentials(credentials);
            // Somebody asked for both.
            if arguments.plain_http {
                builder = builder.allow_plain_credentials();
            }
        }
        Ok(Connection { client: builder.build()? })
    }

    pub(in crate::cli) fn end(&self, name: &RepositoryName) -> Result<RepositoryEnd, RegistryError> {
        RepositoryEnd::new(&self.client, &self.client.address().to_string(), name)
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PasswordError::Terminal => {
                f.write_str("the password of --user is read from standard input, which is a terminal: redirect it")
            }
            PasswordError::Empty => f.write_str("there is no password on standard input"),
            PasswordError::Unreadable(cause) => write!(f, "cannot read the password from standard input: {cause}"),
        }
    }
}
