//! Accounts: confirming an address, a forgotten password, the profile, the address book.

use reqwest::Method;
use serde_json::{Value, json};
use system_tests::{Answer, eventually};

use crate::shared::{api, fresh_email, id};

const PASSWORD: &str = "quiet-larch-hollow-7";

/// The token in the newest mail to `email` whose subject contains `word`.
async fn mailed_token(email: &str, word: &str) -> String {
    let shop = api().await;
    let path = format!("/dev/mailbox?to={email}");
    eventually(&format!("a mail about {word} to {email}"), || async {
        let mails = shop.get(&path).await.expect(200);
        let mails = mails["items"].as_array().unwrap().clone();
        let mail = mails.iter().find(|mail| {
            mail["subject"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains(word)
        })?;
        Some(id(mail, "token").to_owned())
    })
    .await
}

#[tokio::test]
async fn an_address_is_confirmed_by_the_token_in_its_mail() {
    let email = fresh_email();
    let customer = api().await.sign_up(&email).await;
    let me = customer.get("/api/users/me").await.expect(200);
    assert_eq!(me["email_verified"], false, "{me}");
    let body = json!({"token": mailed_token(&email, "confirm").await});
    let verified = api()
        .await
        .post("/api/auth/verify-email", body.clone())
        .await
        .expect(200);
    assert_eq!(verified["verified"], true);
    assert_eq!(
        customer.get("/api/users/me").await.expect(200)["email_verified"],
        true
    );
    let forged = api()
        .await
        .post("/api/auth/verify-email", json!({"token": "forged"}))
        .await;
    assert!(forged.status.is_client_error(), "{}", forged.text);
}

#[tokio::test]
async fn a_forgotten_password_is_replaced_and_old_sessions_end() {
    let email = fresh_email();
    let shop = api().await;
    let before = shop.sign_up(&email).await;
    // Nobody learns here who has an account.
    let known = shop
        .post("/api/auth/forgot-password", json!({"email": email}))
        .await
        .expect(202);
    let unknown = json!({"email": fresh_email()});
    assert_eq!(
        shop.post("/api/auth/forgot-password", unknown)
            .await
            .expect(202),
        known
    );

    let token = mailed_token(&email, "password").await;
    let weak = json!({"token": token, "new_password": "password"});
    shop.post("/api/auth/reset-password", weak)
        .await
        .expect_error(422, "UNPROCESSABLE_ENTITY");
    let body = json!({"token": token, "new_password": "a-brand-new-larch-9"});
    shop.post("/api/auth/reset-password", body.clone())
        .await
        .expect(200);
    before
        .get("/api/users/me")
        .await
        .expect_error(401, "UNAUTHORIZED");
    let old = json!({"email": email, "password": PASSWORD});
    shop.post("/api/auth/login", old)
        .await
        .expect_error(401, "UNAUTHORIZED");
    shop.login(&email, "a-brand-new-larch-9")
        .await
        .get("/api/users/me")
        .await
        .expect(200);
    assert!(
        shop.post("/api/auth/reset-password", body)
            .await
            .status
            .is_client_error()
    );
}

#[tokio::test]
async fn an_address_has_one_account_and_a_password_must_be_good() {
    let email = fresh_email();
    let shop = api().await;
    shop.sign_up(&email).await;
    let again = json!({"name": "Twice", "email": email.to_uppercase(), "password": PASSWORD});
    shop.post("/api/auth/signup", again)
        .await
        .expect_error(409, "CONFLICT");
    for weak in ["short", "password123", "          "] {
        let body = json!({"name": "Weak", "email": fresh_email(), "password": weak});
        shop.post("/api/auth/signup", body)
            .await
            .expect_error(422, "UNPROCESSABLE_ENTITY");
    }
    // The same answer for a wrong password and for nobody.
    let wrong = json!({"email": email, "password": "wrong-password-1"});
    let nobody = json!({"email": fresh_email(), "password": "wrong-password-1"});
    let wrong = shop
        .post("/api/auth/login", wrong)
        .await
        .expect_error(401, "UNAUTHORIZED");
    let nobody = shop
        .post("/api/auth/login", nobody)
        .await
        .expect_error(401, "UNAUTHORIZED");
    assert_eq!(wrong["message"], nobody["message"]);
}

#[tokio::test]
async fn a_profile_is_changed_field_by_field_and_deleted_as_a_whole() {
    let email = fresh_email();
    let customer = api().await.sign_up(&email).await;
    let request = customer
        .request(Method::PATCH, "/api/users/me")
        .json(&json!({"phone": "+1 303 555 0100"}));
    let me = Answer::to(request).await.expect(200);
    assert_eq!(
        (&me["phone"], &me["name"]),
        (&json!("+1 303 555 0100"), &json!("Test Shopper"))
    );
    let request = customer
        .request(Method::PUT, "/api/users/me")
        .json(&json!({"name": "New Name"}));
    let me = Answer::to(request).await.expect(200);
    assert_eq!(
        (&me["phone"], &me["name"]),
        (&json!("+1 303 555 0100"), &json!("New Name"))
    );

    customer.delete("/api/users/me").await.expect(204);
    customer
        .get("/api/users/me")
        .await
        .expect_error(401, "UNAUTHORIZED");
    let login = json!({"email": email, "password": PASSWORD});
    api()
        .await
        .post("/api/auth/login", login)
        .await
        .expect_error(401, "UNAUTHORIZED");
}

#[tokio::test]
async fn an_address_book_has_one_default_of_each_kind() {
    let customer = api().await.sign_up(&fresh_email()).await;
    let book = "/api/users/me/addresses";
    assert_eq!(customer.get(book).await.expect(200), json!([]));
    let home = customer
        .post(book, address("1 Home Street", "shipping"))
        .await
        .expect(201);
    assert_eq!(home["is_default"], true, "the first is the default: {home}");
    let work = customer
        .post(book, address("2 Work Street", "shipping"))
        .await
        .expect(201);
    assert_eq!(work["is_default"], false, "{work}");
    let bills = customer
        .post(book, address("3 Bill Street", "billing"))
        .await
        .expect(201);
    assert_eq!(bills["is_default"], true, "{bills}");

    let path = format!("{book}/{}", id(&work, "address_id"));
    let chosen = customer
        .put(&format!("{path}/default"), json!({}))
        .await
        .expect(200);
    assert_eq!(chosen["is_default"], true);
    assert_eq!(
        defaults(&customer.get(book).await.expect(200)),
        ["2 Work Street", "3 Bill Street"]
    );
    let mut moved = address("22 New Work Street", "shipping");
    moved.as_object_mut().unwrap().remove("type");
    assert_eq!(
        customer.put(&path, moved).await.expect(200)["line1"],
        "22 New Work Street"
    );

    let stranger = api().await.sign_up(&fresh_email()).await;
    stranger
        .delete(&path)
        .await
        .expect_error(404, "RESOURCE_NOT_FOUND");
    customer.delete(&path).await.expect(204);
    assert_eq!(
        defaults(&customer.get(book).await.expect(200)),
        ["1 Home Street", "3 Bill Street"]
    );

    let mut broken = address("4 Nowhere", "shipping");
    broken["country"] = json!("usa");
    let error = customer
        .post(book, broken)
        .await
        .expect_error(400, "INVALID_REQUEST");
    assert_eq!(
        error["details"]["violations"][0]["field"], "country",
        "{error}"
    );
}

fn address(line1: &str, kind: &str) -> Value {
    let mut address = system_tests::address();
    address["line1"] = json!(line1);
    address["type"] = json!(kind);
    address
}

fn defaults(book: &Value) -> Vec<&str> {
    let all = book.as_array().unwrap().iter();
    let mut lines: Vec<&str> = all
        .filter(|address| address["is_default"] == true)
        .map(|address| id(address, "line1"))
        .collect();
    lines.sort_unstable();
    lines
}
