//! `push`, `pull` and `copy`.

mod copies;
mod cuts;
mod proxy;
mod refusals;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use longshore::hashing::RunningDigest;
use longshore::oci::{Algorithm, Digest};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{expect_stdout, stderr, stdout};

/// A person's folder, with a cache of its own.
struct Desk(TempDir);

impl Desk {
    fn new() -> Desk {
        Desk(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program in this folder.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = super::command(arguments, &[]);
        command.env("XDG_CACHE_HOME", self.path("cache")).current_dir(self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs it to a good end, and gives the JSON objects that it prints.
    #[track_caller]
    fn events(&self, arguments: &[&str]) -> Vec<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        let printed = expect_stdout(&self.run(&all));
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What is noted of pushes that are not done.
    fn noted(&self) -> usize {
        fs::read_dir(self.path("cache/longshore/uploads")).map_or(0, Iterator::count)
    }
}

/// The last event.
#[track_caller]
fn done(events: &[Value]) -> &Value {
    let last = events.last().unwrap();
    assert_eq!(last["event"], json!("done"));
    last
}

fn digest_of(data: &[u8]) -> Digest {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update(data);
    running.finish()
}

/// Bytes that nothing makes shorter.
fn bytes(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A layout in a folder, with images of these tags that have one layer each.
fn write_layout(folder: &Path, images: &[(&str, &[u8])]) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let write = |media_type: &str, data: &[u8]| {
        fs::write(blobs.join(digest_of(data).hex()), data).unwrap();
        json!({"mediaType": media_type, "digest": digest_of(data), "size": data.len()})
    };
    let mut manifests = Vec::new();
    for (tag, layer) in images {
        let config = write("application/vnd.oci.image.config.v1+json", br#"{"os":"linux","architecture":"amd64"}"#);
        let layers = [write("application/vnd.oci.image.layer.v1.tar", layer)];
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers});
        let mut manifest = write(media_type, manifest.to_string().as_bytes());
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        manifests.push(manifest);
    }
    let index = json!({"schemaVersion": 2, "manifests": manifests});
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
