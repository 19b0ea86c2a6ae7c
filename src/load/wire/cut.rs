use std::error::Error;
use std::fmt;
use std::io;

/// How a connection is cut in the middle of a request's body, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CutKind {
    /// The connection is reset, as when a machine or a NAT goes away.
    Reset,
    /// Nothing more will be sent, which the server is told; its answer would still be read.
    HalfClose,
    /// Nothing more is sent, and nobody is told: the connection stays open.
    Silence,
}

/// What a request's body yields as its error to be cut there: all bytes before it are on their way.
#[derive(Clone, Copy, Debug)]
pub struct Cut(pub CutKind);

impl Cut {
    /// As the error of a body's stream.
    pub fn into_io(self) -> io::Error {
        io::Error::other(self)
    }

    /// Whether an error of a body's stream asks for a cut.
    pub(super) fn of_io(error: &io::Error) -> Option<CutKind> {
        error.get_ref()?.downcast_ref::<Cut>().map(|cut| cut.0)
    }
}

impl CutKind {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            CutKind::Reset => "reset",
            CutKind::HalfClose => "half-close",
            CutKind::Silence => "silence",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut on purpose by {}", self.0.as_str())
    }
}

impl Error for Cut {}
