use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::oci::RepositoryName;

/// What a token is to allow: actions on resources, `repository:team/app:pull,push`.
///
/// Source: distribution's "Token Scope Documentation".
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::client) struct Scopes(BTreeMap<String, BTreeSet<String>>);

impl Scopes {
    /// Nothing but to be known.
    pub(in crate::client) fn none() -> Self {
        Scopes::default()
    }

    pub(in crate::client) fn pull(name: &RepositoryName) -> Self {
        Scopes::none().with(&format!("repository:{name}"), "pull")
    }

    pub(in crate::client) fn push(name: &RepositoryName) -> Self {
        Scopes::none().with(&format!("repository:{name}"), "pull,push")
    }

    pub(in crate::client) fn delete(name: &RepositoryName) -> Self {
        Scopes::none().with(&format!("repository:{name}"), "delete")
    }

    pub(in crate::client) fn catalog() -> Self {
        Scopes::none().with("registry:catalog", "*")
    }

    /// Reads scopes that are separated by spaces; what is no scope is left out.
    pub(super) fn parse(text: &str) -> Self {
        let scopes = text.split_ascii_whitespace().filter_map(|scope| scope.rsplit_once(':'));
        scopes.fold(Scopes::none(), |all, (resource, actions)| all.with(resource, actions))
    }

    pub(in crate::client) fn and(mut self, other: &Scopes) -> Self {
        for (resource, actions) in &other.0 {
            self.0.entry(resource.clone()).or_default().extend(actions.iter().cloned());
        }
        self
    }

    /// Each as a text.
    pub(super) fn texts(&self) -> Vec<String> {
        let text_of = |(resource, actions): (&String, &BTreeSet<String>)| {
            let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
            format!("{resource}:{}", actions.join(","))
        };
        self.0.iter().map(text_of).collect()
    }

    fn with(mut self, resource: &str, actions: &str) -> Self {
        let actions = actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned);
        self.0.entry(resource.to_owned()).or_default().extend(actions);
        self
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.texts().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_one_resource_are_one() {
        let (a, b) = ("a".parse().unwrap(), "b/c".parse().unwrap());
        assert_eq!(Scopes::push(&a).to_string(), "repository:a:pull,push");
        assert_eq!(Scopes::push(&a).and(&Scopes::delete(&a)).to_string(), "repository:a:delete,pull,push");
        assert_eq!(Scopes::pull(&b).and(&Scopes::push(&a)).to_string(), "repository:a:pull,push repository:b/c:pull");
        assert_eq!(Scopes::catalog().to_string(), "registry:catalog:*");
    }

    #[test]
    fn scopes_of_challenges_are_read() {
        let told = Scopes::parse("repository:a:pull repository:host:5000/b:push,pull nonsense");
        assert_eq!(told.to_string(), "repository:a:pull repository:host:5000/b:pull,push");
        assert_eq!(Scopes::parse(""), Scopes::none());
    }
}
