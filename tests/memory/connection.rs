//! A connection that sends prepared requests, so that what is counted is the registry's.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::PATIENCE;

/// Answers are at most so long.
const BUFFER_BYTES: usize = 64 * 1024;

pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Connection {
        let stream = TcpStream::connect(address).expect("the registry accepts");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Connection { stream, buffer: vec![0; BUFFER_BYTES] }
    }

    pub fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).expect("the request goes out");
    }

    /// The status of the answer to a request, whose body is read too. Allocates nothing.
    pub fn exchange(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.answer(!request.starts_with(b"HEAD"))
    }

    /// The value of a header of the last answer.
    pub fn header(&self, name: &str) -> String {
        let head = std::str::from_utf8(&self.buffer[..head_length(&self.buffer).expect("a head")]).expect("text");
        let value = head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        });
        value.unwrap_or_else(|| panic!("there is no {name} in {head}"))
    }

    fn answer(&mut self, has_body: bool) -> u16 {
        let mut filled = 0;
        let head_bytes = loop {
            if let Some(length) = head_length(&self.buffer[..filled]) {
                break length;
            }
            filled += self.read(filled);
        };
        let body_bytes = if has_body { content_length(&self.buffer[..head_bytes]) } else { 0 };
        while filled < head_bytes + body_bytes {
            filled += self.read(filled);
        }
        assert_eq!(filled, head_bytes + body_bytes, "nothing comes behind the answer");
        let status = std::str::from_utf8(&self.buffer[9..12]).expect("a status");
        status.parse().expect("a status")
    }

    fn read(&mut self, filled: usize) -> usize {
        let read = self.stream.read(&mut self.buffer[filled..]).expect("an answer in time");
        assert!(read > 0, "the connection ended");
        read
    }
}

fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"content-length:";
    let at = head.windows(NAME.len()).position(|found| found.eq_ignore_ascii_case(NAME));
    let digits = at.map_or(&b""[..], |at| &head[at + NAME.len()..]);
    let digits = digits.iter().skip_while(|byte| **byte == b' ').take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}
