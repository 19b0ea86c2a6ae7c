//! The power, which fails at a given driver call.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use longshore::storage::adapters::{Around, Call, PowerCut};
use longshore::storage::{
    Driver as _, Durability, EntryKind, Key, PutMode, SharedDriver, StorageError, StorageErrorKind,
};
use sha2::Digest as _;

use crate::harness::digest_of;

/// Counts the calls of one life. The one at which the power fails has no effect, nor has any after it.
#[derive(Debug)]
pub struct Mains {
    store: PowerCut,
    calls_left: AtomicU64,
    seed: u64,
    is_dead: AtomicBool,
    found: Mutex<Option<PowerCut>>,
}

impl Mains {
    pub fn new(store: PowerCut, calls: u64, seed: u64) -> Mains {
        let (is_dead, found) = (AtomicBool::new(false), Mutex::default());
        Mains { store, calls_left: AtomicU64::new(calls), seed, is_dead, found }
    }

    pub fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    /// What the machine finds when it is on again.
    pub fn take_found(&self) -> Option<PowerCut> {
        self.found.lock().expect("no panic").take()
    }

    fn call(&self) {
        let left = self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left == Ok(1) {
            // In this order: an answer that a client took while the machine still lived stands on calls that were over.
            self.is_dead.store(true, Ordering::SeqCst);
            *self.found.lock().expect("no panic") = Some(self.store.cut(self.seed));
        }
    }
}

/// [`Mains`] around a driver.
#[derive(Clone, Debug)]
pub struct Shared(pub std::sync::Arc<Mains>);

impl Around for Shared {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        self.0.call();
        if self.0.is_dead() {
            let kind = StorageErrorKind::Fault;
            return Err(StorageError::with_source(kind, call.operation.as_str(), call.key, "the power is off"));
        }
        work.await
    }
}

/// Every object below a folder.
pub async fn objects_below(driver: &SharedDriver, folder: &str) -> Vec<Key> {
    let mut found = Vec::new();
    let mut folders: Vec<Key> = vec![folder.parse().expect("a key")];
    while let Some(folder) = folders.pop() {
        let page = match driver.list(&folder, None, usize::MAX).await {
            Ok(page) => page,
            Err(error) if error.is_not_found() => continue,
            Err(error) => panic!("{folder}: {error}"),
        };
        for entry in page.entries {
            let key = folder.child(&entry.name).expect("a key");
            match entry.kind {
                EntryKind::Folder => folders.push(key),
                EntryKind::Object => found.push(key),
            }
        }
    }
    found
}

/// What stands under a digest has it, and a link leads to something.
pub async fn check_content(driver: &SharedDriver) {
    for key in objects_below(driver, "docker/registry/v2").await {
        let parts: Vec<&str> = key.as_str().split('/').collect();
        if let [.., "blobs", "sha256", _, hex, "data"] = parts.as_slice() {
            let data = driver.get(&key, u64::MAX).await.expect("it is there").data;
            assert_eq!(digest_of(&data), format!("sha256:{hex}"), "{key}");
        } else if parts.last() == Some(&"link") {
            let target = driver.get(&key, u64::MAX).await.expect("it is there").data;
            let digest = String::from_utf8_lossy(&target).parse().unwrap_or_else(|_| panic!("{key}: {target:?}"));
            let blob = longshore::storage::keys::blob_data(&digest);
            driver.stat(&blob).await.unwrap_or_else(|error| panic!("{key} leads to nothing: {error}"));
        }
    }
}

/// This process is of one boot from beginning to end; a machine that lost power is not. So the records of uploads are
/// made to say that an earlier boot wrote them. Those that the cut has spoiled stay so.
pub async fn age_records(store: &PowerCut) {
    let driver: SharedDriver = std::sync::Arc::new(store.clone());
    for key in objects_below(&driver, "docker/registry/v2/repositories").await {
        if !key.as_str().contains("/_uploads/") || !key.as_str().ends_with("/record") {
            continue;
        }
        let data = store.get(&key, u64::MAX).await.expect("it is there").data;
        if let Some(aged) = aged(&data) {
            store.put(&key, aged.into(), PutMode::Overwrite, Durability::Power).await.expect("it is put");
        }
    }
}

/// `None`: it is no whole record.
fn aged(record: &[u8]) -> Option<String> {
    let lines: Vec<&str> = std::str::from_utf8(record).ok()?.lines().collect();
    let [header, json, checksum] = lines.as_slice() else { return None };
    if checksum_of(json) != *checksum {
        return None;
    }
    let mut fields: serde_json::Value = serde_json::from_str(json).ok()?;
    *fields.pointer_mut("/checkpoint/boot").expect("a record says its boot") = "before the power cut".into();
    let json = fields.to_string();
    Some(format!("{header}\n{json}\n{}\n", checksum_of(&json)))
}

fn checksum_of(json: &str) -> String {
    sha2::Sha256::digest(json).iter().map(|byte| format!("{byte:02x}")).collect()
}
