use std::os::unix::fs::symlink;

use super::*;

const SECRET: &[u8] = b"secret";
const INDEX_OF_NOTHING: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

fn empty_layout() -> TempDir {
    folder_of(&[(MARKER, MARKER_TEXT.as_bytes()), (INDEX, INDEX_OF_NOTHING), ("blobs/sha256/.keep", b"")])
}

#[tokio::test]
async fn links_in_a_folder_lead_nowhere() {
    let elsewhere = folder_of(&[("sha256/file", SECRET), ("file", SECRET), ("index.json", INDEX_OF_NOTHING)]);
    let digest = digest_of(SECRET);
    fs::rename(elsewhere.path().join("sha256/file"), elsewhere.path().join("sha256").join(digest.hex())).unwrap();

    let linked_blob = empty_layout();
    symlink(elsewhere.path().join("file"), linked_blob.path().join(blob_path(&digest))).unwrap();
    let linked_folder = folder_of(&[(MARKER, MARKER_TEXT.as_bytes()), (INDEX, INDEX_OF_NOTHING)]);
    symlink(elsewhere.path(), linked_folder.path().join("blobs")).unwrap();
    for folder in [&linked_blob, &linked_folder] {
        let layout = Layout::open(folder.path()).await.unwrap();
        assert!(matches!(layout.blob(&digest, None).await, Err(LayoutError::Unsafe { .. })));
    }
    let linked_index = folder_of(&[(MARKER, MARKER_TEXT.as_bytes())]);
    symlink(elsewhere.path().join(INDEX), linked_index.path().join(INDEX)).unwrap();
    assert!(matches!(Layout::open(linked_index.path()).await, Err(LayoutError::Unsafe { .. })));

    // Nothing is written through one either.
    let writer = LayoutWriter::open(linked_folder.path()).await.unwrap();
    let data = b"new";
    assert!(matches!(writer.put(&digest_of(data), Bytes::from_static(data)).await, Err(LayoutError::Unsafe { .. })));
    assert!(matches!(writer.begin(&digest_of(data), 3).await, Err(LayoutError::Unsafe { .. })));
    assert!(matches!(writer.stat(&digest).await, Err(LayoutError::Unsafe { .. })));
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_blob_holds_nobody_up() {
    let folder = empty_layout();
    let digest = digest_of(SECRET);
    let path = folder.path().join(blob_path(&digest));
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    let layout = Layout::open(folder.path()).await.unwrap();
    assert!(matches!(layout.blob(&digest, None).await, Err(LayoutError::Unsafe { .. })));
    assert!(matches!(Layout::artifact(&path, ArtifactOptions::default()).await, Err(LayoutError::Unsafe { .. })));
}

#[tokio::test]
async fn documents_beyond_measure_and_wrong_ones_are_refused() {
    let long = vec![b' '; MAX_INDEX_BYTES as usize + 1];
    for (marker, index) in [
        (MARKER_TEXT.as_bytes(), long.as_slice()),
        (&long, INDEX_OF_NOTHING),
        (b"{}".as_slice(), INDEX_OF_NOTHING),
        (br#"{"imageLayoutVersion":"2.0.0"}"#, INDEX_OF_NOTHING),
        (MARKER_TEXT.as_bytes(), b"[]".as_slice()),
    ] {
        let files: [(&str, &[u8]); 2] = [(MARKER, marker), (INDEX, index)];
        let folder = folder_of(&files);
        let (_file, path) = file_of(&tar_of(&files));
        for path in [folder.path(), &path] {
            assert!(matches!(Layout::open(path).await, Err(LayoutError::Invalid { .. })));
        }
    }
    for files in [&[(INDEX, INDEX_OF_NOTHING)], &[(MARKER, MARKER_TEXT.as_bytes())]] {
        let folder = folder_of(files);
        assert!(matches!(Layout::open(folder.path()).await, Err(LayoutError::NotALayout { .. })));
    }
}

#[tokio::test]
async fn a_document_is_what_its_digest_says() {
    let digest = digest_of(b"right");
    let folder =
        folder_of(&[(MARKER, MARKER_TEXT.as_bytes()), (INDEX, INDEX_OF_NOTHING), (&blob_path(&digest), b"wrong")]);
    let layout = Layout::open(folder.path()).await.unwrap();
    assert!(matches!(layout.document(&digest, 100).await, Err(LayoutError::DigestMismatch { .. })));
    assert!(matches!(layout.document(&digest, 4).await, Err(LayoutError::WrongSize { actual_bytes: 5, .. })));
}

#[tokio::test]
async fn a_file_that_shrinks_is_an_error() {
    let (digest, data) = (digest_of(&[7; 600_000]), vec![7; 600_000]);
    let files: [(&str, &[u8]); 3] =
        [(MARKER, MARKER_TEXT.as_bytes()), (INDEX, INDEX_OF_NOTHING), (&blob_path(&digest), &data)];
    let folder = folder_of(&files);
    let layout = Layout::open(folder.path()).await.unwrap();
    let mut stream = layout.blob(&digest, None).await.unwrap().stream;
    assert!(stream.try_next().await.unwrap().is_some());
    File::options().write(true).open(folder.path().join(blob_path(&digest))).unwrap().set_len(10).unwrap();
    assert!(matches!(stream.try_next().await, Err(LayoutError::Io { .. })));
}

/// A tarball of a layout that holds this too.
async fn open_with(entries: impl FnOnce(&mut Builder<Vec<u8>>)) -> Result<Layout, LayoutError> {
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, EntryType::Regular, MARKER, MARKER_TEXT.as_bytes());
    append(&mut builder, EntryType::Regular, INDEX, INDEX_OF_NOTHING);
    entries(&mut builder);
    let (_folder, path) = file_of(&builder.into_inner().unwrap());
    Layout::open(&path).await
}

fn link(builder: &mut Builder<Vec<u8>>, entry_type: EntryType, name: &str, target: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_size(0);
    builder.append_link(&mut header, name, target).unwrap();
}

#[tokio::test]
async fn tarballs_with_links_or_doubles_are_refused() {
    let path = blob_path(&digest_of(SECRET));
    for entry_type in [EntryType::Symlink, EntryType::Link] {
        let opened = open_with(|builder| link(builder, entry_type, &path, "/etc/passwd")).await;
        assert!(matches!(opened, Err(LayoutError::Unsafe { .. })));
    }
    for name in [path.as_str(), INDEX, MARKER] {
        let twice = open_with(|builder| {
            append(builder, EntryType::Regular, &path, SECRET);
            append(builder, EntryType::Regular, &format!("./{name}"), SECRET);
        });
        assert!(matches!(twice.await, Err(LayoutError::Unsafe { .. })), "{name}");
    }
    let sparse = open_with(|builder| append(builder, EntryType::GNUSparse, &path, SECRET)).await;
    assert!(matches!(sparse, Err(LayoutError::Unsafe { .. })));
    let links_elsewhere = open_with(|builder| link(builder, EntryType::Symlink, "readme", "/etc/passwd")).await;
    assert!(links_elsewhere.is_ok(), "what is none of the layout's does not matter");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_no_names() {
    let digest = digest_of(SECRET);
    let escapes = ["../".to_owned() + &blob_path(&digest), format!("/{}", blob_path(&digest)), {
        format!("blobs/sha256/../sha256/{}", digest.hex())
    }];
    for name in escapes {
        let opened = open_with(|builder| {
            builder.append_pax_extensions([("path", name.as_bytes())]).unwrap();
            append(builder, EntryType::Regular, "x", SECRET);
        });
        let layout = opened.await.unwrap();
        assert!(matches!(layout.blob(&digest, None).await, Err(LayoutError::BlobUnknown(_))), "{name}");
    }
}

#[tokio::test]
async fn broken_tarballs_are_refused() {
    let whole = tar_of(&[(MARKER, MARKER_TEXT.as_bytes()), (INDEX, INDEX_OF_NOTHING)]);
    let cut = whole[..1024 + 520].to_vec();
    let mut wrong_checksum = whole.clone();
    wrong_checksum[0] ^= 1;
    let mut endless = Header::new_gnu();
    endless.set_path("x").unwrap();
    endless.set_size(u64::MAX - 100);
    endless.set_cksum();
    let endless = [endless.as_bytes().as_slice(), &[0; 1024]].concat();
    for data in [cut, wrong_checksum, endless] {
        let (_folder, path) = file_of(&data);
        assert!(matches!(Layout::open(&path).await, Err(LayoutError::Invalid { .. })));
    }
    let mut cut_gzip = gzip(&whole);
    cut_gzip.truncate(cut_gzip.len() - 12);
    let (_folder, path) = file_of(&cut_gzip);
    assert!(matches!(Layout::open(&path).await, Err(LayoutError::Invalid { .. })));
    let lying_size = open_with(|builder| {
        builder.append_pax_extensions([("size", b"18446744073709551615".as_slice())]).unwrap();
        append(builder, EntryType::Regular, "x", SECRET);
    });
    assert!(matches!(lying_size.await, Err(LayoutError::Invalid { .. })));
}

#[tokio::test]
async fn a_link_where_a_tarball_is_packed_leads_nowhere() {
    let elsewhere = folder_of(&[("file", SECRET)]);
    let folder = folder_of(&[("image.tar.partial/.longshore-archive", b"")]);
    let path = folder.path().join("image.tar");
    symlink(elsewhere.path().join("file"), folder.path().join("image.tar.partial/.longshore-packed")).unwrap();

    ArchiveWriter::open(&path).await.unwrap().finish().await.unwrap();
    assert_eq!(fs::read(elsewhere.path().join("file")).unwrap(), SECRET);
    assert!(fs::symlink_metadata(&path).unwrap().is_file());
    assert!(Layout::open(&path).await.unwrap().entries().is_empty());
}
