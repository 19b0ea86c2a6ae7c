//! One target of `longshore::fuzzing` under libFuzzer, which finds inputs by what code they reach. `run.sh` builds and
//! starts it; the target's name stands in `LONGSHORE_FUZZ_TARGET`.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod guided {
    use std::sync::LazyLock;

    use longshore::fuzzing::{TARGETS, Target};

    static TARGET: LazyLock<Target> = LazyLock::new(|| {
        let name = std::env::var("LONGSHORE_FUZZ_TARGET").unwrap_or_default();
        match TARGETS.iter().find(|(known, _)| *known == name) {
            Some((_, target)) => *target,
            None => panic!("LONGSHORE_FUZZ_TARGET is {name:?}, which is none"),
        }
    });

    libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
}

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    eprintln!("this does something only when tests/fuzz/run.sh builds it");
    std::process::ExitCode::from(64)
}
