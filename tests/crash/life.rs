//! What a registry is like from its start to its end.

use std::time::Duration;

use tokio::time::sleep;

use crate::harness::client_of_one_connection_each;
use crate::harness::pusher::policies::Held;
use crate::harness::seeded::Random;
use crate::process::{Process, Settings};

const IDLE_TIMEOUT: Duration = Duration::from_secs(2);
const MIN_RATE_WINDOW: Duration = Duration::from_secs(2);
const MAX_AGE: Duration = Duration::from_secs(4);

pub struct Life {
    /// How long it goes on once it serves.
    lasts: Duration,
    pub uploads: Settings,
    /// What uploads may expire by.
    pub held: Held,
    /// Whether somebody starts a look through the storage.
    scans: bool,
}

impl Life {
    /// With the policies that registries have, which strike nothing in a test. Uploads leave memory soon.
    pub fn usual() -> Life {
        let uploads = vec![("PASSIVATE_AFTER", "1s".to_owned()), ("MIN_FREE_SPACE", "0".to_owned())];
        Life { lasts: Duration::ZERO, uploads, held: Held::default(), scans: false }
    }

    pub fn random(random: &mut Random) -> Life {
        let usual = Life { lasts: Duration::from_micros(random.below(800_000)), ..Life::usual() };
        let usual = Life { scans: random.chance(50), ..usual };
        if random.chance(60) {
            return usual;
        }
        // Long enough that something becomes passive, or expires, in it.
        let lasts = Duration::from_micros(700_000 + random.below(1_600_000));
        let mut uploads = usual.uploads;
        let max_age = random.chance(30).then_some(MAX_AGE);
        let kept = ["0", "1s", "1h"][random.below(3) as usize];
        let kept_bytes = ["0", "100KiB"][random.below(2) as usize];
        uploads.extend([
            ("IDLE_TIMEOUT", seconds(IDLE_TIMEOUT)),
            ("MIN_RATE_WINDOW", seconds(MIN_RATE_WINDOW)),
            ("MAX_AGE", max_age.map_or("0".to_owned(), seconds)),
            ("KEEP_FAILED_FOR", kept.to_owned()),
            ("KEEP_FAILED_MAX_SIZE", kept_bytes.to_owned()),
        ]);
        let held = Held { idle_timeout: Some(IDLE_TIMEOUT), min_rate_window: Some(MIN_RATE_WINDOW), max_age };
        Life { lasts, uploads, held, scans: usual.scans }
    }

    /// For the purge at the end: everything is too old.
    pub fn purge() -> Settings {
        let keys = [("TAKEOVER_AFTER", "10ms"), ("IDLE_TIMEOUT", "10ms"), ("KEEP_FAILED_FOR", "0")];
        keys.map(|(key, value)| (key, value.to_owned())).to_vec()
    }

    /// Lets it go by.
    pub async fn pass(&self, process: &Process) {
        if self.scans {
            let http = client_of_one_connection_each();
            let request = http.post(process.admin_url("/admin/v1/scan")).header("content-type", "application/json");
            let reply = request.body(r#"{"dry_run":false}"#).send().await.expect("an answer");
            // Its own look after the start may run.
            assert!(matches!(reply.status().as_u16(), 202 | 409 | 429), "{reply:?}");
        }
        sleep(self.lasts).await;
    }
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}
