//! What a client does besides pushing.

use bytes::Bytes;
use reqwest::Method;
use tokio::time::{Duration, Instant};

use super::wire::Body;
use super::{Promise, Pusher, Session};

impl Pusher {
    /// Begins an upload, brings some bytes, and cancels it.
    pub async fn cancel(&self, repository: &str, data: &Bytes) {
        let session = self.begin(repository).await;
        // Whatever becomes of it.
        self.ask(&self.place, Method::PATCH, &session.location, None, Body::Streamed(data.clone(), Duration::ZERO))
            .await;
        self.end_session(&session).await;
    }

    /// Cancels an upload of an earlier process.
    pub async fn end_upload(&self, location: &str) {
        self.end_session(&Session::new(location, 0, Instant::now())).await;
    }

    /// Cancels an upload. That it is unknown is the answer after one that failed or was lost, or when it may have expired,
    /// and only then.
    pub(super) async fn end_session(&self, session: &Session) {
        let location = &session.location;
        loop {
            let (failed, reply) = self.until_answered_counting(Method::DELETE, location).await;
            let may_have_expired = self.policies.may_have_struck(session, reply.policy().as_deref());
            let may_be_gone = failed > 0 || self.promise != Promise::All || may_have_expired;
            let is_gone = reply.status == 204 || reply.status == 404 && may_be_gone;
            assert!(is_gone, "DELETE {location}: {} after {failed} failures", reply.status);
            let looked = self.until_answered(Method::GET, location).await;
            if looked.status == 404 {
                return;
            }
            assert_ne!(self.promise, Promise::All, "{location} was cancelled: {looked:?}");
        }
    }

    /// Reads a blob that was acknowledged.
    pub async fn check_blob(&self, repository: &str, digest: &str, data: &Bytes) {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let reply = self.until_answered(Method::GET, &path).await;
        assert_eq!(reply.status, 200, "{path} was acknowledged: {:?}", reply.body);
        assert!(reply.body == data, "{path} holds something else");
    }

    pub(super) async fn head_blob(&self, repository: &str, digest: &str) -> bool {
        let path = format!("/v2/{repository}/blobs/{digest}");
        let reply = self.until_answered(Method::HEAD, &path).await;
        assert!(matches!(reply.status, 200 | 404), "{path}: {reply:?}");
        reply.status == 200
    }

    /// Puts a manifest under a tag, or a digest; gives its digest.
    pub async fn put_manifest(&self, repository: &str, reference: &str, manifest: &Bytes) -> String {
        let path = format!("/v2/{repository}/manifests/{reference}");
        loop {
            match self.ask(&self.place, Method::PUT, &path, None, Body::Whole(manifest.clone())).await {
                Some(reply) if reply.status == 201 => return reply.digest.expect("a digest"),
                Some(reply) => self.again_after("PUT", &path, &reply).await,
                None => self.pause().await,
            }
        }
    }
}
