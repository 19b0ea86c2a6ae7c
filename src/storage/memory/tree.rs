use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::pieces::Pieces;
use crate::storage::Stat;

/// The folders and objects below one folder.
#[derive(Debug, Default)]
pub(super) struct Folder {
    pub(super) nodes: BTreeMap<Box<str>, Node>,
    /// The number of the last change to the names here; numbers are never used twice.
    pub(super) mark: u64,
}

#[derive(Debug)]
pub(super) enum Node {
    Folder(Folder),
    Object(Stored),
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) pieces: Arc<Pieces>,
    pub(super) modified: SystemTime,
    pub(super) version: u64,
}

impl Stored {
    pub(super) fn stat(&self) -> Stat {
        Stat { size_bytes: self.pieces.size_bytes(), modified: self.modified }
    }
}

impl Folder {
    pub(super) fn node(&self, path: &str) -> Option<&Node> {
        match path.split_once('/') {
            None => self.nodes.get(path),
            Some((name, rest)) => match self.nodes.get(name)? {
                Node::Folder(folder) => folder.node(rest),
                Node::Object(_) => None,
            },
        }
    }

    pub(super) fn object(&self, path: &str) -> Option<&Stored> {
        match self.node(path)? {
            Node::Object(stored) => Some(stored),
            Node::Folder(_) => None,
        }
    }

    pub(super) fn folder(&self, path: &str) -> Option<&Folder> {
        match self.node(path)? {
            Node::Folder(folder) => Some(folder),
            Node::Object(_) => None,
        }
    }

    /// Whether an object could stand at `path`: no folder stands there and no object on the way.
    pub(super) fn accepts(&self, path: &str) -> bool {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        match (self.nodes.get(name), rest) {
            (None, _) | (Some(Node::Object(_)), None) => true,
            (Some(Node::Folder(folder)), Some(rest)) => folder.accepts(rest),
            (Some(Node::Folder(_)), None) | (Some(Node::Object(_)), Some(_)) => false,
        }
    }

    /// Puts an object where [`Folder::accepts`] said yes. `mark` is the number of this change.
    pub(super) fn insert(&mut self, path: &str, stored: Stored, mark: u64) {
        let (name, rest) = path.split_once('/').map_or((path, None), |(name, rest)| (name, Some(rest)));
        if !self.nodes.contains_key(name) {
            self.mark = mark;
        }
        let Some(rest) = rest else {
            self.nodes.insert(name.into(), Node::Object(stored));
            return;
        };
        let node = self.nodes.entry(name.into()).or_insert_with(|| Node::Folder(Folder { mark, ..Folder::default() }));
        if let Node::Folder(folder) = node {
            folder.insert(rest, stored, mark);
        }
    }

    /// Takes out what stands at `path`, and the folders that this leaves empty.
    pub(super) fn remove(&mut self, path: &str, mark: u64) -> Option<Node> {
        let Some((name, rest)) = path.split_once('/') else {
            let removed = self.nodes.remove(path)?;
            self.mark = mark;
            return Some(removed);
        };
        let Node::Folder(folder) = self.nodes.get_mut(name)? else { return None };
        let removed = folder.remove(rest, mark)?;
        if folder.nodes.is_empty() {
            self.nodes.remove(name);
            self.mark = mark;
        }
        Some(removed)
    }
}

impl Node {
    /// Calls `visit` for each object in it, with the length of its path below (and with) `path_length`.
    pub(super) fn each_object(&self, path_length: usize, visit: &mut dyn FnMut(usize, &Stored)) {
        match self {
            Node::Object(stored) => visit(path_length, stored),
            Node::Folder(folder) => {
                for (name, node) in &folder.nodes {
                    node.each_object(path_length + 1 + name.len(), visit);
                }
            }
        }
    }
}
