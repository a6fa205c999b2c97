#![allow(clippy::unwrap_used)]
use std::io::Write;

use super::*;

fn read(name: &str, content: &[u8]) -> Vec<Result<ImportRow, RowError>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    File::create(&path).unwrap().write_all(content).unwrap();
    read_rows(&path).unwrap().collect()
}

#[test]
fn ndjson_goes_on_after_a_bad_line() {
    let rows = read(
        "products.ndjson",
        b"{\"sku\":\"A\",\"price\":12.50,\"images\":[{\"url\":\"/a.svg\"}],\"rating\":4.8,\"stock\":3}\n\
          not json\n\
          \n\
          {\"sku\":\"B\",\"colour\":\"red\"}\n\
          \xff\xfe\n\
          {\"sku\":\"C\",\"attributes\":{\"size\":12},\"variants\":[{\"sku\":\"C-1\",\"price\":\"3\",\"stock\":1}]}",
    );
    assert_eq!(rows.len(), 5);
    let first = rows[0].as_ref().unwrap();
    assert_eq!(
        (first.line, first.price.as_str(), first.stock),
        (1, "12.50", 3)
    );
    assert_eq!(first.rating, 4.8);
    assert_eq!(rows[1].as_ref().unwrap_err().line, 2);
    let unknown = rows[2].as_ref().unwrap_err();
    assert_eq!(
        (unknown.line, unknown.sku.as_str(), unknown.field.as_str()),
        (4, "B", "colour")
    );
    assert_eq!(rows[3].as_ref().unwrap_err().message, "is not UTF-8");
    let last = rows[4].as_ref().unwrap();
    assert_eq!(last.attributes["size"], "12");
    assert_eq!(last.variants[0].stock, 1);
}

#[test]
fn a_line_without_end_is_skipped_in_flat_memory() {
    let mut content = vec![b'x'; 3 * 1024 * 1024];
    content.extend_from_slice(b"\n{\"sku\":\"A\"}\n");
    let rows = read("products.ndjson", &content);
    assert_eq!(
        rows[0].as_ref().unwrap_err().message,
        "is longer than 1 MiB"
    );
    assert_eq!(rows[1].as_ref().unwrap().line, 2);
    assert_eq!(rows.len(), 2);
}

#[test]
fn csv_columns_come_in_any_order() {
    let rows = read(
        "products.CSV",
        b"name,sku,price,attribute:color,images,variants,stock\n\
          \"Sled, red\",A,12.50,red,/a.svg|/b.svg,,5\n\
          Boots,B,80,,,\"[{\"\"sku\"\":\"\"B-1\"\",\"\"stock\"\":2}]\",x\n\
          Hat,C,5,blue,,\"[{\"\"sku\"\":\"\"C-1\"\",\"\"stock\"\":2}]\",\n",
    );
    let first = rows[0].as_ref().unwrap();
    assert_eq!((first.line, first.name.as_str()), (2, "Sled, red"));
    assert_eq!(first.attributes["color"], "red");
    assert_eq!(first.images[1].url, "/b.svg");
    let bad = rows[1].as_ref().unwrap_err();
    assert_eq!(
        (bad.line, bad.sku.as_str(), bad.field.as_str()),
        (3, "B", "stock")
    );
    assert_eq!(
        bad.to_string(),
        "line 3 (B): stock: \"x\" is not a number here"
    );
    assert_eq!(rows[2].as_ref().unwrap().variants[0].sku, "C-1");
}

#[test]
fn an_unknown_column_or_a_missing_file_is_one_error() {
    let rows = read("a.csv", b"sku,colour\nA,red\n");
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].as_ref().unwrap_err().field, "colour");
    let missing = read_rows(Path::new("/nowhere/products.ndjson"));
    assert_eq!(missing.err().unwrap().kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_demo_shop_is_made_of_good_rows() {
    let demo = include_str!("../../../hub/demo/products.ndjson");
    for row in read_ndjson(demo.as_bytes()) {
        let row = row.unwrap();
        let content = crate::domain::row::RowContent::read(&row, mesh::Currency::USD);
        assert!(content.is_ok(), "{}: {content:?}", row.sku);
    }
}
