//! What stands where in a tarball. Nothing is ever unpacked from it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tar::{EntryType, Header, PaxExtensions};

use super::extent::FileExtent;
use super::{INDEX, LayoutError, MARKER};
use crate::oci::Digest;

const BLOCK_BYTES: u64 = 512;

/// A layout of ten thousand images has fewer.
const MAX_ENTRIES: usize = 500_000;

/// The longest name or extended header that is read; a longer one is none of a layout's.
const MAX_NAME_BYTES: u64 = 64 << 10;

/// The list of `docker save`, in tarballs that may be no layouts.
const DOCKER_MANIFEST: &str = "manifest.json";

/// A tarball and where its files are.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    file: Arc<File>,
    path: PathBuf,
    /// Offset and length by name, of a layout's own files only.
    files: HashMap<String, (u64, u64)>,
    has_docker_manifest: bool,
}

/// What the entries before a file say of it.
#[derive(Default)]
struct Announced {
    name: Option<Vec<u8>>,
    size_bytes: Option<u64>,
}

impl Archive {
    /// Walks through the headers.
    ///
    /// # Errors
    /// [`LayoutError::Unsafe`] when one of a layout's files is a link or there twice; [`LayoutError::Invalid`].
    pub(super) fn read(file: File, path: &Path) -> Result<Archive, LayoutError> {
        let length = file.metadata().map_err(LayoutError::io("look at", path))?.len();
        let mut archive =
            Archive { file: Arc::new(file), path: path.to_owned(), files: HashMap::new(), has_docker_manifest: false };
        let mut announced = Announced::default();
        let mut offset = 0;
        let mut entries = 0;
        while let Some(header) = archive.header(offset, length)? {
            entries += 1;
            if entries > MAX_ENTRIES {
                return Err(LayoutError::invalid(path, format!("it has more than {MAX_ENTRIES} entries")));
            }
            let unreadable = |cause| LayoutError::invalid(path, format!("a header cannot be read: {cause}"));
            let said_bytes = header.entry_size().map_err(unreadable)?;
            let data = offset + BLOCK_BYTES;
            let entry_type = header.entry_type();
            let is_about_next = matches!(
                entry_type,
                EntryType::GNULongName | EntryType::GNULongLink | EntryType::XHeader | EntryType::XGlobalHeader
            );
            let size_bytes = if is_about_next { said_bytes } else { announced.size_bytes.unwrap_or(said_bytes) };
            let end = data.checked_add(size_bytes).filter(|end| *end <= length);
            let Some(end) = end else {
                return Err(LayoutError::invalid(path, "it ends within an entry"));
            };
            match entry_type {
                EntryType::GNULongName => announced.name = archive.text(data, size_bytes)?,
                EntryType::XHeader => archive.extended(data, size_bytes, &mut announced)?,
                EntryType::GNULongLink | EntryType::XGlobalHeader => {}
                _ => {
                    let name = announced.name.take().unwrap_or_else(|| header.path_bytes().into_owned());
                    announced = Announced::default();
                    archive.add(&name, entry_type, data, size_bytes)?;
                }
            }
            offset = end.next_multiple_of(BLOCK_BYTES);
        }
        Ok(archive)
    }

    pub(super) fn is_layout(&self) -> bool {
        self.files.contains_key(MARKER)
    }

    /// Whether `docker save` wrote it, without a layout beside.
    pub(super) fn is_docker_archive(&self) -> bool {
        self.has_docker_manifest && !self.is_layout()
    }

    /// One of the layout's files.
    pub(super) fn file(&self, name: &str) -> Option<FileExtent> {
        let (offset, size_bytes) = *self.files.get(name)?;
        Some(FileExtent { file: self.file.clone(), path: self.path.clone(), offset, size_bytes })
    }

    /// `None` at the end: a block of zeros, or nothing more.
    fn header(&self, offset: u64, length: u64) -> Result<Option<Header>, LayoutError> {
        if offset + BLOCK_BYTES > length {
            return Ok(None);
        }
        let mut header = Header::new_old();
        self.read_at(header.as_mut_bytes(), offset)?;
        if header.as_bytes().iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        if !has_right_checksum(&header) {
            return Err(LayoutError::invalid(&self.path, "a header has the wrong checksum"));
        }
        Ok(Some(header))
    }

    fn add(&mut self, name: &[u8], entry_type: EntryType, offset: u64, size_bytes: u64) -> Result<(), LayoutError> {
        let Some(name) = std::str::from_utf8(name).ok().map(without_dot) else { return Ok(()) };
        self.has_docker_manifest |= name == DOCKER_MANIFEST;
        if !is_of_a_layout(name) {
            return Ok(());
        }
        let place = self.path.join(name);
        if !matches!(entry_type, EntryType::Regular | EntryType::Continuous) {
            return Err(LayoutError::not_safe(&place, "it is a link or no plain file"));
        }
        if self.files.insert(name.to_owned(), (offset, size_bytes)).is_some() {
            return Err(LayoutError::not_safe(&place, "it is there twice"));
        }
        Ok(())
    }

    /// The records of a pax header that matter: the name and length of the next entry.
    fn extended(&self, offset: u64, size_bytes: u64, announced: &mut Announced) -> Result<(), LayoutError> {
        let Some(records) = self.text(offset, size_bytes)? else { return Ok(()) };
        for record in PaxExtensions::new(&records) {
            let record = record.map_err(|_| LayoutError::invalid(&self.path, "an extended header cannot be read"))?;
            match record.key_bytes() {
                b"path" => announced.name = Some(record.value_bytes().to_vec()),
                b"size" => {
                    let size = record.value().ok().and_then(|text| text.parse().ok());
                    let invalid = || LayoutError::invalid(&self.path, "an extended header has a length that is none");
                    announced.size_bytes = Some(size.ok_or_else(invalid)?);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A name or records, without a zero at the end; `None` when they are too long to matter.
    fn text(&self, offset: u64, size_bytes: u64) -> Result<Option<Vec<u8>>, LayoutError> {
        if size_bytes > MAX_NAME_BYTES {
            return Ok(None);
        }
        let mut text = vec![0; size_bytes as usize];
        self.read_at(&mut text, offset)?;
        while text.last() == Some(&0) {
            text.pop();
        }
        Ok(Some(text))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), LayoutError> {
        self.file.read_exact_at(buffer, offset).map_err(LayoutError::io("read", &self.path))
    }
}

fn has_right_checksum(header: &Header) -> bool {
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let sum: u32 = header
        .as_bytes()
        .iter()
        .enumerate()
        .map(|(position, byte)| if CHECKSUM.contains(&position) { u32::from(b' ') } else { u32::from(*byte) })
        .sum();
    header.cksum().is_ok_and(|said| said == sum)
}

fn without_dot(name: &str) -> &str {
    name.strip_prefix("./").unwrap_or(name)
}

/// Only by its one spelling: what is called otherwise is not found.
fn is_of_a_layout(name: &str) -> bool {
    if name == MARKER || name == INDEX {
        return true;
    }
    let Some(blob) = name.strip_prefix("blobs/") else { return false };
    blob.replacen('/', ":", 1).parse::<Digest>().is_ok()
}
