//! The RPCs of `DirectoryService`, for other services and for seeding.

use contracts::hub::identity::v1::{
    GetUserRequest, ImportUser, ImportUsersRequest, ImportUsersResponse, User,
    directory_service_server::DirectoryService,
};
use mesh::{Failure, store::Store};
use tonic::{Request, Response, Status};

use crate::{
    addresses::Addresses,
    domain::email,
    passwords::Passwords,
    users::{NewUser, Users},
};

/// Answers `DirectoryService`.
pub struct DirectoryHandler {
    pub(crate) store: Store,
    pub(crate) users: Users,
    pub(crate) addresses: Addresses,
    pub(crate) passwords: Passwords,
}

#[tonic::async_trait]
impl DirectoryService for DirectoryHandler {
    async fn get_user(&self, request: Request<GetUserRequest>) -> Result<Response<User>, Status> {
        let user_id = request.into_inner().user_id;
        let account = self.users.by_id(&user_id).await?;
        let user = account
            .map(|account| account.user)
            .ok_or_else(|| Failure::not_found("user", &user_id))?;
        Ok(Response::new(user))
    }

    async fn import_users(
        &self,
        request: Request<ImportUsersRequest>,
    ) -> Result<Response<ImportUsersResponse>, Status> {
        let mut users = Vec::new();
        for user in request.into_inner().users {
            users.push(self.import_user(user).await?);
        }
        Ok(Response::new(ImportUsersResponse { users }))
    }
}

impl DirectoryHandler {
    /// Creates the account with its addresses; an account that exists is left as it is, so that an
    /// import can be repeated without undoing what its owner changed.
    async fn import_user(&self, import: ImportUser) -> Result<User, Failure> {
        let email = email::normalize(&import.email);
        if let Some(account) = self.users.by_email(&email).await? {
            return Ok(account.user);
        }
        let password_hash = match import.password {
            password if password.is_empty() => String::new(),
            password => self.passwords.hash(password).await?,
        };
        let creation = self.users.creation(NewUser {
            email,
            name: import.name,
            role: import.role,
            phone: import.phone,
            password_hash,
            email_verified: true,
            newsletter_opt_in: false,
        });
        let user = self
            .store
            .write(move |tx| async move { creation.run(&tx).await })
            .await?;
        for address in import.addresses {
            self.addresses.create(&user.user_id, address).await?;
        }
        Ok(user)
    }
}
