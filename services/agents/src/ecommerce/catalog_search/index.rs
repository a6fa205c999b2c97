//! The index on disk: opened, or built anew when it is of another version or broken.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tantivy::{
    Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, Searcher, TantivyError,
    directory::MmapDirectory,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::schema::{Fields, VERSION, tokenizers};

/// Why the index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The folder.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The index in it.
    #[error(transparent)]
    Index(#[from] TantivyError),
}

/// An open index.
pub struct SearchIndex {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

/// How far an index has come; every commit carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The change up to which the products have been read.
    pub change: i64,
    /// Identity of the table that they were read from.
    pub table: String,
}

impl Watermark {
    /// As text.
    pub fn write(&self) -> String {
        format!("{} {}", self.change, self.table)
            .trim_end()
            .to_owned()
    }

    fn read(text: &str) -> Self {
        let (change, table) = text.split_once(' ').unwrap_or((text, ""));
        change.parse().map_or_else(
            |_| Self::default(),
            |change| Self {
                change,
                table: table.to_owned(),
            },
        )
    }
}

/// Memory that documents may take before they become a segment, in bytes.
const WRITER_MEMORY: usize = 32 * 1024 * 1024;
/// Blocks of stored documents that each segment keeps unpacked.
const STORED_BLOCKS: usize = 8;

impl SearchIndex {
    /// Opens the index below `folder`; whatever cannot be read there, or is of another version, is
    /// removed and built from nothing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn open(folder: &Path) -> Result<Self, IndexError> {
        let current = folder.join(format!("v{VERSION}"));
        if let Ok(entries) = fs::read_dir(folder) {
            for entry in entries.flatten().filter(|entry| entry.path() != current) {
                remove(&entry.path())?;
            }
        }
        match Self::open_in(&current) {
            Ok(index) => Ok(index),
            Err(error) => {
                tracing::warn!(%error, "the search index cannot be read; it is built anew");
                remove(&current)?;
                Self::open_in(&current)
            }
        }
    }

    fn open_in(folder: &Path) -> Result<Self, IndexError> {
        fs::create_dir_all(folder).map_err(|source| IndexError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let fields = Fields::new();
        let directory = MmapDirectory::open(folder).map_err(TantivyError::from)?;
        let mut index = match Index::exists(&directory).map_err(TantivyError::from)? {
            true => Index::open(directory)?,
            false => Index::create(directory, fields.schema.clone(), IndexSettings::default())?,
        };
        if index.schema() != fields.schema {
            return Err(TantivyError::SchemaError("fields of another version".to_owned()).into());
        }
        index.set_tokenizers(tokenizers());
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(STORED_BLOCKS)
            .try_into()?;
        Ok(Self {
            index,
            reader,
            fields,
        })
    }

    /// The fields.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// A view of the index as of the last reload.
    pub fn searcher(&self) -> Searcher {
        self.reader.searcher()
    }

    /// Lets new searchers see the last commit.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn reload(&self) -> Result<(), TantivyError> {
        self.reader.reload()
    }

    /// How far the index has come; the default when it is empty.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn watermark(&self) -> Result<Watermark, TantivyError> {
        let payload = self.index.load_metas()?.payload.unwrap_or_default();
        Ok(Watermark::read(&payload))
    }

    /// The only writer. One thread: the machine has better use for the other.
    ///
    /// # Errors
    /// When the index cannot be written, or another process writes it.
    pub fn writer(&self) -> Result<IndexWriter, TantivyError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(WRITER_MEMORY)
            .build();
        let writer = self.index.writer_with_options(options)?;
        let mut merging = LogMergePolicy::default();
        merging.set_min_num_segments(6);
        // Products change often: space and time of the dead ones are taken back early.
        merging.set_del_docs_ratio_before_merge(0.3);
        writer.set_merge_policy(Box::new(merging));
        Ok(writer)
    }
}

fn remove(path: &Path) -> Result<(), IndexError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(IndexError::Folder {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_is_read_as_it_was_written() {
        for (change, table) in [
            (0, ""),
            (7, ""),
            (9, "0191e6a0-1c2d-7000-8000-000000000001"),
        ] {
            let watermark = Watermark {
                change,
                table: table.to_owned(),
            };
            assert_eq!(Watermark::read(&watermark.write()), watermark);
        }
        assert_eq!(Watermark::read("damaged"), Watermark::default());
    }
}
