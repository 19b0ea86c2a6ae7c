//! Steps of clients that write.

use std::net::IpAddr;

use bytes::Bytes;
use longshore::oci::{Algorithm, Digest};
use longshore::upload::{ListUploads, Start, UploadError, UploadState, WriteOptions, Writer};

use crate::random::layer;
use crate::steps::everything;
use crate::upload::{Fate, Upload, digest_of};
use crate::world::{Body, HANGS_AFTER, World};

impl World {
    /// A client asks for the right to write.
    pub async fn claim(&mut self, index: usize) {
        let kept = self.uploads[index].kept.len() as u64;
        let most = self.uploads[index].content().len() as u64;
        let start = match self.random.below(10) {
            0..=4 => Start::Current,
            5 => Start::Exactly(kept),
            6 => Start::Exactly(most),
            7 => Start::Exactly(self.random.below(most + 10)),
            _ => Start::Replay(self.random.below(most + 5)),
        };
        let length = self.random.chance(20).then(|| self.random.below(6_000));
        let client = self.client();
        let options = WriteOptions { start, length, digest: None, discard_on_cut: false, client };
        self.claim_with(index, options).await;
    }

    /// Gives where the body is among those that are being written, if it was granted.
    pub async fn claim_with(&mut self, index: usize, options: WriteOptions) -> Option<usize> {
        self.tell(format!("claim upload {index} {options:?}"));
        let was_written = self.uploads[index].may_be_written();
        let handle = self.handle(index);
        let wanted = options.clone();
        let (granted, has_waited) = self.patiently("claim", async move { handle.write(wanted).await }).await;
        match granted {
            Ok(writer) => self.granted(index, options, writer, was_written).await,
            Err(error) => {
                self.not_granted(index, &options, &error, has_waited).await;
                None
            }
        }
    }

    async fn granted(
        &mut self,
        index: usize,
        options: WriteOptions,
        writer: Writer,
        was_written: bool,
    ) -> Option<usize> {
        self.check_writing_limits(&options, was_written);
        let upload = &mut self.uploads[index];
        match &upload.fate {
            Fate::Live => {}
            Fate::Committed { may_be_left: true, .. } => return None,
            fate => {
                let what = format!("upload {index} is {fate:?}, and the right to write it was granted");
                self.violated(what);
            }
        }
        upload.writers.push(options.client);
        upload.clients.push(options.client);
        upload.is_discarded |= options.discard_on_cut;
        self.last_lease += 1;
        upload.holder = Some(self.last_lease);
        upload.is_alive();
        self.note();
        // Nobody else writes any more, and this one has not begun: now it is known where the upload stands.
        let base = match self.status_of(index).await {
            Ok(offset) => offset,
            Err(error) => {
                self.refused(index, &error, "ask for the start of").await;
                return None;
            }
        };
        self.is_counted_as_writing().await;
        let upload = &mut self.uploads[index];
        let settled = upload.settle(base);
        self.expect(settled, format!("claim upload {index}"));
        let start = match options.start {
            Start::Current => base,
            Start::Exactly(start) if start == base => start,
            Start::Replay(start) if start <= base => start,
            start => self.violated(format!("{start:?} was granted where upload {index} stands at {base}")),
        };
        if let Some(length) = options.length
            && self.is_too_large(start + length)
        {
            self.violated(format!("upload {index}: a body up to {} was granted", start + length));
        }
        let lease = self.last_lease;
        let length = options.length;
        let writer = Some(writer);
        self.bodies.push(Body { upload: index, lease, writer, start, sent: 0, length, base, differs: false });
        Some(self.bodies.len() - 1)
    }

    async fn not_granted(&mut self, index: usize, options: &WriteOptions, error: &UploadError, has_waited: bool) {
        self.tell(format!("claim upload {index}: told {error:?}"));
        let upload = &self.uploads[index];
        let is_wanted =
            upload.may_be_written() || has_waited || upload.may_have_expired() || !upload.commits.is_empty();
        match error {
            UploadError::Busy { .. } if is_wanted => {
                let upload = &mut self.uploads[index];
                upload.writers.push(options.client);
            }
            // Whoever takes over from one that writes is not counted again.
            UploadError::OverLimit { limit, value, .. }
                if upload.holder.is_none() || upload.is_tainted || upload.may_have_expired() =>
            {
                self.too_many_write(index, options.client, limit, *value);
            }
            UploadError::RangeMismatch { offset } => {
                let is_right = match options.start {
                    Start::Current => true,
                    Start::Exactly(start) => start == *offset,
                    Start::Replay(start) => start <= *offset,
                };
                if is_right {
                    self.violated(format!("upload {index}: {:?} was refused at {offset}", options.start));
                }
                self.lease_ended(index, *offset);
            }
            UploadError::TooLarge { limit_bytes } => {
                let content = upload.content().len() as u64;
                let start = match options.start {
                    Start::Current => content,
                    Start::Exactly(start) | Start::Replay(start) => start,
                };
                let end = start + options.length.unwrap_or(0);
                if *limit_bytes != self.config.max_size || end <= *limit_bytes {
                    self.violated(format!("upload {index}: a body up to {end} is larger than {limit_bytes}"));
                }
                self.uploads[index].holder = None;
            }
            error => self.refused(index, error, "claim").await,
        }
    }

    /// Whoever has the right to write counts towards the limits.
    async fn is_counted_as_writing(&self) {
        let began = std::time::Instant::now();
        let states = vec![UploadState::Writing];
        loop {
            let page = self.engine.list(&ListUploads { states: states.clone(), ..everything() });
            let writing = page.map_or(0, |page| page.total);
            let counted = self.metrics.uploads_writing.get();
            if counted >= writing as i64 {
                return;
            }
            // One of them may have come to its end just between.
            if began.elapsed() > HANGS_AFTER {
                self.violated(format!("{writing} uploads are written to and {counted} counted"));
            }
            tokio::task::yield_now().await;
        }
    }

    fn check_writing_limits(&self, options: &WriteOptions, was_written: bool) {
        let (limit, writing) = (self.config.max_writing, self.metrics.uploads_writing.get());
        if !was_written && limit > 0 && writing > limit as i64 {
            self.violated(format!("{writing} uploads are written to of {limit} that may be; {options:?} was let in"));
        }
    }

    fn too_many_write(&self, index: usize, client: Option<IpAddr>, limit: &str, value: u64) {
        let repository = self.uploads[index].repository;
        let is_written = |upload: &Upload| upload.may_be_written();
        let (config, id) = (&self.config, self.uploads[index].id);
        match limit {
            "max_writing" => {
                self.over_limit(limit, value, |upload| upload.id != id && is_written(upload), config.max_writing)
            }
            "max_writing_per_client" if client.is_some() => {
                let is_counted = |upload: &Upload| upload.id != id && upload.writers.contains(&client);
                self.over_limit(limit, value, is_counted, config.max_writing_per_client);
            }
            "max_writing_per_repository" => {
                let is_counted =
                    |upload: &Upload| upload.id != id && is_written(upload) && upload.repository == repository;
                self.over_limit(limit, value, is_counted, config.max_writing_per_repository);
            }
            _ => self.violated(format!("told that uploads.{limit} is reached")),
        }
    }

    fn is_too_large(&self, end: u64) -> bool {
        self.config.max_size > 0 && end > self.config.max_size
    }

    /// Nobody has the right to write any more, and the upload stands there.
    pub fn lease_ended(&mut self, index: usize, offset: u64) {
        let settled = self.uploads[index].settle(offset);
        self.expect(settled, format!("upload {index}"));
        self.uploads[index].holder = None;
        self.uploads[index].writers.clear();
    }

    /// A client sends a piece.
    pub async fn send(&mut self) {
        let Some(body) = self.take_body() else { return };
        let most = self.random.pick(&[1, 50, 700, 3_000]);
        let len = self.random.below(most + 1) as usize;
        if let Some(body) = self.send_piece(body, len).await {
            self.bodies.push(body);
        }
    }

    /// Gives the body back, unless it has ended.
    pub async fn send_piece(&mut self, mut body: Body, len: usize) -> Option<Body> {
        let (index, begin) = (body.upload, body.start + body.sent);
        // Most clients send what belongs there; another one shows whether anything is mixed.
        let own = self.uploads[index].layer;
        let layer_number = if self.random.chance(if begin < body.base { 10 } else { 30 }) { own + 1 } else { own };
        let piece = layer(layer_number, begin, len);
        self.tell(format!(
            "send {len} bytes of layer {layer_number} at {begin} to upload {index}, lease {}",
            body.lease
        ));
        let room = body.length.map_or(len as u64, |length| length - body.sent) as usize;
        let taken = &piece[..len.min(room)];
        if self.holds(&body) {
            self.expect_piece(&mut body, begin, taken);
        }
        body.sent += taken.len() as u64;
        let is_too_long = len > room;
        let Some(writer) = body.writer.as_mut() else { self.violated("a body goes on behind its end") };
        match self.within("send", writer.send(Bytes::from(piece))).await {
            Ok(()) if is_too_long => self.violated(format!("upload {index}: a body longer than it said was taken")),
            Ok(()) => Some(body),
            Err(UploadError::SizeMismatch { offset }) if is_too_long && self.holds(&body) => {
                self.ended_at(&body, offset);
                None
            }
            Err(error) => {
                self.body_failed(&body, &error, "send to").await;
                None
            }
        }
    }

    fn expect_piece(&mut self, body: &mut Body, begin: u64, piece: &[u8]) {
        let upload = &mut self.uploads[body.upload];
        let overlap = (body.base.saturating_sub(begin) as usize).min(piece.len());
        let begin = begin as usize;
        if overlap > 0 && upload.kept[begin..begin + overlap] != piece[..overlap] {
            body.differs = true;
        }
        upload.reach((begin + piece.len()) as u64, &self.config, self.now);
        if !body.differs && overlap < piece.len() {
            upload.send(&piece[overlap..], self.now);
        }
    }

    /// A body could not go on.
    pub async fn body_failed(&mut self, body: &Body, error: &UploadError, doing: &str) {
        let index = body.upload;
        self.tell(format!("{doing} upload {index}, lease {}: told {error:?}", body.lease));
        if !self.holds(body) {
            // Its right had ended; of what it is told then, only what says that the upload is not there tells something.
            return match error {
                UploadError::Superseded | UploadError::RangeMismatch { .. } | UploadError::SizeMismatch { .. } => {}
                UploadError::Died | UploadError::Gap | UploadError::Hashing(_) => {
                    self.violated(format!("{doing} upload {index}: told {error:?}"))
                }
                _ => {}
            };
        }
        let upload = &self.uploads[index];
        match error {
            UploadError::RangeMismatch { offset } if body.differs || !upload.commits.is_empty() => {
                let observed = self.uploads[index].observe(*offset);
                self.expect(observed, format!("{doing} upload {index}"));
            }
            error => {
                if upload.is_discarded {
                    self.uploads[index].may_be_gone = true;
                }
                self.refused(index, error, doing).await;
            }
        }
        self.uploads[index].holder = None;
    }

    /// A body has ended and was acknowledged up to there.
    pub fn ended_at(&mut self, body: &Body, offset: u64) {
        let index = body.upload;
        if body.differs {
            self.violated(format!("upload {index}: a body that differs from what is kept was taken"));
        }
        let expected = body.base.max(body.start + body.sent);
        if offset != expected {
            self.violated(format!("upload {index}: told to stand at {offset} after a body up to {expected}"));
        }
        self.lease_ended(index, offset);
        let upload = &mut self.uploads[index];
        upload.checkpointed();
        upload.is_alive();
        upload.is_tainted &= self.is_faulty;
        self.note();
    }

    /// A client ends its body, or its connection breaks and the server notices.
    pub async fn finish(&mut self, is_cut: bool) {
        let Some(body) = self.take_body() else { return };
        self.finish_body(body, is_cut).await;
    }

    pub async fn finish_body(&mut self, mut body: Body, is_cut: bool) {
        let index = body.upload;
        self.tell(format!("{} upload {index}, lease {}", if is_cut { "cut" } else { "finish" }, body.lease));
        let writer = self.take_writer(&mut body);
        let is_short = body.length.is_some_and(|length| length != body.sent);
        let ended = match is_cut {
            true => self.within("cut", writer.cut()).await,
            false => self.within("finish", writer.finish()).await,
        };
        match ended {
            Ok(_) if !self.holds(&body) => {
                self.violated(format!("upload {index}: lease {} has ended, and its end was taken", body.lease))
            }
            Ok(_) if is_short && !is_cut => self.violated(format!("upload {index}: a short body was taken for whole")),
            Ok(offset) => self.ended_at(&body, offset),
            Err(UploadError::SizeMismatch { offset }) if is_short && self.holds(&body) => self.ended_at(&body, offset),
            Err(error) => self.body_failed(&body, &error, "finish").await,
        }
    }

    /// A connection goes without a word: what the server took of it may still be delivered.
    pub fn drop_body(&mut self) {
        let Some(body) = self.take_body() else { return };
        self.tell(format!("drop the writer of upload {}, lease {}", body.upload, body.lease));
        if self.uploads[body.upload].is_discarded {
            self.uploads[body.upload].may_be_gone = true;
        }
        if self.holds(&body) {
            self.uploads[body.upload].holder = None;
        }
    }

    /// A connection goes without a word, nobody else comes, and in time everything that was taken of it is kept.
    pub async fn drop_body_and_wait(&mut self) {
        let Some(body) = self.take_body() else { return };
        let index = body.upload;
        let is_sound = self.holds(&body) && !body.differs && !self.uploads[index].is_discarded;
        self.tell(format!("drop the writer of upload {index}, lease {}, and wait", body.lease));
        if self.holds(&body) {
            self.uploads[index].holder = None;
        }
        if self.uploads[index].is_discarded {
            self.uploads[index].may_be_gone = true;
        }
        drop(body);
        let expected = self.uploads[index].content().len() as u64;
        let began = std::time::Instant::now();
        loop {
            match self.status_of(index).await {
                Err(error) => return self.refused(index, &error, "wait for").await,
                Ok(offset) => {
                    let observed = self.uploads[index].observe(offset);
                    self.expect(observed, format!("upload {index}"));
                    if !is_sound || offset == expected || self.uploads[index].is_tainted {
                        return;
                    }
                }
            }
            if self.uploads[index].may_have_expired() || !self.uploads[index].commits.is_empty() {
                return;
            }
            if began.elapsed() > HANGS_AFTER {
                self.violated(format!("upload {index}: a dropped writer's bytes up to {expected} never came"));
            }
            tokio::task::yield_now().await;
        }
    }

    /// A client commits, with the right digest or another one.
    pub async fn commit(&mut self) {
        let Some(body) = self.take_body() else { return };
        let algorithm = self.algorithm();
        let digest = match self.random.below(10) {
            0 => digest_of(algorithm, b"something else"),
            1 => self.any_committed().unwrap_or_else(|| digest_of(algorithm, b"nothing like it")),
            _ => digest_of(algorithm, &self.uploads[body.upload].content()),
        };
        self.commit_body(body, digest).await;
    }

    pub fn algorithm(&mut self) -> Algorithm {
        if self.random.chance(85) { Algorithm::Sha256 } else { Algorithm::Sha512 }
    }

    fn any_committed(&mut self) -> Option<Digest> {
        let nth = self.random.below(self.contents.len().max(1) as u64) as usize;
        self.contents.values().nth(nth).map(|(digest, _)| digest.clone())
    }

    pub async fn commit_body(&mut self, mut body: Body, digest: Digest) {
        self.tell(format!("commit upload {}, lease {}, as {digest}", body.upload, body.lease));
        let writer = self.take_writer(&mut body);
        let committed = self.within("commit", writer.commit(&digest)).await;
        self.commit_answered(&body, &digest, committed).await;
    }

    pub async fn commit_answered(&mut self, body: &Body, digest: &Digest, committed: Result<u64, UploadError>) {
        let index = body.upload;
        let content = self.uploads[index].content();
        let right = digest_of(digest.algorithm(), &content);
        let is_sound = self.holds(body) && !body.differs;
        let is_short = body.length.is_some_and(|length| length != body.sent);
        match committed {
            Ok(size) => {
                if !is_sound || is_short || *digest != right || size != content.len() as u64 {
                    self.violated(format!("upload {index} of {} bytes, {right}, was committed", content.len()));
                }
                self.committed(index, digest, content).await;
            }
            Err(UploadError::SizeMismatch { offset }) if is_short && self.holds(body) => self.ended_at(body, offset),
            Err(UploadError::DigestMismatch { expected, actual }) if is_sound && !is_short => {
                // What an earlier commit has published already, under a digest of the other algorithm, is not published
                // under a second one.
                let is_published = self.uploads[index].commits.contains(&actual)
                    && actual.algorithm() != digest.algorithm()
                    && self.is_published_as(&actual).await;
                let is_wrong = *digest != right || is_published;
                let is_told_so = expected == *digest && is_wrong && self.is_digest_of(&actual, &content);
                if !is_told_so {
                    self.violated(format!("upload {index} is {right}, told that it is {actual} and not {expected}"));
                }
                self.ended_at(body, content.len() as u64);
                self.uploads[index].may_be_gone |= self.uploads[index].is_discarded;
            }
            Err(error) => {
                if matches!(error, UploadError::Storage(_)) && *digest == right && is_sound {
                    self.uploads[index].commits.push(digest.clone());
                }
                self.body_failed(body, &error, "commit").await;
            }
        }
    }

    fn is_digest_of(&self, digest: &Digest, content: &[u8]) -> bool {
        *digest == digest_of(digest.algorithm(), content)
    }

    /// The writer, to be used up by its end; what else is known of the body stays.
    pub fn take_writer(&self, body: &mut Body) -> Writer {
        body.writer.take().unwrap_or_else(|| self.violated("a body ends twice"))
    }

    pub async fn status_of(&self, index: usize) -> Result<u64, UploadError> {
        let handle = self.handle(index);
        self.within("status", async move { handle.status().await }).await.map(|progress| progress.offset)
    }
}
