//! Every storage call of a push fails once, or is the last one of its process. The client does what a client does: it
//! asks where the upload stands and sends the same request again.

use super::*;
use crate::storage::StorageErrorKind;
use crate::storage::adapters::{Fault, Faulty, Operation};

/// How the n-th call goes wrong.
#[derive(Clone, Copy, Debug)]
struct Blow {
    nth: u64,
    kind: StorageErrorKind,
    after_effect: bool,
    /// The process dies there: no call after it has an effect, and the client goes on with the next process.
    kills: bool,
}

impl Blow {
    fn plan(self, faulty: &Faulty) {
        let fault = Fault::fail(self.kind).nth(self.nth);
        faulty.inject(if self.after_effect { fault.clone().after_effect() } else { fault.clone() });
        if self.kills {
            faulty.inject(fault.times(u64::MAX));
        }
    }
}

/// A client, the process that it talks to, and the storage that outlives it.
struct Session {
    blow: Blow,
    raw: SharedDriver,
    faulty: Faulty,
    engine: Engine,
    is_next_process: bool,
    /// Uploads of which no client knows: their POST was never answered.
    has_strays: bool,
}

impl Session {
    fn new(blow: Blow) -> Session {
        let raw = memory();
        let faulty = Faulty::new(raw.clone());
        let shared: SharedDriver = Arc::new(faulty.clone());
        blow.plan(&faulty);
        Session { blow, raw, faulty, engine: engine(&shared), is_next_process: false, has_strays: false }
    }

    /// A request has failed: the same process goes on, or another one does.
    fn go_on(&mut self, error: &UploadError) {
        assert!(matches!(error, UploadError::Storage(_)), "{:?}: the fault is told as {error:?}", self.blow);
        if self.blow.kills {
            assert!(!self.is_next_process, "{:?}: {error} in a process without a fault", self.blow);
            self.next_process();
        }
    }

    fn is_dead(&self) -> bool {
        self.blow.kills && !self.is_next_process && self.faulty.struck() > 0
    }

    fn next_process(&mut self) {
        self.engine = engine(&self.raw);
        self.is_next_process = true;
    }

    fn upload(&self, upload: &UploadHandle) -> UploadHandle {
        self.engine.upload(&repository(), upload.id())
    }

    async fn post(&mut self) -> UploadHandle {
        loop {
            match self.engine.begin(&repository(), Algorithm::Sha256, None).await {
                Ok((upload, _)) => return upload,
                Err(error) => {
                    self.has_strays |= self.blow.kills;
                    self.go_on(&error);
                }
            }
        }
    }

    /// Asks until there is an answer; what was acknowledged must be there.
    async fn status(&mut self, upload: &UploadHandle, acknowledged: u64) -> u64 {
        loop {
            match self.upload(upload).status().await {
                Ok(progress) => {
                    assert!(progress.offset >= acknowledged, "{:?}: {} < {acknowledged}", self.blow, progress.offset);
                    return progress.offset;
                }
                Err(error) => self.go_on(&error),
            }
        }
    }

    async fn patch(&mut self, upload: &UploadHandle, from: u64, content: &Bytes, resumes: bool) -> u64 {
        let mut start = Start::Replay(from);
        let mut body = content.clone();
        loop {
            let error = match write(&self.upload(upload), start, &[body]).await {
                Ok(offset) => return offset,
                Err(error) => error,
            };
            // After a fault, more may be kept than the engine knew when it was asked: 416 says how much.
            if !(resumes && matches!(error, UploadError::RangeMismatch { .. })) {
                self.go_on(&error);
            }
            let offset = self.status(upload, from).await;
            body = content.clone();
            if resumes {
                start = Start::Exactly(offset);
                body = content.slice((offset - from) as usize..);
            }
        }
    }

    /// As the handler of PUT does: an upload that is gone is answered by its blob.
    async fn put(&mut self, upload: &UploadHandle, from: u64, content: &Bytes, digest: &Digest) -> u64 {
        loop {
            let error = match self.try_put(upload, from, content, digest).await {
                // A process that is dead has not answered.
                Ok(_) if self.is_dead() => {
                    self.next_process();
                    continue;
                }
                Ok(size) => return size,
                Err(UploadError::Unknown) => {
                    let linked = blobs(&self.raw).stat(&repository(), digest).await.unwrap();
                    return linked
                        .unwrap_or_else(|| panic!("{:?}: the upload is unknown and no blob is there", self.blow));
                }
                Err(error) => error,
            };
            self.go_on(&error);
        }
    }

    async fn try_put(
        &self,
        upload: &UploadHandle,
        from: u64,
        content: &Bytes,
        digest: &Digest,
    ) -> Result<u64, UploadError> {
        let start = if content.is_empty() { Start::Current } else { Start::Replay(from) };
        let options = WriteOptions { digest: Some(digest.clone()), ..options(start) };
        let mut writer = self.upload(upload).write(options).await?;
        if !content.is_empty() {
            writer.send(content.clone()).await?;
        }
        writer.commit(digest).await
    }

    async fn cancel(&mut self, upload: &UploadHandle) {
        loop {
            match self.upload(upload).cancel().await {
                Ok(()) | Err(UploadError::Unknown) => return,
                Err(error) => {
                    self.go_on(&error);
                }
            }
        }
    }

    async fn assert_pushed(&self, content: &Bytes) {
        let digest = sha256(content);
        assert_eq!(stored(&self.raw, &digest).await, *content, "{:?}", self.blow);
        let linked = blobs(&self.raw).stat(&repository(), &digest).await.unwrap();
        assert_eq!(linked, Some(content.len() as u64), "{:?}", self.blow);
    }

    async fn assert_nothing_left(&self, upload: &UploadHandle) {
        match self.raw.list(&keys::upload(&repository(), upload.id()), None, 10).await {
            Err(error) if error.is_not_found() => {}
            listed => panic!("{:?}: left in storage: {listed:?}", self.blow),
        }
        if !self.has_strays {
            assert_no_upload_left(&self.raw, &self.engine).await;
        }
    }

    async fn end(self) -> bool {
        let struck = self.faulty.struck() > 0;
        self.faulty.clear();
        self.engine.drain().await;
        struck
    }
}

/// Runs `push` with every call of it going wrong in every manner.
async fn sweep<F>(push: impl Fn(Blow) -> F)
where
    F: Future<Output = bool>,
{
    for kills in [false, true] {
        for after_effect in [false, true] {
            for kind in [StorageErrorKind::Fault, StorageErrorKind::TimedOut, StorageErrorKind::Full] {
                let mut nth = 1;
                while push(Blow { nth, kind, after_effect, kills }).await {
                    nth += 1;
                    assert!(nth < 100, "a push takes a bounded number of calls");
                }
                assert!(nth > 4, "every push makes some calls");
                if kills {
                    // To a process that dies there, the kind makes no difference.
                    break;
                }
            }
        }
    }
}

async fn push_in_chunks(blow: Blow, resumes: bool, puts_a_body: bool) -> bool {
    let content = content(1_000_000);
    let mut session = Session::new(blow);
    let upload = session.post().await;
    let mut acknowledged = 0;
    let (first, second) = (content.slice(..600_000), content.slice(600_000..800_000));
    for chunk in [first, second] {
        let end = acknowledged + chunk.len() as u64;
        assert_eq!(session.patch(&upload, acknowledged, &chunk, resumes).await, end);
        acknowledged = end;
    }
    let mut last = content.slice(800_000..);
    if !puts_a_body {
        acknowledged = session.patch(&upload, acknowledged, &last, resumes).await;
        last = Bytes::new();
    }
    let size = session.put(&upload, acknowledged, &last, &sha256(&content)).await;
    assert_eq!(size, 1_000_000, "{blow:?}");
    session.assert_pushed(&content).await;
    session.assert_nothing_left(&upload).await;
    session.end().await
}

#[actix::test]
async fn a_chunked_push_survives_every_fault_when_its_requests_are_sent_again() {
    sweep(|blow| push_in_chunks(blow, false, true)).await;
}

#[actix::test]
async fn a_chunked_push_survives_every_fault_when_it_goes_on_from_where_it_stands() {
    sweep(|blow| push_in_chunks(blow, true, false)).await;
}

#[actix::test]
async fn a_push_by_one_put_survives_every_fault() {
    sweep(|blow| async move {
        let content = content(700_000);
        let mut session = Session::new(blow);
        let upload = session.post().await;
        let size = session.put(&upload, 0, &content, &sha256(&content)).await;
        assert_eq!(size, 700_000, "{blow:?}");
        session.assert_pushed(&content).await;
        session.assert_nothing_left(&upload).await;
        session.end().await
    })
    .await;
}

#[actix::test]
async fn a_single_post_succeeds_or_leaves_nothing_at_every_fault() {
    sweep(|blow| async move {
        let content = content(700_000);
        let digest = sha256(&content);
        let mut session = Session::new(blow);
        loop {
            let upload = session.post().await;
            let pushed = async {
                let options = WriteOptions { discard_on_cut: true, ..options(Start::Current) };
                let mut writer = session.upload(&upload).write(options).await?;
                writer.send(content.clone()).await?;
                writer.commit(&digest).await
            };
            match pushed.await {
                Ok(size) => {
                    assert_eq!(size, 700_000);
                    if !session.has_strays && !session.is_dead() {
                        session.assert_nothing_left(&upload).await;
                    }
                    break;
                }
                Err(error) if blow.kills => {
                    session.has_strays = true;
                    session.go_on(&error);
                }
                Err(error) => {
                    session.go_on(&error);
                    // The handler makes sure of it.
                    session.cancel(&upload).await;
                    session.assert_nothing_left(&upload).await;
                }
            }
        }
        session.assert_pushed(&content).await;
        session.end().await
    })
    .await;
}

#[actix::test]
async fn a_cancel_is_done_when_it_says_so_and_can_be_asked_for_again_at_every_fault() {
    sweep(|blow| async move {
        let content = content(700_000);
        let mut session = Session::new(blow);
        let upload = session.post().await;
        session.patch(&upload, 0, &content, false).await;
        session.cancel(&upload).await;
        session.assert_nothing_left(&upload).await;
        session.end().await
    })
    .await;
}

#[actix::test]
async fn a_full_store_stops_a_push_that_goes_on_when_there_is_room() {
    let raw = memory();
    let faulty = Faulty::new(raw.clone());
    let shared: SharedDriver = Arc::new(faulty.clone());
    let engine = engine(&shared);
    let upload = begin(&engine).await;
    let content = content(2_000_000);
    write(&upload, Start::Current, &[content.slice(..600_000)]).await.unwrap();
    for operation in [Operation::Append, Operation::Put, Operation::CreatePartial] {
        faulty.inject(Fault::fail(StorageErrorKind::Full).at(operation).times(u64::MAX));
    }
    for _ in 0..3 {
        let refused = write(&upload, Start::Replay(600_000), &[content.slice(600_000..)]).await.unwrap_err();
        assert!(refused.is_full(), "{refused:?}");
        assert_eq!(offset(&upload).await, 600_000);
        let refused = commit(&upload, &sha256(&content)).await.unwrap_err();
        assert!(matches!(refused, UploadError::DigestMismatch { .. }), "{refused:?}");
        let refused = commit(&upload, &sha256(&content[..600_000])).await.unwrap_err();
        assert!(refused.is_full(), "{refused:?}");
    }
    assert!(blobs(&raw).stat_global(&sha256(&content[..600_000])).await.unwrap().is_none());
    faulty.clear();
    write(&upload, Start::Exactly(600_000), &[content.slice(600_000..)]).await.unwrap();
    commit(&upload, &sha256(&content)).await.unwrap();
    assert_eq!(stored(&raw, &sha256(&content)).await, content);
    assert_no_upload_left(&raw, &engine).await;
}

#[actix::test]
async fn an_upload_that_filled_the_store_can_be_cancelled() {
    let memory = Memory::new(MemoryOptions { max_bytes: 1_500_000 });
    let driver: SharedDriver = Arc::new(memory.clone());
    let engine = engine(&driver);
    let upload = begin(&engine).await;
    let refused = write(&upload, Start::Current, &[content(3_000_000)]).await.unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    upload.cancel().await.unwrap();
    assert_no_upload_left(&driver, &engine).await;
    assert_eq!(memory.used_bytes(), 0);
}

#[actix::test]
async fn a_half_done_cancel_is_a_fault_and_no_absence() {
    let raw = memory();
    let faulty = Faulty::new(raw.clone());
    let shared: SharedDriver = Arc::new(faulty.clone());
    let engine = engine(&shared);
    let upload = begin(&engine).await;
    write(&upload, Start::Current, &[content(100_000)]).await.unwrap();
    faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::DeleteAll));
    assert!(matches!(upload.cancel().await, Err(UploadError::Storage(_))));
    let status = upload.status().await;
    assert!(matches!(status, Err(UploadError::Storage(_))), "{status:?}");
    let refused = write(&upload, Start::Current, &[content(1)]).await;
    assert!(matches!(refused, Err(UploadError::Storage(_))), "{refused:?}");
    upload.cancel().await.unwrap();
    assert!(matches!(upload.status().await, Err(UploadError::Unknown)));
    assert_no_upload_left(&raw, &engine).await;
}

/// A checkpoint that is not in storage must not count as written.
#[actix::test]
async fn a_checkpoint_that_failed_is_written_by_the_next_request() {
    let raw = memory();
    let faulty = Faulty::new(raw.clone());
    let shared: SharedDriver = Arc::new(faulty.clone());
    let engine = engine(&shared);
    let upload = begin(&engine).await;
    faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::Put).on("/record"));
    let failed = write(&upload, Start::Replay(0), &[content(1_000)]).await;
    assert!(matches!(failed, Err(UploadError::Storage(_))), "{failed:?}");
    assert_eq!(write(&upload, Start::Replay(0), &[content(1_000)]).await.unwrap(), 1_000);
    assert_eq!(records::read(&raw, &upload).await.checkpoint.partial.offset, 1_000);
}
