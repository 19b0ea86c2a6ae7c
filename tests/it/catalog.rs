//! The list of repositories.

use crate::harness::{Registry, ReplyExt as _};

on_both_drivers! {
    repositories_are_listed_component_by_component,
}

/// A repository stands before those inside it, and those before what only begins alike.
const NAMES: [&str; 6] = ["a", "a/b", "a/b/c", "a-b", "a.b", "b"];

async fn page(registry: &Registry, path: &str) -> (Vec<String>, Option<String>) {
    let reply = registry.get(path).await.expect(200).await;
    let next = reply.maybe("link").map(|link| {
        let (target, relation) = link.split_once('>').expect("a link");
        assert_eq!(relation, "; rel=\"next\"");
        target.trim_start_matches('<').to_string()
    });
    let document = reply.document().await;
    let names = document["repositories"].as_array().expect("names").iter();
    (names.map(|name| name.as_str().expect("text").to_string()).collect(), next)
}

async fn repositories_are_listed_component_by_component(registry: &Registry) {
    for name in NAMES.iter().rev() {
        registry.push_image(name, "v1").await;
    }
    assert_eq!(page(registry, "/v2/_catalog").await, (NAMES.map(String::from).to_vec(), None));
    assert_eq!(page(registry, "/v2/_catalog?n=0").await, (vec![], None));
    assert_eq!(page(registry, "/v2/_catalog?last=a/b/c").await.0, NAMES[3..]);
    for size in 1..=6 {
        let mut seen = Vec::new();
        let mut next = Some(format!("/v2/_catalog?n={size}"));
        while let Some(path) = next {
            let (names, following) = page(registry, &path).await;
            assert!(!names.is_empty() && names.len() <= size);
            seen.extend(names);
            next = following;
        }
        assert_eq!(seen, NAMES, "pages of {size}");
    }
}
