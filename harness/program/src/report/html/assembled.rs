//! A page with its style, its script and its data.

use std::io::{self, BufWriter, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::base64;
use serde::Serialize;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");

/// A page. Its data are in it compressed, since thousands of cells share their texts; the browser unpacks them.
pub(super) fn assembled(own_style: &str, script: &str, data: &impl Serialize) -> io::Result<String> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    // In pieces of a size that the compressor takes at once.
    let mut unpacked = BufWriter::new(&mut packed);
    serde_json::to_writer(&mut unpacked, data)?;
    unpacked.flush()?;
    drop(unpacked);
    let packed = base64::encode_block(&packed.finish()?);
    let style = [STYLE, own_style].concat();
    Ok(PAGE.replace("{style}", &style).replace("{script}", script).replace("{results}", &packed))
}

/// The data of a page.
#[cfg(test)]
pub(super) fn unpacked(page: &str) -> serde_json::Value {
    let packed = page.split_once("id=\"results\">").and_then(|(_, rest)| rest.split_once('<')).expect("results").0;
    let packed = base64::decode_block(packed).expect("base64");
    serde_json::from_reader(flate2::read::GzDecoder::new(&packed[..])).expect("JSON")
}
