mod hostile;
mod reading;
mod writing;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use serde_json::json;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::artifact::digest_of;
use super::*;
use crate::hashing::RunningDigest;
use crate::oci::{Algorithm, Digest};

const MARKER_TEXT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";

fn sha512(data: &[u8]) -> Digest {
    let mut running = RunningDigest::new(Algorithm::Sha512);
    running.update(data);
    running.finish()
}

/// An index that lists documents under names.
fn index_of(manifests: &[(&[u8], &str)]) -> String {
    let manifests: Vec<_> = manifests
        .iter()
        .map(|(data, name)| {
            let annotations = json!({"org.opencontainers.image.ref.name": name});
            json!({"mediaType": IMAGE, "digest": digest_of(data), "size": data.len(), "annotations": annotations})
        })
        .collect();
    json!({"schemaVersion": 2, "manifests": manifests}).to_string()
}

/// A folder with these files.
fn folder_of(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, data) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, data).unwrap();
    }
    folder
}

/// A tarball with these files, as GNU tar writes them.
fn tar_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, data) in files {
        append(&mut builder, EntryType::Regular, name, data);
    }
    builder.into_inner().unwrap()
}

fn append(builder: &mut Builder<Vec<u8>>, entry_type: EntryType, name: &str, data: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(entry_type);
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    builder.append_data(&mut header, name, data).unwrap();
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(data).unwrap();
    out.finish().unwrap()
}

fn file_of(data: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image.tar");
    fs::write(&path, data).unwrap();
    (folder, path)
}

async fn read_blob(layout: &Layout, digest: &Digest, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let pieces: Vec<Bytes> = layout.blob(digest, range).await.unwrap().stream.try_collect().await.unwrap();
    pieces.concat()
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
