//! Standard input as a sign of life: it ends when the process that holds its other end does, however that comes about.

use std::future::{Future, pending};
use std::io::{self, Read as _};
use std::thread;

use tokio::sync::oneshot;

/// Resolves when standard input has ended; what comes in is thrown away.
pub(super) fn ended() -> impl Future<Output = ()> {
    let (tell, ended) = oneshot::channel::<()>();
    // A thread that nothing waits for: it would hold up a runtime's end for as long as the input is open.
    let reader = thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut thrown_away = [0; 512];
        loop {
            match io::stdin().read(&mut thrown_away) {
                Ok(0) => break,
                Err(error) if error.kind() != io::ErrorKind::Interrupted => break,
                Ok(_) | Err(_) => {}
            }
        }
        drop(tell);
    });
    async move {
        match reader {
            // It fails when the sender is gone, which is what is waited for.
            Ok(_) => drop(ended.await),
            Err(error) => {
                log::warn!(error:% = error; "standard input cannot be watched");
                pending().await
            }
        }
    }
}
