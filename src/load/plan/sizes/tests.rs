use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;

const MIB: u64 = 1 << 20;

fn drawn(text: &str) -> Vec<u64> {
    let sizes: Sizes = text.parse().unwrap();
    let mut random = SmallRng::seed_from_u64(1);
    let mut drawn: Vec<u64> = (0..20_000).map(|_| sizes.draw(&mut random)).collect();
    drawn.sort_unstable();
    drawn
}

#[test]
fn sizes_are_written_as_they_are_read() {
    for text in ["16MiB", "0", "1KiB..64MiB", "1KiB,4MiB,1GiB", "log-normal:4MiB:1.5:1GiB"] {
        assert_eq!(text.parse::<Sizes>().unwrap().to_string(), text);
    }
}

#[test]
fn what_is_no_size_is_refused() {
    for text in [
        "",
        "16M",
        "2MiB..1MiB",
        "1MiB..",
        "1MiB,,2MiB",
        "log-normal:4MiB",
        "log-normal:0:1:1MiB",
        "log-normal:4MiB:-1:8MiB",
    ] {
        assert!(text.parse::<Sizes>().is_err(), "{text:?}");
    }
}

#[test]
fn fixed_sizes_do_not_vary() {
    assert!(drawn("3MiB").iter().all(|size| *size == 3 * MIB));
}

#[test]
fn uniform_sizes_fill_their_range_evenly() {
    let drawn = drawn("1MiB..3MiB");
    assert!(drawn[0] >= MIB && drawn[drawn.len() - 1] <= 3 * MIB);
    for (quantile, expected) in [(0.25, 1.5), (0.5, 2.0), (0.75, 2.5)] {
        let found = drawn[(drawn.len() as f64 * quantile) as usize] as f64 / MIB as f64;
        assert!((found - expected).abs() < 0.05, "{quantile}: {found} MiB");
    }
    let bounds = Sizes::Uniform { least: 7, most: 8 };
    let mut random = SmallRng::seed_from_u64(2);
    let both: std::collections::BTreeSet<u64> = (0..100).map(|_| bounds.draw(&mut random)).collect();
    assert_eq!(both.into_iter().collect::<Vec<_>>(), [7, 8]);
}

#[test]
fn log_normal_sizes_have_their_median_and_spread() {
    let drawn = drawn("log-normal:1MiB:1:1GiB");
    // Quantiles of the normal distribution: 0.1587 is a sigma below the median, 0.8413 one above.
    for (quantile, expected) in [(0.1587, 1.0 / std::f64::consts::E), (0.5, 1.0), (0.8413, std::f64::consts::E)] {
        let found = drawn[(drawn.len() as f64 * quantile) as usize] as f64 / MIB as f64;
        assert!((found / expected - 1.0).abs() < 0.08, "{quantile}: {found} MiB, not {expected}");
    }
    assert!(super::tests::drawn("log-normal:1MiB:3:2MiB").iter().all(|size| *size <= 2 * MIB));
}

#[test]
fn sizes_of_a_list_are_drawn_alike() {
    let drawn = drawn("1KiB,2KiB,1MiB,1GiB");
    for size in [1 << 10, 2 << 10, MIB, 1 << 30] {
        let count = drawn.iter().filter(|drawn| **drawn == size).count();
        assert!(count.abs_diff(5000) < 300, "{size}: {count}");
    }
}

#[test]
fn layers_of_a_trace_are_as_published() {
    let drawn = drawn(&crate::load::plan::Trace::default().layer_sizes.to_string());
    for (bytes, share) in [(1_000_000, 0.65), (10_000_000, 0.80)] {
        let below = drawn.iter().filter(|size| **size < bytes).count() as f64 / drawn.len() as f64;
        assert!((below - share).abs() < 0.02, "{below} are below {bytes} bytes");
    }
}
