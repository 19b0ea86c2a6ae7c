//! Keeps ARCHITECTURE.md true where a program can: the tests and files that it names exist.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn the_tests_that_hold_the_invariants_exist() {
    let functions = functions_of(&["src", "tests"]);
    let page = read("ARCHITECTURE.md");
    let rows: Vec<&str> = page.lines().filter(|line| is_invariant(line)).collect();
    assert!(rows.len() > 10, "found only {rows:?}");
    for row in rows {
        let tests = row.trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(tests.contains('`') || tests.trim() == "none yet", "{row:?} says of no test whether there is one");
        for name in in_backticks(tests) {
            assert!(functions.contains(name), "ARCHITECTURE.md names {name}, and there is no such test");
        }
    }
}

#[test]
fn the_source_files_that_are_named_exist() {
    for page in ["ARCHITECTURE.md", "README.md"] {
        let text = read(page);
        let paths = in_backticks(&text).filter(|name| name.ends_with(".rs") || name.starts_with("src/"));
        for path in paths {
            let found = ["", "src"].iter().any(|root| project().join(root).join(path).exists());
            assert!(found, "{page} names {path}, and there is no such file");
        }
    }
}

/// A row of the invariants' table: it begins with its number. (Of the floors' table too, whose last cell names no code.)
fn is_invariant(line: &str) -> bool {
    let cells: Vec<&str> = line.split(" | ").collect();
    let is_numbered = cells[0].strip_prefix("| ").is_some_and(|number| number.trim().parse::<u32>().is_ok());
    is_numbered && !cells[1].starts_with('`')
}

fn in_backticks(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(project().join(file)).unwrap()
}

/// The names of all functions below these folders.
fn functions_of(folders: &[&str]) -> BTreeSet<String> {
    let mut functions = BTreeSet::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| project().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = fs::read_to_string(&path).unwrap();
                functions.extend(source.lines().filter_map(function_name).map(str::to_owned));
            }
        }
    }
    functions
}

fn function_name(line: &str) -> Option<&str> {
    let (_, after) = line.split_once("fn ")?;
    after.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}
