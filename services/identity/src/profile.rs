//! The RPCs of `UserService`: everything here is the caller's own.

use contracts::hub::identity::v1::{
    CreateAddressRequest, DeleteAddressRequest, DeleteMeRequest, GetMeRequest,
    ListAddressesRequest, ListAddressesResponse, SetDefaultAddressRequest, UpdateAddressRequest,
    UpdateMeRequest, User, UserAddress, user_service_server::UserService,
};
use mesh::{CallContext, Failure, store::Store};
use tonic::{Request, Response, Status};

use crate::{
    addresses::Addresses,
    domain::email,
    mail::{Outbox, Purpose},
    sessions::{self, Sessions},
    users::{self, ProfileChange, Users},
};

/// Answers `UserService`.
pub struct ProfileHandler {
    pub(crate) store: Store,
    pub(crate) users: Users,
    pub(crate) addresses: Addresses,
    pub(crate) sessions: Sessions,
    pub(crate) outbox: Outbox,
}

#[tonic::async_trait]
impl UserService for ProfileHandler {
    async fn get_me(&self, request: Request<GetMeRequest>) -> Result<Response<User>, Status> {
        Ok(Response::new(self.user(&caller(&request)).await?))
    }

    async fn update_me(&self, request: Request<UpdateMeRequest>) -> Result<Response<User>, Status> {
        let user_id = caller(&request);
        let UpdateMeRequest {
            name,
            phone,
            email,
            newsletter_opt_in,
        } = request.into_inner();
        let before = self.user(&user_id).await?;
        let email = email
            .map(|email| email::normalize(&email))
            .filter(|email| *email != before.email);
        let mail = match &email {
            Some(email) => {
                let name = name.as_deref().unwrap_or(&before.name);
                Some(
                    self.outbox
                        .token_mail(Purpose::VerifyEmail, &user_id, email, name)?,
                )
            }
            None => None,
        };
        let change = ProfileChange {
            name,
            phone,
            email,
            newsletter_opt_in,
        };
        let now = self.users.now();
        let user = self
            .store
            .write(move |tx| async move {
                let user = users::change_profile(&tx, &user_id, change, now).await?;
                if let Some(mail) = mail {
                    mail.write(&tx).await?;
                }
                Ok::<_, Failure>(user)
            })
            .await?;
        Ok(Response::new(user))
    }

    async fn delete_me(&self, request: Request<DeleteMeRequest>) -> Result<Response<()>, Status> {
        let user_id = caller(&request);
        let (now, until) = (self.users.now(), self.sessions.tokens_until());
        let ended = self
            .store
            .write(move |tx| async move {
                users::delete(&tx, &user_id, now).await?;
                Ok::<_, Failure>(sessions::end_all(&tx, &user_id, now, until).await?)
            })
            .await?;
        self.sessions.announce_all(&ended).await;
        Ok(Response::new(()))
    }

    async fn list_addresses(
        &self,
        request: Request<ListAddressesRequest>,
    ) -> Result<Response<ListAddressesResponse>, Status> {
        let items = self.addresses.list(&caller(&request)).await?;
        Ok(Response::new(ListAddressesResponse { items }))
    }

    async fn create_address(
        &self,
        request: Request<CreateAddressRequest>,
    ) -> Result<Response<UserAddress>, Status> {
        let user_id = caller(&request);
        // A token outlives a deleted account by minutes; it must not write any more.
        self.user(&user_id).await?;
        Ok(Response::new(
            self.addresses
                .create(&user_id, request.into_inner())
                .await?,
        ))
    }

    async fn update_address(
        &self,
        request: Request<UpdateAddressRequest>,
    ) -> Result<Response<UserAddress>, Status> {
        let user_id = caller(&request);
        Ok(Response::new(
            self.addresses
                .update(&user_id, request.into_inner())
                .await?,
        ))
    }

    async fn delete_address(
        &self,
        request: Request<DeleteAddressRequest>,
    ) -> Result<Response<()>, Status> {
        let user_id = caller(&request);
        self.addresses
            .delete(&user_id, &request.into_inner().address_id)
            .await?;
        Ok(Response::new(()))
    }

    async fn set_default_address(
        &self,
        request: Request<SetDefaultAddressRequest>,
    ) -> Result<Response<UserAddress>, Status> {
        let user_id = caller(&request);
        let address_id = request.into_inner().address_id;
        Ok(Response::new(
            self.addresses.make_default(&user_id, &address_id).await?,
        ))
    }
}

impl ProfileHandler {
    async fn user(&self, user_id: &str) -> Result<User, Failure> {
        self.users
            .by_id(user_id)
            .await?
            .map(|account| account.user)
            .ok_or_else(|| Failure::not_found("user", user_id))
    }
}

fn caller<T>(request: &Request<T>) -> String {
    CallContext::of(request).principal().subject().to_owned()
}
