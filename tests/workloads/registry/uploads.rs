//! Uploads. An address tells the offset that it is for (`?at=`), so that a body that is sent again is known again.

use std::io;
use std::time::Duration;

use super::http::{Answer, Body, Head, Stream};
use super::vices::Vice;
use super::{Shared, State, Then, Upload, digest_of};

/// How a body came to its end.
enum Ended {
    Whole,
    /// The client broke it off.
    BrokenOff,
    /// No byte came for too long.
    Silent,
    /// The vice wants a reset.
    Reset,
    /// What was sent again is not what was sent first.
    Differs,
}

/// What a body says about where it goes.
struct Place {
    start: u64,
    /// What overlaps with what is there is compared.
    is_replay: bool,
}

pub async fn answer(shared: &Shared, head: &Head, stream: &mut Stream, repository: &str, id: &str) -> io::Result<Then> {
    if id.is_empty() {
        return start(shared, head, stream, repository).await;
    }
    let id: u64 = id.parse().unwrap_or(u64::MAX);
    if !shared.lock().uploads.contains_key(&id) {
        head.body().read(stream).await?;
        return Ok(Then::Answers(Answer::error(404, "BLOB_UPLOAD_UNKNOWN")));
    }
    if is_busy(shared, head, id) {
        head.body().read(stream).await?;
        return Ok(Then::Answers(Answer::error(429, "TOOMANYREQUESTS").header("retry-after", "0")));
    }
    match head.method.as_str() {
        "GET" => Ok(Then::Answers(status(shared, repository, id))),
        "DELETE" => {
            if shared.vice != Vice::KeepsCancelled {
                shared.lock().uploads.remove(&id);
            }
            Ok(Then::Answers(Answer::of(204)))
        }
        _ => write(shared, head, stream, repository, id).await,
    }
}

fn is_busy(shared: &Shared, head: &Head, id: u64) -> bool {
    if shared.vice != Vice::IsBusy || !matches!(head.method.as_str(), "PATCH" | "GET") {
        return false;
    }
    let mut state = shared.lock();
    let Some(upload) = state.uploads.get_mut(&id) else { return false };
    upload.requests += 1;
    upload.requests % 3 == 1
}

async fn start(shared: &Shared, head: &Head, stream: &mut Stream, repository: &str) -> io::Result<Then> {
    let takes_all = shared.vice != Vice::OnlyUploads;
    let body = head.body().read(stream).await?;
    let mut state = shared.lock();
    if let (Some(digest), Some(from), true) = (head.query.get("mount"), head.query.get("from"), takes_all)
        && let Some(bytes) = state.blobs.get(&(from.clone(), digest.clone())).cloned()
    {
        state.blobs.insert((repository.to_owned(), digest.clone()), bytes);
        return Ok(Then::Answers(Answer::of(201).header("location", format!("/v2/{repository}/blobs/{digest}"))));
    }
    if let (Some(digest), true) = (head.query.get("digest"), takes_all) {
        return Ok(Then::Answers(keep(shared, &mut state, repository, digest, body)));
    }
    state.next_upload += 1;
    let id = state.next_upload;
    state.uploads.insert(id, Upload::default());
    let mut answer = Answer::of(202).header("location", location(repository, id, 0)).header("range", "0-0");
    if let Vice::WantsChunks(bytes) = shared.vice {
        answer = answer.header("oci-chunk-min-length", bytes);
    }
    Ok(Then::Answers(answer))
}

fn location(repository: &str, id: u64, at: u64) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}?at={at}")
}

fn held(answer: Answer, repository: &str, id: u64, bytes: u64) -> Answer {
    answer.header("location", location(repository, id, bytes)).header("range", format!("0-{}", bytes.max(1) - 1))
}

fn status(shared: &Shared, repository: &str, id: u64) -> Answer {
    let mut state = shared.lock();
    if let Vice::Forgets(times) = shared.vice
        && state.forgotten < times
    {
        state.forgotten += 1;
        state.uploads.remove(&id);
        return Answer::error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    let Some(upload) = state.uploads.get_mut(&id) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
    let length = upload.bytes.len();
    match shared.vice {
        Vice::LosesBytes if upload.was_asked => upload.bytes.truncate(length / 4),
        Vice::SpoilsBytes => upload.bytes.iter_mut().for_each(|byte| *byte ^= 1),
        _ => {}
    }
    upload.was_asked = true;
    let told = match shared.vice {
        Vice::TellsTooMuch => length + (1 << 30),
        _ => upload.bytes.len(),
    };
    held(Answer::of(204), repository, id, told as u64)
}

async fn write(shared: &Shared, head: &Head, stream: &mut Stream, repository: &str, id: u64) -> io::Result<Then> {
    let busy = {
        let mut state = shared.lock();
        let Some(upload) = state.uploads.get_mut(&id) else {
            return Ok(Then::Answers(Answer::error(404, "BLOB_UPLOAD_UNKNOWN")));
        };
        std::mem::replace(&mut upload.is_written_to, true)
    };
    if busy && shared.vice != Vice::AppendsAgain {
        head.body().read(stream).await?;
        return Ok(Then::Answers(Answer::error(409, "BLOB_UPLOAD_INVALID")));
    }
    let written = body(shared, head, stream, id).await;
    if let (Some(all_are_there), "PUT") = (&shared.all_are_there, head.method.as_str()) {
        all_are_there.wait().await;
    }
    let mut state = shared.lock();
    let Some(upload) = state.uploads.get_mut(&id) else {
        return Ok(Then::Answers(Answer::error(404, "BLOB_UPLOAD_UNKNOWN")));
    };
    upload.is_written_to = false;
    let length = upload.bytes.len() as u64;
    let refused = |status, code| Then::Answers(held(Answer::error(status, code), repository, id, length));
    match written? {
        None => return Ok(refused(416, "BLOB_UPLOAD_INVALID")),
        Some(Ended::Differs) => return Ok(refused(416, "BLOB_UPLOAD_INVALID")),
        Some(Ended::BrokenOff) => return Ok(Then::Ends),
        Some(Ended::Reset) => return Ok(Then::Resets),
        Some(Ended::Silent) => {
            state.uploads.remove(&id);
            return Ok(match shared.vice {
                Vice::EndsSilentBodies(_) => Then::Answers(Answer::error(408, "BLOB_UPLOAD_INVALID")),
                _ => Then::Resets,
            });
        }
        Some(Ended::Whole) => {}
    }
    if head.method == "PUT" {
        return Ok(Then::Answers(commit(shared, &mut state, head, repository, id)));
    }
    if shared.vice == Vice::KeepsLess {
        upload.bytes.truncate(upload.bytes.len() / 2);
    }
    let length = upload.bytes.len() as u64;
    Ok(Then::Answers(held(Answer::of(202), repository, id, length)))
}

/// Takes a body in, piece by piece; `None` when it does not go where the upload stands.
async fn body(shared: &Shared, head: &Head, stream: &mut Stream, id: u64) -> io::Result<Option<Ended>> {
    let mut body = head.body();
    let length = shared.lock().uploads.get(&id).map_or(0, |upload| upload.bytes.len() as u64);
    let place = match head.range("content-range", "") {
        Some((first, last)) => {
            note_chunk(shared, first, last);
            Place { start: first, is_replay: false }
        }
        None => Place { start: head.query.get("at").map_or(length, |at| at.parse().unwrap()), is_replay: true },
    };
    let appends = shared.vice == Vice::AppendsAgain;
    let fits = appends || place.start == length || (place.is_replay && place.start < length);
    if !fits {
        body.read(stream).await?;
        return Ok(None);
    }
    let mut offset = if appends { length } else { place.start };
    loop {
        let piece = match next(shared, &mut body, stream).await {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(Some(Ended::Whole)),
            Err(ended) => return Ok(Some(ended)),
        };
        match append(shared, id, offset, &piece) {
            Some(Ended::Differs) => {
                body.read(stream).await?;
                return Ok(Some(Ended::Differs));
            }
            Some(ended) => return Ok(Some(ended)),
            None => offset += piece.len() as u64,
        }
    }
}

/// Appends what of a piece is not there yet. What it gives ends the body.
fn append(shared: &Shared, id: u64, offset: u64, piece: &[u8]) -> Option<Ended> {
    let mut state = shared.lock();
    // It may have been cancelled meanwhile.
    let Some(upload) = state.uploads.get_mut(&id) else { return Some(Ended::BrokenOff) };
    let start = offset as usize;
    let known = match shared.vice {
        Vice::AppendsAgain => 0,
        _ => (upload.bytes.len() - start).min(piece.len()),
    };
    if upload.bytes[start..start + known] != piece[..known] {
        return Some(Ended::Differs);
    }
    upload.bytes.extend_from_slice(&piece[known..]);
    let resets = shared.vice == Vice::Resets && upload.bytes.len() > 1024;
    resets.then_some(Ended::Reset)
}

async fn next(shared: &Shared, body: &mut Body, stream: &mut Stream) -> Result<Option<Vec<u8>>, Ended> {
    let (Vice::EndsSilentBodies(patience) | Vice::ResetsSilentBodies(patience)) = shared.vice else {
        return body.next(stream).await.map_err(|_| Ended::BrokenOff);
    };
    let waited: Result<_, _> = tokio::time::timeout(patience.max(Duration::from_millis(1)), body.next(stream)).await;
    waited.map_err(|_| Ended::Silent)?.map_err(|_| Ended::BrokenOff)
}

fn note_chunk(shared: &Shared, first: u64, last: u64) {
    let mut state = shared.lock();
    let length = last - first + 1;
    let before = state.smallest_chunk.unwrap_or(u64::MAX);
    state.smallest_chunk = Some(before.min(length));
}

fn commit(shared: &Shared, state: &mut State, head: &Head, repository: &str, id: u64) -> Answer {
    let Some(digest) = head.query.get("digest") else { return Answer::error(400, "DIGEST_INVALID") };
    let Some(upload) = state.uploads.get(&id) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
    let bytes = upload.bytes.clone();
    let kept = keep(shared, state, repository, digest, bytes);
    if kept.status == 201 {
        state.uploads.remove(&id);
    }
    kept
}

fn keep(shared: &Shared, state: &mut State, repository: &str, digest: &str, mut bytes: Vec<u8>) -> Answer {
    if digest_of(&bytes) != digest {
        return Answer::error(400, "DIGEST_INVALID");
    }
    if shared.vice == Vice::KeepsShort {
        bytes.pop();
    }
    if shared.vice != Vice::KeepsNothing {
        state.blobs.insert((repository.to_owned(), digest.to_owned()), bytes);
    }
    Answer::of(201).header("location", format!("/v2/{repository}/blobs/{digest}"))
}
