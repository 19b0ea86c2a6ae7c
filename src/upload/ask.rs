//! Asking an actor.

use actix::dev::ToEnvelope;
use actix::prelude::*;
use tokio::sync::oneshot;

use super::UploadError;
use super::messages::Reply;

/// Asks an actor and waits for the answer, however long that takes.
pub(super) async fn ask<A, M, T>(address: &Addr<A>, question: impl FnOnce(Reply<T>) -> M) -> Result<T, UploadError>
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message<Result = ()> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    // A message that was tried is not lost when the asker leaves; one that was only being sent would be.
    match address.try_send(question(reply)) {
        Ok(()) => {}
        Err(SendError::Full(question)) => address.send(question).await.map_err(|_| UploadError::Died)?,
        Err(SendError::Closed(_)) => return Err(UploadError::Died),
    }
    answer.await.unwrap_or(Err(UploadError::Died))
}
