//! A connection that the server's log can be recognised by. The server refuses it at its first packet, before pg_hba.conf
//! is consulted and whatever the TLS settings are, with a message that quotes the version asked for.

use crate::log::LogLine;

/// A startup packet (length, protocol version) that asks for protocol 9.20817, which does not exist.
pub(crate) const STARTUP_PACKET: [u8; 8] = [0, 0, 0, 8, 0, 9, 0x51, 0x51];

/// How the server's message begins. What follows, the versions it supports, differs from version to version.
const MESSAGE: &str = "FATAL:  unsupported frontend protocol 9.20817: ";

/// The processes that have refused such connections.
pub(crate) fn processes(lines: &[LogLine]) -> impl Iterator<Item = i32> {
    lines.iter().filter(|line| line.text.starts_with(MESSAGE)).filter_map(|line| line.pid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_asked_for_is_the_one_in_the_message() {
        let [.., high, low] = STARTUP_PACKET;
        assert!(MESSAGE.contains(&format!(" 9.{}: ", u16::from_be_bytes([high, low]))));
        let line = |text: &str| LogLine { pid: Some(7), text: text.into() };
        let refused = line("FATAL:  unsupported frontend protocol 9.20817: server supports 3.0 to 3.0");
        let other = line("FATAL:  unsupported frontend protocol 1234.5679: server supports 3.0 to 3.0");
        assert_eq!(processes(&[other, refused]).collect::<Vec<_>>(), [7]);
    }
}
