//! An upload from its beginning to its end, step by step.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::Method;
use tokio::time::Instant;

use super::wire::{Body, Reply};
use super::{Promise, Pusher, Session, Way};
use crate::harness::seeded::Random;
use crate::harness::{code_of, with_digest};

impl Pusher {
    pub(super) async fn bring(
        &self,
        mut session: Session,
        repository: &str,
        data: &Bytes,
        digest: &str,
        way: Way,
        random: &mut Random,
    ) {
        loop {
            if session.told > 0 {
                tokio::time::sleep(std::mem::take(&mut session.pauses.quiet)).await;
            }
            let Some(reply) = self.step(&mut session, data, digest, way, random).await else {
                self.pause().await;
                if self.look(&mut session, repository, digest).await {
                    return;
                }
                continue;
            };
            match reply.status {
                201 => return,
                202 => self.told(&mut session, &reply),
                // The digest has kept it from becoming a blob.
                400 if self.promise == Promise::Commits && code_of(&reply.body) == "DIGEST_INVALID" => {
                    self.counts.spoiled.fetch_add(1, Ordering::Relaxed);
                    self.end_session(&session).await;
                    session = self.begin(repository).await;
                    continue;
                }
                // Whether that is right, the next look tells.
                404 | 416 => {}
                _ => self.again_after("a step", &session.location, &reply).await,
            }
            if reply.status != 202 && self.look(&mut session, repository, digest).await {
                return;
            }
        }
    }

    /// Sends the next part of a blob, or its end.
    async fn step(
        &self,
        session: &mut Session,
        data: &Bytes,
        digest: &str,
        way: Way,
        random: &mut Random,
    ) -> Option<Reply> {
        session.sent_at = Instant::now();
        let at = session.told as usize;
        assert!(at <= data.len(), "{}: holds more than was sent", session.location);
        let rest = data.slice(at..);
        let end = with_digest(&session.location, digest);
        let range = |length: usize| Some(format!("{at}-{}", (at + length).saturating_sub(1)));
        match way {
            Way::Streamed if rest.is_empty() => self.end(session, &end, None, Bytes::new()).await,
            Way::Streamed => {
                let body = Body::Streamed(rest, std::mem::take(&mut session.pauses.stall));
                self.ask(&self.place, Method::PATCH, &session.location, None, body).await
            }
            Way::OnePut | Way::SinglePost => {
                // Whole and to the address of the beginning, or only what is missing.
                let path = session.location.split('?').next().expect("a path").to_owned();
                let from_start = with_digest(&format!("{path}?offset=0"), digest);
                match random.chance(50) || rest.is_empty() {
                    true => self.end(session, &from_start, None, data.clone()).await,
                    false => self.end(session, &end, range(rest.len()), rest).await,
                }
            }
            Way::Chunks => {
                let length = (1 + random.below(self.largest_chunk)).min(rest.len() as u64) as usize;
                if length == rest.len() && (rest.is_empty() || random.chance(50)) {
                    let range = range(length).filter(|_| length > 0);
                    return self.end(session, &end, range, rest).await;
                }
                let body = Body::Whole(rest.slice(..length));
                self.ask(&self.place, Method::PATCH, &session.location, range(length), body).await
            }
        }
    }

    async fn end(&self, session: &mut Session, path: &str, range: Option<String>, body: Bytes) -> Option<Reply> {
        session.is_ended = true;
        self.ask(&self.place, Method::PUT, path, range, Body::Whole(body)).await
    }

    pub(super) async fn begin(&self, repository: &str) -> Session {
        let path = format!("/v2/{repository}/blobs/uploads/");
        loop {
            let begun_at = Instant::now();
            match self.ask(&self.begins_at, Method::POST, &path, None, Body::Whole(Bytes::new())).await {
                Some(reply) if reply.status == 202 => {
                    let location = reply.location.expect("a location");
                    let id = location.split('?').next().and_then(|path| path.rsplit('/').next()).expect("an id");
                    self.told_ids.lock().expect("no panic").push(id.to_owned());
                    return Session::new(&location, 0, begun_at);
                }
                Some(reply) => self.again_after("POST", &path, &reply).await,
                None => {
                    self.counts.unanswered_posts.fetch_add(1, Ordering::Relaxed);
                    self.pause().await;
                }
            }
        }
    }

    /// Asks where the upload stands; true when it is gone because the blob is there.
    pub(super) async fn look(&self, session: &mut Session, repository: &str, digest: &str) -> bool {
        loop {
            let reply = self.ask(&self.place, Method::GET, &session.location, None, Body::Whole(Bytes::new())).await;
            match reply {
                Some(reply) if reply.status == 204 => {
                    self.told(session, &reply);
                    let resumed = u64::from(session.told > 0);
                    self.counts.resumed.fetch_add(resumed, Ordering::Relaxed);
                    return false;
                }
                Some(reply) if reply.status == 404 => {
                    let blob = self.head_blob(repository, digest).await;
                    if session.is_ended && blob {
                        return true;
                    }
                    let may_have_expired = self.policies.may_have_struck(session, reply.policy().as_deref());
                    assert!(
                        self.promise == Promise::Commits || may_have_expired,
                        "{} is unknown, ended: {}, blob {digest} is there: {blob}; it stood at {}, bytes came {:?} ago: {}",
                        session.location,
                        session.is_ended,
                        session.told,
                        session.brought_at.elapsed(),
                        String::from_utf8_lossy(&reply.body),
                    );
                    let count = if may_have_expired { &self.counts.expired } else { &self.counts.gone };
                    count.fetch_add(1, Ordering::Relaxed);
                    *session = self.begin(repository).await;
                    return false;
                }
                Some(reply) => self.again_after("GET", &session.location, &reply).await,
                None => self.pause().await,
            }
        }
    }

    fn told(&self, session: &mut Session, reply: &Reply) {
        let offset = reply.offset();
        let holds = self.promise == Promise::Commits || offset >= session.told;
        assert!(holds, "{}: stands at {offset} after {} was told", session.location, session.told);
        if offset > session.told {
            session.brought_at = session.sent_at;
        }
        session.told = offset;
        session.location = reply.location.clone().expect("a location");
    }
}
