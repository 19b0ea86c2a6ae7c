//! Floor 4: the upload engine.
