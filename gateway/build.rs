//! Takes the two files of Swagger UI that `/docs` needs out of the vendored archive, so that the
//! binary serves them without reading an archive and works offline.

use std::{error::Error, fs, io::Read, path::PathBuf};

use flate2::read::DeflateDecoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED as ARCHIVE;

const WANTED: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for name in WANTED {
        let content = extract(&format!("/dist/{name}"))
            .ok_or_else(|| format!("the archive has no {name}"))?;
        fs::write(out.join(name), content?)?;
    }
    Ok(())
}

/// The content of the first file whose path in the archive ends so. Only what this archive uses of the
/// zip format is read: a central directory, stored and deflated entries.
fn extract(suffix: &str) -> Option<Result<Vec<u8>, std::io::Error>> {
    let end = ARCHIVE
        .windows(4)
        .rposition(|bytes| bytes == b"PK\x05\x06")?;
    let mut entries = usize::from(u16_at(end + 10)?);
    let mut at = u32_at(end + 16)?;
    while entries > 0 {
        let (method, packed) = (u16_at(at + 10)?, u32_at(at + 20)?);
        let (name, extra, comment) = (u16_at(at + 28)?, u16_at(at + 30)?, u16_at(at + 32)?);
        let local = u32_at(at + 42)?;
        let path = ARCHIVE.get(at + 46..at + 46 + usize::from(name))?;
        if path.ends_with(suffix.as_bytes()) {
            let start =
                local + 30 + usize::from(u16_at(local + 26)?) + usize::from(u16_at(local + 28)?);
            let bytes = ARCHIVE.get(start..start + packed)?;
            if method == 0 {
                return Some(Ok(bytes.to_vec()));
            }
            let mut content = Vec::new();
            return Some(
                DeflateDecoder::new(bytes)
                    .read_to_end(&mut content)
                    .map(|_| content),
            );
        }
        at += 46 + usize::from(name) + usize::from(extra) + usize::from(comment);
        entries -= 1;
    }
    None
}

fn u16_at(at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(
        ARCHIVE.get(at..at + 2)?.try_into().ok()?,
    ))
}

fn u32_at(at: usize) -> Option<usize> {
    let bytes = ARCHIVE.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}
