//! Runs one job of the machine on the upload's data.

use super::*;

pub(super) async fn perform(
    store: &UploadStore,
    parts: &mut Parts,
    job: Job,
    batch: Vec<Bytes>,
    draining: bool,
) -> Outcome {
    match job {
        Job::Write { offset, overlap, .. } => Outcome::Written(store.write(parts, offset, overlap, batch).await),
        Job::Checkpoint => {
            // What a planned stop leaves should outlive a reboot, too.
            let durability = if draining { Durability::Power } else { store.checkpoint_durability };
            Outcome::Checkpointed(store.checkpoint(parts, durability).await)
        }
        Job::Commit(digest) => Outcome::Committed(store.commit(parts, &digest).await),
        Job::Remove => {
            parts.writer = None;
            parts.hasher = None;
            Outcome::Removed(store.remove(&parts.record.repository, parts.record.id).await)
        }
        Job::Reopen => Outcome::Reopened(store.reopen(parts).await),
    }
}
