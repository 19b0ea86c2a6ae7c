//! Steps in which two things happen at once, or one is broken off.

use longshore::oci::Algorithm;
use longshore::upload::{Policy, Start, UploadError, WriteOptions};

use crate::upload::{Fate, digest_of};
use crate::world::{Body, World};

impl World {
    pub async fn race(&mut self) {
        match self.random.below(6) {
            0 => self.two_claims().await,
            1 => self.commit_and_commit().await,
            2 => self.commit_and_cancel().await,
            3 => self.commit_and_expire().await,
            4 => self.finish_and_status().await,
            _ => self.leave_a_commit().await,
        }
    }

    /// The body of one that has the right to write, if there is such.
    fn take_holder(&mut self) -> Option<Body> {
        let is_sound = |body: &Body| {
            let upload = &self.uploads[body.upload];
            upload.holder == Some(body.lease) && upload.fate == Fate::Live && !body.differs && !upload.is_discarded
        };
        let index = self.bodies.iter().position(is_sound)?;
        let body = self.bodies.swap_remove(index);
        if body.length.is_some_and(|length| length != body.sent) {
            self.bodies.push(body);
            return None;
        }
        Some(body)
    }

    /// Two clients resume the same upload at once.
    async fn two_claims(&mut self) {
        let Some(index) = self.any_upload() else { return };
        if self.uploads[index].fate != Fate::Live {
            return;
        }
        self.tell(format!("two claims of upload {index}"));
        let handle = self.handle(index);
        let options =
            |client| WriteOptions { start: Start::Current, length: None, digest: None, discard_on_cut: false, client };
        let (one, other) = (options(self.client()), options(self.client()));
        let clients = [one.client, other.client];
        let both = async move { tokio::join!(handle.write(one), handle.write(other)) };
        let ((first, second), has_waited) = self.patiently("two claims", both).await;
        self.uploads[index].writers.extend(clients);
        self.uploads[index].clients.extend(clients);
        for (refused, other_was_granted) in [(&first, second.is_ok()), (&second, first.is_ok())] {
            match refused {
                Err(UploadError::Busy { .. })
                    if other_was_granted || has_waited || self.uploads[index].may_be_written() => {}
                Err(UploadError::OverLimit { .. }) => {}
                Err(error) => self.refused(index, error, "claim").await,
                Ok(_) => {}
            }
        }
        if first.is_ok() || second.is_ok() {
            // Whoever has the right now, nobody here uses it: it is a connection that hangs.
            self.uploads[index].holder = None;
            self.uploads[index].is_alive();
            self.note();
        }
        for writer in [first, second].into_iter().flatten() {
            self.hanging.push(writer);
        }
        if self.hanging.len() > 20 {
            self.hanging.clear();
        }
    }

    /// A client that got no answer to its commit sends it again.
    async fn commit_and_commit(&mut self) {
        let Some(mut body) = self.take_holder() else { return };
        let index = body.upload;
        let content = self.uploads[index].content();
        let digest = digest_of(Algorithm::Sha256, &content);
        self.tell(format!("two commits of upload {index} as {digest}"));
        let (writer, handle) = (self.take_writer(&mut body), self.handle(index));
        let options = WriteOptions {
            start: Start::Replay(body.start),
            length: None,
            digest: Some(digest.clone()),
            discard_on_cut: false,
            client: self.client(),
        };
        self.uploads[index].writers.push(options.client);
        self.uploads[index].clients.push(options.client);
        let wanted = digest.clone();
        let both = async move {
            let again = async { handle.write(options).await?.commit(&wanted).await };
            tokio::join!(writer.commit(&wanted), again)
        };
        let ((first, second), _) = self.patiently("two commits", both).await;
        self.uploads[index].commits.push(digest.clone());
        if first.is_ok() || second.is_ok() {
            for size in [&first, &second].into_iter().flatten() {
                if *size != content.len() as u64 {
                    self.violated(format!("upload {index} of {} bytes was committed with {size}", content.len()));
                }
            }
            return self.committed(index, &digest, content).await;
        }
        for (error, doing) in [(first, "commit"), (second, "commit again")] {
            match error {
                Err(UploadError::Busy { .. } | UploadError::Superseded) => {}
                // The first one failed, and others write.
                Err(UploadError::OverLimit { .. }) if self.is_faulty || self.uploads[index].is_tainted => {}
                // What it sends nothing of may lie behind what is kept, when the first one was superseded.
                Err(UploadError::RangeMismatch { .. } | UploadError::DigestMismatch { .. }) => {}
                Err(error) => self.refused(index, &error, doing).await,
                Ok(_) => {}
            }
        }
        self.uploads[index].holder = None;
    }

    async fn commit_and_cancel(&mut self) {
        let Some(mut body) = self.take_holder() else { return };
        let index = body.upload;
        let digest = digest_of(Algorithm::Sha256, &self.uploads[index].content());
        self.tell(format!("commit and cancel upload {index}, lease {}", body.lease));
        let (writer, handle) = (self.take_writer(&mut body), self.handle(index));
        let wanted = digest.clone();
        let is_first = self.random.chance(50);
        let both = async move {
            match is_first {
                true => {
                    let (cancelled, committed) = tokio::join!(handle.cancel(), writer.commit(&wanted));
                    (committed, cancelled)
                }
                false => tokio::join!(writer.commit(&wanted), handle.cancel()),
            }
        };
        let (committed, cancelled) = self.within("commit and cancel", both).await;
        if committed.is_ok() == cancelled.is_ok() && !self.is_faulty && !self.uploads[index].is_tainted {
            let may_be_struck = self.uploads[index].may_have_expired();
            if committed.is_ok() || !may_be_struck {
                self.violated(format!("upload {index}: commit {committed:?}, cancel {cancelled:?}"));
            }
        }
        if cancelled.is_ok() {
            self.uploads[index].may_be_gone = true;
        }
        match committed.is_ok() {
            true => {
                self.commit_answered(&body, &digest, committed).await;
                self.cancel_answered(index, cancelled).await;
            }
            false => {
                let told = committed.err();
                if matches!(told, Some(UploadError::Storage(_))) {
                    self.uploads[index].commits.push(digest);
                }
                self.cancel_answered(index, cancelled).await;
                if let Some(error) = told {
                    self.commit_met_an_end(index, &error).await;
                }
                self.uploads[index].holder = None;
            }
        }
    }

    async fn commit_and_expire(&mut self) {
        let Some(mut body) = self.take_holder() else { return };
        let index = body.upload;
        let digest = digest_of(Algorithm::Sha256, &self.uploads[index].content());
        self.tell(format!("commit and expire upload {index}, lease {}", body.lease));
        let (config, now) = (self.config.clone(), self.now);
        self.uploads[index].strike(Policy::Operator, &config, now);
        let (writer, handle) = (self.take_writer(&mut body), self.handle(index));
        let wanted = digest.clone();
        let both = async move { tokio::join!(writer.commit(&wanted), handle.expire()) };
        let (committed, expired) = self.within("commit and expire", both).await;
        if committed.is_ok() && expired.is_ok() {
            self.violated(format!("upload {index} was committed and has expired"));
        }
        if committed.is_ok() {
            self.commit_answered(&body, &digest, committed).await;
            return self.expire_answered(index, expired).await;
        }
        if matches!(committed, Err(UploadError::Storage(_))) {
            self.uploads[index].commits.push(digest);
        }
        self.uploads[index].holder = None;
        if let Err(error) = committed {
            self.commit_met_an_end(index, &error).await;
        }
        self.expire_answered(index, expired).await;
    }

    /// A commit was refused while its upload was being ended.
    async fn commit_met_an_end(&mut self, index: usize, error: &UploadError) {
        let commits = &self.uploads[index].commits;
        match error {
            UploadError::Unknown => {}
            // What an earlier commit has published takes no more bytes, and no digest of the other algorithm.
            UploadError::RangeMismatch { .. } if !commits.is_empty() => {}
            UploadError::DigestMismatch { actual, .. } if commits.contains(actual) => {}
            error => self.refused(index, error, "commit").await,
        }
    }

    async fn finish_and_status(&mut self) {
        let Some(mut body) = self.take_holder() else { return };
        let index = body.upload;
        self.tell(format!("finish and status of upload {index}, lease {}", body.lease));
        let (writer, handle, engine) = (self.take_writer(&mut body), self.handle(index), self.engine.clone());
        let all = async move { tokio::join!(writer.finish(), handle.status(), engine.look_now()) };
        let (finished, status, ()) = self.within("finish and status", all).await;
        match status {
            Ok(progress) => {
                let observed = self.uploads[index].observe(progress.offset);
                self.expect(observed, format!("status of upload {index}"));
            }
            Err(error) => self.refused(index, &error, "status of").await,
        }
        match finished {
            Ok(offset) => self.ended_at(&body, offset),
            Err(error) => self.body_failed(&body, &error, "finish").await,
        }
    }

    /// A client leaves in the middle of its commit, which goes on.
    async fn leave_a_commit(&mut self) {
        let Some(body) = self.take_holder() else { return };
        self.begin_to_commit(body).await;
    }

    /// The process dies in the middle of something.
    pub async fn kill_in_the_middle(&mut self) {
        if let Some(body) = self.take_holder() {
            match self.random.chance(60) {
                true => self.begin_to_commit(body).await,
                false => self.begin_to_finish(body).await,
            }
        } else if let Some(index) = self.any_upload() {
            self.uploads[index].may_be_gone = true;
            self.tell(format!("begin to cancel upload {index}"));
            let handle = self.handle(index);
            let polls = self.random.below(30);
            broken_off(async move { handle.cancel().await }, polls).await;
        }
        self.restart(true).await;
    }

    async fn begin_to_finish(&mut self, mut body: Body) {
        self.tell(format!("begin to finish upload {}", body.upload));
        let writer = self.take_writer(&mut body);
        let polls = self.random.below(30);
        self.uploads[body.upload].holder = None;
        broken_off(writer.finish(), polls).await;
    }

    async fn begin_to_commit(&mut self, mut body: Body) {
        let index = body.upload;
        let content = self.uploads[index].content();
        let algorithm = self.algorithm();
        let digest = digest_of(algorithm, &content);
        self.tell(format!("begin to commit upload {index}, lease {}, as {digest}", body.lease));
        let writer = self.take_writer(&mut body);
        let polls = self.random.below(30);
        self.uploads[index].commits.push(digest.clone());
        let wanted = digest.clone();
        match broken_off(async move { writer.commit(&wanted).await }, polls).await {
            None => self.uploads[index].holder = None,
            Some(committed) => self.commit_answered(&body, &digest, committed).await,
        }
    }
}

/// Begins something and leaves after so many turns of other tasks, unless it is through before.
async fn broken_off<T>(work: impl Future<Output = T>, polls: u64) -> Option<T> {
    let turns = async {
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = turns => None,
    }
}
