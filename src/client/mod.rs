//! Floor 2: a client of the OCI distribution API, for any registry.
//!
//! A [`Client`] is made for an address and gives a [`RepositoryClient`] for each repository. It says who it is when the
//! registry wants to know: by basic authentication or by a token service, with the credentials that it was given or that
//! [`DockerCredentials`] finds. What fails in passing is tried again ([`RetryPolicy`]). A [`ClientError`] tells what the
//! registry said, in its own codes. Whatever comes is bounded, and compared with its digest.
//!
//! It stands on a [`Transport`](transport::Transport), which can be replaced. It implements the traits of
//! [`services`](crate::services) too, so that what takes those takes a registry anywhere.
//!
//! # Examples
//! Push a blob and pull it. (The examples run against a registry in memory.)
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples_of_docs/registry.rs"));
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # with_registry(|address| async move {
//! use bytes::Bytes;
//! use futures_util::TryStreamExt;
//! use longshore::client::{Client, PushOptions};
//!
//! let client = Client::builder(&address).build()?;
//! let repository = client.repository(&"team/app".parse()?);
//! let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".parse()?;
//!
//! repository.push_blob(&Bytes::from("hello"), &digest, &PushOptions::default()).await?;
//!
//! let download = repository.fetch_blob(&digest, None).await?;
//! let pieces: Vec<Bytes> = download.stream.try_collect().await?;
//! assert_eq!(pieces.concat(), b"hello");
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Go on with a push that an earlier process began. A push that breaks off in its own time goes on by itself.
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples_of_docs/registry.rs"));
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # with_registry(|address| async move {
//! use bytes::Bytes;
//! use longshore::client::{Client, PushOptions};
//! use longshore::oci::Algorithm;
//!
//! let repository = Client::builder(&address).build()?.repository(&"team/app".parse()?);
//! let upload = repository.start_upload(Algorithm::Sha256).await?;
//! upload.append_chunk(0, Bytes::from("hel")).await?;
//! let kept_in_a_file = upload.location();
//!
//! let digest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824".parse()?;
//! let options = PushOptions { resume: Some(kept_in_a_file), ..PushOptions::default() };
//! let pushed = repository.push_blob(&Bytes::from("hello"), &digest, &options).await?;
//! assert_eq!(pushed.sent_bytes, 2);
//! # Ok(())
//! # })
//! # }
//! ```
//!
//! Copy a tag to another repository of the registry, without its bytes being sent:
//!
//! ```
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples_of_docs/registry.rs"));
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # with_registry(|address| async move {
//! use longshore::client::{Client, ImageReference, Mount};
//! use longshore::oci::Manifest;
//! use longshore::services::{Precondition, PutManifest};
//!
//! # let (config, image) = (bytes::Bytes::from("{}"), r#"{"schemaVersion":2,"mediaType":
//! # "application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.empty.v1+json","size":2,
//! # "digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},"layers":[]}"#);
//! # let pushed = Client::builder(&address).build()?.repository(&"team/app".parse()?);
//! # let digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a".parse()?;
//! # pushed.push_blob(&config, &digest, &Default::default()).await?;
//! # let precondition = Precondition::None;
//! # let (tags, media_type, data) = (Vec::new(), None, image.into());
//! # pushed.put_manifest(&PutManifest { reference: "1.0".parse()?, tags, media_type, data, precondition }).await?;
//! let image: ImageReference = format!("{address}/team/app:1.0").parse()?;
//! let client = Client::builder_at(image.registry.clone()).build()?;
//! let from = client.repository(&image.repository);
//! let to = client.repository(&"released/app".parse()?);
//!
//! let manifest = from.manifest(&image.reference()).await?;
//! for blob in Manifest::parse(&manifest.data, Some(&manifest.media_type))?.blobs {
//!     let mounted = to.mount_blob(&blob.digest, Some(from.name())).await?;
//!     assert!(matches!(mounted, Mount::Mounted));
//! }
//! let request = PutManifest {
//!     reference: image.reference(),
//!     tags: Vec::new(),
//!     media_type: Some(manifest.media_type),
//!     data: manifest.data,
//!     precondition: Precondition::IsNew,
//! };
//! assert_eq!(to.put_manifest(&request).await?.digest, manifest.digest);
//! assert_eq!(to.all_tags().await?, ["1.0".parse()?]);
//! # Ok(())
//! # })
//! # }
//! ```

pub mod transport;

mod address;
mod auth;
mod blobs;
mod builder;
mod error;
mod exchange;
mod image_reference;
mod lists;
mod manifests;
mod ranges;
mod raw;
mod repository;
mod retry;
mod services;
#[cfg(test)]
mod testing;
mod upload;

pub use address::{AddressError, RegistryAddress};
pub use auth::{CredentialSource, Credentials, DockerCredentials};
pub use blobs::{BlobDownload, Mount};
pub use builder::{Client, ClientBuilder};
pub use error::{ClientError, Failure, Problem, Refusal};
pub use image_reference::{ImageReference, ImageReferenceError};
pub use manifests::ManifestInfo;
pub use raw::{Access, RawAnswer, RawCall};
pub use repository::RepositoryClient;
pub use reqwest::Url;
pub use retry::RetryPolicy;
pub use upload::{BlobSource, FileSource, OnProgress, PushMode, PushOptions, PushProgress, PushedBlob, UploadSession};
