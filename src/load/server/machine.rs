use std::fs;

use super::figures::{number, value};
use crate::load::report::Machine;

/// Extensions of a processor that speed hashing up, as the kernel calls them.
const FEATURES: [&str; 4] = ["sha_ni", "avx2", "avx512f", "sha2"];

/// This machine; `None` where the system does not tell (it is not Linux).
pub fn machine() -> Option<Machine> {
    let cpu_info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let kernel_value =
        |name: &str| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok().map(|text| text.trim_end().to_owned());
    Some(Machine {
        host: kernel_value("hostname")?,
        cpu: model(&cpu_info).unwrap_or(std::env::consts::ARCH).to_owned(),
        cpus: std::thread::available_parallelism().ok()?.get(),
        cpu_features: features(&cpu_info),
        kernel: kernel_value("osrelease")?,
        memory_bytes: number(&memory, "MemTotal")? << 10,
    })
}

/// Not every architecture tells it.
fn model(cpu_info: &str) -> Option<&str> {
    ["model name", "Model", "Hardware"].into_iter().find_map(|name| value(cpu_info, name))
}

fn features(cpu_info: &str) -> Vec<String> {
    let found = value(cpu_info, "flags").or_else(|| value(cpu_info, "Features")).unwrap_or_default();
    let has = |feature: &&str| found.split(' ').any(|found| found == *feature);
    FEATURES.into_iter().filter(has).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_described() {
        let x86 = "processor\t: 0\nmodel name\t: Some CPU @ 2.5GHz\nflags\t\t: fpu avx2 avx512f avx512fx\n";
        assert_eq!(model(x86), Some("Some CPU @ 2.5GHz"));
        assert_eq!(features(x86), ["avx2", "avx512f"]);
        let arm = "processor\t: 0\nFeatures\t: fp asimd sha1 sha2\nCPU implementer\t: 0x41\n";
        assert_eq!(model(arm), None);
        assert_eq!(features(arm), ["sha2"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_is_described() {
        let machine = machine().unwrap();
        assert!(machine.cpus > 0 && machine.memory_bytes > 1 << 20, "{machine:?}");
        assert!(!machine.kernel.is_empty() && !machine.cpu.is_empty(), "{machine:?}");
    }
}
