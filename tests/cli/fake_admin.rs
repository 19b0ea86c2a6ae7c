//! An admin server that answers by a function and remembers what it was asked.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// One request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET /path?query`.
    pub line: String,
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Status and body.
pub type Answer = (u16, String);

pub struct FakeAdmin {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl FakeAdmin {
    /// Serves on a free port until the test process ends. `answer` is told how many requests came before.
    pub fn start(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), requests.clone());
        std::thread::spawn(move || {
            for connection in listener.incoming().map(Result::unwrap) {
                let (answer, seen) = (answer.clone(), seen.clone());
                std::thread::spawn(move || serve(connection, &*answer, &seen));
            }
        });
        FakeAdmin { address, requests }
    }

    /// Gives every request the same answer.
    pub fn always(status: u16, body: &Value) -> Self {
        let body = body.to_string();
        FakeAdmin::start(move |_, _| (status, body.clone()))
    }

    pub fn address(&self) -> String {
        self.address.to_string()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The first lines alone.
    pub fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

fn serve(mut connection: TcpStream, answer: &dyn Fn(usize, &Request) -> Answer, seen: &Mutex<Vec<Request>>) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    while let Some(request) = read(&mut reader) {
        let before = {
            let mut seen = seen.lock().unwrap();
            seen.push(request.clone());
            seen.len() - 1
        };
        let (status, body) = answer(before, &request);
        let head = format!("HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n");
        let text = format!("{head}content-length: {}\r\n\r\n{body}", body.len());
        if connection.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next request of a connection; none when the client has closed it.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let line = lines.remove(0).strip_suffix(" HTTP/1.1").unwrap().to_owned();
    let header = |line: String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: BTreeMap<String, String> = lines.into_iter().filter_map(header).collect();
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, headers, body: String::from_utf8(body).unwrap() })
}

/// The id with this number.
pub fn id(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// An upload, so long ago and so long before its end that its times do not change while a test runs.
pub fn upload(number: u32, repository: &str) -> Value {
    json!({
        "repository": repository, "id": id(number), "state": "writing", "offset_bytes": 3 << 20,
        "started_at": "2026-01-02T10:00:00Z", "progress_at": "2026-01-02T10:00:00.25Z",
        "rate_bytes_per_second": 1536, "client": "192.0.2.7", "deadline": null, "expired": null
    })
}

/// Errors as the registry's.
pub fn errors(code: &str, message: &str, detail: Value) -> Value {
    json!({"errors": [{"code": code, "message": message, "detail": detail}]})
}
