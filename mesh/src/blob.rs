//! Pictures and documents: bytes under a name, in files or in an object store.
//!
//! Nothing here is state that a service decides by: that belongs to its store, in a transaction. A blob
//! is what a row points to and would be too large for. `object_store` speaks to S3, Azure and Google;
//! the names, the sizes and the content types are the same on all of them and on files.

mod name;
#[cfg(test)]
mod tests;

use std::{fmt, path::Path, sync::Arc};

use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attribute, Attributes, Error as EngineError, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutOptions, PutPayload, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path as ObjectPath,
    prefix::PrefixStore,
};

pub use name::{BlobName, InvalidBlobName};

use crate::private;

/// The largest blob that is put in one piece, in bytes.
pub const LARGEST: usize = 16 * 1024 * 1024;
/// The most names that one listing gives.
pub const MOST_LISTED: usize = 10_000;
/// Folder in the data folder when no address is configured.
const FOLDER: &str = "blobs";

/// Blobs of one installation. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    engine: Arc<dyn ObjectStore>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Files keep no content type; it is read from the name.
    Files,
    Cloud,
}

/// A whole blob.
#[derive(Clone, Debug)]
pub struct Blob {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type, as its name says.
    pub content_type: &'static str,
    /// When it was put.
    pub modified: DateTime<Utc>,
}

/// A blob that is read piece by piece.
pub struct BlobStream {
    /// Its size in bytes.
    pub size: u64,
    /// Its media type, as its name says.
    pub content_type: &'static str,
    pieces: BoxStream<'static, Result<Bytes, BlobError>>,
}

/// What a listing says about a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobEntry {
    /// Its name.
    pub name: BlobName,
    /// Its size in bytes.
    pub size: u64,
    /// When it was put.
    pub modified: DateTime<Utc>,
}

/// Names that begin alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The blobs, by name.
    pub entries: Vec<BlobEntry>,
    /// Whether there are more than were asked for.
    pub is_cut: bool,
}

/// Why a blob cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// `BLOB_URL` names no engine that there is.
    #[error("{0:?} is none of file:///path, s3://bucket, az://container, gs://bucket")]
    Address(String),
    /// The folder for files cannot be made.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The blob has more bytes than may be put or were asked for.
    #[error("the blob has more than {limit} bytes")]
    TooLarge {
        /// The limit.
        limit: usize,
    },
    /// The engine.
    #[error("the blobs cannot be reached: {0}")]
    Engine(#[source] EngineError),
}

impl Blobs {
    /// The blobs at `url`; the folder `blobs` in `data_dir` when it is empty. The object stores read
    /// their credentials from their usual variables (`AWS_*`, `AZURE_*`, `GOOGLE_*`).
    ///
    /// # Errors
    /// An address that cannot be used. Whether somebody answers there is not tried.
    pub fn open(url: &str, data_dir: &Path) -> Result<Self, BlobError> {
        if url.is_empty() {
            return Self::files(&data_dir.join(FOLDER));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
        if scheme == "file" {
            return match rest.starts_with('/') {
                true => Self::files(Path::new(rest)),
                false => Err(BlobError::Address(url.to_owned())),
            };
        }
        let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix);
        let prefix = ObjectPath::parse(prefix).map_err(|error| engine(error.into()))?;
        match scheme {
            "s3" => Self::cloud(AmazonS3Builder::from_env().with_url(url).build(), prefix),
            "az" => Self::cloud(
                MicrosoftAzureBuilder::from_env().with_url(url).build(),
                prefix,
            ),
            "gs" => Self::cloud(
                GoogleCloudStorageBuilder::from_env().with_url(url).build(),
                prefix,
            ),
            _ => Err(BlobError::Address(url.to_owned())),
        }
    }

    fn files(folder: &Path) -> Result<Self, BlobError> {
        private::create_dir(folder).map_err(|source| BlobError::Folder {
            path: folder.to_owned(),
            source,
        })?;
        let files = LocalFileSystem::new_with_prefix(folder).map_err(engine)?;
        Ok(Self {
            engine: Arc::new(files),
            kind: Kind::Files,
        })
    }

    fn cloud<E: ObjectStore>(
        built: Result<E, EngineError>,
        prefix: ObjectPath,
    ) -> Result<Self, BlobError> {
        let store = built.map_err(engine)?;
        let engine: Arc<dyn ObjectStore> = if prefix.as_ref().is_empty() {
            Arc::new(store)
        } else {
            Arc::new(PrefixStore::new(store, prefix))
        };
        Ok(Self {
            engine,
            kind: Kind::Cloud,
        })
    }

    /// Keeps `bytes` under `name`, in place of what was there. Readers see the old or the new blob,
    /// never a part.
    ///
    /// # Errors
    /// More than 16 MiB, or an engine that cannot be reached.
    pub async fn put(&self, name: &BlobName, bytes: impl Into<Bytes>) -> Result<(), BlobError> {
        let bytes = bytes.into();
        if bytes.len() > LARGEST {
            return Err(BlobError::TooLarge { limit: LARGEST });
        }
        let mut attributes = Attributes::new();
        if self.kind == Kind::Cloud {
            attributes.insert(Attribute::ContentType, name.content_type().into());
        }
        let options = PutOptions {
            attributes,
            ..PutOptions::default()
        };
        self.engine
            .put_opts(&path(name), PutPayload::from_bytes(bytes), options)
            .await
            .map(drop)
            .map_err(engine)
    }

    /// The blob `name` of at most `limit` bytes; `None` when there is none.
    ///
    /// # Errors
    /// A larger blob, or an engine that cannot be reached.
    pub async fn get(&self, name: &BlobName, limit: usize) -> Result<Option<Blob>, BlobError> {
        let Some(result) = absent_is_none(self.engine.get(&path(name)).await)? else {
            return Ok(None);
        };
        let size = usize::try_from(result.meta.size).unwrap_or(usize::MAX);
        if size > limit {
            return Err(BlobError::TooLarge { limit });
        }
        let modified = result.meta.last_modified;
        let mut bytes = BytesMut::with_capacity(size);
        let mut pieces = result.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(engine)? {
            if bytes.len() + piece.len() > limit {
                return Err(BlobError::TooLarge { limit });
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(Some(Blob {
            bytes: bytes.freeze(),
            content_type: name.content_type(),
            modified,
        }))
    }

    /// The blob `name`, piece by piece; `None` when there is none.
    ///
    /// # Errors
    /// An engine that cannot be reached.
    pub async fn stream(&self, name: &BlobName) -> Result<Option<BlobStream>, BlobError> {
        let found = absent_is_none(self.engine.get(&path(name)).await)?;
        Ok(found.map(|result| BlobStream {
            size: result.meta.size,
            content_type: name.content_type(),
            pieces: result.into_stream().map_err(engine).boxed(),
        }))
    }

    /// At most `limit` (and 10,000) blobs in `folder` and the folders in it; all for an empty one.
    ///
    /// # Errors
    /// A folder that is no name, or an engine that cannot be reached.
    pub async fn list(&self, folder: &str, limit: usize) -> Result<Listing, BlobError> {
        let prefix = ObjectPath::parse(folder).map_err(|error| engine(error.into()))?;
        let limit = limit.min(MOST_LISTED);
        let mut found = self.engine.list(Some(&prefix)).take(limit + 1);
        let mut entries = Vec::new();
        let mut seen = 0;
        while let Some(meta) = found.try_next().await.map_err(engine)? {
            seen += 1;
            // What somebody else has put there under another kind of name is not ours.
            if seen <= limit
                && let Some(entry) = entry(&meta)
            {
                entries.push(entry);
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Listing {
            entries,
            is_cut: seen > limit,
        })
    }

    /// Removes the blob `name`; removing it again changes nothing.
    ///
    /// # Errors
    /// An engine that cannot be reached.
    pub async fn delete(&self, name: &BlobName) -> Result<(), BlobError> {
        absent_is_none(self.engine.delete(&path(name)).await).map(drop)
    }

    /// Whether the engine answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn check(&self) -> Result<(), BlobError> {
        let nothing = ObjectPath::from("health-check");
        absent_is_none(self.engine.head(&nothing).await).map(drop)
    }
}

impl BlobStream {
    /// The pieces, in order.
    pub fn into_pieces(self) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
        self.pieces
    }
}

fn path(name: &BlobName) -> ObjectPath {
    ObjectPath::from(name.as_str())
}

fn entry(meta: &ObjectMeta) -> Option<BlobEntry> {
    Some(BlobEntry {
        name: meta.location.as_ref().parse().ok()?,
        size: meta.size,
        modified: meta.last_modified,
    })
}

fn engine(error: EngineError) -> BlobError {
    BlobError::Engine(error)
}

fn absent_is_none<T>(outcome: Result<T, EngineError>) -> Result<Option<T>, BlobError> {
    match outcome {
        Ok(found) => Ok(Some(found)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(error) => Err(engine(error)),
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blobs({})", self.engine)
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("size", &self.size)
            .field("content_type", &self.content_type)
            .finish_non_exhaustive()
    }
}
