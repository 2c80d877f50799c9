//! A page with its style, its script and its data.

use std::io::{self, BufWriter, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// Writes a page. Its data are in it compressed, since thousands of cells share their texts; the browser unpacks them.
pub(super) fn write_assembled(
    out: &mut dyn Write,
    own_style: &str,
    script: &str,
    data: &impl Serialize,
) -> io::Result<()> {
    let page = PAGE.replace("{style}", &[STYLE, own_style].concat()).replace("{script}", script);
    let (before, after) = page.split_once("{results}").expect("the page has a place for its data");
    out.write_all(before.as_bytes())?;
    // In pieces of a size that the compressor takes at once.
    let compressor = GzEncoder::new(EncoderWriter::new(&mut *out, &STANDARD), Compression::best());
    let mut unpacked = BufWriter::new(compressor);
    serde_json::to_writer(&mut unpacked, data)?;
    unpacked.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?.finish()?;
    out.write_all(after.as_bytes())
}

/// What is written, as text.
#[cfg(test)]
pub(super) fn text(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> String {
    let mut page = Vec::new();
    write(&mut page).expect("a page");
    String::from_utf8(page).expect("UTF-8")
}

/// The data of a page.
#[cfg(test)]
pub(super) fn unpacked(page: &str) -> serde_json::Value {
    let packed = page.split_once("id=\"results\">").and_then(|(_, rest)| rest.split_once('<')).expect("results").0;
    let packed = base64::Engine::decode(&STANDARD, packed).expect("base64");
    serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).expect("JSON")
}
