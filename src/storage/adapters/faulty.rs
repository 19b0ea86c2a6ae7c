use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::Adapter;
use super::call::{Around, Call, Operation};
use crate::storage::{Key, SharedDriver, StorageError, StorageErrorKind};

/// A driver that fails, waits or hangs where a test says. For tests only.
///
/// ```ignore
/// faulty.inject(Fault::fail(StorageErrorKind::Full).at(Operation::Append).on("/data").nth(3));
/// ```
pub type Faulty = Adapter<Faults>;

/// The faults of a [`Faulty`].
#[derive(Debug, Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
    free_space: Mutex<Option<u64>>,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    /// How many calls it looked at and found to be its own.
    matched: u64,
}

/// What goes wrong, and at which call.
#[derive(Clone, Debug)]
pub struct Fault {
    effect: Effect,
    operation: Option<Operation>,
    key_part: String,
    nth: u64,
    times: u64,
    is_after: bool,
}

#[derive(Clone, Debug)]
enum Effect {
    Fail(StorageErrorKind),
    Delay(Duration),
    Hang(Gate),
}

impl Faulty {
    /// Without a fault yet.
    pub fn new(inner: SharedDriver) -> Self {
        Adapter::around(inner, Faults::default())
    }

    /// Plans a fault beside those that are planned. Of several that fit a call, the first planned strikes, and the call
    /// does not count for those planned later.
    pub fn inject(&self, fault: Fault) {
        self.manner().lock().push(Planned { fault, matched: 0 });
    }

    /// Forgets all faults. Calls that hang go on hanging until their gate is released.
    pub fn clear(&self) {
        self.manner().lock().clear();
    }

    /// Tells that so many bytes can still be written, whatever the driver tells; `None`: what it tells. Nothing else
    /// changes: to fill the store up, plan faults of kind [`StorageErrorKind::Full`] as well.
    pub fn set_free_space(&self, bytes: Option<u64>) {
        *self.manner().free_space.lock().unwrap_or_else(PoisonError::into_inner) = bytes;
    }

    /// How often a planned fault struck since the last [`Faulty::clear`].
    pub fn struck(&self) -> u64 {
        self.manner().lock().iter().map(Planned::struck).sum()
    }
}

impl Fault {
    /// The call ends as an error of this kind.
    pub fn fail(kind: StorageErrorKind) -> Self {
        Fault::of(Effect::Fail(kind))
    }

    /// The call takes this much longer, by tokio's clock.
    pub fn delay(by: Duration) -> Self {
        Fault::of(Effect::Delay(by))
    }

    /// The call waits until the gate is released, and goes on then.
    pub fn hang(gate: &Gate) -> Self {
        Fault::of(Effect::Hang(gate.clone()))
    }

    fn of(effect: Effect) -> Self {
        Fault { effect, operation: None, key_part: String::new(), nth: 1, times: 1, is_after: false }
    }

    /// Only calls of this operation.
    pub fn at(self, operation: Operation) -> Self {
        Fault { operation: Some(operation), ..self }
    }

    /// Only calls whose key contains this.
    pub fn on(self, key_part: &str) -> Self {
        Fault { key_part: key_part.to_owned(), ..self }
    }

    /// From the n-th such call on, counted from 1; the first without this.
    pub fn nth(self, nth: u64) -> Self {
        Fault { nth: nth.max(1), ..self }
    }

    /// So many such calls, one after the other; one without this.
    pub fn times(self, times: u64) -> Self {
        Fault { times, ..self }
    }

    /// When the call has had its effect (if it succeeded), in place of before it.
    pub fn after_effect(self) -> Self {
        Fault { is_after: true, ..self }
    }

    fn fits(&self, operation: Operation, key: &Key) -> bool {
        self.operation.is_none_or(|own| own == operation) && key.as_str().contains(&self.key_part)
    }
}

impl Planned {
    fn struck(&self) -> u64 {
        (self.matched + 1).saturating_sub(self.fault.nth).min(self.fault.times)
    }

    /// Counts a call that fits; whether it is one that is struck.
    fn meets(&mut self) -> bool {
        let before = self.struck();
        self.matched += 1;
        self.struck() > before
    }
}

impl Faults {
    fn strike(&self, call: Call<'_>) -> Option<Fault> {
        let mut planned = self.lock();
        let mut fitting = planned.iter_mut().filter(|planned| planned.fault.fits(call.operation, call.key));
        fitting.find_map(|planned| planned.meets().then(|| planned.fault.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Effect {
    async fn happen(self, call: Call<'_>) -> Result<(), StorageError> {
        match self {
            Effect::Fail(kind) => {
                return Err(StorageError::with_source(kind, call.operation.as_str(), call.key, "injected"));
            }
            Effect::Delay(by) => tokio::time::sleep(by).await,
            Effect::Hang(gate) => gate.pass().await,
        }
        Ok(())
    }
}

impl Around for Faults {
    async fn around<T: Send>(
        &self,
        call: Call<'_>,
        work: impl Future<Output = Result<T, StorageError>> + Send,
    ) -> Result<T, StorageError> {
        let Some(fault) = self.strike(call) else { return work.await };
        if fault.is_after {
            let result = work.await?;
            fault.effect.happen(call).await?;
            return Ok(result);
        }
        fault.effect.happen(call).await?;
        work.await
    }

    fn free_space(&self, found: Option<u64>) -> Option<u64> {
        self.free_space.lock().unwrap_or_else(PoisonError::into_inner).or(found)
    }
}

/// Where calls hang until a test lets them go. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    state: Arc<watch::Sender<GateState>>,
}

#[derive(Debug, Default)]
struct GateState {
    reached_by: u64,
    is_released: bool,
}

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Gate { state: Arc::new(watch::Sender::default()) }
    }

    /// Waits until `calls` have come to it.
    pub async fn reached(&self, calls: u64) {
        self.wait_until(|state| state.reached_by >= calls).await;
    }

    /// How many calls have come to it.
    pub fn reached_by(&self) -> u64 {
        self.state.borrow().reached_by
    }

    /// Lets all go that hang, and those that come later.
    pub fn release(&self) {
        self.state.send_modify(|state| state.is_released = true);
    }

    async fn pass(&self) {
        self.state.send_modify(|state| state.reached_by += 1);
        self.wait_until(|state| state.is_released).await;
    }

    async fn wait_until(&self, condition: impl FnMut(&GateState) -> bool) {
        // It cannot fail: the sender is `self`.
        let _ = self.state.subscribe().wait_for(condition).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Gate::new()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::storage::adapters::testing::{filled_memory, key, suite_passes};
    use crate::storage::{Driver as _, Durability, PutMode};

    #[tokio::test(flavor = "multi_thread")]
    async fn the_suite_passes() {
        suite_passes(|memory| Arc::new(Faulty::new(memory))).await;
    }

    async fn put(driver: &Faulty, name: &str) -> Result<(), StorageErrorKind> {
        let put = driver.put(&key(name), Bytes::from_static(b"x"), PutMode::Create, Durability::Process).await;
        put.map(drop).map_err(|error| error.kind())
    }

    #[tokio::test]
    async fn the_calls_that_were_named_fail() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        let full = Fault::fail(StorageErrorKind::Full).at(Operation::Put).on("a/");
        faulty.inject(full.nth(2).times(2));
        assert_eq!(put(&faulty, "a/1").await, Ok(()));
        assert_eq!(put(&faulty, "b/1").await, Ok(()));
        faulty.stat(&key("a/1")).await.unwrap();
        assert_eq!(put(&faulty, "a/2").await, Err(StorageErrorKind::Full));
        assert_eq!(put(&faulty, "a/3").await, Err(StorageErrorKind::Full));
        assert_eq!(faulty.struck(), 2);
        assert_eq!(put(&faulty, "a/2").await, Ok(()));
        assert_eq!(faulty.struck(), 2);
    }

    #[tokio::test]
    async fn a_failure_comes_before_the_effect_or_after_it() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::Put));
        assert_eq!(put(&faulty, "a").await, Err(StorageErrorKind::Fault));
        assert!(faulty.stat(&key("a")).await.unwrap_err().is_not_found());
        faulty.inject(Fault::fail(StorageErrorKind::TimedOut).at(Operation::Put).after_effect());
        assert_eq!(put(&faulty, "a").await, Err(StorageErrorKind::TimedOut));
        assert_eq!(faulty.stat(&key("a")).await.unwrap().size_bytes, 1);
        faulty.inject(Fault::fail(StorageErrorKind::Fault));
        faulty.clear();
        faulty.stat(&key("a")).await.unwrap();
    }

    #[tokio::test]
    async fn a_writer_fails_too() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        let mut writer = faulty.create_partial(&key("partial")).await.unwrap();
        faulty.inject(Fault::fail(StorageErrorKind::Full).at(Operation::Append).on("partial").after_effect());
        let error = writer.append(vec![Bytes::from_static(b"abc")]).await.unwrap_err();
        assert_eq!(error.to_string(), "storage: append partial: no space left: injected");
        assert_eq!(writer.offset(), 3);
    }

    #[tokio::test]
    async fn a_nearly_full_disk_is_imitated_through_other_adapters() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        let outer = crate::storage::adapters::Deadline::new(Arc::new(faulty.clone()), Duration::from_secs(30));
        assert_eq!(outer.free_space().await.unwrap(), None);
        faulty.set_free_space(Some(1_000));
        assert_eq!(outer.free_space().await.unwrap(), Some(1_000));
        faulty.inject(Fault::fail(StorageErrorKind::Fault).at(Operation::FreeSpace));
        let error = outer.free_space().await.unwrap_err();
        assert_eq!(error.to_string(), "storage: free_space docker/registry/v2: failed: injected");
        faulty.set_free_space(None);
        assert_eq!(outer.free_space().await.unwrap(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delayed_call_takes_longer() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        faulty.inject(Fault::delay(Duration::from_secs(5)));
        let start = tokio::time::Instant::now();
        faulty.stat(&key("object")).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a_call_hangs_until_it_is_let_go() {
        let faulty = Faulty::new(filled_memory("object", 1).await);
        let gate = Gate::new();
        faulty.inject(Fault::hang(&gate).at(Operation::Delete).after_effect());
        let call = tokio::spawn({
            let faulty = faulty.clone();
            async move { faulty.delete(&key("object")).await }
        });
        gate.reached(1).await;
        assert!(!call.is_finished());
        assert!(faulty.stat(&key("object")).await.unwrap_err().is_not_found());
        gate.release();
        call.await.unwrap().unwrap();
    }
}
