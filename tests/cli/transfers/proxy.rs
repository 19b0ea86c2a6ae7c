//! A stretch of cable between the program and a registry: counts bytes, and can stop in the middle.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    up_bytes: AtomicU64,
    stop: Mutex<Option<Stop>>,
    changed: Condvar,
}

/// After how many bytes of a connection, and which way, it holds them back.
struct Stop {
    way: Way,
    after_bytes: u64,
    is_reached: bool,
}

impl Proxy {
    pub fn before(server: SocketAddr) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { up_bytes: AtomicU64::new(0), stop: Mutex::new(None), changed: Condvar::new() });
        let for_all = shared.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(server) else { return };
                for (way, from, to) in [(Way::Up, &client, &server), (Way::Down, &server, &client)] {
                    let (from, to, shared) = (from.try_clone().unwrap(), to.try_clone().unwrap(), for_all.clone());
                    thread::spawn(move || pass(way, from, to, &shared));
                }
            }
        });
        Proxy { address, shared }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What went to the server in all.
    pub fn up_bytes(&self) -> u64 {
        self.shared.up_bytes.load(Ordering::SeqCst)
    }

    /// From now on a connection that comes so far holds back what comes then.
    pub fn stop_after(&self, way: Way, after_bytes: u64) {
        *self.shared.stop.lock().unwrap() = Some(Stop { way, after_bytes, is_reached: false });
    }

    /// Waits until one has come so far.
    pub fn stopped(&self) {
        let stop = self.shared.stop.lock().unwrap();
        drop(self.shared.changed.wait_while(stop, |stop| stop.as_ref().is_some_and(|stop| !stop.is_reached)).unwrap());
    }

    /// What was held back is lost, with its connection; new ones pass.
    pub fn go_on(&self) {
        *self.shared.stop.lock().unwrap() = None;
        self.shared.changed.notify_all();
    }
}

fn pass(way: Way, mut from: TcpStream, mut to: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 << 10];
    let mut passed = 0;
    // A connection that breaks off is what this is for.
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if shared.holds_back(way, passed) || to.write_all(&buffer[..length]).is_err() {
            break;
        }
        passed += length as u64;
        if way == Way::Up {
            shared.up_bytes.fetch_add(length as u64, Ordering::SeqCst);
        }
    }
    for end in [from, to] {
        let _ = end.shutdown(Shutdown::Both);
    }
}

impl Shared {
    /// Whether bytes were held back, which takes until they are given up.
    fn holds_back(&self, way: Way, passed: u64) -> bool {
        let mut stop = self.stop.lock().unwrap();
        match &mut *stop {
            Some(found) if found.way == way && passed >= found.after_bytes => found.is_reached = true,
            _ => return false,
        }
        self.changed.notify_all();
        drop(self.changed.wait_while(stop, |stop| stop.is_some()).unwrap());
        true
    }
}
