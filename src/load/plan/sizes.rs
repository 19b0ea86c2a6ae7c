use std::fmt;
use std::str::FromStr;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::config::byte_size;

/// How large things are. Written as `16MiB` (each), `1MiB..64MiB` (uniform, both included), `1KiB,4MiB,1GiB` (one of
/// them), `log-normal:4MiB:1.5:1GiB` (median, sigma of the logarithm, the largest).
#[derive(Clone, Debug, PartialEq)]
pub enum Sizes {
    /// All of so many bytes.
    Fixed(u64),
    /// Each size between the two, both included, as often.
    Uniform {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// Many small ones and few large ones: the logarithm is normally distributed.
    LogNormal {
        /// Half of them are smaller.
        median: u64,
        /// The standard deviation of the natural logarithm.
        sigma: f64,
        /// What is drawn larger is as large as this.
        most: u64,
    },
    /// Each of these as often.
    List(Vec<u64>),
}

/// Why a text does not say sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SizesError(String);

impl Sizes {
    /// Draws one, in bytes.
    pub fn draw(&self, random: &mut impl Rng) -> u64 {
        match self {
            Sizes::Fixed(bytes) => *bytes,
            Sizes::Uniform { least, most } => random.random_range(*least..=*most),
            Sizes::LogNormal { median, sigma, most } => {
                // Fails only on a sigma that is no finite number, which is not read.
                let Ok(distribution) = LogNormal::new((*median as f64).ln(), *sigma) else {
                    return *median;
                };
                // A cast of a float stays within what the integer holds.
                (distribution.sample(random) as u64).min(*most)
            }
            Sizes::List(sizes) => sizes[random.random_range(0..sizes.len())],
        }
    }

    /// The largest that is ever drawn, in bytes.
    pub fn largest(&self) -> u64 {
        match self {
            Sizes::Fixed(bytes) => *bytes,
            Sizes::Uniform { most, .. } | Sizes::LogNormal { most, .. } => *most,
            Sizes::List(sizes) => sizes.iter().copied().max().unwrap_or(0),
        }
    }

    /// The smallest that is ever drawn, in bytes.
    pub fn smallest(&self) -> u64 {
        match self {
            Sizes::Fixed(bytes) => *bytes,
            Sizes::Uniform { least, .. } => *least,
            Sizes::LogNormal { .. } => 0,
            Sizes::List(sizes) => sizes.iter().copied().min().unwrap_or(0),
        }
    }
}

impl FromStr for Sizes {
    type Err = SizesError;

    fn from_str(text: &str) -> Result<Self, SizesError> {
        if let Some(parameters) = text.strip_prefix("log-normal:") {
            return read_log_normal(text, parameters);
        }
        if let Some((least, most)) = text.split_once("..") {
            let (least, most) = (read_size(least)?, read_size(most)?);
            return match least <= most {
                true => Ok(Sizes::Uniform { least, most }),
                false => Err(SizesError(format!("{text:?} begins with the larger size"))),
            };
        }
        if text.contains(',') {
            return Ok(Sizes::List(text.split(',').map(|size| read_size(size.trim())).collect::<Result<_, _>>()?));
        }
        read_size(text).map(Sizes::Fixed)
    }
}

fn read_log_normal(text: &str, parameters: &str) -> Result<Sizes, SizesError> {
    let wrong = || SizesError(format!("{text:?} is not of the form log-normal:4MiB:1.5:1GiB (median, sigma, largest)"));
    let parts: Vec<&str> = parameters.split(':').collect();
    let [median, sigma, most] = parts[..] else { return Err(wrong()) };
    let (median, most) = (read_size(median)?, read_size(most)?);
    let sigma: f64 = sigma.parse().map_err(|_| wrong())?;
    if !sigma.is_finite() || sigma < 0.0 || median == 0 || most < median {
        return Err(wrong());
    }
    Ok(Sizes::LogNormal { median, sigma, most })
}

fn read_size(text: &str) -> Result<u64, SizesError> {
    byte_size::parse(text).ok_or_else(|| {
        SizesError(format!(
            "{text:?} is not a size such as 16MiB (or 1MiB..64MiB, or 1KiB,4MiB, or log-normal:4MiB:1.5:1GiB)"
        ))
    })
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |bytes: &u64| byte_size::print(*bytes);
        match self {
            Sizes::Fixed(bytes) => f.write_str(&size(bytes)),
            Sizes::Uniform { least, most } => write!(f, "{}..{}", size(least), size(most)),
            Sizes::LogNormal { median, sigma, most } => {
                write!(f, "log-normal:{}:{sigma}:{}", size(median), size(most))
            }
            Sizes::List(sizes) => f.write_str(&sizes.iter().map(size).collect::<Vec<_>>().join(",")),
        }
    }
}

impl fmt::Display for SizesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SizesError {}

impl Serialize for Sizes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected sizes such as 16MiB, 1MiB..64MiB or [1KiB, 4MiB]")]
        enum Written {
            Number(u64),
            Text(String),
            List(Vec<One>),
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a size such as 16MiB")]
        enum One {
            Number(u64),
            Text(String),
        }
        let read = match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Sizes::Fixed(bytes)),
            Written::Text(text) => text.parse(),
            Written::List(list) if list.is_empty() => Err(SizesError("an empty list has no size".to_owned())),
            Written::List(list) => list
                .iter()
                .map(|one| match one {
                    One::Number(bytes) => Ok(*bytes),
                    One::Text(text) => read_size(text),
                })
                .collect::<Result<_, _>>()
                .map(Sizes::List),
        };
        read.map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
