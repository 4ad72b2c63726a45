//! The layers of the source: arrows between them point down.

use std::path::{Path, PathBuf};

/// Every Rust file below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the source is there") {
        let path = entry.expect("a folder can be read").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

/// Files below `folder` in which one of the words stands.
fn naming(folder: &str, words: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = sources(&root);
    assert!(files.len() > 3, "{folder} has files");
    files
        .iter()
        .filter(|path| {
            let text = std::fs::read_to_string(path).expect("a source file can be read");
            words.iter().any(|w| text.contains(w))
        })
        .map(|path| path.display().to_string())
        .collect()
}

#[test]
fn the_library_names_nothing_of_redis() {
    let none: Vec<String> = Vec::new();
    assert_eq!(naming("src/nd", &["redis_module", "crate::module"]), none);
}

#[test]
fn the_library_has_no_unsafe_block() {
    let none: Vec<String> = Vec::new();
    assert_eq!(naming("src/nd", &["unsafe {", "unsafe fn", "unsafe impl"]), none);
}

#[test]
fn commands_leave_the_ffi_to_the_layers_below() {
    let none: Vec<String> = Vec::new();
    assert_eq!(naming("src/module/commands", &["unsafe {", "api!("]), none);
}
