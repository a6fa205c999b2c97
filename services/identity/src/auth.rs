//! The RPCs of `AuthService`.

use std::sync::Arc;

use contracts::hub::identity::v1::{
    Accepted, Caller, CreateGuestSessionRequest, ForgotPasswordRequest, GetCallerRequest,
    GetJwksRequest, JsonWebKeySet, LoginRequest, LogoutRequest, RefreshSessionRequest,
    ResendVerificationRequest, ResetPasswordRequest, Session, SessionUser, SignUpRequest, User,
    VerifyEmailRequest, VerifyEmailResponse, auth_service_server::AuthService,
};
use mesh::{CallContext, Clock, Failure, Reason, store::Store};
use tonic::{Request, Response, Status};

use crate::{
    access::{AccessTokens, Subject},
    domain::{email, opaque, password},
    keys::KeyRing,
    mail::{self, Outbox, Purpose},
    passwords::Passwords,
    sessions::{self, Opened, Sessions},
    users::{self, NewUser, StoredUser, Users},
};

/// Answers `AuthService`.
pub struct AuthHandler {
    pub(crate) store: Store,
    pub(crate) users: Users,
    pub(crate) sessions: Sessions,
    pub(crate) access: AccessTokens,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) passwords: Passwords,
    pub(crate) outbox: Outbox,
    pub(crate) clock: Clock,
}

#[tonic::async_trait]
impl AuthService for AuthHandler {
    async fn login(&self, request: Request<LoginRequest>) -> Result<Response<Session>, Status> {
        let LoginRequest { email, password } = request.into_inner();
        let account = self.users.by_email(&email::normalize(&email)).await?;
        let hash = account
            .as_ref()
            .map(|account| account.password_hash.clone());
        // Verified even without an account, so that the time tells nothing.
        let matches = self.passwords.verify(password, hash).await?;
        let Some(account) = account.filter(|_| matches) else {
            return Err(Failure::new(
                Reason::InvalidCredentials,
                "e-mail address or password is wrong",
            )
            .into());
        };
        self.users.note_login(&account.user.user_id).await?;
        Ok(Response::new(self.open_session(account.user).await?))
    }

    async fn sign_up(&self, request: Request<SignUpRequest>) -> Result<Response<Session>, Status> {
        let SignUpRequest {
            name,
            email,
            password,
            newsletter_opt_in,
        } = request.into_inner();
        let email = email::normalize(&email);
        password::check("password", &password, &email)?;
        let password_hash = self.passwords.hash(password).await?;
        let mail = self
            .outbox
            .token_mail(Purpose::VerifyEmail, "", &email, &name)?;
        let creation = self.users.creation(NewUser {
            email,
            name,
            role: "customer".to_owned(),
            phone: String::new(),
            password_hash,
            email_verified: false,
            newsletter_opt_in,
        });
        let user = self
            .store
            .write(move |tx| async move {
                let user = creation.run(&tx).await?;
                mail.for_user(&user.user_id).write(&tx).await?;
                Ok::<_, Failure>(user)
            })
            .await?;
        Ok(Response::new(self.open_session(user).await?))
    }

    async fn logout(&self, request: Request<LogoutRequest>) -> Result<Response<()>, Status> {
        let context = CallContext::of(&request);
        let session = context.principal().session();
        if !session.is_empty() {
            self.sessions.revoke(session).await?;
        }
        Ok(Response::new(()))
    }

    async fn refresh_session(
        &self,
        request: Request<RefreshSessionRequest>,
    ) -> Result<Response<Session>, Status> {
        let token = request.into_inner().refresh_token;
        if token.is_empty() {
            return Err(
                Failure::new(Reason::InvalidCredentials, "there is no refresh token").into(),
            );
        }
        let opened = self.sessions.renew(&token).await?;
        if opened.role == "guest" {
            return Ok(Response::new(self.guest_session(opened)?));
        }
        // Role, name and address are read again: the new token states them as they are now.
        let Some(account) = self.users.by_id(&opened.subject).await? else {
            self.sessions.revoke(&opened.session_id).await?;
            return Err(Failure::unauthenticated("the account does not exist any more").into());
        };
        Ok(Response::new(self.session(account.user, opened)?))
    }

    async fn verify_email(
        &self,
        request: Request<VerifyEmailRequest>,
    ) -> Result<Response<VerifyEmailResponse>, Status> {
        let hash = opaque::hash(&request.into_inner().token);
        let now = self.clock.now();
        let verified = self
            .store
            .write(move |tx| async move {
                let (user_id, email) = mail::redeem(&tx, Purpose::VerifyEmail, hash, now).await?;
                users::confirm_email(&tx, &user_id, &email, now).await
            })
            .await?;
        if !verified {
            return Err(
                Failure::invalid("token", "is for an address that has changed since").into(),
            );
        }
        Ok(Response::new(VerifyEmailResponse { verified }))
    }

    async fn resend_verification(
        &self,
        request: Request<ResendVerificationRequest>,
    ) -> Result<Response<Accepted>, Status> {
        let email = email::normalize(&request.into_inner().email);
        let account = self.users.by_email(&email).await?;
        let unconfirmed = account.filter(|account| !account.user.email_verified);
        self.write_mail(Purpose::VerifyEmail, &email, unconfirmed)
            .await?;
        Ok(accepted(
            "if the address belongs to an unconfirmed account, a mail is on its way",
        ))
    }

    async fn forgot_password(
        &self,
        request: Request<ForgotPasswordRequest>,
    ) -> Result<Response<Accepted>, Status> {
        let email = email::normalize(&request.into_inner().email);
        let account = self.users.by_email(&email).await?;
        self.write_mail(Purpose::ResetPassword, &email, account)
            .await?;
        Ok(accepted(
            "if the address belongs to an account, a mail is on its way",
        ))
    }

    async fn reset_password(
        &self,
        request: Request<ResetPasswordRequest>,
    ) -> Result<Response<Accepted>, Status> {
        let ResetPasswordRequest {
            token,
            new_password,
        } = request.into_inner();
        password::check("new_password", &new_password, "")?;
        let password_hash = self.passwords.hash(new_password).await?;
        let (hash, now) = (opaque::hash(&token), self.clock.now());
        let until = self.sessions.tokens_until();
        let ended = self
            .store
            .write(move |tx| async move {
                let (user_id, email) = mail::redeem(&tx, Purpose::ResetPassword, hash, now).await?;
                users::set_password(&tx, &user_id, password_hash, now).await?;
                // Whoever could read the mail owns the address.
                users::confirm_email(&tx, &user_id, &email, now).await?;
                Ok::<_, Failure>(sessions::end_all(&tx, &user_id, now, until).await?)
            })
            .await?;
        self.sessions.announce_all(&ended).await;
        Ok(accepted("the password is set; sign in with it"))
    }

    async fn create_guest_session(
        &self,
        _request: Request<CreateGuestSessionRequest>,
    ) -> Result<Response<Session>, Status> {
        let opened = self.sessions.open_guest().await?;
        Ok(Response::new(self.guest_session(opened)?))
    }

    async fn get_caller(
        &self,
        request: Request<GetCallerRequest>,
    ) -> Result<Response<Caller>, Status> {
        let context = CallContext::of(&request);
        let principal = context.principal();
        Ok(Response::new(Caller {
            user_id: principal.subject().to_owned(),
            email: principal.email().to_owned(),
            name: principal.name().to_owned(),
            roles: vec![principal.role_name().to_owned()],
        }))
    }

    async fn get_jwks(
        &self,
        _request: Request<GetJwksRequest>,
    ) -> Result<Response<JsonWebKeySet>, Status> {
        Ok(Response::new(self.keys.published().await))
    }
}

impl AuthHandler {
    async fn open_session(&self, user: User) -> Result<Session, Failure> {
        let opened = self.sessions.open_user(&user.user_id, &user.role).await?;
        self.session(user, opened)
    }

    fn session(&self, user: User, opened: Opened) -> Result<Session, Failure> {
        let subject = Subject {
            id: user.user_id,
            role: user.role,
            email: user.email,
            name: user.name,
        };
        self.signed_session(subject, opened)
    }

    fn guest_session(&self, opened: Opened) -> Result<Session, Failure> {
        let subject = Subject {
            id: opened.subject.clone(),
            role: "guest".to_owned(),
            email: String::new(),
            name: String::new(),
        };
        self.signed_session(subject, opened)
    }

    fn signed_session(&self, subject: Subject, opened: Opened) -> Result<Session, Failure> {
        Ok(Session {
            access_token: self.access.issue(&subject, &opened.session_id)?,
            token_type: "Bearer".to_owned(),
            expires_in: self.access.life_seconds(),
            refresh_token: opened.refresh_token,
            user: Some(SessionUser {
                user_id: subject.id,
                email: subject.email,
                name: subject.name,
                role: subject.role,
            }),
        })
    }

    /// Writes a mail to `account`; without one it does as much for nobody.
    async fn write_mail(
        &self,
        purpose: Purpose,
        email: &str,
        account: Option<StoredUser>,
    ) -> Result<(), Failure> {
        let user = account.map(|account| account.user);
        let (user_id, name) = user
            .as_ref()
            .map_or(("", ""), |user| (&user.user_id, &user.name));
        let mail = self.outbox.token_mail(purpose, user_id, email, name)?;
        let exists = user.is_some();
        self.store
            .write(move |tx| async move {
                if exists {
                    mail.write(&tx).await
                } else {
                    mail.pretend(&tx).await
                }
            })
            .await
    }
}

fn accepted(message: &str) -> Response<Accepted> {
    Response::new(Accepted {
        message: message.to_owned(),
    })
}
