//! What requests and uploads take of the memory: figures that depend on no machine. They are counted in a process of
//! their own, with the registry and one client in it, whose part is prepared before.

mod connection;
mod counting;
mod registry;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::counting::{Counting, allocations, live_bytes};
use crate::registry::Registry;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// One case at a time: everything in the process counts.
static ALONE: Mutex<()> = Mutex::new(());

/// How many allocations a request makes at most; whoever makes fewer do lowers the number. It is the median that counts,
/// since now and then a request meets work that is nobody's.
mod most {
    pub const HEAD_BLOB: u64 = 27;
    /// Some more where the storage is in memory (tmpfs): the kernel does not say there that it has all of it cached.
    pub const GET_MANIFEST: u64 = 46;
    pub const GET_BLOB: u64 = 48;
    pub const POST: u64 = 100;
    pub const PATCH: u64 = 165;
    pub const PUT: u64 = 190;
    pub const PUT_WITH_BODY: u64 = 165;
}

/// So many requests of a kind are counted.
const ROUNDS: usize = 50;

/// What an upload that nobody writes to takes: a million of them have 256 MiB.
const QUIET_BYTES: i64 = 256;

/// What an upload takes while it is written to by a client that is faster than the registry: its connection, what came of
/// it and waits to be written; 64 KiB are wanted.
const WRITING_BYTES: i64 = 160 * 1024;

/// What a connection takes that has pushed something large and waits.
const WAITING_BYTES: i64 = 40 * 1024;

#[test]
fn requests_make_few_allocations() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start();
    let mut connection = registry.connect();
    let (blob, manifest) = registry::push_image(&mut connection);
    let head = registry::request("HEAD", &format!("/v2/repo/blobs/{blob}"), "", b"");
    at_most(most::HEAD_BLOB, "HEAD of a blob", 200, &mut connection, &head);
    let by_tag = registry::request("GET", "/v2/repo/manifests/latest", &manifest, b"");
    at_most(most::GET_MANIFEST, "GET of a manifest by tag", 200, &mut connection, &by_tag);
    let get = registry::request("GET", &format!("/v2/repo/blobs/{blob}"), "", b"");
    at_most(most::GET_BLOB, "GET of a small blob", 200, &mut connection, &get);
}

#[test]
fn pushes_make_few_allocations() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start();
    let mut connection = registry.connect();
    let begin = registry::request("POST", "/v2/repo/blobs/uploads/", "", b"");
    at_most(most::POST, "POST", 202, &mut connection, &begin);
    let mut counted: [Vec<u64>; 3] = Default::default();
    for round in 0..2 * ROUNDS {
        let content = [round as u8; 4096];
        let patch = registry::request("PATCH", &registry::begin(&mut connection), "", &content);
        let patched = count(202, &mut connection, &patch);
        let location = registry::with_digest(&connection.header("location"), &content);
        let put = count(201, &mut connection, &registry::request("PUT", &location, "", b""));
        let location = registry::with_digest(&registry::begin(&mut connection), &content);
        let whole = count(201, &mut connection, &registry::request("PUT", &location, "", &content));
        // The first ones fill what is kept for the others.
        if round >= ROUNDS {
            counted[0].push(patched);
            counted[1].push(put);
            counted[2].push(whole);
        }
    }
    let [patched, put, whole] = counted;
    assert_at_most(most::PATCH, "PATCH", patched);
    assert_at_most(most::PUT, "PUT after it", put);
    assert_at_most(most::PUT_WITH_BODY, "PUT with a body", whole);
}

#[test]
fn uploads_that_are_quiet_take_little() {
    const UPLOADS: i64 = 5000;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start_without_journal();
    let mut connection = registry.connect();
    for _ in 0..100 {
        registry::begin(&mut connection);
    }
    let before = settled();
    for _ in 0..UPLOADS {
        registry::begin(&mut connection);
    }
    let each = (settled() - before) / UPLOADS;
    println!("quiet upload: {each} bytes");
    assert!(each <= QUIET_BYTES, "a quiet upload takes {each} bytes, not {QUIET_BYTES} at most");
}

#[test]
fn uploads_that_are_written_to_take_a_bounded_part() {
    // As many as the registry calls a crowd, and some.
    const UPLOADS: i64 = 300;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start();
    let mut first = registry.connect();
    let locations: Vec<String> = (0..UPLOADS).map(|_| registry::begin(&mut first)).collect();
    let before = settled();
    let mut connections: Vec<Connection> = Vec::new();
    for location in &locations {
        let mut connection = registry.connect();
        connection.send(&registry::head("PATCH", location, "", 1 << 30));
        connections.push(connection);
    }
    let own = registry::CONNECTION_BYTES * UPLOADS;
    let mut most = 0;
    for _ in 0..40 {
        for connection in &mut connections {
            connection.send(&[7; 16 * 1024]);
            most = most.max(live_bytes() - before - own);
        }
    }
    let each = most / UPLOADS;
    println!("upload that is written to: {each} bytes");
    assert!(each <= WRITING_BYTES, "an upload that is written to takes {each} bytes, not {WRITING_BYTES} at most");
}

#[test]
fn connections_that_wait_keep_nothing_of_what_they_pushed() {
    const CONNECTIONS: i64 = 100;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start();
    let mut first = registry.connect();
    let content = vec![7; 250_000];
    let push = |connection: &mut Connection| {
        let location = registry::with_digest(&registry::begin(connection), &content);
        let mut put = registry::request("PUT", &location, "", &content);
        // The next request has begun to come.
        put.extend_from_slice(b"\r\n");
        assert_eq!(connection.exchange(&put), 201);
    };
    for _ in 0..100 {
        push(&mut first);
    }
    let before = settled();
    let mut connections: Vec<Connection> = (0..CONNECTIONS).map(|_| registry.connect()).collect();
    connections.iter_mut().for_each(push);
    let each = (settled() - before) / CONNECTIONS - registry::CONNECTION_BYTES;
    println!("connection that waits: {each} bytes");
    assert!(each <= WAITING_BYTES, "a connection that waits takes {each} bytes, not {WAITING_BYTES} at most");
}

#[test]
fn bodies_that_wait_keep_no_block() {
    // Not so many that they take turns.
    const UPLOADS: usize = 6;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let registry = Registry::start();
    let mut first = registry.connect();
    // In the middle of a large chunk, behind it, and shortly before the end of a body of known length.
    let large = 0x30000;
    let in_chunks = |location: &str, content_bytes: usize| {
        let mut patch = registry::chunked_head("PATCH", location);
        patch.extend_from_slice(format!("{large:x}\r\n").as_bytes());
        patch.extend(vec![7; content_bytes]);
        patch
    };
    let with_length = |location: &str| {
        let mut patch = registry::head("PATCH", location, "", large);
        patch.extend(vec![7; large - 100]);
        patch
    };
    let mut wait_with = |kind: usize| -> Vec<Connection> {
        let waiting = (0..UPLOADS).map(|_| {
            let location = registry::begin(&mut first);
            let mut connection = registry.connect();
            connection.send(&match kind {
                0 => in_chunks(&location, large / 2),
                1 => in_chunks(&location, large),
                _ => with_length(&location),
            });
            std::thread::sleep(Duration::from_millis(100));
            connection
        });
        waiting.collect()
    };
    // What is kept for all.
    drop(wait_with(0));
    for kind in 0..3 {
        let before = settled();
        let waiting = wait_with(kind);
        let each = (settled() - before) / UPLOADS as i64 - registry::CONNECTION_BYTES;
        println!("body that waits, kind {kind}: {each} bytes");
        assert!(each <= WRITING_BYTES, "a body that waits takes {each} bytes, not {WRITING_BYTES} at most");
        drop(waiting);
    }
}

/// Sends a request some times, and then as often again to count.
fn at_most(most: u64, what: &str, status: u16, connection: &mut Connection, request: &[u8]) {
    let _warm: u64 = (0..ROUNDS).map(|_| count(status, connection, request)).sum();
    assert_at_most(most, what, (0..ROUNDS).map(|_| count(status, connection, request)).collect());
}

fn assert_at_most(most: u64, what: &str, mut counted: Vec<u64>) {
    counted.sort_unstable();
    let median = counted[counted.len() / 2];
    println!("{what}: {median} allocations, {} to {}", counted[0], counted[counted.len() - 1]);
    assert!(median <= most, "{what}: {median} allocations, not {most} at most: {counted:?}");
}

fn count(status: u16, connection: &mut Connection, request: &[u8]) -> u64 {
    let before = allocations();
    assert_eq!(connection.exchange(request), status);
    allocations() - before
}

/// What is allocated once that stays as it is for longer than uploads stay in memory.
fn settled() -> i64 {
    const STEADY: Duration = Duration::from_secs(4);
    let deadline = Instant::now() + PATIENCE;
    let (mut steady_since, mut before) = (Instant::now(), live_bytes());
    while steady_since.elapsed() < STEADY && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(100));
        let now = live_bytes();
        if (now - before).abs() > 16 * 1024 {
            (steady_since, before) = (Instant::now(), now);
        }
    }
    live_bytes()
}
