//! Floor 3: content on its way from one registry or layout to another.
