//! The command line: what it prints, and that mistakes are one clear line and not a panic.

use std::{fs, path::Path};

use serde_json::{Value, json};
use system_tests::{Finished, Hub, HubOptions, order_body, run};

use crate::shared::{PRODUCT, fresh_email, hub, id, number};

async fn hub_command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    let environment: Vec<(&str, String)> = environment
        .iter()
        .map(|(key, value)| (*key, (*value).to_owned()))
        .collect();
    run(folder, arguments, &environment).await.unwrap()
}

/// Checks that a command failed with one line that says each of `words`.
#[track_caller]
fn assert_one_line(finished: &Finished, words: &[&str]) {
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let said: Vec<&str> = finished
        .stderr
        .lines()
        .filter(|line| !line.starts_with('{'))
        .collect();
    assert_eq!(said.len(), 1, "{finished:?}");
    for word in words {
        assert!(said[0].contains(word), "{word:?} is not in {said:?}");
    }
}

#[tokio::test]
async fn mistakes_at_start_are_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let listen = ("HUB_LISTEN", "127.0.0.1:0");
    let taken = hub().await.address().to_string();
    let port_in_use = hub_command(here, &["up", "--empty", "--listen", &taken], &[]).await;
    assert_one_line(&port_in_use, &[&taken]);

    let in_use = hub().await.data_dir().to_string_lossy().into_owned();
    let folder_in_use = hub_command(here, &["up", "--data-dir", &in_use], &[listen]).await;
    assert_one_line(&folder_in_use, &[&in_use, "in use"]);

    let file = here.join("a-file").to_string_lossy().into_owned();
    fs::write(&file, "not a folder").unwrap();
    let no_folder = hub_command(here, &["up", "--data-dir", &file], &[listen]).await;
    assert_one_line(&no_folder, &[&file]);

    let address = hub_command(here, &["up"], &[("HUB_LISTEN", "nowhere")]).await;
    assert_one_line(&address, &["listen", "HUB_LISTEN"]);
}

#[tokio::test]
async fn configuration_that_is_not_understood_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    for (key, value, word) in [
        ("HUB__ORDERS__NONSENSE", "1", "nonsense"),
        ("HUB__NONSENSE__KEY", "1", "NONSENSE"),
        ("HUB__GATEWAY__CORS_ORIGINS", "[\"*\"]", "cors_origins"),
        ("HUB__RATE_LIMITS__STAFF", "many", "staff"),
        ("HUB__HUB__PROFILE", "festive", "profile"),
        ("DATABASE_URL", "not a url", "DATABASE_URL"),
        ("AMQP_URL", "http://localhost", "AMQP_URL"),
        ("REDIS_URL", "nonsense", "REDIS_URL"),
        ("HUB__FAULTS__RULES", "[\"rpc=*:explode\"]", "explode"),
    ] {
        let environment = [("HUB_LISTEN", "127.0.0.1:0"), (key, value)];
        let finished = hub_command(here, &["up", "--empty"], &environment).await;
        assert_one_line(&finished, &[word]);
    }
    fs::write(here.join("hub.toml"), "[orders]\nnonsense = 1\n").unwrap();
    let file = hub_command(here, &["up", "--empty"], &[("HUB_LISTEN", "127.0.0.1:0")]).await;
    assert_one_line(&file, &["nonsense"]);
}

#[tokio::test]
async fn help_and_overviews_need_no_running_hub() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let help = hub_command(here, &["--help"], &[]).await;
    assert_eq!(help.code, Some(0));
    for command in [
        "up", "serve", "services", "graph", "import", "openapi", "config", "sagas", "dlq",
    ] {
        assert!(
            help.stdout
                .lines()
                .any(|line| line.trim_start().starts_with(command)),
            "{command}"
        );
    }
    let services = hub_command(here, &["services"], &[]).await;
    assert_eq!(services.code, Some(0), "{services:?}");
    for (name, port) in [
        ("identity", "50051"),
        ("orders", "50055"),
        ("agents", "50060"),
    ] {
        let mut lines = services.stdout.lines();
        assert!(
            lines.any(|line| line.starts_with(name) && line.contains(port)),
            "{services:?}"
        );
    }
    let openapi = hub_command(here, &["openapi"], &[]).await;
    assert_eq!(openapi.code, Some(0), "{openapi:?}");
    let document: Value = serde_json::from_str(&openapi.stdout).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let served = hub().await.api().get("/openapi.json").await.expect(200);
    assert_eq!(document, served);
}

#[tokio::test]
async fn the_configuration_is_shown_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("HUB__PAYMENTS__STRIPE_SECRET_KEY", "sk_test_do_not_show"),
        ("HUB__PAYMENTS__WEBHOOK_SECRET", "whsec_do_not_show"),
        ("HUB__RATE_LIMITS__STAFF", "77"),
    ];
    let config = hub_command(folder.path(), &["config"], &environment).await;
    assert_eq!(config.code, Some(0), "{config:?}");
    assert!(config.stdout.contains("[payments]"), "{config:?}");
    assert!(config.stdout.contains("staff = 77"), "{config:?}");
    assert!(
        config.stdout.contains("stripe_secret_key = \"***"),
        "{config:?}"
    );
    assert!(!format!("{config:?}").contains("do_not_show"), "{config:?}");
    // Looking leaves nothing behind.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn operators_see_sagas_and_dead_letters_of_a_running_hub() {
    let hub = hub().await;
    let shopper = hub.api().sign_up(&fresh_email()).await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let order_id = id(&order, "order_id");
    shopper.order_reaches(order_id, &["processing"]).await;

    let list = hub
        .command(&["sagas", "list", "--step", "completed"])
        .await
        .unwrap();
    assert_eq!(list.code, Some(0), "{list:?}");
    assert!(list.stdout.contains("HPH-"), "{list:?}");
    let saga = hub.command(&["sagas", "show", order_id]).await.unwrap();
    assert_eq!(saga.code, Some(0), "{saga:?}");
    assert!(saga.stdout.contains(id(&order, "order_number")), "{saga:?}");
    assert!(saga.stdout.contains("completed"), "{saga:?}");
    let letters = hub.command(&["dlq", "list"]).await.unwrap();
    assert_eq!(letters.code, Some(0), "{letters:?}");
    assert!(letters.stdout.contains("0 of 0"), "{letters:?}");
    let nothing = hub
        .command(&["dlq", "show", "no-such-letter"])
        .await
        .unwrap();
    assert_one_line(&nothing, &["NotFound"]);
}

#[tokio::test]
async fn an_operator_gives_up_on_an_order_with_a_reason() {
    let hub = hub().await;
    let shopper = hub.api().sign_up(&fresh_email()).await;
    shopper.add_to_cart(PRODUCT, "", 1).await.expect(201);
    let order = shopper
        .post("/api/orders", order_body("pm_card_visa"))
        .await
        .expect(201);
    let order_id = id(&order, "order_id");
    shopper.order_reaches(order_id, &["processing"]).await;
    let arguments = [
        "sagas",
        "compensate",
        order_id,
        "--reason",
        "the warehouse burnt down",
    ];
    let compensated = hub.command(&arguments).await.unwrap();
    assert_eq!(compensated.code, Some(0), "{compensated:?}");
    assert!(
        compensated.stdout.contains("the warehouse burnt down"),
        "{compensated:?}"
    );
    let order = shopper
        .order_reaches(order_id, &["cancelled", "refunded"])
        .await;
    let path = format!("/api/orders/{}", id(&order, "order_id"));
    system_tests::eventually("the money to be back", || async {
        let order = shopper.get(&path).await.expect(200);
        (order["payment_status"] == "refunded").then_some(())
    })
    .await;
}

#[tokio::test]
async fn products_are_imported_from_files_and_bad_rows_are_named() {
    let options = HubOptions::unlimited().arg("up").arg("--empty");
    let mut hub = Hub::start_with(options).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("products.ndjson");
    let row = |sku: &str, price: &str| {
        json!({"sku": sku, "name": format!("Imported {sku}"), "category": "imported",
               "price": price, "tax_rate": "0.05", "stock": 7})
        .to_string()
    };
    let lines = [
        row("IMP-1", "12.50"),
        row("IMP-2", "cheap"),
        "{\"sku\": ".to_owned(),
        row("IMP-4", "3.00"),
    ];
    fs::write(&rows, lines.join("\n")).unwrap();
    let file = rows.to_string_lossy();

    let running = hub.command(&["import", &file]).await.unwrap();
    assert_eq!(running.code, Some(0), "{running:?}");
    assert!(
        running
            .stdout
            .contains("2 created, 0 updated, 0 unchanged, 2 bad rows"),
        "{running:?}"
    );
    for said in ["line 2 (IMP-2): price:", "line 3"] {
        assert!(
            running.stderr.contains(said),
            "{said} is not in {running:?}"
        );
    }
    let product = hub.api().product("IMP-1").await;
    assert_eq!(product["price"]["amount"], "12.50");
    assert_eq!(product["category_slug"], "imported");

    // The same on the folder of a hub that does not run, from the other kind of file.
    assert_eq!(hub.stop().await.unwrap(), Some(0));
    let table = folder.path().join("products.csv");
    let text = "sku,name,category,price,stock,attribute:color\n\
                IMP-1,Imported IMP-1,imported,13.50,7,red\n\
                IMP-5,Imported five,imported,5.00,3,blue\n\
                ,No SKU,imported,1.00,1,\n";
    fs::write(&table, text).unwrap();
    let stopped = hub
        .command(&["import", &table.to_string_lossy()])
        .await
        .unwrap();
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
    assert!(
        stopped
            .stdout
            .contains("1 created, 1 updated, 0 unchanged, 1 bad rows"),
        "{stopped:?}"
    );
    assert!(stopped.stderr.contains("line 4"), "{stopped:?}");

    hub.start_again().await.unwrap();
    let shop = hub.api();
    assert_eq!(shop.product("IMP-1").await["price"]["amount"], "13.50");
    let fifth = shop.product("IMP-5").await;
    assert_eq!(fifth["attributes"]["color"], "blue");
    let path = format!("/api/products/{}/inventory", id(&fifth, "product_id"));
    system_tests::eventually("the imported units to be on stock", || async {
        let answer = shop.get(&path).await;
        // Inventory has not heard of the product yet.
        if answer.status == 404 {
            return None;
        }
        let stock = answer.expect(200);
        (number(&stock["variants"][0]["available"]) == 3).then_some(())
    })
    .await;

    let missing = hub.command(&["import", "no-such-file.csv"]).await.unwrap();
    assert_one_line(&missing, &["no-such-file.csv"]);
}
