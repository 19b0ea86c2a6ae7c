//! A sweep of what happens to uploads besides requests, on the engine alone: a test turns its clock.

use crate::blow::Blow;
use crate::lifecycle::Lifecycle;
use crate::machine::Machine;
use crate::{MOST_CALLS, Point};

/// One thing that happens with one kind of blow, at each of its calls.
pub struct EngineSweep {
    operation: Lifecycle,
    blow: Blow,
}

impl EngineSweep {
    pub fn new(operation: Lifecycle, blow: Blow) -> EngineSweep {
        EngineSweep { operation, blow }
    }

    /// Gives how many points were tried, and the strays.
    pub async fn run(self) -> (u64, u64) {
        let (mut points, mut strays) = (0, 0);
        loop {
            let nth = points + 1;
            assert!(nth <= MOST_CALLS, "{:?} does not come to an end", self.operation);
            let _point = Point(format!("{:?}, {} at call {nth}", self.operation, self.blow));
            let machine = Machine::start(self.operation.setup(), self.blow);
            let mut prepared = self.operation.prepare(&machine).await;
            machine.plan(nth);
            self.operation.happen(&machine, &mut prepared).await;
            let has_struck = machine.clear().await;
            self.operation.settle(&machine, &mut prepared).await;
            strays += machine.finish().await;
            if !has_struck {
                break;
            }
            points += 1;
        }
        assert!(points > 0, "{:?} makes no call", self.operation);
        println!("{:?}, {}: {points} points, {strays} strays", self.operation, self.blow);
        (points, strays)
    }
}
