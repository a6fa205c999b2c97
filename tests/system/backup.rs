//! Backups of an embedded hub: made while it serves, refused when damaged, the same shop when restored.

use std::fs;

use serde_json::json;
use system_tests::{Hub, HubOptions, Mode, order_body};

use crate::shared::{PRODUCT, fresh_email, id, number};

#[tokio::test]
async fn a_backup_made_while_the_hub_serves_restores_the_shop_of_that_moment() {
    let embedded = HubOptions::unlimited().in_mode(Mode::Embedded);
    let mut hub = Hub::start_with(embedded).await.unwrap();
    let email = fresh_email();
    let shopper = hub.api().sign_up(&email).await;
    let order = |shopper: system_tests::Api| async move {
        let item = json!({"product_id": PRODUCT, "quantity": 1});
        shopper.post("/api/cart/items", item).await.expect(201);
        let placed = shopper
            .post("/api/orders", order_body("pm_card_visa"))
            .await
            .expect(201);
        let placed = id(&placed, "order_id").to_owned();
        shopper.order_reaches(&placed, &["processing"]).await;
        placed
    };
    let before = order(shopper.clone()).await;
    let folder = tempfile::tempdir().unwrap();
    let backup = folder.path().join("backup");
    let out = backup.to_string_lossy().into_owned();
    let made = hub.command(&["backup", "--out", &out]).await.unwrap();
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(backup.join("orders.db").is_file() && backup.join("mesh.key").is_file());
    let again = hub.command(&["backup", "--out", &out]).await.unwrap();
    assert!(
        again.code == Some(1) && again.stderr.contains("exists"),
        "{again:?}"
    );
    let after = order(shopper.clone()).await;

    assert_eq!(hub.stop().await.unwrap(), Some(0));
    let restore = ["restore", "--from", &out];
    let occupied = hub.command(&restore).await.unwrap();
    assert!(
        occupied.code == Some(1) && occupied.stderr.contains("not empty"),
        "{occupied:?}"
    );
    fs::remove_dir_all(hub.data_dir()).unwrap();
    let good = fs::read(backup.join("payments.db")).unwrap();
    fs::write(backup.join("payments.db"), &good[..good.len() / 2]).unwrap();
    let damaged = hub.command(&restore).await.unwrap();
    assert!(
        damaged.code == Some(1) && damaged.stderr.contains("payments.db"),
        "{damaged:?}"
    );
    assert!(!hub.data_dir().exists());
    fs::write(backup.join("payments.db"), good).unwrap();
    let restored = hub.command(&restore).await.unwrap();
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);

    hub.start_again().await.unwrap();
    let shopper = hub.api().login(&email, "quiet-larch-hollow-7").await;
    let orders = shopper.get("/api/users/me/orders").await.expect(200);
    assert_eq!(number(&orders["total"]), 1, "{orders}");
    assert_eq!(id(&orders["items"][0], "order_id"), before);
    shopper
        .get(&format!("/api/orders/{after}"))
        .await
        .expect(404);
    // The shop goes on from there: the same shopper, the same stock, a new order.
    order(shopper).await;
}
