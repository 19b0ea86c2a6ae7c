//! What the model knows of one upload: which bytes it must hold and may hold, and what may have ended it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use longshore::config::UploadsConfig;
use longshore::oci::{Algorithm, Digest, UploadId};
use longshore::upload::Policy;
use sha2::Digest as _;

/// `startedat` and a record's times are whole seconds, so that an upload which is found again may be taken for this
/// much older than it is.
const WHOLE_SECOND: u64 = 1000;

/// Times are milliseconds since the run began, by its manual clock.
pub struct Upload {
    pub repository: usize,
    pub id: UploadId,
    /// Whose bytes its clients send, as a rule.
    pub layer: u64,
    /// Who began it or wrote to it, ever.
    pub clients: Vec<Option<IpAddr>>,
    pub fate: Fate,
    /// What it holds for certain: every answer that told an offset counts.
    pub kept: Vec<u8>,
    /// What was sent behind that; it may hold any part of it from the front.
    pub tail: Vec<u8>,
    sent: Vec<Sent>,
    /// How far any piece reaches that may still be on its way, whether it is added or differs from what is kept.
    sent_up_to: u64,
    started_at: u64,
    /// When the last byte came that it holds for certain.
    last_byte: u64,
    /// The same, as of the last body whose end was acknowledged: so much is in its record.
    durable_byte: u64,
    /// The lease that was granted last, while nobody knows that it ended.
    pub holder: Option<u64>,
    /// Who may be counted as writing to it.
    pub writers: Vec<Option<IpAddr>>,
    /// Something was asked for that may have ended it, and the answer said neither.
    pub may_be_gone: bool,
    /// A commit as any of these may have been published, linked and all: the last one that was tried stands last, and it
    /// need not be that one.
    pub commits: Vec<Digest>,
    /// A single POST wrote to it: nothing of it is kept when that ends.
    pub is_discarded: bool,
    /// A fault may have met it.
    pub is_tainted: bool,
    strikes: BTreeSet<Policy>,
    struck_from: u64,
    /// For how long it is kept when it expires, by all policies that held since then.
    keep: (u64, u64),
    waits: Vec<Wait>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Live,
    /// An operator made it expire, or somebody was told that it has.
    Expired,
    /// `may_be_left`: faults struck while it was being removed.
    Committed {
        digest: Digest,
        size: u64,
        may_be_left: bool,
    },
    Gone,
}

/// Bytes that were sent in one piece.
struct Sent {
    end: usize,
    at: u64,
    wait: usize,
}

/// Some time that passed while somebody had the right to write, and bytes that surely came before it.
#[derive(Clone, Copy, Default)]
struct Wait {
    millis: u64,
    bytes: u64,
}

impl Upload {
    pub fn new(repository: usize, id: UploadId, layer: u64, client: Option<IpAddr>, now: u64) -> Self {
        Upload {
            repository,
            id,
            layer,
            clients: vec![client],
            fate: Fate::Live,
            kept: Vec::new(),
            tail: Vec::new(),
            sent: Vec::new(),
            sent_up_to: 0,
            started_at: now,
            last_byte: now,
            durable_byte: now,
            holder: None,
            writers: Vec::new(),
            may_be_gone: false,
            commits: Vec::new(),
            is_discarded: false,
            is_tainted: false,
            strikes: BTreeSet::new(),
            struck_from: 0,
            keep: (0, 0),
            waits: vec![Wait::default()],
        }
    }

    /// All that it may hold.
    pub fn content(&self) -> Vec<u8> {
        [&self.kept[..], &self.tail[..]].concat()
    }

    pub fn may_be_written(&self) -> bool {
        !self.writers.is_empty()
    }

    /// A piece was sent that ends there. Its size is looked at before its bytes are, also if they differ from what is kept.
    pub fn reach(&mut self, end: u64, config: &UploadsConfig, now: u64) {
        self.sent_up_to = self.sent_up_to.max(end);
        self.note_size(config, now);
    }

    /// What is on its way meets the limit that holds when it is taken.
    pub fn note_size(&mut self, config: &UploadsConfig, now: u64) {
        if config.max_size > 0 && self.sent_up_to > config.max_size && self.may_be_written() {
            self.strike(Policy::MaxSize, config, now);
        }
    }

    /// Bytes were sent that may be added.
    pub fn send(&mut self, bytes: &[u8], now: u64) {
        self.tail.extend_from_slice(bytes);
        self.sent.push(Sent { end: self.kept.len() + self.tail.len(), at: now, wait: self.waits.len() - 1 });
    }

    /// Somebody was told where it stands.
    pub fn observe(&mut self, offset: u64) -> Result<(), String> {
        let (least, most) = (self.kept.len(), self.kept.len() + self.tail.len());
        let offset = usize::try_from(offset).map_err(|error| error.to_string())?;
        if offset < least {
            return Err(format!("told to stand at {offset}, where it was {least} before"));
        }
        if offset > most {
            return Err(format!("told to stand at {offset}, where only {most} bytes were sent"));
        }
        let more: Vec<u8> = self.tail.drain(..offset - least).collect();
        self.kept.extend_from_slice(&more);
        let mut begin = least;
        for sent in &self.sent {
            if begin < offset {
                self.last_byte = self.last_byte.max(sent.at);
                self.waits[sent.wait].bytes += (sent.end.min(offset).saturating_sub(begin)) as u64;
            }
            begin = begin.max(sent.end);
        }
        self.sent.retain(|sent| sent.end > offset);
        Ok(())
    }

    /// The same, and nothing that was sent before can come any more.
    pub fn settle(&mut self, offset: u64) -> Result<(), String> {
        self.observe(offset)?;
        self.tail.clear();
        self.sent.clear();
        self.sent_up_to = 0;
        Ok(())
    }

    /// The end of a body was acknowledged. When bytes came that only turned up behind a fault is not written down.
    pub fn checkpointed(&mut self) {
        match self.is_tainted {
            true => self.last_byte = self.durable_byte,
            false => self.durable_byte = self.last_byte,
        }
    }

    /// Somebody has the right to write: so nothing has struck so far.
    pub fn is_alive(&mut self) {
        self.strikes.clear();
    }

    /// The process ended. What it had not written into the record is forgotten, but no byte.
    pub fn process_ended(&mut self) {
        self.last_byte = self.durable_byte;
        for sent in &mut self.sent {
            sent.at = 0;
        }
        self.sent_up_to = 0;
        self.holder = None;
        self.writers.clear();
    }

    /// So much time passes now.
    pub fn wait(&mut self, millis: u64) {
        if !self.may_be_written() {
            return;
        }
        if let Some(wait) = self.waits.last_mut() {
            wait.millis += millis;
        }
        self.waits.push(Wait::default());
    }

    /// Notes which policies may strike now, or may have since it was last looked at: to be called whenever something
    /// is about to change.
    pub fn note_strikes(&mut self, config: &UploadsConfig, now: u64) {
        let has_passed = |since: u64, time: u64| time > 0 && now + WHOLE_SECOND >= since + time;
        let last_byte = if self.is_tainted { self.durable_byte } else { self.last_byte };
        let strikes = [
            (Policy::MaxAge, has_passed(self.started_at, millis(config.max_age))),
            (Policy::IdleTimeout, has_passed(last_byte, millis(config.idle_timeout))),
            (Policy::MinRate, self.may_be_too_slow(config)),
        ];
        for (policy, _) in strikes.into_iter().filter(|(_, strikes)| *strikes) {
            self.strike(policy, config, now);
        }
    }

    pub fn strike(&mut self, policy: Policy, config: &UploadsConfig, now: u64) {
        if self.strikes.is_empty() {
            let keep = millis(config.keep_failed_for);
            (self.struck_from, self.keep) = (now, (keep, keep));
        }
        self.strikes.insert(policy);
        self.note_keep(config);
    }

    /// Other policies hold from now on.
    pub fn note_keep(&mut self, config: &UploadsConfig) {
        let keep = millis(config.keep_failed_for);
        self.keep = (self.keep.0.min(keep), self.keep.1.max(keep));
    }

    /// Whether it is so old that it has to expire as soon as somebody looks.
    pub fn is_overdue(&self, config: &UploadsConfig, now: u64) -> bool {
        config.max_age > std::time::Duration::ZERO && now > self.started_at + millis(config.max_age) + WHOLE_SECOND
    }

    fn may_be_too_slow(&self, config: &UploadsConfig) -> bool {
        if config.min_rate == 0 {
            return false;
        }
        // The window may have begun with any of them; what came before it began does not count for it.
        let (mut millis_waited, mut bytes) = (0, 0);
        self.waits.iter().rev().any(|wait| {
            millis_waited += wait.millis;
            let is_too_slow =
                millis_waited >= millis(config.min_rate_window) && bytes * 1000 < config.min_rate * millis_waited;
            bytes += wait.bytes;
            is_too_slow
        })
    }

    /// Whether a policy may have struck.
    pub fn may_have_struck(&self, policy: Policy) -> bool {
        self.strikes.contains(&policy)
    }

    pub fn may_have_expired(&self) -> bool {
        !self.strikes.is_empty()
    }

    /// Whether nothing had struck it before then.
    pub fn may_have_been_struck_after(&self, since: u64) -> bool {
        self.may_have_expired() && self.struck_from > since
    }

    /// Whether it may be kept, expired, at some time since it may have.
    pub fn may_be_kept(&self) -> bool {
        self.keep.1 > 0
    }

    /// Whether, once expired, it must be kept now, if nothing came between.
    pub fn must_be_kept(&self, now: u64) -> bool {
        self.keep.0 > 0 && now + 2 * WHOLE_SECOND < self.struck_from + self.keep.0
    }
}

pub fn millis(duration: std::time::Duration) -> u64 {
    duration.as_millis() as u64
}

pub fn digest_of(algorithm: Algorithm, content: &[u8]) -> Digest {
    match algorithm {
        Algorithm::Sha256 => Digest::from_bytes(algorithm, &sha2::Sha256::digest(content)).unwrap(),
        Algorithm::Sha512 => Digest::from_bytes(algorithm, &sha2::Sha512::digest(content)).unwrap(),
    }
}
