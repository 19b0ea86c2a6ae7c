//! Reports as files.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Report, SCHEMA};

/// A larger file is no report: a day of six targets, with a sample each second, is a quarter of it.
const LARGEST_BYTES: u64 = 256 << 20;

impl Report {
    /// The document, with line breaks and one at its end.
    ///
    /// # Errors
    /// [`ReportError::Malformed`] when it holds a number that JSON has no word for.
    pub fn to_json(&self) -> Result<String, ReportError> {
        let document = serde_json::to_string_pretty(self);
        document.map(|document| document + "\n").map_err(|error| ReportError::Malformed(error.to_string()))
    }

    /// Reads one.
    ///
    /// # Errors
    /// [`ReportError::Schema`] when it is of a form that this program does not know, [`ReportError::Malformed`] when it
    /// is none.
    pub fn from_json(document: &[u8]) -> Result<Report, ReportError> {
        // Told first: a document of another form is not called malformed.
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let malformed = |error: serde_json::Error| ReportError::Malformed(error.to_string());
        let head: Head = serde_json::from_slice(document).map_err(malformed)?;
        if head.schema != u64::from(SCHEMA) {
            return Err(ReportError::Schema(head.schema));
        }
        let mut reader = serde_json::Deserializer::from_slice(document);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().to_string();
            ReportError::Malformed(format!("{path}: {}", error.into_inner()))
        })
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// [`FileError`], which names the file.
    pub fn read(path: &Path) -> Result<Report, FileError> {
        let wrap = |cause| FileError { path: path.to_owned(), cause };
        let mut document = Vec::new();
        let file = File::open(path).map_err(|error| wrap(ReportError::Io(error)))?;
        file.take(LARGEST_BYTES + 1).read_to_end(&mut document).map_err(|error| wrap(ReportError::Io(error)))?;
        if document.len() as u64 > LARGEST_BYTES {
            return Err(wrap(ReportError::TooLarge));
        }
        Report::from_json(&document).map_err(wrap)
    }

    /// Writes it to a file, in whose place there is at any moment the whole old one or the whole new one.
    ///
    /// # Errors
    /// [`FileError`], which names the file.
    pub fn write(&self, path: &Path) -> Result<(), FileError> {
        let document = self.to_json().map_err(|cause| FileError { path: path.to_owned(), cause })?;
        replace(path, document.as_bytes())
    }
}

/// Puts a file's content in the place of what was there, whole or not at all. What is no file (`/dev/stdout`, a pipe)
/// is written to as it is.
///
/// # Errors
/// [`FileError`], which names the file.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), FileError> {
    let is_other = fs::metadata(path).is_ok_and(|found| !found.is_file());
    let written = match is_other {
        true => fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(content)),
        false => replace_file(path, content),
    };
    written.map_err(|error| FileError { path: path.to_owned(), cause: ReportError::Io(error) })
}

fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    // A link stays one, and what it leads to is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let mut new_name = std::ffi::OsString::from(".");
    new_name.push(name);
    new_name.push(format!(".{}.new", uuid::Uuid::new_v4().simple()));
    let new = path.with_file_name(new_name);
    let written = write_new(&new, content).and_then(|()| fs::rename(&new, &path));
    if written.is_err() {
        // It may not be there at all; what is told is why it could not be written.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Something is wrong with a report.
#[derive(Debug)]
pub enum ReportError {
    /// Its file cannot be read or written.
    Io(io::Error),
    /// It is larger than any report is.
    TooLarge,
    /// It is of this form, which this program does not know.
    Schema(u64),
    /// It is no report; the text says where and why.
    Malformed(String),
}

impl fmt::Display for ReportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportError::Io(error) => error.fmt(f),
            ReportError::TooLarge => write!(f, "larger than {} MiB, so no report", LARGEST_BYTES >> 20),
            ReportError::Schema(found) => {
                write!(f, "its schema is {found}, and this longshore knows only {SCHEMA}")
            }
            ReportError::Malformed(cause) => write!(f, "not a report of longshore load: {cause}"),
        }
    }
}

impl std::error::Error for ReportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ReportError::Io(error) => Some(error),
            _ => None,
        }
    }
}

/// A file could not be read or written.
#[derive(Debug)]
pub struct FileError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub cause: ReportError,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::samples;

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let report = samples::full();
        report.write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), report);

        let shorter = samples::empty();
        shorter.write(&path).unwrap();
        assert_eq!(Report::read(&path).unwrap(), shorter);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "something was left beside it");
    }

    #[test]
    fn what_cannot_be_written_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("folder");
        fs::create_dir(&path).unwrap();
        let error = samples::empty().write(&path).unwrap_err();
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(samples::empty().write(&folder.path().join("none/report.json")).is_err());
    }

    #[test]
    fn a_link_to_a_report_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("report.json"), folder.path().join("latest.json"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        samples::empty().write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(Report::read(&path).unwrap(), samples::empty());
    }

    #[test]
    fn what_is_no_report_is_refused_with_its_cause() {
        let good = serde_json::to_value(samples::full()).unwrap();
        let mut wrong = good.clone();
        wrong["targets"][0]["connections"]["peak"] = "many".into();
        let mut newer = good;
        newer["schema"] = 99.into();
        newer["targets"] = "elsewhere".into();
        for (document, cause) in [
            (String::new(), "not a report of longshore load: EOF"),
            ("true".to_owned(), "not a report of longshore load: invalid type"),
            ("{\"uploads\": []}".to_owned(), "not a report of longshore load: missing field `schema`"),
            (wrong.to_string(), "not a report of longshore load: targets[0].connections.peak: invalid type"),
            (newer.to_string(), "its schema is 99, and this longshore knows only 1"),
            ("[".repeat(1000), "not a report of longshore load: "),
        ] {
            let error = Report::from_json(document.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(cause), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Report::read(Path::new("/nowhere/report.json")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/report.json: "), "{error}");
    }
}
