#![allow(clippy::unwrap_used)]

use futures::StreamExt;

use super::*;

fn name(text: &str) -> BlobName {
    text.parse().unwrap()
}

fn files() -> (tempfile::TempDir, Blobs) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Blobs::open("", dir.path()).unwrap();
    (dir, blobs)
}

#[tokio::test]
async fn a_blob_is_what_was_put_last() {
    let (dir, blobs) = files();
    let sled = name("images/products/sled.svg");
    assert!(blobs.get(&sled, LARGEST).await.unwrap().is_none());
    blobs.put(&sled, "<svg/>").await.unwrap();
    blobs.put(&sled, "<svg>2</svg>").await.unwrap();
    let blob = blobs.get(&sled, LARGEST).await.unwrap().unwrap();
    assert_eq!(blob.bytes, "<svg>2</svg>");
    assert_eq!(blob.content_type, "image/svg+xml");
    assert!(dir.path().join("blobs/images/products/sled.svg").exists());
    blobs.delete(&sled).await.unwrap();
    blobs.delete(&sled).await.unwrap();
    assert!(blobs.get(&sled, LARGEST).await.unwrap().is_none());
    blobs.check().await.unwrap();
}

#[tokio::test]
async fn sizes_are_bounded_and_large_blobs_come_in_pieces() {
    let (_dir, blobs) = files();
    let large = name("reports/large.bin");
    let bytes = Bytes::from(vec![7; 300_000]);
    blobs.put(&large, bytes.clone()).await.unwrap();
    let refused = blobs.get(&large, 299_999).await.unwrap_err();
    assert!(matches!(refused, BlobError::TooLarge { limit: 299_999 }));
    let stream = blobs.stream(&large).await.unwrap().unwrap();
    assert_eq!(stream.size, 300_000);
    let pieces: Vec<Bytes> = stream.into_pieces().map(Result::unwrap).collect().await;
    assert_eq!(pieces.concat(), bytes);
    let oversized = blobs.put(&large, vec![0; LARGEST + 1]).await;
    assert!(matches!(oversized, Err(BlobError::TooLarge { .. })));
    assert_eq!(
        blobs.get(&large, LARGEST).await.unwrap().unwrap().bytes,
        bytes
    );
}

#[tokio::test]
async fn a_listing_is_sorted_and_says_when_it_is_cut() {
    let (_dir, blobs) = files();
    for text in ["a/2.txt", "a/1.txt", "a/b/3.txt", "c/4.txt"] {
        blobs.put(&name(text), text.to_owned()).await.unwrap();
    }
    let names = |listing: &Listing| {
        listing
            .entries
            .iter()
            .map(|entry| entry.name.to_string())
            .collect::<Vec<_>>()
    };
    let whole = blobs.list("a", 10).await.unwrap();
    assert_eq!(names(&whole), ["a/1.txt", "a/2.txt", "a/b/3.txt"]);
    assert!(!whole.is_cut);
    assert_eq!(whole.entries[0].size, 7);
    let cut = blobs.list("", 2).await.unwrap();
    assert_eq!((cut.entries.len(), cut.is_cut), (2, true));
    assert!(blobs.list("nowhere", 10).await.unwrap().entries.is_empty());
}

#[test]
fn names_lead_nowhere_else() {
    for text in [
        "",
        "/a.txt",
        "a//b.txt",
        "../a.txt",
        "a/../b.txt",
        "a/.hidden.txt",
        "a b.txt",
        "A.txt",
        "a.txt/",
        "a%2e.txt",
        "a\\b.txt",
        "\u{fc}.txt",
    ] {
        assert_eq!(
            text.parse::<BlobName>(),
            Err(InvalidBlobName::Text),
            "{text}"
        );
    }
    assert_eq!("a.exe".parse::<BlobName>(), Err(InvalidBlobName::Ending));
    assert_eq!("svg".parse::<BlobName>(), Err(InvalidBlobName::Ending));
    let long = format!("{}.txt", "a".repeat(600));
    assert_eq!(long.parse::<BlobName>(), Err(InvalidBlobName::Length));
    let deep = format!("{}a.txt", "a/".repeat(16));
    assert_eq!(deep.parse::<BlobName>(), Err(InvalidBlobName::Length));
    assert_eq!(name("a-b_c.1.json").content_type(), "application/json");
}

#[test]
fn an_address_names_its_engine() {
    let dir = tempfile::tempdir().unwrap();
    let open = |url: &str| Blobs::open(url, dir.path()).map(|blobs| format!("{blobs:?}"));
    let folder = dir.path().join("elsewhere");
    let files = open(&format!("file://{}", folder.display())).unwrap();
    assert!(files.contains("LocalFileSystem"), "{files}");
    assert!(folder.is_dir());
    let s3 = open("s3://pictures").unwrap();
    assert!(s3.contains("AmazonS3(pictures)"), "{s3}");
    let within = open("s3://pictures/shop").unwrap();
    assert!(within.contains("PrefixObjectStore(shop)"), "{within}");
    assert!(matches!(open("ftp://x"), Err(BlobError::Address(_))));
    assert!(matches!(
        open("file://relative"),
        Err(BlobError::Address(_))
    ));
    assert!(matches!(open("somewhere"), Err(BlobError::Address(_))));
}
