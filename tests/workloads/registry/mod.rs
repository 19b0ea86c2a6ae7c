//! A small registry in memory, correct unless it is told a [`Vice`].

mod http;
mod uploads;
mod vices;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use longshore::hashing::RunningDigest;
use longshore::oci::Algorithm;
use tokio::io::BufStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::http::{Answer, Head, Stream};
pub use self::vices::Vice;

/// One that listens until it is dropped.
pub struct BadRegistry {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: JoinHandle<()>,
}

struct Shared {
    vice: Vice,
    state: Mutex<State>,
    requests: AtomicU64,
    /// For [`Vice::WaitsForPuts`].
    all_are_there: Option<Barrier>,
    /// Until when nothing is answered.
    stands_still_until: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: BTreeMap<(String, String), Vec<u8>>,
    uploads: BTreeMap<u64, Upload>,
    next_upload: u64,
    /// By repository, and tag or digest.
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    tags: BTreeMap<String, BTreeSet<String>>,
    /// What was answered, and how often: method and status.
    answers: BTreeMap<(String, u16), u64>,
    forgotten: u64,
    smallest_chunk: Option<u64>,
}

#[derive(Default)]
struct Upload {
    bytes: Vec<u8>,
    is_written_to: bool,
    was_asked: bool,
    requests: u64,
}

/// What becomes of a connection after a request.
enum Then {
    Answers(Answer),
    Resets,
    Ends,
}

impl BadRegistry {
    pub async fn start(vice: Vice) -> BadRegistry {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            vice,
            state: Mutex::default(),
            requests: AtomicU64::new(0),
            all_are_there: match vice {
                Vice::WaitsForPuts(count) => Some(Barrier::new(count)),
                _ => None,
            },
            stands_still_until: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let listening = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&served), socket));
            }
        });
        BadRegistry { address, shared, listening }
    }

    /// How many uploads it holds.
    pub fn open_uploads(&self) -> usize {
        self.shared.lock().uploads.len()
    }

    /// How often it answered so.
    pub fn answers(&self, method: &str, status: u16) -> u64 {
        self.shared.lock().answers.get(&(method.to_owned(), status)).copied().unwrap_or(0)
    }

    /// The smallest chunk that it was sent.
    pub fn smallest_chunk(&self) -> Option<u64> {
        self.shared.lock().smallest_chunk
    }
}

impl Drop for BadRegistry {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits as the vice wants.
    async fn dawdle(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        match self.vice {
            Vice::IsSlow(delay) => tokio::time::sleep(delay).await,
            Vice::StandsStillOnce { after, length } => {
                if number == after {
                    *self.stands_still_until.lock().unwrap() = Some(Instant::now() + length);
                }
                let until = *self.stands_still_until.lock().unwrap();
                if let Some(until) = until {
                    tokio::time::sleep_until(until).await;
                }
            }
            _ => {}
        }
    }
}

async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    socket.set_nodelay(true).unwrap();
    let mut stream = BufStream::new(socket);
    // Whatever breaks a connection ends it.
    while let Ok(Some(head)) = Head::read(&mut stream).await {
        match answer(&shared, &head, &mut stream).await {
            Ok(Then::Answers(answer)) => {
                *shared.lock().answers.entry((head.method.clone(), answer.status)).or_default() += 1;
                shared.dawdle().await;
                let is_early = answer.status == 408;
                if answer.write(&mut stream, head.method == "HEAD").await.is_err() || is_early {
                    return;
                }
            }
            Ok(Then::Resets) => {
                let _ = stream.get_ref().set_zero_linger();
                return;
            }
            Ok(Then::Ends) | Err(_) => return,
        }
    }
}

async fn answer(shared: &Shared, head: &Head, stream: &mut Stream) -> io::Result<Then> {
    let path = head.path.strip_prefix("/v2/").unwrap_or_default();
    if shared.vice == Vice::SpeaksNonsense && !path.is_empty() {
        head.body().read(stream).await?;
        tokio::io::AsyncWriteExt::write_all(stream, b"I do not speak HTTP\r\n\r\n").await?;
        tokio::io::AsyncWriteExt::flush(stream).await?;
        return Ok(Then::Ends);
    }
    if let Some((repository, id)) = path.split_once("/blobs/uploads/") {
        return uploads::answer(shared, head, stream, repository, id).await;
    }
    let body = head.body().read(stream).await?;
    let answered = match (path.split_once("/blobs/"), path.split_once("/manifests/"), path.split_once("/tags/list")) {
        (Some((repository, digest)), _, _) => blob(shared, head, repository, digest),
        (_, Some((repository, reference)), _) => manifest(shared, head, repository, reference, body),
        (_, _, Some((repository, ""))) => tags(shared, head, repository),
        _ if path.is_empty() => Answer::of(200).body(b"{}".to_vec()),
        _ => Answer::error(404, "NAME_UNKNOWN"),
    };
    Ok(Then::Answers(answered))
}

fn blob(shared: &Shared, head: &Head, repository: &str, digest: &str) -> Answer {
    let state = shared.lock();
    let Some(bytes) = state.blobs.get(&(repository.to_owned(), digest.to_owned())) else {
        return Answer::error(404, "BLOB_UNKNOWN");
    };
    let mut bytes = bytes.clone();
    if let Some(middle) = bytes.len().checked_div(2)
        && shared.vice == Vice::ServesWrong
        && head.method == "GET"
        && !bytes.is_empty()
    {
        bytes[middle] ^= 1;
    }
    if shared.vice == Vice::ServesShort && head.method == "GET" {
        bytes.pop();
    }
    match head.range("range", "bytes=") {
        Some((first, last)) if shared.vice != Vice::IgnoresRanges => {
            let range = format!("bytes {first}-{last}/{}", bytes.len());
            let part = bytes[first as usize..=last as usize].to_vec();
            Answer::of(206).header("content-range", range).body(part)
        }
        _ => Answer::of(200).body(bytes),
    }
}

fn manifest(shared: &Shared, head: &Head, repository: &str, reference: &str, body: Vec<u8>) -> Answer {
    let mut state = shared.lock();
    let key = (repository.to_owned(), reference.to_owned());
    if head.method == "PUT" {
        let digest = digest_of(&body);
        let kept = (head.headers["content-type"].clone(), body);
        state.manifests.insert((repository.to_owned(), digest.clone()), kept.clone());
        if key.1 != digest {
            state.tags.entry(repository.to_owned()).or_default().insert(reference.to_owned());
            state.manifests.insert(key, kept);
        }
        return Answer::of(201).header("location", format!("/v2/{repository}/manifests/{digest}"));
    }
    let Some((media_type, bytes)) = state.manifests.get(&key) else {
        return Answer::error(404, "MANIFEST_UNKNOWN");
    };
    let mut bytes = bytes.clone();
    if shared.vice == Vice::ServesWrong {
        bytes.push(b' ');
    }
    Answer::of(200).header("content-type", media_type).body(bytes)
}

fn tags(shared: &Shared, head: &Head, repository: &str) -> Answer {
    let state = shared.lock();
    let Some(all) = state.tags.get(repository) else { return Answer::error(404, "NAME_UNKNOWN") };
    let most = head.query.get("n").map_or(usize::MAX, |n| n.parse().unwrap());
    let last = head.query.get("last").cloned().unwrap_or_default();
    let behind: Vec<&String> = all.iter().filter(|tag| **tag > last).collect();
    let page: Vec<&String> = behind.iter().copied().take(most).collect();
    let answer = Answer::of(200).body(serde_json::json!({"name": repository, "tags": page}).to_string().into_bytes());
    match page.last() {
        Some(last) if page.len() < behind.len() => {
            answer.header("link", format!("</v2/{repository}/tags/list?n={most}&last={last}>; rel=\"next\""))
        }
        _ => answer,
    }
}

fn digest_of(bytes: &[u8]) -> String {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update(bytes);
    running.finish().to_string()
}
