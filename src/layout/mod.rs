//! Floor 2: OCI image layouts in folders and tarballs.
