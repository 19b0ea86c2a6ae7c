//! A proxy that breaks connections on purpose, each by a script that counts bytes.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Duration, timeout};

use super::PATIENCE;
use super::raw::{RawReply, read_reply};
use super::seeded::Random;

/// What happens to one connection. A direction whose steps are all done passes everything on to its end.
#[derive(Clone, Default)]
pub struct Script {
    /// From the client to the server.
    pub up: Vec<Step>,
    /// From the server to the client.
    pub down: Vec<Step>,
    /// Whether what the client sends is sent to the server again, on a connection of its own.
    pub copy: Copies,
}

/// One step of a direction.
#[derive(Clone)]
pub enum Step {
    /// Passes so many bytes on.
    Pass(u64),
    /// Passes a head on, to the blank line that ends it.
    PassHead,
    /// Waits for the next byte, without passing it on.
    FirstByte,
    /// Passes nothing on until the gate is opened.
    Wait(Gate),
    /// From here on, so many bytes at a time at most.
    Split(usize),
    /// From here on, so many bytes a second.
    Rate(u64),
    /// Takes everything to the end and passes nothing on.
    Swallow,
    /// Ends this direction (FIN); the other one goes on.
    HalfClose,
    /// Ends both directions (FIN).
    Close,
    /// Ends both directions (RST).
    Reset,
}

/// When a request is sent again.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Copies {
    #[default]
    Never,
    /// Byte by byte beside the first.
    Alongside,
    /// When the first byte of the first one's answer has come.
    Afterwards,
}

/// Where a direction waits until the test lets it go on. Clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    state: Arc<watch::Sender<(bool, bool)>>,
}

impl Gate {
    /// Waits until a direction has come to it.
    pub async fn reached(&self) {
        let reached = async { self.state.subscribe().wait_for(|state| state.0).await.map(drop) };
        timeout(PATIENCE, reached).await.expect("nothing came to the gate").expect("it is there");
    }

    pub fn open(&self) {
        self.state.send_modify(|state| state.1 = true);
    }

    async fn pass(&self) {
        self.state.send_modify(|state| state.0 = true);
        self.state.subscribe().wait_for(|state| state.1).await.map(drop).expect("it is there");
    }
}

type Scripts = Mutex<Box<dyn FnMut() -> Script + Send>>;

/// A proxy on a free port before one server. Dropping it ends every connection.
pub struct Proxy {
    address: SocketAddr,
    accepting: JoinHandle<()>,
    copies: tokio::sync::Mutex<mpsc::UnboundedReceiver<Option<RawReply>>>,
}

impl Proxy {
    /// The n-th connection goes by the n-th script; those after the last are left in peace.
    pub async fn start(server: SocketAddr, scripts: impl IntoIterator<Item = Script>) -> Proxy {
        let mut scripts: VecDeque<Script> = scripts.into_iter().collect();
        Proxy::start_with(server, move || scripts.pop_front().unwrap_or_default()).await
    }

    /// Most connections break, each in its own way.
    pub async fn storm(server: SocketAddr, mut random: Random) -> Proxy {
        Proxy::start_with(server, move || random_script(&mut random)).await
    }

    async fn start_with(server: SocketAddr, scripts: impl FnMut() -> Script + Send + 'static) -> Proxy {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, copies) = mpsc::unbounded_channel();
        let scripts: Scripts = Mutex::new(Box::new(scripts));
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.expect("a connection");
                let script = (scripts.lock().expect("no panic"))();
                connections.spawn(connect(client, server, script, sender.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Proxy { address, accepting, copies: tokio::sync::Mutex::new(copies) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The answer to the next request that was sent again; `None` when its connection ended without one.
    pub async fn copied(&self) -> Option<RawReply> {
        let mut copies = self.copies.lock().await;
        timeout(PATIENCE, copies.recv()).await.expect("a request was sent again").expect("the proxy runs")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn random_script(random: &mut Random) -> Script {
    let mut script = Script::default();
    if random.chance(30) {
        script.up.push(Step::Split(1 + random.below(3000) as usize));
    }
    let end = if random.chance(50) { Step::Reset } else { Step::Close };
    match random.below(10) {
        // In the middle of what the client sends.
        0..=3 => script.up.extend([Step::Pass(random.below(400_000)), end]),
        4 => script.up.extend([Step::PassHead, Step::Pass(random.below(200_000)), Step::HalfClose]),
        // The answer is lost: whole, or in its middle.
        5 => script.down.extend([Step::FirstByte, end]),
        6 => script.down.extend([Step::Pass(1 + random.below(300)), end]),
        7 => script.down.extend([Step::Split(1)]),
        _ => {}
    }
    script
}

/// How a direction came to its end.
enum End {
    /// It has ended, the other one may go on.
    Half,
    Close,
    Reset,
}

async fn connect(
    mut client: TcpStream,
    server: SocketAddr,
    script: Script,
    copies: mpsc::UnboundedSender<Option<RawReply>>,
) {
    let Ok(mut upstream) = TcpStream::connect(server).await else { return };
    let mut copier = Copier::start(script.copy, server, copies);
    let (copied, mut answered) = (copier.up.take(), copier.answered.take());
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = upstream.split();
    let mut up = Direction::new(client_read, server_write, |bytes| {
        if let Some(copied) = &copied {
            let _ = copied.send(bytes.to_vec());
        }
    });
    let mut down = Direction::new(server_read, client_write, |_| drop(answered.take()));
    let how = {
        let (up, down) = (up.run(script.up), down.run(script.down));
        tokio::pin!(up, down);
        let first = tokio::select! { end = &mut up => (end, true), end = &mut down => (end, false) };
        match first {
            (End::Half, true) => down.await,
            (End::Half, false) => up.await,
            (end, _) => end,
        }
    };
    if matches!(how, End::Reset) {
        let _ = client.set_zero_linger();
        let _ = upstream.set_zero_linger();
    }
}

struct Direction<'a, F> {
    from: ReadHalf<'a>,
    to: WriteHalf<'a>,
    passed: F,
    at_once: usize,
    rate: Option<u64>,
}

impl<'a, F: FnMut(&[u8])> Direction<'a, F> {
    fn new(from: ReadHalf<'a>, to: WriteHalf<'a>, passed: F) -> Self {
        Direction { from, to, passed, at_once: 64 * 1024, rate: None }
    }

    async fn run(&mut self, steps: Vec<Step>) -> End {
        for step in steps {
            let ended = match step {
                Step::Pass(count) => self.pass(count, false).await.err(),
                Step::PassHead => self.pass(u64::MAX, true).await.err(),
                Step::FirstByte => match self.from.peek(&mut [0]).await {
                    Ok(0) => Some(self.half_close().await),
                    Ok(_) => None,
                    Err(_) => Some(End::Reset),
                },
                Step::Wait(gate) => {
                    gate.pass().await;
                    None
                }
                Step::Split(at_once) => {
                    self.at_once = at_once;
                    None
                }
                Step::Rate(rate) => {
                    self.rate = Some(rate);
                    None
                }
                Step::Swallow => {
                    let _ = tokio::io::copy(&mut self.from, &mut tokio::io::sink()).await;
                    Some(End::Close)
                }
                Step::HalfClose => Some(self.half_close().await),
                Step::Close => Some(End::Close),
                Step::Reset => Some(End::Reset),
            };
            if let Some(end) = ended {
                return end;
            }
        }
        match self.pass(u64::MAX, false).await {
            Ok(()) => End::Close,
            Err(end) => end,
        }
    }

    /// Passes `count` bytes on, or a head; fails when the direction ends before.
    async fn pass(&mut self, mut count: u64, to_blank_line: bool) -> Result<(), End> {
        let mut last = [0; 4];
        while count > 0 {
            let limit = if to_blank_line { 1 } else { self.at_once.min(usize::try_from(count).unwrap_or(usize::MAX)) };
            let mut bytes = vec![0; limit.min(64 * 1024)];
            let read = match self.from.read(&mut bytes).await {
                Ok(0) => return Err(self.half_close().await),
                Ok(read) => read,
                Err(_) => return Err(End::Reset),
            };
            (self.passed)(&bytes[..read]);
            if self.to.write_all(&bytes[..read]).await.is_err() {
                return Err(End::Reset);
            }
            if let Some(rate) = self.rate {
                tokio::time::sleep(Duration::from_micros(read as u64 * 1_000_000 / rate)).await;
            }
            count -= read as u64;
            if to_blank_line {
                last.rotate_left(1);
                last[3] = bytes[0];
                if last == *b"\r\n\r\n" {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn half_close(&mut self) -> End {
        if self.to.shutdown().await.is_ok() { End::Half } else { End::Reset }
    }
}

/// The second connection of a request that is sent twice.
#[derive(Default)]
struct Copier {
    up: Option<mpsc::UnboundedSender<Vec<u8>>>,
    /// Dropped at the first byte of the first one's answer.
    answered: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Copier {
    fn start(copy: Copies, server: SocketAddr, copies: mpsc::UnboundedSender<Option<RawReply>>) -> Copier {
        if copy == Copies::Never {
            return Copier::default();
        }
        let (up, mut bytes) = mpsc::unbounded_channel::<Vec<u8>>();
        let (answered, first_is_answered) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            if copy == Copies::Afterwards {
                let _ = first_is_answered.await;
            }
            let mut stream = TcpStream::connect(server).await.expect("a connection");
            let (mut read, mut write) = stream.split();
            let send = async {
                while let Some(piece) = bytes.recv().await {
                    if write.write_all(&piece).await.is_err() {
                        break;
                    }
                }
                // The answer decides when this is over.
                std::future::pending::<()>().await;
            };
            let reply = tokio::select! { reply = read_reply(&mut read) => reply, () = send => None };
            let _ = copies.send(reply);
        });
        Copier { up: Some(up), answered: Some(answered) }
    }
}
