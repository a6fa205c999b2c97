//! Folders and files that only their owner may read.
//!
//! The databases hold password hashes, signing keys and personal data, and the mesh key makes its reader
//! an operator. The usual permissions of new files would show all of it to every user of the machine.

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    path::Path,
};

/// Creates a folder with all its parents, the new ones private. A folder that exists stays as it is: its
/// permissions are its owner's decision.
///
/// # Errors
/// It cannot be created.
pub fn create_dir(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options that create a private file and open it for writing; an existing one keeps its content and its
/// permissions.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}
