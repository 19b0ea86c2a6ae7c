use std::io::{self, Write as _};
use std::net::TcpStream;

/// Answers, made in one buffer and sent at once.
pub(super) struct Answers<'a> {
    socket: &'a TcpStream,
    buffer: Vec<u8>,
}

impl<'a> Answers<'a> {
    pub(super) fn new(socket: &'a TcpStream) -> Answers<'a> {
        Answers { socket, buffer: Vec::new() }
    }

    /// Tells the client to send the body.
    pub(super) fn go_on(&mut self) -> io::Result<()> {
        (&mut &*self.socket).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
    }

    /// Sends an answer without a body; `headers` are whole lines with their ends.
    pub(super) fn send(&mut self, status: &str, headers: std::fmt::Arguments<'_>, closes: bool) -> io::Result<()> {
        self.begin(status, headers, closes)?;
        if !status.starts_with("204") {
            self.buffer.extend_from_slice(b"Content-Length: 0\r\n");
        }
        self.end()
    }

    /// Sends the head of an answer whose body has this length.
    pub(super) fn send_head(
        &mut self,
        status: &str,
        headers: std::fmt::Arguments<'_>,
        length_bytes: u64,
        closes: bool,
    ) -> io::Result<()> {
        self.begin(status, headers, closes)?;
        write!(self.buffer, "Content-Length: {length_bytes}\r\n")?;
        self.end()
    }

    /// Sends an error as registries do.
    pub(super) fn refuse(&mut self, status: &str, code: &str, closes: bool) -> io::Result<()> {
        let body = format!("{{\"errors\":[{{\"code\":\"{code}\",\"message\":\"refused by the control\"}}]}}");
        self.begin(status, format_args!("Content-Type: application/json\r\n"), closes)?;
        write!(self.buffer, "Content-Length: {}\r\n\r\n{body}", body.len())?;
        self.flush()
    }

    fn begin(&mut self, status: &str, headers: std::fmt::Arguments<'_>, closes: bool) -> io::Result<()> {
        self.buffer.clear();
        write!(self.buffer, "HTTP/1.1 {status}\r\n{headers}")?;
        if closes {
            self.buffer.extend_from_slice(b"Connection: close\r\n");
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.buffer.extend_from_slice(b"\r\n");
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        (&mut &*self.socket).write_all(&self.buffer)
    }
}
