use super::*;

/// Larger than a piece, and not a multiple of one.
fn large() -> Vec<u8> {
    (0..700_001_u32).map(|number| (number % 251) as u8).collect()
}

#[tokio::test]
async fn a_folder_a_tarball_and_a_gzipped_one_are_read_alike() {
    let (large, manifest) = (large(), b"{}".as_slice());
    let (layer, long, index) = (digest_of(&large), sha512(b"long"), index_of(&[(manifest, "v1")]));
    let (layer_path, long_path, manifest_path) = (blob_path(&layer), blob_path(&long), blob_path(&digest_of(manifest)));
    let files: [(&str, &[u8]); 6] = [
        ("blobs/README", b"nothing"),
        (&layer_path, &large),
        (&long_path, b"long"),
        (&manifest_path, manifest),
        (INDEX, index.as_bytes()),
        (MARKER, MARKER_TEXT.as_bytes()),
    ];
    let folder = folder_of(&files);
    let tarball = tar_of(&files);
    let ((_plain, plain), (_gzipped, gzipped)) = (file_of(&tarball), file_of(&gzip(&tarball)));
    for path in [folder.path(), &plain, &gzipped] {
        let layout = Layout::open(path).await.unwrap();
        let entry = layout.resolve(Some("v1")).unwrap();
        assert_eq!(
            (entry.digest.clone(), entry.size_bytes, entry.media_type.as_str()),
            (digest_of(manifest), 2, IMAGE)
        );
        assert_eq!(layout.document(&entry.digest, 100).await.unwrap(), manifest);
        assert_eq!(read_blob(&layout, &layer, None).await, large);
        assert_eq!(read_blob(&layout, &layer, Some(300_000..600_001)).await, large[300_000..600_001]);
        assert_eq!(read_blob(&layout, &layer, Some(700_000..u64::MAX)).await, large[700_000..]);
        assert_eq!(read_blob(&layout, &layer, Some(800_000..900_000)).await, b"");
        assert_eq!(read_blob(&layout, &long, None).await, b"long", "a name that a tar header has no room for");
        assert!(matches!(layout.blob(&digest_of(b"none"), None).await, Err(LayoutError::BlobUnknown(_))));
    }
}

#[tokio::test]
async fn a_tarball_with_pax_headers_and_dots_is_read() {
    let long = sha512(b"long");
    let path = format!("./{}", blob_path(&long));
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("path", path.as_bytes()), ("size", b"4".as_slice())]).unwrap();
    append(&mut builder, EntryType::Regular, "cut", b"long");
    append(&mut builder, EntryType::Directory, "./blobs", b"");
    append(&mut builder, EntryType::Regular, "./index.json", index_of(&[]).as_bytes());
    append(&mut builder, EntryType::Regular, "./oci-layout", MARKER_TEXT.as_bytes());
    let (_folder, path) = file_of(&builder.into_inner().unwrap());
    let layout = Layout::open(&path).await.unwrap();
    assert_eq!(read_blob(&layout, &long, None).await, b"long");
}

#[tokio::test]
async fn a_file_is_an_artifact() {
    let (_folder, path) = file_of(b"report");
    let options = ArtifactOptions { artifact_type: "text/x.report".to_owned(), ..ArtifactOptions::default() };
    let (layout, kind) = Layout::open_or_artifact(&path, options.clone()).await.unwrap();
    assert_eq!(kind, PathKind::File);
    let entry = layout.resolve(None).unwrap();
    let document = layout.document(&entry.digest, 10_000).await.unwrap();
    let again = Layout::artifact(&path, options).await.unwrap();
    assert_eq!(again.resolve(None).unwrap(), entry, "the same file is the same artifact");
    let manifest: serde_json::Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(manifest["artifactType"], json!("text/x.report"));
    assert_eq!(manifest["layers"][0]["annotations"]["org.opencontainers.image.title"], json!("image.tar"));
    assert_eq!(read_blob(&layout, &digest_of(b"report"), Some(2..4)).await, b"po");
    let config: Digest = manifest["config"]["digest"].as_str().unwrap().parse().unwrap();
    assert_eq!(read_blob(&layout, &config, None).await, b"{}");
    assert!(matches!(layout.blob(&digest_of(b"none"), None).await, Err(LayoutError::BlobUnknown(_))));
}

#[tokio::test]
async fn what_there_is_is_told_by_its_content() {
    let layout: [(&str, &[u8]); 2] =
        [(MARKER, MARKER_TEXT.as_bytes()), (INDEX, br#"{"schemaVersion":2,"manifests":[]}"#)];
    for (data, expected) in [
        (tar_of(&layout), PathKind::Archive),
        (gzip(&tar_of(&layout)), PathKind::Archive),
        (tar_of(&[("backup", b"x")]), PathKind::File),
        (gzip(&tar_of(&[("backup", b"x")])), PathKind::File),
        (gzip(b"text"), PathKind::File),
        (b"\x1f\x8bnonsense".to_vec(), PathKind::File),
        (Vec::new(), PathKind::File),
    ] {
        let (_folder, path) = file_of(&data);
        let (opened, kind) = Layout::open_or_artifact(&path, ArtifactOptions::default()).await.unwrap();
        assert_eq!(kind, expected);
        if kind == PathKind::File {
            assert!(opened.blob(&digest_of(&data), None).await.is_ok(), "the file is the layer, as it is");
            assert!(matches!(Layout::open(&path).await, Err(LayoutError::NotALayout { .. })));
        }
        Layout::artifact(&path, ArtifactOptions::default()).await.unwrap();
    }
    let (_folder, path) = file_of(&tar_of(&[("manifest.json", b"[]")]));
    let error = Layout::open_or_artifact(&path, ArtifactOptions::default()).await.unwrap_err().to_string();
    assert!(error.contains("docker save"), "{error}");
}
