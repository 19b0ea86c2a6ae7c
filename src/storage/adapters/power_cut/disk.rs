use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::storage::{Durability, Key};

/// How many states of one name are remembered that were not synced: the newest. What was before them is forgotten, but
/// for the one that was synced.
const MOST_UNSYNCED: usize = 8;

/// Names and files, as they are and as they might be after a loss of power.
#[derive(Debug, Default)]
pub(super) struct Disk {
    names: BTreeMap<Key, Name>,
}

/// What a name may lead to.
#[derive(Debug, Default)]
struct Name {
    synced: Option<Link>,
    /// What came after it, in order; the last is what is there now.
    unsynced: Vec<Option<Link>>,
}

#[derive(Clone, Debug)]
struct Link {
    kind: FileKind,
    file: Arc<Mutex<File>>,
}

/// Which of the two a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    Object,
    Partial,
}

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// Up to here the bytes were synced, and have not been touched since.
    stable: usize,
    /// What was cut off since the last sync, each with its place.
    cut_off: Vec<(usize, Vec<u8>)>,
}

/// A file that is found after a loss of power.
#[derive(Debug)]
pub(super) struct Survivor {
    pub(super) kind: FileKind,
    pub(super) bytes: Vec<u8>,
}

impl Survivor {
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Disk {
    pub(super) fn put(&mut self, key: &Key, data: &Bytes, durability: Durability) {
        let file = File { bytes: data.to_vec(), ..File::default() };
        self.link(key, Some(Link { kind: FileKind::Object, file: Arc::new(Mutex::new(file)) }));
        if durability == Durability::Power {
            self.sync(key);
        }
    }

    pub(super) fn remove(&mut self, key: &Key) {
        self.link(key, None);
    }

    pub(super) fn remove_within(&mut self, folder: &Key) {
        let there = self.names.iter().filter(|(key, name)| key.is_within(folder) && name.now().is_some());
        let keys: Vec<Key> = there.map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(&key);
        }
    }

    pub(super) fn create_partial(&mut self, key: &Key) {
        self.remove(key);
        self.link(key, Some(Link { kind: FileKind::Partial, file: Arc::default() }));
    }

    pub(super) fn append(&mut self, key: &Key, batch: &[Bytes]) {
        if let Some(mut file) = self.file(key) {
            batch.iter().for_each(|piece| file.bytes.extend_from_slice(piece));
        }
    }

    pub(super) fn cut_back(&mut self, key: &Key, offset: u64) {
        if let Some(mut file) = self.file(key) {
            let offset = file.bytes.len().min(offset as usize);
            let tail = file.bytes.split_off(offset);
            file.cut_off.push((offset, tail));
            file.stable = file.stable.min(offset);
        }
    }

    /// Syncs a file and its name.
    pub(super) fn sync(&mut self, key: &Key) {
        if let Some(mut file) = self.file(key) {
            file.sync();
        }
        if let Some(name) = self.names.get_mut(key) {
            name.sync();
        }
    }

    pub(super) fn publish(&mut self, partial: &Key, key: &Key, durability: Durability) {
        let published = self.names.get(partial).and_then(Name::now).cloned();
        self.remove(partial);
        self.link(key, published.map(|link| Link { kind: FileKind::Object, ..link }));
        if durability == Durability::Power {
            self.sync(key);
        }
    }

    pub(super) fn settle(&mut self) {
        for name in self.names.values_mut() {
            if let Some(link) = name.now() {
                link.file().sync();
            }
            name.sync();
        }
        self.names.retain(|_, name| name.synced.is_some());
    }

    /// What a loss of power leaves.
    pub(super) fn survivors(&self, seed: u64) -> Vec<(Key, Survivor)> {
        let mut dice = Dice(seed);
        let mut found = Vec::new();
        for (key, name) in &self.names {
            if let Some(link) = name.after_a_cut(&mut dice) {
                found.push((key.clone(), Survivor { kind: link.kind, bytes: link.file().after_a_cut(&mut dice) }));
            }
        }
        found
    }

    fn link(&mut self, key: &Key, link: Option<Link>) {
        let name = self.names.entry(key.clone()).or_default();
        name.unsynced.push(link);
        if name.unsynced.len() > MOST_UNSYNCED {
            name.unsynced.remove(0);
        }
    }

    /// The file that is under the name now.
    fn file(&self, key: &Key) -> Option<MutexGuard<'_, File>> {
        Some(self.names.get(key)?.now()?.file())
    }
}

impl Name {
    fn now(&self) -> Option<&Link> {
        self.unsynced.last().unwrap_or(&self.synced).as_ref()
    }

    fn sync(&mut self) {
        if let Some(now) = self.unsynced.pop() {
            self.synced = now;
        }
        self.unsynced.clear();
    }

    fn after_a_cut(&self, dice: &mut Dice) -> Option<&Link> {
        let thrown = dice.below(1 + self.unsynced.len());
        let link = if thrown == 0 { &self.synced } else { &self.unsynced[thrown - 1] };
        link.as_ref()
    }
}

impl Link {
    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl File {
    fn sync(&mut self) {
        self.stable = self.bytes.len();
        self.cut_off.clear();
    }

    fn after_a_cut(&self, dice: &mut Dice) -> Vec<u8> {
        let mut lengths = vec![self.stable, self.bytes.len()];
        lengths.extend(self.cut_off.iter().map(|(start, tail)| start + tail.len()));
        let longest = lengths.iter().copied().max().unwrap_or(0);
        lengths.push(self.stable + dice.below(longest - self.stable + 1));
        let length = lengths[dice.below(lengths.len())];

        let mut found = self.bytes[..self.stable].to_vec();
        while found.len() < length {
            let run = found.len()..(found.len() + dice.run()).min(length);
            match dice.below(2 + self.cut_off.len()) {
                0 => {}
                1 => found.extend(part(&self.bytes, 0, &run)),
                other => {
                    let (start, tail) = &self.cut_off[other - 2];
                    found.extend(part(tail, *start, &run));
                }
            }
            // Where there was nothing, and where the bytes did not reach the disk.
            found.resize(run.end, 0);
        }
        found
    }
}

/// The bytes of `run` that `bytes`, which stand at `start`, have from its beginning on.
fn part<'a>(bytes: &'a [u8], start: usize, run: &std::ops::Range<usize>) -> &'a [u8] {
    match run.start.checked_sub(start) {
        Some(from) if from < bytes.len() => &bytes[from..bytes.len().min(run.end - start)],
        _ => &[],
    }
}

/// Random numbers from a seed (splitmix64).
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to `bound - 1`.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// The length of a run of bytes with one fate: all that there are, or a few pages or bytes.
    fn run(&mut self) -> usize {
        match self.below(4) {
            0 | 1 => 1 << self.below(8),
            2 => 4096 * (1 + self.below(16)),
            _ => usize::MAX / 2,
        }
    }
}
