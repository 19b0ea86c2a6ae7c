//! Keeps the floors of `src/lib.rs` true: a module uses only floors below its own, and modules on one floor do not
//! know each other. Keeps `unsafe` in the files that are listed here.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where `unsafe` may stand; each says there which measured gain it is for.
const UNSAFE_FILES: [&str; 4] =
    ["hashing/aws_lc.rs", "hashing/lanes/avx2.rs", "hashing/lanes/avx512.rs", "hashing/lanes/sha_ni.rs"];

/// The library's front door, and the program on top, which may use all of it.
const OUTSIDE_THE_FLOORS: [&str; 3] = ["lib.rs", "main.rs", "cli"];

/// Module name to floor.
type Floors = BTreeMap<String, u32>;

#[test]
fn modules_use_only_floors_below_their_own() {
    let floors = floors_of(&read("lib.rs"));
    let mut violations = Vec::new();
    for (file, source) in sources() {
        let outside = OUTSIDE_THE_FLOORS.iter().any(|name| Path::new(&file).starts_with(name));
        if !outside {
            violations.extend(check_file(&floors, &file, &source));
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_of_the_library_has_a_floor() {
    let lib = read("lib.rs");
    let floors = floors_of(&lib);
    let declared: Vec<&str> = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(declared.len() > 5, "found only {declared:?}");
    for module in declared {
        assert!(floors.contains_key(module), "{module} is not in the table of src/lib.rs");
    }
}

#[test]
fn unsafe_stands_only_where_it_is_listed() {
    for root in ["lib.rs", "main.rs"] {
        assert!(read(root).contains("#![deny(unsafe_code)]"), "{root} does not deny unsafe code");
    }
    let found: Vec<String> =
        sources().into_iter().filter(|(_, source)| has_unsafe(source)).map(|(file, _)| file).collect();
    assert_eq!(found, UNSAFE_FILES, "files with unsafe code");
}

fn source_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn read(file: &str) -> String {
    fs::read_to_string(source_folder().join(file)).unwrap()
}

/// Every Rust file below `src`, by its path there.
fn sources() -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![source_folder()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(source_folder()).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// Reads the table in the crate's documentation: `//! | 1 | [`config`], [`clock`] |`.
fn floors_of(lib: &str) -> Floors {
    let mut floors = Floors::new();
    for line in lib.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["//!", floor, modules, ""] = cells[..]
            && let Ok(floor) = floor.parse()
        {
            let names = modules.split(',').map(|name| name.trim().trim_matches(['[', ']', '`']).to_owned());
            floors.extend(names.map(|name| (name, floor)));
        }
    }
    floors
}

/// What a file uses that it must not.
fn check_file(floors: &Floors, file: &str, source: &str) -> Vec<String> {
    let module_path = module_path_of(file);
    let own = &module_path[0];
    let Some(own_floor) = floors.get(own) else {
        return vec![format!("{file}: {own} is not in the table of src/lib.rs")];
    };
    let mut violations = Vec::new();
    for used in used_modules(source, &module_path) {
        match floors.get(&used) {
            _ if used == *own => {}
            Some(floor) if floor < own_floor => {}
            Some(floor) => violations.push(format!("{file}: {own} (floor {own_floor}) uses {used} (floor {floor})")),
            None => violations.push(format!("{file}: {own} uses {used:?}, which has no floor")),
        }
    }
    violations
}

/// `a/b.rs` and `a/b/mod.rs` are both `a::b`.
fn module_path_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The modules at the crate's root that a file names, by `crate::` or by enough `super::`; `crate` itself for what
/// hides them (`use crate::*`, `use crate as …`, files pulled in by another path).
fn used_modules(source: &str, module_path: &[String]) -> Vec<String> {
    let tokens = tokens(source);
    let mut used = Vec::new();
    let mut module_path = module_path.to_vec();
    let mut brace_depth = 0;
    let mut inline_modules = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let before = index.checked_sub(1).map_or("", |before| tokens[before].as_str());
        match token.as_str() {
            "{" => {
                if index >= 2 && tokens[index - 2] == "mod" {
                    module_path.push(before.to_owned());
                    inline_modules.push(brace_depth);
                }
                brace_depth += 1;
            }
            "}" => {
                brace_depth -= 1;
                if inline_modules.last() == Some(&brace_depth) {
                    inline_modules.pop();
                    module_path.pop();
                }
            }
            // `pub(crate)` and `pub(in crate::a)` grant, they do not use; and the rest of a path is read with its head.
            "crate" | "super" if matches!(before, "(" | "in" | "::") => {}
            // In a group behind a head the entries are read with it.
            "super" | "self" if is_in_group(&tokens, index) => {}
            "crate" => follow(&tokens, index + 1, &[], &mut used),
            "super" => follow(&tokens, index, &module_path, &mut used),
            "self" if tokens.get(index + 2).is_some_and(|next| next == "super") => {
                follow(&tokens, index + 2, &module_path, &mut used);
            }
            // A file of the same folder stays where it is (`#[path = "key_tests.rs"] mod tests;`).
            "path" if before == "[" && tokens.get(index + 2).is_some_and(|file| file.contains('/')) => {
                used.push("crate".to_owned());
            }
            "include" if tokens.get(index + 1).is_some_and(|next| next == "!") => used.push("crate".to_owned()),
            _ => {}
        }
    }
    used
}

/// Whether a token begins an entry of `a::{…}`.
fn is_in_group(tokens: &[String], index: usize) -> bool {
    let mut depth = 0;
    for at in (0..index).rev() {
        match tokens[at].as_str() {
            "}" => depth += 1,
            "{" if depth > 0 => depth -= 1,
            "{" => return at > 0 && tokens[at - 1] == "::",
            ";" | "=" | "(" => return false,
            _ => {}
        }
    }
    false
}

/// Reads the rest of a path that stands in `module` so far, at a `::`, a name or a `super`.
fn follow(tokens: &[String], mut index: usize, mut module: &[String], used: &mut Vec<String>) {
    loop {
        let at_root = module.is_empty();
        match tokens.get(index).map(String::as_str) {
            Some("::") => index += 1,
            Some("super") => {
                module = &module[..module.len().saturating_sub(1)];
                index += 1;
            }
            Some("{") => {
                for entry in group_entries(tokens, index) {
                    follow(tokens, entry, module, used);
                }
                return;
            }
            Some("*" | "as" | "self") if at_root => {
                used.push("crate".to_owned());
                return;
            }
            Some(name) if at_root && index > 0 && (tokens[index - 1] == "::" || is_name(name)) => {
                used.push(name.to_owned());
                return;
            }
            _ => return,
        }
    }
}

/// Where the entries of the group that opens at `open` begin.
fn group_entries(tokens: &[String], open: usize) -> Vec<usize> {
    let mut entries = vec![open + 1];
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.as_str() {
            "{" => depth += 1,
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," if depth == 1 && tokens[at + 1] != "}" => entries.push(at + 1),
            _ => {}
        }
    }
    entries
}

fn has_unsafe(source: &str) -> bool {
    tokens(source).iter().any(|token| token == "unsafe")
        || tokens(source).windows(3).any(|three| three[0] == "allow" && three[2] == "unsafe_code")
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names, signs and strings (behind a quotation mark, so that they are no names), without comments and characters.
fn tokens(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment_length(rest)
        } else if let Some(length) = string_length(rest) {
            tokens.push(format!("\"{}", &rest[..length]));
            length
        } else if first == '\'' {
            character_or_lifetime_length(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let length = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else {
            let length = if rest.starts_with("::") { 2 } else { first.len_utf8() };
            if !first.is_whitespace() {
                tokens.push(rest[..length].to_owned());
            }
            length
        };
        rest = &rest[length..];
    }
    tokens
}

fn block_comment_length(text: &str) -> usize {
    let mut depth = 0;
    for (index, _) in text.char_indices() {
        if text[index..].starts_with("/*") {
            depth += 1;
        } else if text[index..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return index + 2;
            }
        }
    }
    text.len()
}

/// The length of the string literal that `text` begins with, of any kind.
fn string_length(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r", "b", "c", ""].into_iter().find(|prefix| {
        let behind = text.strip_prefix(prefix).unwrap_or("x");
        behind.trim_start_matches('#').starts_with('"') && (prefix.ends_with('r') || behind.starts_with('"'))
    })?;
    let behind = &text[prefix.len()..];
    let hashes = behind.len() - behind.trim_start_matches('#').len();
    let content = prefix.len() + hashes + 1;
    if prefix.ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(text[content..].find(&end).map_or(text.len(), |at| content + at + end.len()));
    }
    let mut escaped = false;
    for (index, character) in text[content..].char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(content + index + 1),
            _ => {}
        }
    }
    Some(text.len())
}

fn character_or_lifetime_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((after_escaped, _))) => {
            text[after_escaped + 1..].find('\'').map_or(text.len(), |at| after_escaped + 1 + at + 1)
        }
        (Some(_), Some((end, '\''))) => end + 1,
        _ => 1,
    }
}

mod checker {
    //! The checker finds what it is there to find, and nothing else.

    use super::*;

    fn violations(file: &str, source: &str) -> Vec<String> {
        let lib = "//! | floor | modules |\n//! |---|---|\n//! | 0 | [`oci`] |\n//! | 1 | [`clock`], [`config`] |\n\
                   //! | 2 | `storage` |\n";
        check_file(&floors_of(lib), file, source)
    }

    #[test]
    fn uses_of_lower_floors_and_of_the_module_itself_are_allowed() {
        for source in [
            "use crate::oci::Digest;",
            "use crate::{oci::{Digest, Tag}, clock, config as c};",
            "use super::Key; use super::super::clock::Clock; pub(crate) fn f() {} pub(in crate::storage) fn g() {}",
            "fn f() { crate::storage::f(); let x: crate::clock::Clock; }",
            "mod tests { use super::super::Key; use super::*; use super::super::super::oci; }",
            "/* crate::app /* nested */ crate::app */ // crate::app\nconst A: &str = \"crate::app\\\" crate::app\";",
            "const A: &str = r#\"crate::app\"#; const B: u8 = b'\"'; const C: char = '\\''; fn f<'a>(x: &'a str) {}",
            "use self::super::memory; impl X { fn f(self) { self::g() } }",
            "#[path = \"driver_tests.rs\"] mod tests;",
            "fn f(path: &Path) { let path = 1; path == 2; include_str!(\"a\"); }",
        ] {
            assert_eq!(violations("storage/driver.rs", source), Vec::<String>::new(), "{source}");
        }
    }

    #[test]
    fn uses_of_higher_floors_of_siblings_and_of_the_unknown_are_found() {
        for (file, source) in [
            ("oci/name.rs", "use crate::clock::Clock;"),
            ("clock.rs", "use crate::config::Config;"),
            ("clock.rs", "use super::config;"),
            ("clock.rs", "use self::super::config;"),
            ("config/mod.rs", "use super::storage::Key;"),
            ("config/http.rs", "use crate::{oci::Digest, storage::Key};"),
            ("config/http.rs", "use {std::fmt, crate::storage};"),
            ("config/http.rs", "use super::super::storage::Key;"),
            ("config/http.rs", "use super::{super::storage::Key, Config};"),
            ("config/http.rs", "use super::{Config, super::{oci, clock}};"),
            ("config/http.rs", "fn f() { crate::storage::f() }"),
            ("config/http.rs", "fn f() -> super::super::storage::Key {}"),
            ("config/http.rs", "macro_rules! m { () => { $crate::storage::f() } }"),
            ("config/http.rs", "mod tests { mod deep { use super::super::super::super::storage; } }"),
            ("config/http.rs", "fn f() { mod m { use super::super::super::clock; } }"),
            ("config/http.rs", "use crate::*;"),
            ("config/http.rs", "use crate as all;"),
            ("config/http.rs", "use super::super::*;"),
            ("config/http.rs", "use crate::{self as all};"),
            ("config/http.rs", "#[path = \"../storage/key.rs\"] mod key;"),
            ("config/http.rs", "include!(\"../storage/key.rs\");"),
            ("config/http.rs", "use crate::app::App;"),
            ("unheard_of.rs", ""),
            ("config/http.rs", "const A: char = '\"'; use crate::storage; const B: char = '\"';"),
        ] {
            assert_eq!(violations(file, source).len(), 1, "{file}: {source}");
        }
    }

    #[test]
    fn unsafe_code_is_found_and_words_about_it_are_not() {
        assert!(has_unsafe("fn f() { unsafe { g() } }"));
        assert!(has_unsafe("#![allow(unsafe_code)]"));
        assert!(!has_unsafe("#![deny(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";"));
    }
}
