use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use longshore::oci::Digest;
use longshore::transfer::{Event, Progress};

use super::{LINE_EVERY, outcome_text, short};
use crate::cli::text::{printable, size};

/// Plain lines on standard error.
#[derive(Default)]
pub(in crate::cli::transfer) struct Lines {
    /// How long each blob is, and when it was told of last.
    blobs: Mutex<HashMap<Digest, (u64, Instant)>>,
}

impl Lines {
    pub(super) fn say(&self, line: &str) {
        // When nobody reads it, what is done is done all the same.
        let _ = writeln!(io::stderr(), "{line}");
    }

    fn line(&self, event: &Event<'_>) -> Option<String> {
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Surveyed { manifests, blobs, blob_bytes } => {
                Some(format!("manifests: {manifests}, blobs: {blobs}, {}", size(*blob_bytes)))
            }
            Event::BlobBegun { digest, size_bytes, offset_bytes } => {
                blobs.insert((*digest).clone(), (*size_bytes, Instant::now()));
                let from = if *offset_bytes > 0 { format!(", from {}", size(*offset_bytes)) } else { String::new() };
                Some(format!("{} {}{from}", short(digest), size(*size_bytes)))
            }
            Event::BlobAdvanced { digest, offset_bytes } => {
                let (size_bytes, told) = blobs.get_mut(digest).filter(|(_, told)| told.elapsed() >= LINE_EVERY)?;
                *told = Instant::now();
                Some(format!("{} {} of {}", short(digest), size(*offset_bytes), size(*size_bytes)))
            }
            Event::BlobInterrupted { digest, cause } => {
                Some(format!("{} broke off, and goes on: {}", short(digest), printable(cause)))
            }
            Event::BlobDone { digest, size_bytes, outcome } => {
                blobs.remove(*digest);
                Some(format!("{} {}, {}", short(digest), size(*size_bytes), outcome_text(*outcome)))
            }
            _ => None,
        }
    }
}

impl Progress for Lines {
    fn event(&self, event: &Event<'_>) {
        if let Some(line) = self.line(event) {
            self.say(&line);
        }
    }
}
