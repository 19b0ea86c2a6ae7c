use serde::{Deserialize, Serialize};

use super::Sizes;
#[cfg(doc)]
use super::Workload;

/// See [`Workload::Trace`].
///
/// Published about production registries: in 38 million requests to IBM's over 75 days, 65 % of the layers were smaller
/// than 1 MB and 80 % smaller than 10 MB, and GET requests were by far the most (Anwar et al., "Improving Docker Registry
/// Design Based on Production Workload Analysis", FAST '18). The sizes below follow those two figures, cut at 64 MiB. The
/// shares are round numbers of this project's own: set them to those of the registry that you care about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trace {
    /// The proportions.
    pub shares: TraceShares,
    /// How large a pushed layer is.
    pub layer_sizes: Sizes,
}

/// How often each request is made, compared with the others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraceShares {
    /// A layer is pulled.
    pub get_layer: f64,
    /// A manifest is pulled by its tag.
    pub get_manifest: f64,
    /// A layer is looked up.
    pub head_layer: f64,
    /// A manifest is looked up by its tag.
    pub head_manifest: f64,
    /// A layer is pushed.
    pub put_layer: f64,
    /// A manifest over a layer that was pushed before is pushed.
    pub put_manifest: f64,
}

impl TraceShares {
    /// Each with its name.
    pub fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("get_layer", self.get_layer),
            ("get_manifest", self.get_manifest),
            ("head_layer", self.head_layer),
            ("head_manifest", self.head_manifest),
            ("put_layer", self.put_layer),
            ("put_manifest", self.put_manifest),
        ]
    }
}

impl Default for Trace {
    fn default() -> Self {
        // 65 % below 1 MB and 80 % below 10 MB: quantiles 0.385 and 0.842 of the normal distribution.
        let layer_sizes = Sizes::LogNormal { median: 143_000, sigma: 5.04, most: 64 << 20 };
        Trace { shares: TraceShares::default(), layer_sizes }
    }
}

impl Default for TraceShares {
    fn default() -> Self {
        TraceShares {
            get_layer: 50.0,
            get_manifest: 30.0,
            head_layer: 5.0,
            head_manifest: 10.0,
            put_layer: 4.0,
            put_manifest: 1.0,
        }
    }
}
