//! Floor 2: a client of the OCI distribution API.
