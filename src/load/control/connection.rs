//! One client's connection: its requests, one after the other.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::{Shutdown, TcpStream};
use std::ops::RangeInclusive;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use super::Shared;
use super::answer::Answers;
use super::digesting::{Intake, Pieces};
use super::head::{BodyKind, Head};
use super::store::Upload;
use super::stream::{BodyReader, End, Incoming, NextHead};
use super::target::{Target, digest_of, parse_digest};
use crate::oci::Digest;

/// So much of what a refused client still sends is read, so that it gets to see the answer.
const LINGER_BYTES: u64 = 1 << 20;

/// So long is waited for it.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that is served by a thread of its own.
pub(super) struct Connection<'a> {
    socket: &'a TcpStream,
    shared: &'a Shared,
    incoming: Incoming<'a>,
    answers: Answers<'a>,
    pieces: Pieces,
}

/// What comes after a request.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Request,
    Close,
    /// The client still sends what nobody wants.
    Linger,
}

impl<'a> Connection<'a> {
    pub(super) fn new(socket: &'a TcpStream, shared: &'a Shared) -> Connection<'a> {
        Connection {
            socket,
            shared,
            incoming: Incoming::new(socket),
            answers: Answers::new(socket),
            pieces: Pieces::new(),
        }
    }

    /// Answers requests until the client has no more.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let mut head_bytes = Vec::new();
        loop {
            let next = match self.incoming.next_head(&mut head_bytes)? {
                NextHead::Closed => Next::Close,
                NextHead::TooLong => self.refuse("431 Request Header Fields Too Large", "UNSUPPORTED")?,
                NextHead::Found => match Head::parse(&head_bytes) {
                    Some(head) => self.answer(&head)?,
                    None => self.refuse("400 Bad Request", "UNSUPPORTED")?,
                },
            };
            match next {
                Next::Request => {}
                Next::Close => return Ok(()),
                Next::Linger => return self.linger(),
            }
        }
    }

    fn answer(&mut self, head: &Head<'_>) -> io::Result<Next> {
        match (head.method, Target::of(head.path)) {
            ("GET", Target::Base) => self.plain(head, "200 OK", format_args!("")),
            ("POST", Target::Uploads { name }) => self.begin(head, name),
            ("PATCH", Target::Upload { name, id }) => self.patch(head, name, id),
            ("PUT", Target::Upload { name, id }) => self.put(head, name, id),
            ("GET", Target::Upload { name, id }) => self.status(head, name, id),
            ("DELETE", Target::Upload { id, .. }) => match self.shared.store.cancel(id) {
                true => self.plain(head, "204 No Content", format_args!("")),
                false => self.refuse_whole(head, "404 Not Found", "BLOB_UPLOAD_UNKNOWN"),
            },
            ("GET" | "HEAD", Target::Blob { digest }) => self.blob(head, digest),
            (_, Target::Other) => self.refuse_whole(head, "404 Not Found", "UNSUPPORTED"),
            _ => self.refuse_whole(head, "405 Method Not Allowed", "UNSUPPORTED"),
        }
    }

    fn begin(&mut self, head: &Head<'_>, name: &str) -> io::Result<Next> {
        let id = self.shared.store.begin();
        // A mount is answered as by a registry that has not got it: by an upload.
        match digest_of(head.query) {
            Some(digest) => self.finish(head, name, id, digest),
            None => self.plain(head, "202 Accepted", format_args!("Location: /v2/{name}/blobs/uploads/{id}\r\n")),
        }
    }

    fn patch(&mut self, head: &Head<'_>, name: &str, id: u64) -> io::Result<Next> {
        let Some(upload) = self.shared.store.upload(id) else {
            return self.refuse_whole(head, "404 Not Found", "BLOB_UPLOAD_UNKNOWN");
        };
        self.with_body(head, id, &upload, |connection, upload| {
            let last = upload.size_bytes().saturating_sub(1);
            drop(upload);
            let headers = format_args!("Location: /v2/{name}/blobs/uploads/{id}\r\nRange: 0-{last}\r\n");
            connection.answers.send("202 Accepted", headers, head.closes)?;
            Ok(next(head))
        })
    }

    fn put(&mut self, head: &Head<'_>, name: &str, id: u64) -> io::Result<Next> {
        match digest_of(head.query) {
            Some(digest) => self.finish(head, name, id, digest),
            None => self.refuse_whole(head, "400 Bad Request", "DIGEST_INVALID"),
        }
    }

    /// Takes an upload's last bytes and makes a blob of it.
    fn finish(&mut self, head: &Head<'_>, name: &str, id: u64, digest: Result<Digest, ()>) -> io::Result<Next> {
        let Some(upload) = self.shared.store.upload(id) else {
            return self.refuse_whole(head, "404 Not Found", "BLOB_UPLOAD_UNKNOWN");
        };
        self.with_body(head, id, &upload, |connection, mut upload| {
            let is_right = digest.as_ref().is_ok_and(|digest| *digest == upload.digest());
            let committed = match &digest {
                Ok(digest) if is_right => connection.shared.store.commit(id, &mut upload, digest),
                _ => Ok(()),
            };
            drop(upload);
            let Some(digest) = digest.ok().filter(|_| is_right) else {
                connection.answers.refuse("400 Bad Request", "DIGEST_INVALID", head.closes)?;
                return Ok(next(head));
            };
            if let Err(error) = committed {
                return connection.give_up(id, &error);
            }
            let headers = format_args!("Location: /v2/{name}/blobs/{digest}\r\nDocker-Content-Digest: {digest}\r\n");
            connection.answers.send("201 Created", headers, head.closes)?;
            Ok(next(head))
        })
    }

    fn status(&mut self, head: &Head<'_>, name: &str, id: u64) -> io::Result<Next> {
        let Some(upload) = self.shared.store.upload(id) else {
            return self.refuse_whole(head, "404 Not Found", "BLOB_UPLOAD_UNKNOWN");
        };
        let Some(size_bytes) = try_lock(&upload).map(|upload| upload.size_bytes()) else {
            return self.refuse_whole(head, "409 Conflict", "BLOB_UPLOAD_INVALID");
        };
        let last = size_bytes.saturating_sub(1);
        let headers = format_args!("Location: /v2/{name}/blobs/uploads/{id}\r\nRange: 0-{last}\r\n");
        self.plain(head, "204 No Content", headers)
    }

    fn blob(&mut self, head: &Head<'_>, digest: &str) -> io::Result<Next> {
        let found = parse_digest(digest).ok().and_then(|digest| self.shared.store.blob(&digest));
        let Some(blob) = found else {
            return self.refuse_whole(head, "404 Not Found", "BLOB_UNKNOWN");
        };
        let next = self.skip_body(head)?;
        let (status, range) = match &head.range {
            None => ("200 OK", 0..blob.size_bytes),
            Some(range) => match within(range, blob.size_bytes) {
                Some(range) => ("206 Partial Content", range),
                None => return self.refuse_whole(head, "416 Range Not Satisfiable", "UNSUPPORTED"),
            },
        };
        let length_bytes = range.end - range.start;
        let content_range = match head.range {
            Some(_) => format!("Content-Range: bytes {}-{}/{}\r\n", range.start, range.end - 1, blob.size_bytes),
            None => String::new(),
        };
        let headers = format_args!(
            "Content-Type: application/octet-stream\r\nDocker-Content-Digest: {digest}\r\n{content_range}"
        );
        // Opened before anything is said, so that it need not be taken back.
        let file = (head.method == "GET").then(|| File::open(&blob.path)).transpose()?;
        self.answers.send_head(status, headers, length_bytes, next != Next::Request)?;
        if let Some(mut file) = file {
            if range.start > 0 {
                file.seek(SeekFrom::Start(range.start))?;
            }
            // On Linux the kernel moves the bytes without their coming here.
            let sent = io::copy(&mut file.take(length_bytes), &mut &*self.socket)?;
            if sent != length_bytes {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(next)
    }

    /// Receives the request's body into an upload, and lets `answer` answer when it is whole. The upload is let go before
    /// anything is answered, so that who has the answer can go on with it over another connection.
    fn with_body(
        &mut self,
        head: &Head<'_>,
        id: u64,
        upload: &Mutex<Upload>,
        answer: impl FnOnce(&mut Self, MutexGuard<'_, Upload>) -> io::Result<Next>,
    ) -> io::Result<Next> {
        let Some(mut upload) = try_lock(upload) else {
            return self.refuse_whole(head, "409 Conflict", "BLOB_UPLOAD_INVALID");
        };
        if head.content_range.as_ref().is_some_and(|range| *range.start() != upload.size_bytes()) {
            drop(upload);
            return self.refuse_whole(head, "416 Range Not Satisfiable", "BLOB_UPLOAD_INVALID");
        }
        let received = match BodyReader::of(head.body) {
            BodyReader::Ended | BodyReader::Sized(0) => Ok(End::Whole),
            body => self.go_on(head).and_then(|()| self.receive(body, &mut upload)),
        };
        match received {
            Ok(End::Whole) => answer(self, upload),
            Ok(End::Malformed) => {
                drop(upload);
                self.refuse("400 Bad Request", "BLOB_UPLOAD_INVALID")
            }
            Ok(End::NotYet | End::Broken) => Ok(Next::Close),
            Err(error) => {
                drop(upload);
                self.give_up(id, &error)
            }
        }
    }

    /// Ends an upload whose file and digest may not be of the same bytes any more.
    fn give_up(&mut self, id: u64, error: &io::Error) -> io::Result<Next> {
        log::warn!(upload = id, error:% = error; "upload is given up");
        self.shared.store.cancel(id);
        self.refuse("500 Internal Server Error", "UNKNOWN")
    }

    /// Writes and hashes a body; tells how it ended. Whatever came of it is kept.
    ///
    /// # Errors
    /// When it could not be written or hashed.
    fn receive(&mut self, mut body: BodyReader, upload: &mut Upload) -> io::Result<End> {
        let (file, digest) = upload.open()?;
        let mut intake = Intake::new(&mut self.pieces, file, digest, &self.shared.bodies);
        loop {
            let mut piece = intake.piece()?;
            let room_bytes = intake.piece_bytes();
            let filled = self.incoming.fill(&mut body, &mut piece[..room_bytes]);
            let is_last = filled.end != End::NotYet;
            intake.put(piece, filled.bytes, is_last)?;
            if is_last {
                intake.end()?;
                return Ok(filled.end);
            }
        }
    }

    /// Sends an answer that has no body, to a request that needs none.
    fn plain(&mut self, head: &Head<'_>, status: &str, headers: std::fmt::Arguments<'_>) -> io::Result<Next> {
        let next = self.skip_body(head)?;
        self.answers.send(status, headers, next != Next::Request)?;
        Ok(next)
    }

    /// Refuses a request; its body is not wanted.
    fn refuse_whole(&mut self, head: &Head<'_>, status: &str, code: &str) -> io::Result<Next> {
        let next = self.skip_body(head)?;
        match head.method {
            "HEAD" => self.answers.send(status, format_args!(""), next != Next::Request)?,
            _ => self.answers.refuse(status, code, next != Next::Request)?,
        }
        Ok(next)
    }

    /// Refuses what cannot be gone on from.
    fn refuse(&mut self, status: &str, code: &str) -> io::Result<Next> {
        self.answers.refuse(status, code, true)?;
        Ok(Next::Linger)
    }

    /// Reads a short body that nobody wants; a longer one, or one that waits to be asked for, ends the connection.
    fn skip_body(&mut self, head: &Head<'_>) -> io::Result<Next> {
        let mut body = BodyReader::of(head.body);
        let is_short = matches!(head.body, BodyKind::None | BodyKind::Sized(0..=4096)) && !head.expects_continue;
        if !is_short {
            return Ok(Next::Linger);
        }
        let mut room = [0; 4096];
        match self.incoming.fill(&mut body, &mut room).end {
            End::Broken => Err(io::ErrorKind::UnexpectedEof.into()),
            _ if matches!(body, BodyReader::Sized(1..)) => Ok(Next::Linger),
            _ => Ok(next(head)),
        }
    }

    fn go_on(&mut self, head: &Head<'_>) -> io::Result<()> {
        // Who sends already need not be told.
        match head.expects_continue && !self.incoming.has_ahead() {
            true => self.answers.go_on(),
            false => Ok(()),
        }
    }

    /// Reads on for a moment before the connection is closed: what is unread then would take the answer with it.
    fn linger(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)?;
        self.socket.set_read_timeout(Some(LINGER))?;
        // However it ends, the connection is over.
        let _ = io::copy(&mut self.socket.take(LINGER_BYTES), &mut io::sink());
        Ok(())
    }
}

fn next(head: &Head<'_>) -> Next {
    if head.closes { Next::Close } else { Next::Request }
}

/// An upload to use; `None` when another connection does.
fn try_lock(upload: &Mutex<Upload>) -> Option<MutexGuard<'_, Upload>> {
    // A thread that panicked with it left nobody knows what.
    upload.try_lock().ok()
}

/// What of a range is within so many bytes: first and one behind the last.
fn within(range: &RangeInclusive<u64>, size_bytes: u64) -> Option<std::ops::Range<u64>> {
    let last = size_bytes.checked_sub(1)?.min(*range.end());
    (*range.start() <= last).then(|| *range.start()..last + 1)
}
