//! Which step comes next, and those that are no writer's.

use std::time::Instant;

use longshore::oci::{Algorithm, RepositoryName};
use longshore::upload::{ListUploads, Policy, SortUploads, Start, UploadError, WriteOptions};

use crate::policies;
use crate::upload::{Fate, Upload, digest_of};
use crate::world::{HANGS_AFTER, REPOSITORIES, World, a_policys_time};

/// With so many uploads more of them are ended than begun.
const MANY_UPLOADS: usize = 14;

impl World {
    pub async fn step(&mut self) {
        self.tally.steps += 1;
        self.note();
        let choice = self.random.below(1000);
        match choice {
            0..=79 if self.active.len() < MANY_UPLOADS => drop(self.begin().await),
            0..=79 => self.end_one().await,
            80..=239 => self.with_upload(Action::Claim).await,
            240..=539 => self.send().await,
            540..=629 => self.finish(false).await,
            630..=659 => self.finish(true).await,
            660..=689 => self.drop_body(),
            690..=704 => self.drop_body_and_wait().await,
            705..=754 => self.commit().await,
            755..=829 => self.with_upload(Action::Status).await,
            830..=844 => self.with_upload(Action::Cancel).await,
            845..=854 => self.with_upload(Action::Expire).await,
            855..=869 => self.single_post().await,
            870..=899 => self.race().await,
            900..=929 => self.pass_some_time().await,
            930..=949 => self.look().await,
            950..=957 => self.overdue_expires().await,
            958..=963 => self.scan().await,
            964..=968 => self.other_policies().await,
            969..=978 => self.plan_fault(),
            979..=992 => self.clear_faults(),
            993..=994 => self.restart(false).await,
            995..=996 => self.restart(true).await,
            997 => self.kill_in_the_middle().await,
            _ => self.other_space().await,
        }
        if self.random.chance(10) {
            tokio::task::yield_now().await;
        }
    }

    async fn with_upload(&mut self, action: Action) {
        // Now and then somebody asks for one that has ended.
        let index = match self.random.chance(4) && !self.uploads.is_empty() {
            true => self.random.below(self.uploads.len() as u64) as usize,
            false => match self.any_upload() {
                Some(index) => index,
                None => return,
            },
        };
        match action {
            Action::Claim => self.claim(index).await,
            Action::Status => self.status(index).await,
            Action::Cancel => self.cancel(index).await,
            Action::Expire => self.expire(index).await,
        }
    }

    pub async fn begin(&mut self) -> Option<usize> {
        let repository = self.random.below(REPOSITORIES.len() as u64) as usize;
        let client = self.client();
        let algorithm = self.algorithm();
        let name: RepositoryName = REPOSITORIES[repository].parse().unwrap();
        let engine = self.engine.clone();
        match self.within("begin", async move { engine.begin(&name, algorithm, client).await }).await {
            Ok((handle, progress)) => {
                let (limit, open) = (self.config.max_open, self.metrics.uploads_open.get());
                if progress.offset != 0 || limit > 0 && open > limit as i64 {
                    self.violated(format!("begun at {}, {open} are open of {limit} that may be", progress.offset));
                }
                let index = self.uploads.len();
                self.tell(format!("begin upload {index}, {}", handle.id()));
                // Few layers, so that some are pushed more than once.
                let layer = 10 * self.random.below(3);
                let mut upload = Upload::new(repository, handle.id(), layer, client, self.now);
                upload.is_tainted = self.is_faulty;
                self.uploads.push(upload);
                self.active.push(index);
                self.tally.begun += 1;
                Some(index)
            }
            Err(UploadError::OverLimit { limit, value, .. }) => {
                let is_open = |upload: &Upload| match &upload.fate {
                    Fate::Live => true,
                    Fate::Committed { may_be_left, .. } => *may_be_left,
                    Fate::Expired | Fate::Gone => false,
                };
                let config = &self.config;
                match limit {
                    "max_open" => self.over_limit(limit, value, is_open, config.max_open),
                    "max_open_per_client" if client.is_some() => {
                        let is_counted = |upload: &Upload| is_open(upload) && upload.clients.contains(&client);
                        self.over_limit(limit, value, is_counted, config.max_open_per_client);
                    }
                    "max_open_per_repository" => {
                        let is_counted = |upload: &Upload| is_open(upload) && upload.repository == repository;
                        self.over_limit(limit, value, is_counted, config.max_open_per_repository);
                    }
                    _ => self.violated(format!("told that uploads.{limit} is reached")),
                }
                None
            }
            Err(UploadError::LowSpace) if self.is_space_low => None,
            Err(UploadError::Storage(_)) if self.is_faulty => None,
            Err(error) => self.violated(format!("begin: {error:?}")),
        }
    }

    pub async fn status(&mut self, index: usize) {
        self.tell(format!("status of upload {index}"));
        let told = self.status_of(index).await;
        let upload = &mut self.uploads[index];
        match (told, &upload.fate) {
            (Ok(offset), Fate::Live) => {
                // Where nobody writes, nothing comes.
                let observed = match upload.may_be_written() {
                    true => upload.observe(offset),
                    false => upload.settle(offset),
                };
                self.expect(observed, format!("status of upload {index}"));
            }
            (Ok(offset), Fate::Committed { size, may_be_left: true, .. }) if offset == *size => {}
            (Ok(offset), fate) => {
                let what = format!("upload {index} is {fate:?}, and told to stand at {offset}");
                self.violated(what);
            }
            (Err(error), _) => self.refused(index, &error, "status of").await,
        }
    }

    pub async fn cancel(&mut self, index: usize) {
        self.tell(format!("cancel upload {index}"));
        let handle = self.handle(index);
        let cancelled = self.within("cancel", async move { handle.cancel().await }).await;
        self.cancel_answered(index, cancelled).await;
    }

    pub async fn cancel_answered(&mut self, index: usize, cancelled: Result<(), UploadError>) {
        let fate = self.uploads[index].fate.clone();
        match (cancelled, fate) {
            (Ok(()), Fate::Live) => {
                self.gone(index);
                self.nothing_is_left(index).await;
            }
            (Ok(()), Fate::Committed { may_be_left: true, .. }) => {}
            (Ok(()), fate) => self.violated(format!("upload {index} is {fate:?} and was cancelled")),
            (Err(error), _) => {
                if matches!(error, UploadError::Storage(_)) {
                    self.uploads[index].may_be_gone = true;
                    self.uploads[index].holder = None;
                }
                self.refused(index, &error, "cancel").await;
            }
        }
    }

    pub async fn expire(&mut self, index: usize) {
        self.tell(format!("expire upload {index}"));
        let handle = self.handle(index);
        let (config, now) = (self.config.clone(), self.now);
        if self.uploads[index].fate == Fate::Live {
            self.uploads[index].strike(Policy::Operator, &config, now);
        }
        let expired = self.within("expire", async move { handle.expire().await }).await;
        self.expire_answered(index, expired).await;
    }

    pub async fn expire_answered(&mut self, index: usize, expired: Result<(), UploadError>) {
        let fate = self.uploads[index].fate.clone();
        match (expired, fate) {
            (Ok(()), Fate::Live) => {
                self.tally.expiries += 1;
                let upload = &mut self.uploads[index];
                (upload.fate, upload.holder) = (Fate::Expired, None);
                upload.writers.clear();
            }
            (Ok(()), Fate::Committed { may_be_left: true, .. }) => {}
            (Ok(()), fate) => self.violated(format!("upload {index} is {fate:?} and was made to expire")),
            (Err(error), _) => {
                if matches!(error, UploadError::Storage(_)) {
                    self.uploads[index].may_be_gone = true;
                    self.uploads[index].holder = None;
                }
                self.refused(index, &error, "expire").await;
            }
        }
    }

    /// Somebody comes to an end.
    async fn end_one(&mut self) {
        let Some(index) = self.any_upload() else { return };
        match self.random.below(3) {
            0 => self.cancel(index).await,
            1 => self.expire(index).await,
            _ => self.push_the_rest(index).await,
        }
    }

    /// A client commits where the upload stands.
    async fn push_the_rest(&mut self, index: usize) {
        let options =
            WriteOptions { start: Start::Current, length: None, digest: None, discard_on_cut: false, client: None };
        let Some(body) = self.claim_with(index, options).await else { return };
        let body = self.bodies.swap_remove(body);
        let digest = digest_of(Algorithm::Sha256, &self.uploads[index].content());
        self.commit_body(body, digest).await;
    }

    /// A blob in one request: nothing of it is kept when that does not come to its end.
    async fn single_post(&mut self) {
        let Some(index) = self.begin().await else { return };
        let client = self.client();
        let options =
            WriteOptions { start: Start::Exactly(0), length: None, digest: None, discard_on_cut: true, client };
        let Some(body) = self.claim_with(index, options).await else { return };
        let mut body = self.bodies.swap_remove(body);
        for _ in 0..self.random.below(4) {
            let len = self.random.below(3_000) as usize;
            match self.send_piece(body, len).await {
                Some(goes_on) => body = goes_on,
                None => return,
            }
        }
        match self.random.below(4) {
            0 => {
                self.uploads[index].may_be_gone = true;
                self.tell(format!("cut the single post of upload {index}"));
                let writer = self.take_writer(&mut body);
                match self.within("cut", writer.cut()).await {
                    Ok(offset) => self.violated(format!("upload {index}: a single post was kept up to {offset}")),
                    Err(error) => self.body_failed(&body, &error, "cut").await,
                }
            }
            1 => {
                self.tell(format!("drop the single post of upload {index}"));
                self.uploads[index].may_be_gone = true;
                self.uploads[index].holder = None;
                drop(body);
            }
            2 => self.commit_body(body, digest_of(Algorithm::Sha256, b"something else")).await,
            _ => {
                let digest = digest_of(Algorithm::Sha256, &self.uploads[index].content());
                self.commit_body(body, digest).await;
            }
        }
    }

    async fn pass_some_time(&mut self) {
        let millis = match self.random.below(4) {
            0 => self.random.below(50),
            1 => self.random.below(2_000),
            2 => a_policys_time(&self.config, &mut self.random) / 2,
            _ => a_policys_time(&self.config, &mut self.random) + self.random.below(2_000),
        };
        self.tell(format!("{millis} ms pass"));
        self.pass(millis);
        if self.random.chance(60) {
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let engine = self.engine.clone();
        self.within("look", async move { engine.look_now().await }).await;
        self.lists_no_more_than_there_are();
    }

    /// Whoever is told that an upload is gone does not find it listed either.
    fn lists_no_more_than_there_are(&self) {
        let page = self.engine.list(&everything()).unwrap();
        let is_gone = |id| self.uploads.iter().any(|upload| upload.id == id && upload.fate == Fate::Gone);
        if let Some(view) = page.uploads.iter().find(|view| is_gone(view.id)) {
            self.violated(format!("listed, where it is told to be gone: {view:?}"));
        }
        let known = self.uploads.iter().filter(|upload| upload.fate != Fate::Gone).count() as u64;
        if page.total > known {
            self.violated(format!("{} uploads are listed of {known} that may be there", page.total));
        }
    }

    /// Who is too old expires as soon as somebody looks.
    async fn overdue_expires(&mut self) {
        let overdue = self.active.iter().copied().find(|index| {
            let upload = &self.uploads[*index];
            upload.fate == Fate::Live && upload.is_overdue(&self.config, self.now)
        });
        let Some(index) = overdue.filter(|_| !self.is_faulty) else { return };
        if self.uploads[index].is_tainted {
            return;
        }
        self.tell(format!("upload {index} is overdue"));
        let began = Instant::now();
        while self.uploads[index].fate == Fate::Live {
            self.status(index).await;
            self.look().await;
            if began.elapsed() > HANGS_AFTER {
                self.violated(format!("upload {index} is overdue and does not expire"));
            }
        }
    }

    pub async fn scan(&mut self) {
        let is_dry_run = self.random.chance(40);
        self.tell(format!("scan, dry run: {is_dry_run}"));
        let engine = self.engine.clone();
        self.within("scan", async move {
            engine.start_scan(is_dry_run);
            engine.scan_ended().await;
        })
        .await;
        let report = self.engine.scan_report();
        if report.is_running || report.failed > 0 && !self.is_faulty {
            self.violated(format!("scan: {report:?}"));
        }
    }

    async fn other_policies(&mut self) {
        let config = policies::random(&mut self.random);
        self.tell(format!("other policies: {config:?}"));
        self.set_policies(config);
        self.look().await;
    }

    async fn other_space(&mut self) {
        let free = self.random.pick(&[None, Some(500), Some(2_000)]);
        self.tell(format!("free space: {free:?}"));
        self.faulty.set_free_space(free);
        // What was found out before may hold for a while.
        self.is_space_low = true;
        self.look().await;
    }
}

#[derive(Clone, Copy)]
enum Action {
    Claim,
    Status,
    Cancel,
    Expire,
}

pub fn everything() -> ListUploads {
    ListUploads {
        repository: None,
        client: None,
        states: Vec::new(),
        sort: SortUploads::Name,
        descending: false,
        limit: 1000,
        after: None,
    }
}
