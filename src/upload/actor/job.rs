//! Runs one job of the machine on the upload's data.

use std::time::Instant;

use super::*;

pub(super) async fn perform(work: &Work, parts: &mut Parts, job: Job, received: Received) -> Outcome {
    let store = &work.store;
    match job {
        Job::Write { offset, overlap, .. } => {
            let mut written = store.write(parts, offset, overlap, received.pieces).await;
            if let (Some(_turn), Ok(kept)) = (received.turn, &written)
                && let Err(error) = store.wait_until_hashed(parts, *kept).await
            {
                written = Err(error);
            }
            Outcome::Written(written)
        }
        Job::WriteAndCommit { offset, overlap, digest, .. } => {
            Outcome::WrittenAndCommitted(store.write_and_commit(parts, offset, overlap, received.pieces, &digest).await)
        }
        Job::Checkpoint => Outcome::Checkpointed(store.checkpoint(parts, store.checkpoint_durability).await),
        Job::MidCheckpoint => Outcome::Checkpointed(store.mid_checkpoint(parts).await),
        Job::Rest => Outcome::Checkpointed(store.rest(parts).await),
        Job::Commit(digest) => Outcome::Committed(store.commit(parts, &digest).await),
        Job::Expire(policy) => {
            // A crowd that expires at once does not take the storage away from those who push, nor their descriptors.
            parts.close();
            let turn = match policy {
                Policy::Operator => None,
                _ => work.reaps.clone().acquire_owned().await.ok(),
            };
            let started = Instant::now();
            let is_kept = work.roster.may_keep(&parts.record.repository);
            let expired = store.expire(parts, policy, work.offset, is_kept).await.map(drop);
            let rest = work.roster.rest_after(started.elapsed());
            if turn.is_some() && !rest.is_zero() {
                // The turn rests, and not this upload.
                tokio::spawn(async move {
                    tokio::time::sleep(rest).await;
                    drop(turn);
                });
            }
            Outcome::Expired(expired)
        }
        Job::Remove => {
            parts.close();
            parts.hasher = None;
            Outcome::Removed(store.remove(&parts.record.repository, parts.record.id).await)
        }
        Job::Reopen => Outcome::Reopened(store.reopen(parts).await),
    }
}
