use super::partial::PartialBlob;
use super::*;

fn entry(data: &[u8], name: Option<&str>) -> IndexEntry {
    let name = name.map(str::to_owned);
    IndexEntry { media_type: IMAGE.to_owned(), digest: digest_of(data), size_bytes: data.len() as u64, name }
}

async fn write(writer: &LayoutWriter, data: &'static [u8]) -> Result<(), LayoutError> {
    let mut partial = writer.begin(&digest_of(data), data.len() as u64).await?;
    let rest = data.slice_from(partial.offset());
    partial.write(rest).await?;
    partial.finish().await
}

trait SliceFrom {
    fn slice_from(&self, offset: u64) -> Bytes;
}

impl SliceFrom for &'static [u8] {
    fn slice_from(&self, offset: u64) -> Bytes {
        Bytes::from_static(&self[offset as usize..])
    }
}

/// Begins a blob, writes a part, and loses it as a process does that is killed.
async fn leave(writer: &LayoutWriter, digest: &Digest, size_bytes: u64, part: &[u8]) {
    let mut partial = writer.begin(digest, size_bytes).await.unwrap();
    partial.write(Bytes::copy_from_slice(part)).await.unwrap();
    partial.flush().await.unwrap();
}

fn partial_folder(folder: &Path) -> PathBuf {
    folder.join(".longshore-partial")
}

#[tokio::test]
async fn what_is_written_is_a_layout() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("a/b");
    let writer = LayoutWriter::open(&root).await.unwrap();
    assert_eq!(writer.stat(&digest_of(b"layer")).await.unwrap(), None);
    write(&writer, b"layer").await.unwrap();
    assert_eq!(writer.stat(&digest_of(b"layer")).await.unwrap(), Some(5));
    writer.put(&digest_of(b"{}"), Bytes::from_static(b"{}")).await.unwrap();
    writer.list(entry(b"{}", Some("v1"))).await.unwrap();
    // Another process adds to it.
    let other = LayoutWriter::open(&root).await.unwrap();
    other.list(entry(b"{}", Some("v2"))).await.unwrap();
    let layout = Layout::open(&root).await.unwrap();
    assert_eq!(layout.entries(), [entry(b"{}", Some("v1")), entry(b"{}", Some("v2"))]);
    assert_eq!(read_blob(&layout, &digest_of(b"layer"), None).await, b"layer");
    assert_eq!(names(&root), ["blobs", INDEX, MARKER], "nothing is left over");
    assert_eq!(names(&root.join("blobs/sha256")).len(), 2);
}

#[tokio::test]
async fn lists_made_at_once_are_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..20 {
        let writer = writer.clone();
        tasks.spawn(async move { writer.list(entry(b"{}", Some(&format!("v{number}")))).await.unwrap() });
    }
    tasks.join_all().await;
    assert_eq!(Layout::open(folder.path()).await.unwrap().entries().len(), 20);
}

#[tokio::test]
async fn a_partial_blob_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).await.unwrap();
    let digest = digest_of(b"0123456789");
    leave(&writer, &digest, 10, b"0123").await;
    let mut partial = writer.begin(&digest, 10).await.unwrap();
    assert_eq!((partial.offset(), partial.resumed_from()), (4, 4));
    partial.write(Bytes::from_static(b"456789")).await.unwrap();
    partial.finish().await.unwrap();
    assert_eq!(writer.stat(&digest).await.unwrap(), Some(10));
}

#[tokio::test]
async fn a_partial_blob_that_is_wrong_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).await.unwrap();
    let digest = digest_of(b"0123456789");
    let finish = async |mut partial: PartialBlob, rest: &'static [u8]| {
        partial.write(Bytes::from_static(rest)).await?;
        partial.finish().await
    };
    leave(&writer, &digest, 10, b"xxxx").await;
    let resumed = writer.begin(&digest, 10).await.unwrap();
    assert!(matches!(finish(resumed, b"456789").await, Err(LayoutError::DigestMismatch { .. })));
    assert_eq!(writer.stat(&digest).await.unwrap(), None);
    let anew = writer.begin(&digest, 10).await.unwrap();
    assert_eq!(anew.offset(), 0);
    assert!(matches!(finish(anew, b"012").await, Err(LayoutError::WrongSize { actual_bytes: 3, .. })));
    let kept = writer.begin(&digest, 10).await.unwrap();
    assert_eq!(kept.offset(), 3, "what is only short is kept");
    assert!(matches!(finish(kept, b"34567890").await, Err(LayoutError::WrongSize { actual_bytes: 11, .. })));
    // Of another blob, or written to by somebody else: longer than it can be.
    leave(&writer, &digest, 10, b"3456789").await;
    assert_eq!(writer.begin(&digest, 9).await.unwrap().offset(), 0);
}

#[tokio::test]
async fn a_blob_has_one_writer() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).await.unwrap();
    let digest = digest_of(b"layer");
    let first = writer.begin(&digest, 5).await.unwrap();
    assert!(matches!(writer.begin(&digest, 5).await, Err(LayoutError::Busy { .. })));
    drop(first);
    assert!(writer.begin(&digest, 5).await.is_ok());
}

#[tokio::test]
async fn only_old_partials_are_tidied_away() {
    let folder = tempfile::tempdir().unwrap();
    let writer = LayoutWriter::open(folder.path()).await.unwrap();
    let (old, new) = (digest_of(b"old"), digest_of(b"new"));
    leave(&writer, &old, 3, b"o").await;
    leave(&writer, &new, 3, b"n").await;
    let path = partial_folder(folder.path()).join(format!("sha256-{}", old.hex()));
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(30 * 24 * 3600);
    File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    writer.list(entry(b"{}", None)).await.unwrap();
    assert_eq!(names(&partial_folder(folder.path())), [format!("sha256-{}", new.hex())]);
}

#[tokio::test]
async fn a_folder_of_something_else_is_left_alone() {
    let folder = folder_of(&[("photos/1.jpg", b"x")]);
    assert!(matches!(LayoutWriter::open(folder.path()).await, Err(LayoutError::NotALayout { .. })));
    assert_eq!(names(folder.path()), ["photos"]);
    // A process that was killed between the two files of a new layout.
    let begun = folder_of(&[(MARKER, MARKER_TEXT.as_bytes())]);
    let writer = LayoutWriter::open(begun.path()).await.unwrap();
    writer.list(entry(b"{}", Some("v1"))).await.unwrap();
    assert_eq!(Layout::open(begun.path()).await.unwrap().entries().len(), 1);
}

#[tokio::test]
async fn a_tarball_appears_whole_and_holds_only_what_it_lists() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    let interrupted = ArchiveWriter::open(&path).await.unwrap();
    assert!(matches!(ArchiveWriter::open(&path).await, Err(LayoutError::Busy { .. })));
    write(interrupted.layout(), b"layer").await.unwrap();
    write(interrupted.layout(), b"of another image").await.unwrap();
    interrupted.layout().list(entry(b"of another image", Some("v0"))).await.unwrap();
    drop(interrupted);
    assert_eq!(names(folder.path()), ["image.tar.partial"]);

    let archive = ArchiveWriter::open(&path).await.unwrap();
    let long = sha512(b"long");
    assert_eq!(archive.layout().stat(&digest_of(b"layer")).await.unwrap(), Some(5), "it is taken up");
    archive.layout().put(&long, Bytes::from_static(b"long")).await.unwrap();
    archive.layout().put(&digest_of(b"{}"), Bytes::from_static(b"{}")).await.unwrap();
    archive.layout().list(entry(b"{}", Some("v1"))).await.unwrap();
    archive.finish().await.unwrap();
    assert_eq!(names(folder.path()), ["image.tar"]);
    let layout = Layout::open(&path).await.unwrap();
    assert_eq!(layout.entries(), [entry(b"{}", Some("v1"))]);
    assert_eq!(read_blob(&layout, &digest_of(b"layer"), None).await, b"layer");
    assert_eq!(read_blob(&layout, &long, None).await, b"long");
    assert!(layout.blob(&digest_of(b"of another image"), None).await.is_err());
    assert!(matches!(ArchiveWriter::open(&path).await, Err(LayoutError::Exists { .. })));
}

#[tokio::test]
async fn the_folder_beside_a_tarball_must_be_its_own() {
    let folder = folder_of(&[("image.tar.partial/photo.jpg", b"x")]);
    let opened = ArchiveWriter::open(&folder.path().join("image.tar")).await;
    assert!(matches!(opened, Err(LayoutError::NotALayout { .. })));
    assert_eq!(names(&folder.path().join("image.tar.partial")), ["photo.jpg"]);
}
