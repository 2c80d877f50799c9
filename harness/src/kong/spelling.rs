//! OpenSSL's texts as the OpenSSL of a Kong release spells them.

use crate::scenario::versions::OpensslLine;

/// A text of the OpenSSL this program is linked with, as another line of releases spells it.
pub(super) fn spell(text: &str, line: OpensslLine) -> String {
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
pub(crate) fn respell(text: &str, line: OpensslLine) -> String {
    spell(&text.replace("sslv3 alert ", "ssl/tls alert "), line)
}
