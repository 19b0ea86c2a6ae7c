//! Threads that accept connections on one listener and serve them with one handler.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive};
use actix_server::{Server, ServerHandle};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, HttpRequest, HttpResponse, web};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::StartError;
use super::activity::Activity;
use super::connection::Connection;
use super::guard::Guard;

/// The receive buffer that was measured to help with several uploads at once. Asked for only where the
/// system allows it whole: a smaller fixed one would be worse than the kernel's own tuning.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// How much of an answer is collected before it is written to the socket.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// What the accepting thread gets to notice that it is paused.
const PAUSED: Duration = Duration::from_millis(10);

/// What the connection threads get to hand on the last frames of answers that have ended.
const LAST_FRAMES: Duration = Duration::from_millis(20);

/// How long threads that were told to end are waited for.
const THREADS_END: Duration = Duration::from_secs(5);

pub(super) struct ListenerOptions {
    pub(super) name: &'static str,
    pub(super) workers: usize,
    pub(super) max_connections: usize,
    pub(super) guard: Guard,
}

/// A server that runs until it is stopped or dropped.
#[derive(Debug)]
pub struct RunningServer {
    local_addr: SocketAddr,
    /// The same socket that the server accepts on.
    listener: TcpListener,
    activity: Arc<Activity>,
    handle: ServerHandle,
    task: JoinHandle<std::io::Result<()>>,
    data_dropped: mpsc::Receiver<()>,
}

/// What handlers are given. Who started the server can wait until the last thread has dropped it.
pub(super) struct Hosted<D> {
    data: D,
    /// Dropped after the data.
    _alive: mpsc::Sender<()>,
}

impl<D> Deref for Hosted<D> {
    type Target = D;

    fn deref(&self) -> &D {
        &self.data
    }
}

/// Serves every request on `listener` with `handler`, to which `data` is given.
pub(super) fn start<D, F, R>(
    listener: TcpListener,
    options: ListenerOptions,
    data: D,
    handler: F,
) -> Result<RunningServer, StartError>
where
    D: Send + Sync + 'static,
    F: Fn(HttpRequest, web::Payload, web::Data<Hosted<D>>) -> R + Clone + Send + 'static,
    R: Future<Output = HttpResponse> + 'static,
{
    let local_addr =
        listener.local_addr().map_err(|error| StartError::new(format!("listener has no address: {error}")))?;
    enlarge_receive_buffer(&listener);
    let own_listener = listener.try_clone().map_err(|error| StartError::new(format!("listener: {error}")))?;
    let activity = Arc::clone(&options.guard.activity);
    let guard = options.guard;
    let (alive, data_dropped) = mpsc::channel(1);
    let data = Arc::new(Hosted { data, _alive: alive });
    let serve = move || {
        let guard = guard.clone();
        let data = web::Data::from(Arc::clone(&data));
        let handler = handler.clone();
        let app = App::new().app_data(data).default_service(web::to(handler));
        let limits = guard.limits;
        let http = HttpService::build()
            .keep_alive(keep_alive(limits.keep_alive))
            .client_request_timeout(limits.head_timeout)
            // Zero: the connection itself bounds its closing.
            .client_disconnect_timeout(Duration::ZERO)
            .h1_write_buffer_size(WRITE_BUFFER_BYTES)
            .on_connect_ext(|connection: &Connection, extensions| {
                extensions.insert(connection.state());
            })
            .finish(map_config(app.into_factory(), |()| AppConfig::default()));
        fn_service(move |stream: TcpStream| {
            let guard = guard.clone();
            async move { guard.admit(stream).await }
        })
        .and_then(http)
        .map_err(|error: DispatchError| log::debug!(cause:% = error; "a connection ended with an error"))
    };
    let server = Server::build()
        .disable_signals()
        .workers(options.workers.max(1))
        // Rounded up, so that there is at least one for each thread.
        .max_concurrent_connections(options.max_connections.div_ceil(options.workers.max(1)))
        .listen(options.name, listener, serve)
        .map_err(|error| StartError::new(format!("cannot listen on {local_addr}: {error}")))?
        .run();
    Ok(RunningServer {
        listener: own_listener,
        local_addr,
        activity,
        handle: server.handle(),
        task: tokio::spawn(server),
        data_dropped,
    })
}

fn keep_alive(duration: Duration) -> KeepAlive {
    if duration.is_zero() { KeepAlive::Disabled } else { KeepAlive::Timeout(duration) }
}

impl RunningServer {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Accepts no more connections, lets requests that are running end within `grace`, then drops the
    /// rest: their uploads keep what arrived. When it returns, nothing of the server is left.
    pub async fn stop(mut self, grace: Duration) {
        self.activity.stop();
        self.refuse_connections().await;
        if timeout(grace, self.activity.idle()).await.is_ok() {
            sleep(LAST_FRAMES).await;
        } else {
            let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
            log::warn!(grace_ms; "requests were cut off by the stop");
        }
        // What the handlers stood on is free again when its last thread has ended.
        let ended = async {
            self.handle.stop(false).await;
            self.data_dropped.recv().await
        };
        if timeout(THREADS_END, ended).await.is_err() {
            log::warn!("a server thread did not end in time");
        }
    }

    /// actix-server's own graceful stop looks for the end of connections once a second only. So it is
    /// paused, and the listening socket is told to refuse (Linux does so on a shutdown of its reading side).
    async fn refuse_connections(&self) {
        self.handle.pause().await;
        // The accepting thread was told, and has not looked yet.
        sleep(PAUSED).await;
        if let Err(error) = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Read) {
            log::warn!(error:% = error; "connections that come during the stop hang instead of being refused");
        }
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn enlarge_receive_buffer(listener: &TcpListener) {
    let allowed = std::fs::read_to_string("/proc/sys/net/core/rmem_max").ok();
    let allowed = allowed.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or(0);
    if allowed < RECEIVE_BUFFER_BYTES {
        return;
    }
    if let Err(error) = rustix::net::sockopt::set_socket_recv_buffer_size(listener, RECEIVE_BUFFER_BYTES) {
        log::debug!(error:% = error; "the receive buffer could not be enlarged");
    }
}
