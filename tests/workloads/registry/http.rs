//! As much HTTP/1.1 as the registry needs, by hand: so that it can break off wherever a vice wants it to.

use std::collections::BTreeMap;
use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;

pub type Stream = BufStream<TcpStream>;

/// A request's head.
pub struct Head {
    pub method: String,
    /// Without the query.
    pub path: String,
    pub query: BTreeMap<String, String>,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
}

/// An answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// The `Content-Length` that it tells, where that is not the body's.
    pub told_length: Option<usize>,
}

/// What is left of a request's body.
pub enum Body {
    /// So many bytes.
    Length(u64),
    /// Chunks; so many bytes are left of the one that has begun.
    Chunked { left: u64, has_ended: bool },
}

impl Head {
    /// `None` at the connection's end.
    pub async fn read(stream: &mut Stream) -> io::Result<Option<Head>> {
        let Some(first) = read_line(stream).await? else { return Ok(None) };
        let mut words = first.split(' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut head = Head {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.split('&').filter_map(|pair| pair.split_once('=')).map(unescaped).collect(),
            headers: BTreeMap::new(),
        };
        loop {
            let line = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let Some((name, value)) = line.split_once(':') else { return Ok(Some(head)) };
            head.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }

    pub fn body(&self) -> Body {
        match self.headers.get("content-length") {
            Some(length) => Body::Length(length.parse().expect("a length")),
            None if self.headers.contains_key("transfer-encoding") => Body::Chunked { left: 0, has_ended: false },
            None => Body::Length(0),
        }
    }

    /// First and last byte of a header such as `0-99`, with what stands before it taken off.
    pub fn range(&self, name: &str, before: &str) -> Option<(u64, u64)> {
        let (first, last) = self.headers.get(name)?.strip_prefix(before)?.split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()?))
    }
}

fn unescaped((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.replace("%3A", ":").replace("%2F", "/"))
}

async fn read_line(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    loop {
        match stream.read_u8().await {
            Ok(b'\n') => break,
            Ok(byte) => line.push(byte),
            Err(error) if line.is_empty() && error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

impl Body {
    /// The next bytes; `None` at the end. An error when it breaks off.
    pub async fn next(&mut self, stream: &mut Stream) -> io::Result<Option<Vec<u8>>> {
        if let Body::Chunked { left: 0, has_ended: false } = self {
            let size = read_line(stream).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = u64::from_str_radix(&size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            *self = Body::Chunked { left: size, has_ended: size == 0 };
            if size == 0 {
                read_line(stream).await?;
            }
        }
        let (Body::Length(left) | Body::Chunked { left, .. }) = self;
        if *left == 0 {
            return Ok(None);
        }
        let mut piece = vec![0; (*left).min(16 << 10) as usize];
        let read = stream.read(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        piece.truncate(read);
        *left -= read as u64;
        if let Body::Chunked { left: 0, .. } = self {
            read_line(stream).await?;
        }
        Ok(Some(piece))
    }

    /// All of it.
    pub async fn read(mut self, stream: &mut Stream) -> io::Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next(stream).await? {
            whole.extend(piece);
        }
        Ok(whole)
    }
}

impl Answer {
    pub fn of(status: u16) -> Answer {
        Answer { status, ..Answer::default() }
    }

    /// One that says no.
    pub fn error(status: u16, code: &str) -> Answer {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"it is so"}}]}}"#);
        Answer::of(status).body(body.into_bytes())
    }

    pub fn header(mut self, name: &'static str, value: impl ToString) -> Answer {
        self.headers.push((name, value.to_string()));
        self
    }

    pub fn body(mut self, body: Vec<u8>) -> Answer {
        self.body = body;
        self
    }

    pub async fn write(self, stream: &mut Stream, is_head: bool) -> io::Result<()> {
        let length = self.told_length.unwrap_or(self.body.len());
        let mut head = format!("HTTP/1.1 {} Said\r\n", self.status);
        if self.status != 204 {
            head += &format!("content-length: {length}\r\n");
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        stream.write_all(head.as_bytes()).await?;
        if !is_head {
            stream.write_all(&self.body).await?;
        }
        stream.flush().await
    }
}
