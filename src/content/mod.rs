//! Floor 3: what a registry stores: blobs, links, manifests, tags, referrers, the catalog.
