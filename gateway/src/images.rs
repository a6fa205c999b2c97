//! Pictures: `GET /images/{path}` from the hub's blobs.
//!
//! They are public and change rarely, so clients keep them for an hour and the gateway keeps what is
//! asked for often. A picture may have been made by somebody else, and an SVG is a document that a
//! browser would run: so each is served as what its name says, is never sniffed, and may do nothing.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use mesh::{BlobName, Blobs, Failure};
use moka::future::Cache;

use crate::{body::EdgeBody, etag, refusal::Refusal};

const PREFIX: &str = "/images/";
/// The largest picture that is served, in bytes.
const LARGEST: usize = 4 * 1024 * 1024;
/// Memory for pictures, in bytes.
const KEPT: u64 = 32 * 1024 * 1024;
/// How long a picture is served from memory before it is read again.
const LIFE: Duration = Duration::from_secs(60);
const CACHE_CONTROL: HeaderValue =
    HeaderValue::from_static("public, max-age=3600, stale-while-revalidate=86400");
const POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
/// The shop's pages come from another origin than its API.
const ANY_PAGE: HeaderValue = HeaderValue::from_static("cross-origin");

/// The pictures of a hub.
pub struct Images {
    blobs: Blobs,
    recent: Cache<BlobName, Arc<Image>>,
}

struct Image {
    bytes: Bytes,
    etag: HeaderValue,
    content_type: HeaderValue,
}

/// Why there is no picture to show.
#[derive(Clone)]
enum Missing {
    Absent,
    Unreadable,
}

impl Images {
    /// Pictures among `blobs`.
    pub fn new(blobs: Blobs) -> Self {
        Self {
            blobs,
            recent: Cache::builder()
                .max_capacity(KEPT)
                .weigher(|name: &BlobName, image: &Arc<Image>| {
                    u32::try_from(name.as_str().len() + image.bytes.len() + 256).unwrap_or(u32::MAX)
                })
                .time_to_live(LIFE)
                .build(),
        }
    }

    /// The picture at the request's path; `None` when the path is not one of a picture.
    pub async fn serve(&self, parts: &Parts) -> Option<Result<Response<EdgeBody>, Refusal>> {
        let path = parts.uri.path();
        if !path.starts_with(PREFIX) {
            return None;
        }
        Some(self.answer(parts, path).await)
    }

    async fn answer(&self, parts: &Parts, path: &str) -> Result<Response<EdgeBody>, Refusal> {
        if !matches!(parts.method, Method::GET | Method::HEAD) {
            return Err(transcoding::RouteError::MethodNotAllowed {
                allow: vec![Method::GET],
            }
            .into());
        }
        let name = name(path).ok_or_else(|| absent(path))?;
        let found = self
            .recent
            .try_get_with(name.clone(), self.read(&name))
            .await;
        match found {
            Ok(image) => Ok(image.respond(parts)),
            Err(missing) => match *missing {
                Missing::Absent => Err(absent(path).into()),
                Missing::Unreadable => {
                    Err(Failure::unavailable("pictures cannot be read at the moment").into())
                }
            },
        }
    }

    async fn read(&self, name: &BlobName) -> Result<Arc<Image>, Missing> {
        match self.blobs.get(name, LARGEST).await {
            Ok(Some(blob)) => Ok(Arc::new(Image {
                etag: etag::of(&blob.bytes),
                content_type: HeaderValue::from_static(blob.content_type),
                bytes: blob.bytes,
            })),
            Ok(None) => Err(Missing::Absent),
            Err(error) => {
                tracing::warn!(%name, %error, "a picture cannot be read");
                Err(Missing::Unreadable)
            }
        }
    }
}

impl Image {
    fn respond(&self, parts: &Parts) -> Response<EdgeBody> {
        let mut response = if etag::matches(&parts.headers, &self.etag) {
            let mut response = Response::new(EdgeBody::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        } else {
            let mut response = Response::new(EdgeBody::from(self.bytes.clone()));
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, self.content_type.clone());
            response
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        headers.insert(RESOURCE_POLICY, ANY_PAGE);
        response
    }
}

/// The blob at `path`, if that can be a picture.
fn name(path: &str) -> Option<BlobName> {
    path.strip_prefix('/')?
        .parse::<BlobName>()
        .ok()
        .filter(|name| name.content_type().starts_with("image/"))
}

fn absent(path: &str) -> Failure {
    Failure::not_found("image", path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_pictures_are_served() {
        assert!(name("/images/products/sled.svg").is_some());
        assert!(name("/images/report.json").is_none());
        assert!(name("/images/../secret.svg").is_none());
        assert!(name("/images/%2e%2e/secret.svg").is_none());
        assert!(name("/images/").is_none());
    }
}
