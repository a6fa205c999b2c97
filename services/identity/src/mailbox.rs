//! The developers' mailbox.

use contracts::hub::identity::v1::{
    ListMailsRequest, ListMailsResponse, Mail, mailbox_service_server::MailboxService,
};
use mesh::{
    Failure, Profile, Reason,
    store::{Row, Store, StoreError, args},
};
use tonic::{Request, Response, Status};

use crate::{domain::email, users::timestamp};

/// Mails shown at most.
const SHOWN: i64 = 100;

/// Shows the mails of an embedded hub.
pub struct MailboxHandler {
    /// Where the mails are.
    pub store: Store,
    /// Anything but embedded has no mailbox.
    pub profile: Profile,
}

#[tonic::async_trait]
impl MailboxService for MailboxHandler {
    async fn list_mails(
        &self,
        request: Request<ListMailsRequest>,
    ) -> Result<Response<ListMailsResponse>, Status> {
        if self.profile != Profile::Embedded {
            return Err(Failure::new(Reason::NotFound, "there is no mailbox here").into());
        }
        let to = email::normalize(&request.into_inner().to);
        let rows = self
            .store
            .all(
                "SELECT mail_id, recipient, subject, body, token, created_at FROM mails
                 WHERE $1 = '' OR recipient = $1 ORDER BY created_at DESC LIMIT $2",
                args![to, SHOWN],
            )
            .await?;
        let items = rows.iter().map(mail).collect::<Result<_, StoreError>>()?;
        Ok(Response::new(ListMailsResponse { items }))
    }
}

fn mail(row: &Row) -> Result<Mail, StoreError> {
    Ok(Mail {
        mail_id: row.get("mail_id")?,
        to: row.get("recipient")?,
        subject: row.get("subject")?,
        body: row.get("body")?,
        token: row.get("token")?,
        sent_at: Some(timestamp(row.get("created_at")?)),
    })
}
