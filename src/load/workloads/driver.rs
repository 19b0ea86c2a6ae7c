use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::failure;
use super::session::HttpSession;
use crate::client::{Client, Credentials, RetryPolicy};
use crate::load::measure::{Failure, Recorder};
use crate::load::plan;
use crate::load::run::{Driver, Session, Target};
use crate::load::verify::Queue;
use crate::load::wire::{Wire, WireOptions};

/// The most of a file with a password that is read.
const MAX_PASSWORD_BYTES: u64 = 4 << 10;

/// Speaks the OCI API to registries over HTTP/1.1.
#[derive(Default)]
pub struct HttpDriver {
    options: WireOptions,
    /// What is still to be verified, by the target's name: it outlasts a turn.
    to_verify: Mutex<BTreeMap<String, Arc<Queue>>>,
}

impl HttpDriver {
    /// With connections as `options` say; how many there may be at once is the target's.
    pub fn new(options: WireOptions) -> Self {
        HttpDriver { options, to_verify: Mutex::default() }
    }
}

#[async_trait]
impl Driver for HttpDriver {
    async fn begin(&self, target: &Arc<Target>, recorder: &Recorder) -> Result<Arc<dyn Session>, Failure> {
        let max_connections = u32::try_from(target.max_connections).ok().filter(|most| *most > 0);
        let options = WireOptions { max_connections, ..self.options.clone() };
        let credentials = match &target.credentials {
            Some(credentials) => Some(read_credentials(credentials).await?),
            None => None,
        };
        let wire = Wire::new(options.clone(), recorder.clone());
        let client = client_of(target, &wire, credentials.clone())?;
        let quiet = client_of(target, &Wire::uncounted(options), credentials)?;
        client.ping().await.map_err(|error| failure::of(&error))?;
        let mut queues = self.to_verify.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = Arc::clone(queues.entry(target.name.clone()).or_default());
        Ok(Arc::new(HttpSession { client, quiet, wire, uploads: Arc::default(), to_verify: queue }))
    }
}

fn client_of(target: &Target, wire: &Wire, credentials: Option<Credentials>) -> Result<Client, Failure> {
    let mut builder = Client::builder(&target.address.to_string())
        .transport(Arc::new(wire.clone()))
        // Each request is measured: none may be sent twice behind our back.
        .retries(RetryPolicy::none());
    if let Some(credentials) = credentials {
        builder = builder.credentials(credentials);
    }
    builder.build().map_err(|error| Failure::without_answer("address", error))
}

async fn read_credentials(credentials: &plan::Credentials) -> Result<Credentials, Failure> {
    let (username, file) = (credentials.username.clone(), credentials.password_file.clone());
    let described = file.display().to_string();
    let failed = |cause: String| Failure::without_answer("credentials", format!("{described}: {cause}"));
    let read = tokio::task::spawn_blocking(move || first_line(&file)).await;
    let password = read.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))?;
    Ok(Credentials::Basic { username, password })
}

fn first_line(file: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(file)?.take(MAX_PASSWORD_BYTES).read_to_string(&mut text)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
