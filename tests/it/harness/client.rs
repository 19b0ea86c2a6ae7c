//! Requests that many cases make.

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use super::{Alg, Registry, ReplyExt as _, digest_of, image_manifest, random};

pub const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

impl Registry {
    /// A request to a path or to an address that the registry gave.
    pub fn request(&self, method: Method, location: &str) -> RequestBuilder {
        self.http().request(method, self.url(location))
    }

    pub async fn get(&self, location: &str) -> Response {
        self.request(Method::GET, location).send().await.expect("an answer")
    }

    pub async fn head(&self, location: &str) -> Response {
        self.request(Method::HEAD, location).send().await.expect("an answer")
    }

    pub async fn delete(&self, location: &str) -> Response {
        self.request(Method::DELETE, location).send().await.expect("an answer")
    }

    pub async fn post(&self, location: &str, body: impl Into<Bytes>) -> Response {
        self.send(Method::POST, location, body, &[]).await
    }

    pub async fn patch(&self, location: &str, body: impl Into<Bytes>, range: Option<&str>) -> Response {
        let headers: Vec<(&str, &str)> = range.iter().map(|range| ("content-range", *range)).collect();
        self.send(Method::PATCH, location, body, &headers).await
    }

    pub async fn put(&self, location: &str, body: impl Into<Bytes>) -> Response {
        self.send(Method::PUT, location, body, &[]).await
    }

    /// A body of known length.
    pub async fn send(
        &self,
        method: Method,
        location: &str,
        body: impl Into<Bytes>,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = self.request(method, location).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("an answer")
    }

    /// A body in pieces, of a length that is not said (chunked transfer coding).
    pub async fn send_streamed(&self, method: Method, location: &str, pieces: Vec<Bytes>, media: &str) -> Response {
        let stream = futures_util::stream::iter(pieces.into_iter().map(Ok::<Bytes, std::io::Error>));
        let request = self.request(method, location).header("content-type", media);
        request.body(reqwest::Body::wrap_stream(stream)).send().await.expect("an answer")
    }

    /// Begins an upload; gives its address.
    pub async fn begin(&self, repository: &str) -> String {
        self.post(&format!("/v2/{repository}/blobs/uploads/"), "").await.expect(202).await.value("location")
    }

    /// Pushes a blob as most clients do; gives digest and size.
    pub async fn push(&self, repository: &str, data: &Bytes) -> (String, usize) {
        let digest = digest_of(data);
        let location = self.begin(repository).await;
        self.put(&with_digest(&location, &digest), data.clone()).await.expect(201).await;
        (digest, data.len())
    }

    /// Where an upload stands, by its `Range`.
    pub async fn stands_at(&self, location: &str) -> String {
        self.get(location).await.expect(204).await.value("range")
    }

    pub async fn put_manifest(&self, repository: &str, reference: &str, data: &[u8], media: &str) -> Response {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send(Method::PUT, &path, data.to_vec(), &[("content-type", media)]).await
    }

    /// Pushes an image of one layer under a reference; gives the manifest's digest and bytes.
    pub async fn push_image(&self, repository: &str, reference: &str) -> (String, Vec<u8>) {
        self.push_image_with(repository, reference, |_| {}).await
    }

    /// The same with changes to the manifest.
    pub async fn push_image_with(
        &self,
        repository: &str,
        reference: &str,
        change: impl FnOnce(&mut Value),
    ) -> (String, Vec<u8>) {
        let config = self.push(repository, &random(50)).await;
        let layer = self.push(repository, &random(500)).await;
        let mut manifest = image_manifest(&config, &[layer]);
        change(&mut manifest);
        let data = serde_json::to_vec(&manifest).expect("JSON");
        self.put_manifest(repository, reference, &data, OCI_IMAGE).await.expect(201).await;
        (digest_of(&data), data)
    }

    /// Checks a blob that was just pushed, as the specification's conformance tool does, and deletes it.
    pub async fn check_pushed(&self, repository: &str, data: &Bytes, algorithm: Alg, created: Response) {
        let digest = algorithm.digest(data);
        let created = created.expect(201).await;
        assert_eq!(created.value("docker-content-digest"), digest);
        let location = created.value("location");
        assert_eq!(self.get(&location).await.expect(200).await.data().await, data);
        let path = format!("/v2/{repository}/blobs/{digest}");
        let head = self.head(&path).await.expect(200).await;
        assert_eq!(head.value("content-length"), data.len().to_string());
        assert_eq!(head.value("docker-content-digest"), digest);
        let got = self.get(&path).await.expect(200).await;
        assert_eq!(got.value("content-length"), data.len().to_string());
        assert_eq!(got.value("docker-content-digest"), digest);
        assert_eq!(got.data().await, data);
        self.delete(&path).await.expect(202).await;
        self.head(&path).await.expect(404).await;
    }
}

/// An upload's address with the digest that ends it, as clients make it.
pub fn with_digest(location: &str, digest: &str) -> String {
    let joint = if location.contains('?') { '&' } else { '?' };
    format!("{location}{joint}digest={digest}")
}
