//! From the reply of an RPC to the response of HTTP.

use std::time::Duration;

use contracts::hub::identity::v1::Session;
use http::{HeaderValue, Method, Response, StatusCode, header};
use mesh::Failure;
use prost::Message;

use super::Request;
use crate::{
    body::EdgeBody, edge::Notes, etag, refusal::Refusal, routes::SessionEffect, shared_cache::Entry,
};

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const PRIVATE: HeaderValue = HeaderValue::from_static("private, no-cache");
/// Who sends credentials gets an answer of its own.
const VARY: HeaderValue = HeaderValue::from_static("authorization, cookie");

impl Request<'_> {
    /// The response to a caller on its own account.
    pub(super) async fn answer(
        &self,
        reply: &[u8],
        notes: &mut Notes,
    ) -> Result<Response<EdgeBody>, Refusal> {
        match self.route.session {
            SessionEffect::None => {}
            SessionEffect::Opens => {
                let session = Session::decode(reply).map_err(Failure::internal)?;
                notes.headers.remove(header::SET_COOKIE);
                self.edge.cookies.open(&session, &mut notes.headers);
            }
            SessionEffect::Ends => {
                notes.headers.remove(header::SET_COOKIE);
                self.edge.cookies.close(&mut notes.headers);
            }
        }
        if self.route.stales_shared {
            self.edge.shared.advance().await;
        }
        let policy = &self.route.policy;
        let status = StatusCode::from_u16(policy.success_status).unwrap_or(StatusCode::OK);
        if status == StatusCode::NO_CONTENT {
            return Ok(response(status, EdgeBody::empty(), NO_STORE));
        }
        let json = self.edge.transcoder.write_response(self.binding, reply)?;
        let content_type = content_type(&json.content_type);
        if self.parts.method != Method::GET && self.parts.method != Method::HEAD
            || policy.cache.is_none()
        {
            let mut response = response(status, json.body.into(), NO_STORE);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
            return Ok(response);
        }
        let etag = etag::of(&json.body);
        Ok(self.conditional(json.body.into(), content_type, etag, PRIVATE))
    }

    /// What others may share of a reply.
    pub(super) fn shared_entry(&self, reply: &[u8]) -> Result<Entry, Refusal> {
        let json = self.edge.transcoder.write_response(self.binding, reply)?;
        let etag = etag::of(&json.body);
        let max_age = self.route.shared.unwrap_or(Duration::ZERO);
        Ok(self
            .edge
            .shared
            .entry(json.body, content_type(&json.content_type), etag, max_age))
    }

    /// The response from an answer that is shared.
    pub(super) fn shared_answer(&self, entry: &Entry) -> Response<EdgeBody> {
        self.conditional(
            entry.body.clone().into(),
            entry.content_type.clone(),
            entry.etag.clone(),
            entry.cache_control.clone(),
        )
    }

    /// The body, or the news that the client has it.
    fn conditional(
        &self,
        body: EdgeBody,
        content_type: HeaderValue,
        etag: HeaderValue,
        cache_control: HeaderValue,
    ) -> Response<EdgeBody> {
        let mut response = if etag::matches(&self.parts.headers, &etag) {
            response(StatusCode::NOT_MODIFIED, EdgeBody::empty(), cache_control)
        } else {
            let mut response = response(StatusCode::OK, body, cache_control);
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, content_type);
            response
        };
        response.headers_mut().insert(header::ETAG, etag);
        response.headers_mut().insert(header::VARY, VARY);
        response
    }
}

fn response(status: StatusCode, body: EdgeBody, cache_control: HeaderValue) -> Response<EdgeBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, cache_control);
    response
}

fn content_type(text: &str) -> HeaderValue {
    if text == "application/json" {
        return JSON;
    }
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}
