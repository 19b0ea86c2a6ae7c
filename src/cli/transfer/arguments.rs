use std::path::PathBuf;

use clap::Args;
use longshore::transfer::{CopyOptions, Platform};

/// The most blobs at once.
const MOST_JOBS: u64 = 64;

const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

#[derive(Args)]
pub(in crate::cli) struct RegistryArguments {
    /// Speak plain http with registries whose address does not say how; on this machine that goes without saying
    #[arg(long)]
    pub(super) plain_http: bool,
    /// Take any certificate, whoever made it
    #[arg(long)]
    pub(super) insecure: bool,
    /// Trust these certificates (PEM) beside those of this machine
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(super) ca_file: Option<PathBuf>,
    /// Say who you are; the password is the first line of standard input. Without it, docker's configuration
    /// (~/.docker/config.json) and its credential helpers are asked
    #[arg(long, value_name = "NAME")]
    pub(super) user: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct CopyArguments {
    /// Only this platform of an index (linux/arm64): the image itself is copied. Given several times, a new index is
    /// made of them
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    platform: Vec<Platform>,
    /// Copy what refers to it as well: signatures, attestations, bills of materials
    #[arg(long)]
    referrers: bool,
    /// How many blobs are on their way at once
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=MOST_JOBS))]
    jobs: u64,
    /// Send blobs in requests of at most so much (16MiB); without it each is sent in one
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    chunk_size: Option<u64>,
}

#[derive(Args)]
pub(in crate::cli) struct OutputArguments {
    /// Print what happens as JSON, one object a line
    #[arg(long, conflicts_with = "quiet")]
    pub(super) json: bool,
    /// Print the digest of what was copied, and nothing else
    #[arg(long, short)]
    pub(super) quiet: bool,
}

impl CopyArguments {
    pub(in crate::cli) fn options(&self) -> CopyOptions {
        CopyOptions {
            jobs: usize::try_from(self.jobs).unwrap_or(1),
            chunk_size_bytes: self.chunk_size,
            platforms: self.platform.clone(),
            with_referrers: self.referrers,
        }
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || "it is not a size such as 65536, 512KiB, 16MiB or 1GiB".to_owned();
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = number.parse().ok().filter(|number| is_plain && *number > 0).ok_or_else(wrong)?;
    number.checked_mul(factor).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in
            [("1", 1), ("65536", 65_536), ("512KiB", 512 << 10), ("16MiB", 16 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes));
        }
        for text in ["", "0", "MiB", "0KiB", "1.5MiB", "+1", "-1", "1mb", "99999999999GiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
