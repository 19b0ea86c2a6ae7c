/// A part of a sorted list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentPage<T> {
    /// In order.
    pub items: Vec<T>,
    /// Whether there are more after these.
    pub more: bool,
}

impl<T> ContentPage<T> {
    /// A page with nothing on it and nothing after it.
    pub fn empty() -> Self {
        ContentPage { items: Vec::new(), more: false }
    }
}
