//! Floor 6: the HTTP API.
