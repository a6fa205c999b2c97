//! Users of every role.

use contracts::hub::identity::v1::{
    AddressType, CreateAddressRequest, ImportUser, ImportUsersRequest, User,
    directory_service_client::DirectoryServiceClient,
};
use serde::Deserialize;

use super::{DEMO_PASSWORD, Seeder};

const USERS: &str = include_str!("../../demo/users.json");

/// The users that can sign in; the others are only there to have ordered.
const WITH_PASSWORD: [&str; 3] = ["customer@hub.test", "staff@hub.test", "admin@hub.test"];

/// A user of the demo, as `users.json` has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoUser {
    pub email: String,
    pub name: String,
    role: String,
    phone: String,
    pub addresses: Vec<DemoAddress>,
}

/// An address of a demo user.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DemoAddress {
    pub name: String,
    pub line1: String,
    #[serde(default)]
    pub line2: String,
    pub city: String,
    pub state: String,
    pub postal_code: String,
    pub country: String,
    pub phone: String,
    #[serde(rename = "type")]
    kind: String,
    is_default: bool,
}

/// The users as `users.json` has them.
pub fn demo_users() -> serde_json::Result<Vec<DemoUser>> {
    serde_json::from_str(USERS)
}

impl Seeder<'_> {
    pub(super) async fn users(&self) -> anyhow::Result<()> {
        let users = demo_users()?.into_iter().map(import).collect();
        self.import_users(users).await.map(drop)
    }

    /// Creates users, or finds those that exist.
    pub(super) async fn import_users(&self, users: Vec<ImportUser>) -> anyhow::Result<Vec<User>> {
        let answer = DirectoryServiceClient::new(self.hub.channel())
            .import_users(self.call(ImportUsersRequest { users }))
            .await?;
        Ok(answer.into_inner().users)
    }
}

/// The user as the import takes it.
pub fn import(user: DemoUser) -> ImportUser {
    let password = if WITH_PASSWORD.contains(&user.email.as_str()) {
        DEMO_PASSWORD.to_owned()
    } else {
        String::new()
    };
    ImportUser {
        email: user.email,
        name: user.name,
        role: user.role,
        password,
        phone: user.phone,
        addresses: user.addresses.into_iter().map(address).collect(),
    }
}

fn address(address: DemoAddress) -> CreateAddressRequest {
    let kind = match address.kind.as_str() {
        "billing" => AddressType::Billing,
        _ => AddressType::Shipping,
    };
    CreateAddressRequest {
        name: address.name,
        line1: address.line1,
        line2: address.line2,
        city: address.city,
        state: address.state,
        postal_code: address.postal_code,
        country: address.country,
        phone: address.phone,
        r#type: kind.into(),
        is_default: address.is_default,
    }
}
