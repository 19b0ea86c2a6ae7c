//! The raw control: it receives, hashes and writes, and nothing else. It tells what a machine can do, so that figures of
//! registries, also of different machines, can be set beside it.
//!
//! It takes blobs as the OCI distribution API has them: `POST …/blobs/uploads/`, `PATCH` and `PUT` with
//! `Content-Length` or in chunks, a single `POST` with a digest; `GET` of an upload's status, `DELETE` of it, and `HEAD`
//! and `GET` of what was received, also a range of it. There is nothing else: no repositories, manifests or mounts, no
//! durability, no limits, no time-outs, only SHA-256. What is received lies in a file each and is known in memory alone.
//!
//! Each connection has a thread, which blocks in reads and writes: fewer calls of the kernel for each byte than any
//! other way. An upload that one connection writes to is refused to others.

mod answer;
mod chunked;
mod connection;
mod digesting;
mod head;
mod store;
mod stream;
mod target;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use self::connection::Connection;
use self::digesting::Bodies;
use self::store::Store;
use crate::hashing::Implementation;
use crate::oci::Algorithm;

/// A connection's thread needs no more: its buffers are not on it.
const STACK_BYTES: usize = 128 << 10;

/// How long nothing is accepted after it failed, as when there are no descriptors left.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A control that listens.
#[derive(Debug)]
pub struct Control {
    listener: TcpListener,
    shared: Arc<Shared>,
}

/// What all connections share.
#[derive(Debug)]
struct Shared {
    store: Store,
    bodies: Bodies,
}

impl Control {
    /// Listens on an address (port 0: any free one); keeps files in a folder that is there and empty.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub fn bind(address: SocketAddr, folder: PathBuf) -> io::Result<Control> {
        let listener = TcpListener::bind(address)?;
        Ok(Control { listener, shared: Arc::new(Shared { store: Store::new(folder), bodies: Bodies::default() }) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for as long as the process lives.
    pub fn serve(self) -> Infallible {
        match self.address() {
            Ok(address) => {
                log::info!(addr:% = address, sha256 = Implementation::current(Algorithm::Sha256).as_str(); "control serves")
            }
            Err(error) => log::warn!(error:% = error; "address of the control cannot be told"),
        }
        loop {
            let accepted = self.listener.accept();
            if let Err(error) = accepted.and_then(|(socket, _)| self.start(socket)) {
                log::warn!(error:% = error; "connection could not be taken");
                thread::sleep(ACCEPT_AGAIN_AFTER);
            }
        }
    }

    fn start(&self, socket: TcpStream) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let connection = thread::Builder::new().name("control".to_owned()).stack_size(STACK_BYTES);
        connection.spawn(move || {
            // Each answer is one write: nothing is gained by waiting for more.
            let served = socket.set_nodelay(true).and_then(|()| Connection::new(&socket, &shared).serve());
            if let Err(error) = served {
                log::debug!(error:% = error; "connection broke");
            }
        })?;
        Ok(())
    }
}
