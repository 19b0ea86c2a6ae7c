//! Everything that parses input, with inputs that were kept and with such as come of changing them at random.
//!
//! `corpus/<target>/` holds the inputs: some written by hand, the others found by `run.sh`, which runs one target after
//! the other as long as one likes, guided by what code an input reaches. What was a finding once is kept there too.
//! `LONGSHORE_FUZZ_SEED` repeats a run of this test.

mod mutation;

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use longshore::fuzzing::{TARGETS, Target};

use mutation::Mutation;

/// How many changed inputs each target gets, unless the time is over before.
const INPUTS: usize = 5_000;
const TIME: Duration = Duration::from_millis(300);

fn corpus_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus")
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = corpus_folder().join(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    // So that a seed means the same everywhere.
    paths.sort();
    paths.into_iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Names the input that fails.
fn check(name: &str, target: Target, input: &[u8], origin: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(input))).is_err() {
        panic!("{name} does not hold for {origin}: b\"{}\"", input.escape_ascii());
    }
}

#[test]
fn every_target_has_inputs_and_no_other_has() {
    let kept = std::fs::read_dir(corpus_folder()).unwrap();
    let kept: BTreeSet<String> = kept.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect();
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(kept, targets);
    assert!(TARGETS.iter().all(|(name, _)| corpus(name).len() > 3));
}

#[test]
fn what_was_kept_holds() {
    for (name, target) in TARGETS {
        for input in corpus(name) {
            check(name, *target, &input, "an input of the corpus");
        }
    }
}

#[test]
fn what_is_like_what_was_kept_holds() {
    let given = std::env::var("LONGSHORE_FUZZ_SEED").ok();
    let seed = given.map_or_else(|| RandomState::new().hash_one(0), |seed| seed.parse().expect("a number"));
    println!("LONGSHORE_FUZZ_SEED={seed}");
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        let mut mutation = Mutation::new(seed);
        let (start, mut tried) = (Instant::now(), 0);
        while tried < INPUTS && start.elapsed() < TIME {
            check(name, *target, &mutation.next(&corpus), &format!("LONGSHORE_FUZZ_SEED={seed}"));
            tried += 1;
        }
        println!("{name}: {tried} inputs");
        assert!(tried > 10, "{name} takes {:?} for {tried} inputs", start.elapsed());
    }
}
