use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

fn blob(content: &str) -> Descriptor {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update(content.as_bytes());
    Descriptor { media_type: String::new(), digest: running.finish(), size: 7, urls: None }
}

async fn claim(journal: &Journal, registry: &str, repository: &str) -> Option<Claim> {
    journal.claim(registry, &repository.parse().unwrap(), &blob("a")).await
}

/// Leaves a ticket, as a process does that is killed.
async fn leave(journal: &Journal, ticket: &str) {
    let mut claim = claim(journal, "registry.example", "r").await.unwrap();
    claim.record(ticket.to_owned()).await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn record_in(folder: &Path) -> PathBuf {
    files(folder).into_iter().find(|path| path.extension().is_some_and(|end| end == RECORD)).unwrap()
}

#[tokio::test]
async fn a_ticket_is_kept_for_its_own_destination_only() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    leave(&journal, "first").await;
    leave(&journal, "second").await;
    for (registry, repository) in [("other.example", "r"), ("registry.example", "s")] {
        assert_eq!(claim(&journal, registry, repository).await.unwrap().ticket(), None);
    }
    let name = "r".parse().unwrap();
    let of_another_size = journal.claim("registry.example", &name, &Descriptor { size: 8, ..blob("a") }).await;
    assert_eq!(of_another_size.unwrap().ticket(), None);
    assert_eq!(journal.claim("registry.example", &name, &blob("b")).await.unwrap().ticket(), None);
    let mut own = claim(&journal, "registry.example", "r").await.unwrap();
    assert_eq!(own.ticket().as_deref(), Some("second"));
    own.forget().await;
    drop(own);
    assert_eq!(files(folder.path()), [] as [PathBuf; 0], "nothing is left of what is done");
}

#[tokio::test]
async fn a_place_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    let first = claim(&journal, "registry.example", "r").await.unwrap();
    assert!(claim(&journal, "registry.example", "r").await.is_none());
    assert!(claim(&journal, "registry.example", "s").await.is_some());
    drop(first);
    assert!(claim(&journal, "registry.example", "r").await.is_some());
}

#[tokio::test]
async fn nobody_else_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("cache/longshore/uploads");
    let journal = Journal::open(&place).await.unwrap();
    leave(&journal, "secret").await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&folder.path().join("cache"))), (0o700, 0o700));
    assert_eq!(files(&place).iter().map(|path| mode(path)).collect::<Vec<_>>(), [0o600, 0o600]);
}

#[tokio::test]
async fn what_cannot_be_trusted_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    leave(&journal, "ticket").await;
    let path = record_in(folder.path());
    let written = fs::read_to_string(&path).unwrap();
    let of_version_2 = written.replace("\"version\":1", "\"version\":2");
    let of_another = written.replace("registry.example", "evil.example");
    let padded = format!("{}{written}", " ".repeat(70_000));
    for text in ["", "[]", &written[..20], &of_version_2, &of_another, &padded] {
        fs::write(&path, text).unwrap();
        assert_eq!(claim(&journal, "registry.example", "r").await.unwrap().ticket(), None, "{text}");
    }
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, &written).unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(claim(&journal, "registry.example", "r").await.is_none(), "a link is not followed");
}

#[tokio::test]
async fn what_is_old_is_removed_unless_somebody_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path()).await.unwrap();
    leave(&journal, "ticket").await;
    let foreign = folder.path().join("notes.txt");
    fs::write(&foreign, "").unwrap();
    for path in files(folder.path()) {
        let long_ago = SystemTime::now() - KEPT_FOR - Duration::from_secs(1);
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let held = claim(&journal, "registry.example", "r").await;
    Journal::open(folder.path()).await.unwrap();
    assert_eq!(files(folder.path()).len(), 3);
    drop(held);
    Journal::open(folder.path()).await.unwrap();
    assert_eq!(files(folder.path()), [foreign]);
}

#[test]
fn the_folder_is_the_users_cache() {
    let folder = |cache: Option<&str>, home: Option<&str>| {
        Journal::usual_folder(|name| match name {
            "XDG_CACHE_HOME" => cache.map(OsString::from),
            "HOME" => home.map(OsString::from),
            other => panic!("{other}"),
        })
    };
    assert_eq!(folder(Some("/c"), Some("/h")), Some("/c/longshore/uploads".into()));
    assert_eq!(folder(None, Some("/h")), Some("/h/.cache/longshore/uploads".into()));
    assert_eq!(folder(Some("relative"), Some("/h")), Some("/h/.cache/longshore/uploads".into()));
    assert_eq!(folder(None, None), None);
}
