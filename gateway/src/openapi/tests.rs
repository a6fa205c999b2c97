#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use super::*;

fn whole() -> Value {
    serde_json::from_str(&openapi_document().unwrap()).unwrap()
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value.as_str() {
                    Some(target) if key == "$ref" => {
                        found.insert(target);
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_binding_is_an_operation_with_its_own_id() {
    let pool = contracts::descriptor_pool();
    let transcoder = Transcoder::new(pool, Options::default()).unwrap();
    let document = whole();
    let operations = operations(&document);
    assert_eq!(
        operations.len(),
        transcoder.bindings().len() + parts::pages().len()
    );
    let ids: BTreeSet<&str> = operations
        .iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), operations.len());
}

#[test]
fn every_reference_leads_somewhere() {
    let document = whole();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 50);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(
            document
                .pointer(pointer)
                .is_some_and(|target| !target.is_null()),
            "{reference}"
        );
    }
}

#[test]
fn path_parameters_are_those_of_the_path() {
    for (path, method, operation) in operations(&whole()) {
        let declared: BTreeSet<String> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|parameter| parameter["in"] == "path")
            .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
            .collect();
        assert_eq!(path.matches('{').count(), declared.len(), "{method} {path}");
        assert!(
            declared.iter().all(|name| path.contains(name.as_str())),
            "{method} {path}"
        );
    }
}

#[test]
fn every_operation_says_what_can_go_wrong() {
    for (path, method, operation) in operations(&whole()) {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.contains_key("default"), "{method} {path}");
        if operation["x-hub-policy"].is_null() {
            continue;
        }
        for status in ["400", "401", "500", "503"] {
            assert!(responses.contains_key(status), "{method} {path} {status}");
        }
        let unlimited = operation["x-hub-policy"]["rate_class"] == "unlimited";
        assert_eq!(responses.contains_key("429"), !unlimited, "{method} {path}");
        if method != "get" {
            assert!(
                responses.contains_key("409") && responses.contains_key("422"),
                "{method} {path}"
            );
        }
        assert!(!operation["summary"].as_str().unwrap().is_empty());
    }
}

#[test]
fn roles_become_security() {
    let document = whole();
    let products = &document["paths"]["/api/products"]["get"];
    assert_eq!(products["security"][0], json!({}));
    assert_eq!(products["x-hub-policy"]["role"], "anonymous");
    let sagas = &document["paths"]["/api/admin/sagas"]["get"];
    assert_eq!(sagas["security"][0], json!({"bearer": []}));
    assert_eq!(sagas["x-hub-policy"]["role"], "admin");
    let refund = &document["paths"]["/api/payments/refund"]["post"];
    assert_eq!(refund["security"][1], json!({"cookie": [], "csrf": []}));
}

#[test]
fn statuses_follow_the_contract() {
    let document = whole();
    assert!(document["paths"]["/api/orders"]["post"]["responses"]["201"].is_object());
    let delete = &document["paths"]["/api/users/me"]["delete"]["responses"]["204"];
    assert!(delete.is_object() && delete["content"].is_null());
    assert!(document["paths"]["/api/products"]["get"]["responses"]["304"].is_object());
}

#[test]
fn a_stream_is_offered_in_three_forms() {
    let document = whole();
    let content =
        &document["paths"]["/api/orders/{order_id}/events"]["get"]["responses"]["200"]["content"];
    for kind in [
        "application/json",
        "application/x-ndjson",
        "text/event-stream",
    ] {
        assert!(content[kind].is_object(), "{kind}");
    }
}

#[test]
fn path_fields_are_not_asked_for_again_in_the_body() {
    let document = whole();
    let update = &document["paths"]["/api/cart/items/{cart_item_id}"]["put"];
    let body = &update["requestBody"]["content"]["application/json"]["schema"];
    assert!(body["properties"]["cart_item_id"].is_null());
    assert!(body["properties"]["quantity"].is_object());
}
