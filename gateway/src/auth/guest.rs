//! Guest sessions that the edge opens by itself, so that a first visit can fill a cart.

use contracts::hub::identity::v1::{
    CreateGuestSessionRequest, Session, auth_service_client::AuthServiceClient,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use mesh::{CallContext, Channel, Failure, Principal};

/// Carries the access token of a guest session that was opened on the way; on every face.
pub const GUEST_TOKEN: HeaderName = HeaderName::from_static("x-hub-guest-token");

/// Opens guest sessions.
#[derive(Clone)]
pub struct GuestDesk {
    identity: AuthServiceClient<Channel>,
}

impl GuestDesk {
    /// Opens sessions over `channel`.
    pub fn new(channel: Channel) -> Self {
        Self {
            identity: AuthServiceClient::new(channel),
        }
    }

    /// A new session and the guest it belongs to.
    ///
    /// # Errors
    /// What identity answers.
    pub async fn open(&self, context: &CallContext) -> Result<(Session, Principal), Failure> {
        let session = self
            .identity
            .clone()
            .create_guest_session(context.call(CreateGuestSessionRequest {}))
            .await?
            .into_inner();
        let guest = session
            .user
            .as_ref()
            .map(|user| user.user_id.clone())
            .filter(|id| !id.is_empty())
            .ok_or_else(|| Failure::internal("a guest session without a guest"))?;
        Ok((session, Principal::guest(guest)))
    }
}

/// Tells the client its new token.
pub fn announce(session: &Session, headers: &mut HeaderMap) {
    if let Ok(mut token) = HeaderValue::from_str(&session.access_token) {
        token.set_sensitive(true);
        headers.insert(GUEST_TOKEN, token);
    }
}
