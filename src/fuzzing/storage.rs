use super::text;
use crate::storage::{Key, keys};

/// A key is its text and a path that leaves nothing; an offset has one name.
pub(super) fn storage_key(data: &[u8]) {
    let Some(text) = text(data) else { return };
    if let Some(offset) = keys::hash_state_offset(text) {
        assert_eq!(offset.to_string(), text);
    }
    let Ok(key) = text.parse::<Key>() else { return };
    assert_eq!(key.as_str(), text);
    let path = std::path::Path::new(text);
    let is_name = |component| matches!(component, std::path::Component::Normal(_));
    assert!(path.components().all(is_name), "{text:?}");
    assert_eq!(path.components().count(), text.split('/').count());
    assert!(text.split('/').all(|component| component.len() <= 255));
    let below = keys::root().child(text).expect("a key below a key is one");
    assert!(below.is_within(&keys::root()) && !keys::root().is_within(&below));
    assert_eq!(below.name(), key.name());
}
