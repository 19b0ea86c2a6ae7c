use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use serde_json::Value;

use super::archive::Archive;
use super::artifact::{Artifact, ArtifactOptions, Part};
use super::extent::{Extent, FileExtent, LayoutBlob};
use super::index::{Index, IndexEntry};
use super::{INDEX, LayoutError, MARKER, MAX_INDEX_BYTES, blob_path, blocking, folder, gzip};
use crate::hashing::RunningDigest;
use crate::oci::Digest;

/// A layout that is read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Layout {
    content: Arc<Content>,
    index: Arc<Index>,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A folder with a layout.
    Folder,
    /// A tarball of a layout, gzipped or not.
    Archive,
    /// Any other file.
    File,
}

#[derive(Debug)]
enum Content {
    Folder(PathBuf),
    Archive(Archive),
    Artifact(Artifact),
}

impl Layout {
    /// Opens a layout: a folder, or a tarball, gzipped or not.
    ///
    /// # Errors
    /// [`LayoutError::NotALayout`], [`LayoutError::Unsafe`], [`LayoutError::Invalid`], [`LayoutError::Io`].
    pub async fn open(path: &Path) -> Result<Layout, LayoutError> {
        let path = path.to_owned();
        blocking(move || match open_any(&path)? {
            Opened::Folder => Layout::of_folder(path),
            Opened::Archive(archive) if archive.is_layout() => Layout::of_archive(archive, &path),
            Opened::Archive(archive) if archive.is_docker_archive() => Err(docker_archive(&path)),
            Opened::Archive(_) => Err(LayoutError::not_a_layout(&path, "the tarball has no file oci-layout")),
            Opened::File(_) => Err(LayoutError::not_a_layout(&path, "it is neither a folder nor a tarball")),
        })
        .await
    }

    /// Opens what there is: a layout, or any other file as an artifact.
    ///
    /// # Errors
    /// As [`Layout::open`]; [`LayoutError::NotALayout`] for a folder without one, and for what only `docker load` can
    /// read.
    pub async fn open_or_artifact(path: &Path, options: ArtifactOptions) -> Result<(Layout, PathKind), LayoutError> {
        let path = path.to_owned();
        blocking(move || match open_any(&path)? {
            Opened::Folder => Ok((Layout::of_folder(path)?, PathKind::Folder)),
            Opened::Archive(archive) if archive.is_layout() => {
                Ok((Layout::of_archive(archive, &path)?, PathKind::Archive))
            }
            Opened::Archive(archive) if archive.is_docker_archive() => Err(docker_archive(&path)),
            Opened::Archive(_) => Ok((Layout::of_artifact(open_plain(&path)?, &path, &options)?, PathKind::File)),
            Opened::File(file) => Ok((Layout::of_artifact(file, &path, &options)?, PathKind::File)),
        })
        .await
    }

    /// Any file as an artifact, also one that is a tarball of a layout.
    ///
    /// # Errors
    /// [`LayoutError::Unsafe`] when it is no plain file; [`LayoutError::Io`].
    pub async fn artifact(path: &Path, options: ArtifactOptions) -> Result<Layout, LayoutError> {
        let path = path.to_owned();
        blocking(move || Layout::of_artifact(open_plain(&path)?, &path, &options)).await
    }

    /// The manifests that its index lists, in its order.
    pub fn entries(&self) -> &[IndexEntry] {
        self.index.entries()
    }

    /// The manifest of a name or digest; without one, the only manifest, or the only one that has a name.
    ///
    /// # Errors
    /// [`LayoutError::Ambiguous`] when there is none or are several.
    pub fn resolve(&self, asked: Option<&str>) -> Result<IndexEntry, LayoutError> {
        self.index.resolve(asked)
    }

    /// A blob's bytes, all or a range of them (cut at the end).
    ///
    /// # Errors
    /// [`LayoutError::BlobUnknown`]; [`LayoutError::Unsafe`] when it is a link.
    pub async fn blob(&self, digest: &Digest, range: Option<Range<u64>>) -> Result<LayoutBlob, LayoutError> {
        Ok(self.extent(digest).await?.open(range))
    }

    /// A short blob whole, such as a manifest, with its digest verified.
    ///
    /// # Errors
    /// As [`Layout::blob`]; [`LayoutError::WrongSize`] when it is longer than `limit_bytes`;
    /// [`LayoutError::DigestMismatch`].
    pub async fn document(&self, digest: &Digest, limit_bytes: u64) -> Result<Bytes, LayoutError> {
        let blob = self.blob(digest, None).await?;
        if blob.size_bytes > limit_bytes {
            let (expected_bytes, actual_bytes) = (limit_bytes, blob.size_bytes);
            return Err(LayoutError::WrongSize { digest: digest.clone(), expected_bytes, actual_bytes });
        }
        let pieces = blob.stream.try_fold(BytesMut::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        });
        let data = pieces.await?.freeze();
        let mut running = RunningDigest::new(digest.algorithm());
        running.update(&data);
        match running.finish() {
            actual if actual == *digest => Ok(data),
            actual => Err(LayoutError::DigestMismatch { expected: digest.clone(), actual }),
        }
    }

    async fn extent(&self, digest: &Digest) -> Result<Extent, LayoutError> {
        let unknown = || LayoutError::BlobUnknown(digest.clone());
        match &*self.content {
            Content::Archive(archive) => archive.file(&blob_path(digest)).map(Extent::File).ok_or_else(unknown),
            Content::Artifact(artifact) => match artifact.part(digest).ok_or_else(unknown)? {
                Part::Manifest(data) | Part::Config(data) => Ok(Extent::Memory(data)),
                Part::Layer(file) => Ok(Extent::File(file)),
            },
            Content::Folder(root) => {
                let (root, relative) = (root.clone(), blob_path(digest));
                let opened = blocking(move || {
                    let Some(file) = folder::open_file(&root, &relative)? else { return Ok(None) };
                    let path = root.join(relative);
                    let size_bytes = file.metadata().map_err(LayoutError::io("look at", &path))?.len();
                    Ok(Some(FileExtent { file: Arc::new(file), path, offset: 0, size_bytes }))
                });
                opened.await?.map(Extent::File).ok_or_else(unknown)
            }
        }
    }

    fn of_folder(root: PathBuf) -> Result<Layout, LayoutError> {
        let read = |name: &str| folder::read_file(&root, name, MAX_INDEX_BYTES);
        let missing = |name: &str| LayoutError::not_a_layout(&root, format!("there is no file {name}"));
        check_marker(&root.join(MARKER), &read(MARKER)?.ok_or_else(|| missing(MARKER))?)?;
        let index = Index::parse(&root.join(INDEX), &read(INDEX)?.ok_or_else(|| missing(INDEX))?)?;
        Ok(Layout { index: Arc::new(index), content: Arc::new(Content::Folder(root)) })
    }

    fn of_archive(archive: Archive, path: &Path) -> Result<Layout, LayoutError> {
        let read = |name: &str| read_entry(&archive, path, name);
        check_marker(&path.join(MARKER), &read(MARKER)?)?;
        let index = Index::parse(&path.join(INDEX), &read(INDEX)?)?;
        Ok(Layout { index: Arc::new(index), content: Arc::new(Content::Archive(archive)) })
    }

    fn of_artifact(file: File, path: &Path, options: &ArtifactOptions) -> Result<Layout, LayoutError> {
        let artifact = Artifact::new(file, path, options)?;
        let index = Index::of(&artifact.entry);
        Ok(Layout { index: Arc::new(index), content: Arc::new(Content::Artifact(artifact)) })
    }
}

enum Opened {
    Folder,
    Archive(Archive),
    File(File),
}

/// Finds out by its content what there is. The path itself may be a link: it is the user's own.
fn open_any(path: &Path) -> Result<Opened, LayoutError> {
    let metadata = std::fs::metadata(path).map_err(LayoutError::io("open", path))?;
    if metadata.is_dir() {
        return Ok(Opened::Folder);
    }
    let mut file = open_plain(path)?;
    let mut start = Vec::new();
    let failed = LayoutError::io("read", path);
    (&file).take(512).read_to_end(&mut start).map_err(&failed)?;
    file.rewind().map_err(&failed)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        return match is_tar_inside(&file) {
            true => Ok(Opened::Archive(Archive::read(gzip::unpack(&rewound(file, path)?, path)?, path)?)),
            false => Ok(Opened::File(rewound(file, path)?)),
        };
    }
    match is_tar(&start) {
        true => Ok(Opened::Archive(Archive::read(file, path)?)),
        false => Ok(Opened::File(file)),
    }
}

fn open_plain(path: &Path) -> Result<File, LayoutError> {
    let not_blocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file =
        File::options().read(true).custom_flags(not_blocking).open(path).map_err(LayoutError::io("open", path))?;
    match file.metadata().map_err(LayoutError::io("look at", path))?.is_file() {
        true => Ok(file),
        false => Err(LayoutError::not_safe(path, "it is no plain file")),
    }
}

fn rewound(mut file: File, path: &Path) -> Result<File, LayoutError> {
    file.rewind().map_err(LayoutError::io("read", path))?;
    Ok(file)
}

/// Whether the first block is a tar header of POSIX or GNU.
fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

fn is_tar_inside(file: &File) -> bool {
    let mut start = Vec::new();
    // What cannot be unpacked is no tarball.
    let _ = flate2::read::MultiGzDecoder::new(file).take(512).read_to_end(&mut start);
    is_tar(&start)
}

fn read_entry(archive: &Archive, path: &Path, name: &str) -> Result<Bytes, LayoutError> {
    let missing = || LayoutError::not_a_layout(path, format!("there is no file {name}"));
    let file = archive.file(name).ok_or_else(missing)?;
    if file.size_bytes > MAX_INDEX_BYTES {
        return Err(LayoutError::invalid(&path.join(name), format!("it is longer than {MAX_INDEX_BYTES} bytes")));
    }
    file.read_whole()
}

pub(super) fn check_marker(path: &Path, data: &[u8]) -> Result<(), LayoutError> {
    let marker: Value = serde_json::from_slice(data)
        .map_err(|cause| LayoutError::invalid(path, format!("it cannot be read: {cause}")))?;
    match marker.get("imageLayoutVersion").and_then(Value::as_str) {
        Some(version) if version.starts_with("1.") => Ok(()),
        Some(version) => Err(LayoutError::invalid(path, format!("layout version {version:?} is not 1.0.0"))),
        None => Err(LayoutError::invalid(path, "there is no imageLayoutVersion")),
    }
}

fn docker_archive(path: &Path) -> LayoutError {
    LayoutError::not_a_layout(path, "it is a tarball of docker save without one")
}
