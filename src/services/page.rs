/// Which part of a sorted list is wanted.
///
/// Source: distribution-spec, "Content Discovery": `n` and `last`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// At most so many; `None`: as many as the registry gives at once. Zero gives nothing, and nothing after it.
    pub limit: Option<usize>,
    /// Only what comes after this one in the order of the list; it need not exist.
    pub last: Option<String>,
}

/// A part of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Whether there are more after these.
    pub more: bool,
}
