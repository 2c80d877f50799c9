//! OpenSSL's texts as the OpenSSL of a Kong release spells them.

use crate::OpensslLine;

/// A text of the OpenSSL this program is linked with, as another line of releases spells it.
pub(super) fn to_release_wording(text: &str, line: OpensslLine) -> String {
    let mut text = text.to_owned();
    if line < OpensslLine(3, 2) {
        text = text.replace("ssl/tls alert ", "sslv3 alert ");
    }
    if line < OpensslLine(3, 0) {
        text = text.replace("self-signed certificate", "self signed certificate");
    }
    text
}

/// A text of some OpenSSL 3 or newer, as another line of releases spells it.
pub fn reword(text: &str, line: OpensslLine) -> String {
    to_release_wording(&text.replace("sslv3 alert ", "ssl/tls alert "), line)
}
