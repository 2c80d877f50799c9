//! OpenSSL's texts in the wording of the OpenSSL that a Kong release is built with.

use crate::openssl_line::OpensslLine;

/// A text of the OpenSSL that this crate is linked with (3.2 or later), in the wording of another line of releases.
pub(crate) fn to_release_wording(text: &str, line: OpensslLine) -> String {
    let mut text = text.to_owned();
    if line < OpensslLine(3, 2) {
        text = text.replace("ssl/tls alert ", "sslv3 alert ");
    }
    if line < OpensslLine(3, 0) {
        text = text.replace("self-signed certificate", "self signed certificate");
    }
    text
}

/// A text of any OpenSSL 3 or later, in the wording of another line of releases.
#[must_use]
pub fn reword(text: &str, line: OpensslLine) -> String {
    to_release_wording(&text.replace("sslv3 alert ", "ssl/tls alert "), line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_the_wording_of_a_line() {
        let text = "ssl/tls alert bad certificate, self-signed certificate";
        assert_eq!(reword(text, OpensslLine(3, 5)), text);
        assert_eq!(reword(text, OpensslLine(3, 0)), "sslv3 alert bad certificate, self-signed certificate");
        assert_eq!(reword(text, OpensslLine(3, 1)), "sslv3 alert bad certificate, self-signed certificate");
        assert_eq!(reword(text, OpensslLine(1, 1)), "sslv3 alert bad certificate, self signed certificate");
        assert_eq!(reword("sslv3 alert bad certificate", OpensslLine(3, 2)), "ssl/tls alert bad certificate");
    }
}
