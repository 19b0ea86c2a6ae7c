//! Floor 1: configuration, one struct for each concern.
