use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Why a request has no answer, or an answer no end.
#[derive(Clone, Debug)]
pub struct TransportError {
    kind: TransportErrorKind,
    may_have_reached: bool,
    message: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransportErrorKind {
    /// No connection: nobody listens, the name or the certificate is wrong.
    Connect,
    /// The connection broke.
    Reset,
    /// It took too long.
    Timeout,
    /// What came is no HTTP, or not as it was agreed.
    Protocol,
    /// The request's own body failed.
    Body,
}

impl TransportError {
    /// An error after which the server may have acted on the request.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        let may_have_reached = kind != TransportErrorKind::Connect;
        TransportError { kind, may_have_reached, message: message.into(), source: None }
    }

    /// With what is behind it.
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Nothing of the request can have got to the server.
    pub fn never_sent(mut self) -> Self {
        self.may_have_reached = false;
        self
    }

    /// As an error of an answer's body ([`Response::body`](super::Response::body)).
    pub fn into_io(self) -> io::Error {
        let kind = match self.kind {
            TransportErrorKind::Connect => io::ErrorKind::NotConnected,
            TransportErrorKind::Reset => io::ErrorKind::ConnectionReset,
            TransportErrorKind::Timeout => io::ErrorKind::TimedOut,
            TransportErrorKind::Protocol => io::ErrorKind::InvalidData,
            TransportErrorKind::Body => io::ErrorKind::Other,
        };
        io::Error::new(kind, self)
    }

    /// What an error of an answer's body says.
    pub fn of_io(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => TransportErrorKind::Timeout,
            io::ErrorKind::InvalidData => TransportErrorKind::Protocol,
            _ => TransportErrorKind::Reset,
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref::<TransportError>()) {
            Some(told) => told.clone(),
            None => TransportError::new(kind, error.to_string()).with_source(error),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }

    /// Whether the server may have got the request, and acted on it. [`TransportErrorKind::Connect`] never has.
    pub fn may_have_reached(&self) -> bool {
        self.may_have_reached
    }
}

impl TransportErrorKind {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            TransportErrorKind::Connect => "connect",
            TransportErrorKind::Reset => "reset",
            TransportErrorKind::Timeout => "timeout",
            TransportErrorKind::Protocol => "protocol",
            TransportErrorKind::Body => "body",
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
