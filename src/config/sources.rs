use std::ffi::OsString;
use std::path::PathBuf;

/// Everything that may say something about the configuration, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A YAML file.
    pub file: Option<PathBuf>,
    /// Environment variables; those that begin with `LONGSHORE__` count, the others are passed over.
    pub environment: Vec<(OsString, OsString)>,
    /// Flags of the command line.
    pub flags: Vec<Setting>,
}

/// One key that a flag sets.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The flag as it is written, such as `--addr`.
    pub flag: &'static str,
    /// The key, such as `http.addr`.
    pub key: &'static str,
    /// The value, written as in the file.
    pub value: String,
}
