use bytes::Bytes;
use proptest::prelude::*;

use super::measure::Rates;
use super::*;
use crate::hashing::RunningDigest;

/// Kernels that this processor has, and no kernel.
fn plans() -> Vec<(&'static str, LanePlan)> {
    let forced = |kernel: LaneKernel| Some((kernel.as_str(), LanePlan::forced(kernel)?));
    LaneKernel::ALL.into_iter().filter_map(forced).chain([("single", LanePlan::SINGLE)]).collect()
}

fn pattern(seed: usize, length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + seed * 17 + index * index / 7 + index / 251) as u8).collect()
}

fn by_sha2(data: &[u8]) -> RunningDigest {
    let mut running = RunningDigest::new(Algorithm::Sha256);
    running.update_with(Implementation::Sha2, data);
    running
}

/// Hashes all of several lanes, and looks after each step whether every state is what `sha2` gives there.
fn hash_in_steps(plan: LanePlan, begun: &[usize], streams: &[Vec<u8>], cuts: &[usize]) {
    let lane = |(stream, begun): (&Vec<u8>, &usize)| {
        let begun = (*begun).min(stream.len());
        let mut rest = Bytes::copy_from_slice(&stream[begun..]);
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle().take(if cuts.is_empty() { 0 } else { 200 }) {
            pieces.push(rest.split_to(rest.len().min(1 + *cut)));
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        Lane::new(by_sha2(&stream[..begun]), pieces)
    };
    let mut lanes: Vec<Lane> = streams.iter().zip(begun).map(lane).collect();
    let total_blocks: usize = streams.iter().map(|stream| stream.len() / 64 + 1).sum();
    let mut steps = 0;
    while !lanes.iter().all(Lane::is_done) {
        plan.step(&mut lanes);
        for (lane, stream) in lanes.iter().zip(streams) {
            let offset = lane.digest.offset() as usize;
            assert!(lane.digest == by_sha2(&stream[..offset]), "{plan} at {offset} of {}", stream.len());
        }
        steps += 1;
        assert!(steps <= total_blocks + 1000, "{plan}: no step went on");
    }
    for (lane, stream) in lanes.iter().zip(streams) {
        assert_eq!(lane.digest.offset(), stream.len() as u64);
        assert_eq!(lane.digest.finish(), by_sha2(stream).finish(), "{plan}");
    }
}

#[test]
fn every_count_of_lanes_and_every_length_is_right() {
    for (name, plan) in plans() {
        for count in 1..=plan.lanes() {
            for length in [0, 1, 63, 64, 65, 127, 128, 129, 200, 1000] {
                let streams: Vec<_> = (0..count).map(|seed| pattern(seed, length + seed % 3 * 64)).collect();
                hash_in_steps(plan, &vec![0; count], &streams, &[]);
            }
        }
        assert_eq!(plan == LanePlan::SINGLE, name == "single");
    }
}

#[test]
fn every_offset_to_begin_at_is_right() {
    for (_, plan) in plans() {
        for begun in 0..130 {
            let streams: Vec<_> = (0..plan.lanes()).map(|seed| pattern(seed, 300)).collect();
            let begun: Vec<usize> = (0..plan.lanes()).map(|lane| begun + lane).collect();
            hash_in_steps(plan, &begun, &streams, &[]);
        }
    }
}

#[test]
fn a_long_run_is_right() {
    for (_, plan) in plans() {
        let streams: Vec<_> = (0..plan.lanes()).map(|seed| pattern(seed, 150_000 - seed * 4001)).collect();
        hash_in_steps(plan, &vec![0; plan.lanes()], &streams, &[9_999, 0, 64, 33_000]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_lengths_offsets_and_cuts_give_what_sha2_gives(
        lengths in proptest::collection::vec(0_usize..3000, 1..=16),
        begun in proptest::collection::vec(0_usize..300, 16),
        cuts in proptest::collection::vec(0_usize..700, 0..6),
        seed in 0_usize..1000,
    ) {
        for (_, plan) in plans() {
            let streams: Vec<_> = lengths
                .iter()
                .take(plan.lanes())
                .enumerate()
                .map(|(lane, length)| pattern(seed + lane, *length))
                .collect();
            hash_in_steps(plan, &begun, &streams, &cuts);
        }
    }
}

#[test]
fn the_plan_follows_the_rates() {
    let rates = |single, sha_ni, avx2, avx512| LanePlan::by(Rates { single, sha_ni, avx2, avx512 });
    // With SHA instructions and AVX-512; without SHA instructions; with AVX2 alone; with nothing.
    let all = rates(2.05, 3.04, 1.5, 5.4);
    assert_eq!(all.to_string(), "16 by avx512 from 10 on, 2 by sha-ni");
    assert_eq!(rates(0.35, 0.0, 0.79, 2.1).to_string(), "16 by avx512 from 3 on");
    assert_eq!(rates(0.35, 0.0, 0.79, 0.0).to_string(), "8 by avx2 from 4 on");
    assert_eq!(rates(0.35, 0.0, 0.0, 0.0), LanePlan::SINGLE);
    assert_eq!(rates(2.05, 2.1, 1.5, 2.2), LanePlan::SINGLE);
    let at = [1, 2, 3, 9, 10, 16].map(|streams| all.kernel_for(streams));
    let (none, pair, wide) = (None, Some(LaneKernel::ShaNi), Some(LaneKernel::Avx512));
    assert_eq!(at, [none, pair, pair, pair, wide, wide]);
    assert_eq!([1, 2, 3, 9, 10, 17, 33].map(|streams| all.threads_for(streams)), [1, 1, 2, 5, 1, 2, 3]);
    assert_eq!([1, 2, 5].map(|streams| LanePlan::SINGLE.threads_for(streams)), [1, 2, 5]);
    assert_eq!((all.lanes(), LanePlan::SINGLE.lanes()), (16, 1));
}

#[test]
fn the_measurement_tells_of_what_the_processor_has() {
    let rates = Rates::measure();
    assert!(rates.single > 0.0);
    for kernel in LaneKernel::ALL {
        assert_eq!(rates.of(kernel) > 0.0, kernel.is_supported(), "{}", kernel.as_str());
    }
    assert_eq!(LanePlan::fastest(), LanePlan::fastest());
}
