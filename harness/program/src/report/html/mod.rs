//! `report.html`: everything of a result file in one page that needs no network and no other file.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use openssl::base64;

use crate::record::Results;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The page of a result file. The results are in it compressed, since thousands of cells share their texts; the browser
/// unpacks them.
pub(super) fn page(results: &Results) -> io::Result<String> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&serde_json::to_vec(results)?)?;
    let packed = base64::encode_block(&packed.finish()?);
    Ok(PAGE.replace("{style}", STYLE).replace("{script}", SCRIPT).replace("{results}", &packed))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use serde_json::Value;

    use super::*;
    use crate::record::sample::results;

    #[test]
    fn a_page_holds_all_of_the_results_and_no_text_of_them_is_markup() {
        let text = "</script><script>alert(1)</script><!--";
        let page = page(&results(text, 1)).expect("a page");
        assert!(!page.contains(text));
        let packed = page.split_once("id=\"results\">").and_then(|(_, rest)| rest.split_once('<')).expect("results").0;
        let mut unpacked = String::new();
        let packed = base64::decode_block(packed).expect("base64");
        GzDecoder::new(&packed[..]).read_to_string(&mut unpacked).expect("gzip");
        let unpacked: Value = serde_json::from_str(&unpacked).expect("JSON");
        assert_eq!(unpacked["cells"][0]["reason"], text);
    }

    #[test]
    fn five_thousand_cells_are_less_than_two_megabytes() {
        let page = page(&results("FATAL:  no pg_hba.conf entry for host", 5000)).expect("a page");
        assert!(page.len() < 2_000_000, "{}", page.len());
    }

    #[test]
    fn a_page_loads_nothing() {
        let page = page(&results("x", 1)).expect("a page");
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("<link"));
    }
}
