use std::time::Duration;

use crate::load::plan::Shape;

/// The turns of a run over its targets, A B A B, so that noise of the machine hits all.
#[derive(Clone, Debug)]
pub struct Turns {
    targets: usize,
    warm_up: Duration,
    /// How long each target is measured; `None`: until its count is reached.
    length: Option<Duration>,
    turn: Option<Duration>,
}

/// One turn of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlannedTurn {
    /// Which target, from 0.
    pub target: usize,
    /// Where in the target's course it begins.
    pub from: Duration,
    /// How much of it is warm-up.
    pub warm_up: Duration,
    /// How long is measured, warm-up not counted; `None`: until the count is reached.
    pub length: Option<Duration>,
}

impl Turns {
    /// Those of a plan.
    pub fn new(shape: &Shape, targets: usize) -> Self {
        let turn = (targets > 1 && !shape.turn.is_zero()).then_some(shape.turn);
        Turns { targets, warm_up: shape.warm_up, length: shape.length(), turn }
    }

    /// How many rounds there are over all targets; `None`: until the count is reached.
    pub fn rounds(&self) -> Option<usize> {
        match (self.length, self.turn) {
            (Some(length), Some(turn)) => {
                Some(usize::try_from(length.as_nanos().div_ceil(turn.as_nanos())).unwrap_or(usize::MAX))
            }
            (None, Some(_)) => None,
            (_, None) => Some(1),
        }
    }

    /// The turn of a target in a round, both from 0; `None`: it has none in this round or a later one.
    pub fn turn(&self, round: usize, target: usize) -> Option<PlannedTurn> {
        let is_first = round == 0;
        let warm_up = if is_first { self.warm_up } else { Duration::ZERO };
        let Some(turn) = self.turn else {
            return is_first.then_some(PlannedTurn { target, from: Duration::ZERO, warm_up, length: self.length });
        };
        let measured = turn.saturating_mul(u32::try_from(round).unwrap_or(u32::MAX));
        let length = match self.length {
            Some(length) => turn.min(length.checked_sub(measured).filter(|left| !left.is_zero())?),
            None => turn,
        };
        let from = if is_first { Duration::ZERO } else { self.warm_up + measured };
        Some(PlannedTurn { target, from, warm_up, length: Some(length) })
    }

    /// How long all turns take together, warm-up and all; `None`: until the count is reached.
    pub fn total(&self) -> Option<Duration> {
        let targets = u32::try_from(self.targets).unwrap_or(u32::MAX);
        Some((self.length? + self.warm_up).saturating_mul(targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn turns(targets: usize, length: Option<u64>, turn: u64, warm_up: u64) -> Turns {
        let count = length.is_none().then_some(10);
        let duration = length.map(seconds);
        let shape = Shape { duration, count, turn: seconds(turn), warm_up: seconds(warm_up), ..Shape::default() };
        Turns::new(&shape, targets)
    }

    #[test]
    fn targets_take_turns_and_each_gets_its_whole_time() {
        let turns = turns(2, Some(12), 5, 3);
        let mut order = Vec::new();
        let mut round = 0;
        while turns.turn(round, 0).is_some() {
            order.extend((0..2).filter_map(|target| turns.turn(round, target)));
            round += 1;
        }
        let places: Vec<usize> = order.iter().map(|turn| turn.target).collect();
        assert_eq!(places, [0, 1, 0, 1, 0, 1]);
        assert_eq!(turns.rounds(), Some(3));
        for target in 0..2 {
            let of_target: Vec<&PlannedTurn> = order.iter().filter(|turn| turn.target == target).collect();
            let lengths: Vec<_> = of_target.iter().map(|turn| turn.length.unwrap()).collect();
            assert_eq!(lengths, [seconds(5), seconds(5), seconds(2)]);
            let begins: Vec<_> = of_target.iter().map(|turn| turn.from).collect();
            assert_eq!(begins, [seconds(0), seconds(8), seconds(13)]);
            let warm_ups: Vec<_> = of_target.iter().map(|turn| turn.warm_up).collect();
            assert_eq!(warm_ups, [seconds(3), seconds(0), seconds(0)]);
        }
        assert_eq!(turns.total(), Some(seconds(30)));
    }

    #[test]
    fn one_target_has_one_turn() {
        let turns = turns(1, Some(60), 5, 0);
        assert_eq!(turns.turn(0, 0).unwrap().length, Some(seconds(60)));
        assert_eq!((turns.turn(1, 0), turns.rounds()), (None, Some(1)));
    }

    #[test]
    fn without_a_turn_length_one_comes_after_the_other() {
        let turns = turns(2, Some(60), 0, 1);
        assert_eq!(turns.turn(0, 1).unwrap().length, Some(seconds(60)));
        assert_eq!(turns.turn(1, 0), None);
    }

    #[test]
    fn by_count_the_turns_go_on() {
        let by_count = turns(2, None, 5, 0);
        assert_eq!(by_count.turn(1000, 1).unwrap().from, seconds(5000));
        assert_eq!((by_count.rounds(), by_count.total()), (None, None));
        assert_eq!(turns(1, None, 5, 0).turn(0, 0).unwrap().length, None);
    }
}
