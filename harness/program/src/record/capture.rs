//! Recorded connections as a packet capture (pcapng) that Wireshark decrypts: the TLS secrets are in it.
//!
//! Only what passed between TLS and TCP is known. The packets around it are made up: a handshake, acknowledgements, and
//! segments of the bytes that were read or written at once. The server's port is 5432 in it, by which Wireshark knows
//! the protocol.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

use etherparse::PacketBuilder;
use pcap_parser::pcapng::{
    DecryptionSecretsBlock, EnhancedPacketBlock, InterfaceDescriptionBlock, OptionCode, PcapNGOption, SecretsType,
    SectionHeaderBlock,
};
use pcap_parser::{Linktype, ToVec};

use crate::run::{Passed, Recording};

/// The port by which Wireshark knows PostgreSQL's protocol.
const PORT: u16 = 5432;
/// How much of a segment's bytes fits into an IP packet with room to spare.
const SEGMENT: usize = 32 * 1024;
const WINDOW: u16 = u16::MAX;
/// Timestamps count nanoseconds: ten to the minus ninth of a second.
const RESOLUTION: u8 = 9;

/// The key log of connections, as `SSLKEYLOGFILE` has it; empty if there are no secrets.
pub(super) fn key_log(connections: &[Recording]) -> String {
    let secrets = connections.iter().flatten().filter_map(|(_, passed)| match passed {
        Passed::Secret(line) => Some(format!("{line}\n")),
        _ => None,
    });
    secrets.collect()
}

/// The capture of connections; nothing, if none was established.
///
/// # Errors
/// If a packet cannot be made.
pub(super) fn capture(connections: &[Recording]) -> io::Result<Option<Vec<u8>>> {
    let mut packets = Vec::new();
    let mut comment = String::new();
    for connection in connections {
        let Some((client, server)) = ends(connection) else { continue };
        let _ = writeln!(comment, "{client} to {server}, whose port is written as {PORT}");
        packets.extend(Dialogue::new(client, server).packets(connection)?);
    }
    if packets.is_empty() {
        return Ok(None);
    }
    packets.sort_by_key(|packet| packet.at);
    let secrets = key_log(connections);
    let mut file = written(section(comment.trim_end()))?;
    file.extend(written(interface())?);
    if !secrets.is_empty() {
        file.extend(written(decryption_secrets(&secrets))?);
    }
    for packet in &packets {
        file.extend(written(packet.block())?);
    }
    Ok(Some(file))
}

fn ends(connection: &Recording) -> Option<(SocketAddr, SocketAddr)> {
    connection.iter().find_map(|(_, passed)| match passed {
        Passed::Connected { client, server } => Some((*client, *server)),
        _ => None,
    })
}

fn written(mut block: impl ToVec) -> io::Result<Vec<u8>> {
    block.to_vec().map_err(|error| io::Error::other(error.to_string()))
}

fn text(code: OptionCode, text: &str) -> PcapNGOption<'_> {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    PcapNGOption { code, len: length, value: Cow::Borrowed(&text.as_bytes()[..length.into()]) }
}

fn section(comment: &str) -> SectionHeaderBlock<'_> {
    let options = vec![text(OptionCode::Comment, comment), text(OptionCode::ShbUserAppl, "kong-pg-tls")];
    SectionHeaderBlock {
        block_type: 0,
        block_len1: 0,
        bom: 0,
        major_version: 1,
        minor_version: 0,
        section_len: -1,
        options,
        block_len2: 0,
    }
}

fn interface() -> InterfaceDescriptionBlock<'static> {
    InterfaceDescriptionBlock {
        block_type: 0,
        block_len1: 0,
        linktype: Linktype::RAW,
        reserved: 0,
        snaplen: 0,
        options: Vec::new(),
        block_len2: 0,
        if_tsresol: RESOLUTION,
        if_tsoffset: 0,
    }
}

fn decryption_secrets(secrets: &str) -> DecryptionSecretsBlock<'_> {
    DecryptionSecretsBlock {
        block_type: 0,
        block_len1: 0,
        secrets_type: SecretsType::TlsKeyLog,
        secrets_len: u32::try_from(secrets.len()).unwrap_or(u32::MAX),
        data: secrets.as_bytes(),
        options: Vec::new(),
        block_len2: 0,
    }
}

/// A packet: IP and all above it.
struct Packet {
    at: SystemTime,
    bytes: Vec<u8>,
}

impl Packet {
    fn block(&self) -> EnhancedPacketBlock<'_> {
        let since = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let [high, low] =
            [nanos >> 32, nanos & u64::from(u32::MAX)].map(|part| u32::try_from(part).unwrap_or(u32::MAX));
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        EnhancedPacketBlock {
            block_type: 0,
            block_len1: 0,
            if_id: 0,
            ts_high: high,
            ts_low: low,
            caplen: length,
            origlen: length,
            data: &self.bytes,
            options: Vec::new(),
            block_len2: 0,
        }
    }
}

/// Who sends a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    Client,
    Server,
}

/// What a packet does beside carrying bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Syn,
    Push,
    Fin,
    Nothing,
}

/// A TCP connection while its packets are made.
struct Dialogue {
    client: SocketAddr,
    server: SocketAddr,
    /// The next sequence number of the client's, and of the server's.
    next: [u32; 2],
}

impl Dialogue {
    fn new(client: SocketAddr, server: SocketAddr) -> Self {
        Self { client, server: SocketAddr::new(server.ip(), PORT), next: [0, 0] }
    }

    fn packets(mut self, connection: &Recording) -> io::Result<Vec<Packet>> {
        let mut packets = Vec::new();
        for (at, passed) in connection {
            let mut add = |from, flag, bytes: &[u8]| -> io::Result<()> {
                packets.push(Packet { at: *at, bytes: self.packet(from, flag, bytes)? });
                Ok(())
            };
            match passed {
                Passed::Connected { .. } => {
                    add(From::Client, Flag::Syn, &[])?;
                    add(From::Server, Flag::Syn, &[])?;
                    add(From::Client, Flag::Nothing, &[])?;
                }
                Passed::Sent(bytes) => {
                    bytes.chunks(SEGMENT).try_for_each(|part| add(From::Client, Flag::Push, part))?;
                }
                Passed::Received(bytes) => {
                    bytes.chunks(SEGMENT).try_for_each(|part| add(From::Server, Flag::Push, part))?;
                }
                Passed::PeerEnded => add(From::Server, Flag::Fin, &[])?,
                Passed::Closed => add(From::Client, Flag::Fin, &[])?,
                Passed::Secret(_) => {}
            }
        }
        Ok(packets)
    }

    fn packet(&mut self, from: From, flag: Flag, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let (source, target, own, other) = match from {
            From::Client => (self.client, self.server, 0, 1),
            From::Server => (self.server, self.client, 1, 0),
        };
        let (sequence, acknowledged) = (self.next[own], self.next[other]);
        let length = bytes.len() + usize::from(matches!(flag, Flag::Syn | Flag::Fin));
        self.next[own] = sequence.wrapping_add(u32::try_from(length).unwrap_or(u32::MAX));
        let ip = match (source.ip(), target.ip()) {
            (IpAddr::V4(source), IpAddr::V4(target)) => PacketBuilder::ipv4(source.octets(), target.octets(), 64),
            (source, target) => PacketBuilder::ipv6(in_version_6(source), in_version_6(target), 64),
        };
        let mut tcp = ip.tcp(source.port(), target.port(), sequence, WINDOW);
        if flag != Flag::Syn || from == From::Server {
            tcp = tcp.ack(acknowledged);
        }
        tcp = match flag {
            Flag::Syn => tcp.syn(),
            Flag::Push => tcp.psh(),
            Flag::Fin => tcp.fin(),
            Flag::Nothing => tcp,
        };
        let mut packet = Vec::with_capacity(tcp.size(bytes.len()));
        tcp.write(&mut packet, bytes).map_err(io::Error::other)?;
        Ok(packet)
    }
}

fn in_version_6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{SlicedPacket, TransportSlice};
    use pcap_parser::traits::PcapNGPacketBlock;
    use pcap_parser::{Block, PcapBlockOwned, PcapNGReader, traits::PcapReaderIterator};

    use super::*;

    fn connection() -> Recording {
        let (client, server) =
            ("127.0.0.1:40000".parse().expect("an address"), "127.0.0.1:41007".parse().expect("one"));
        let passed = [
            Passed::Connected { client, server },
            Passed::Sent(b"ping".to_vec()),
            Passed::Secret("CLIENT_RANDOM 00 11".into()),
            Passed::Received(vec![7; SEGMENT + 1]),
            Passed::PeerEnded,
            Passed::Closed,
        ];
        passed.into_iter().map(|passed| (SystemTime::now(), passed)).collect()
    }

    #[test]
    fn a_capture_is_understood_by_parsers_and_its_sequence_numbers_add_up() {
        let file = capture(&[connection()]).expect("a capture").expect("packets");
        let mut reader = PcapNGReader::new(1 << 20, &file[..]).expect("pcapng");
        let (mut sent, mut secrets) = (Vec::new(), Vec::new());
        while let Ok((offset, block)) = reader.next() {
            match block {
                PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                    let packet = SlicedPacket::from_ip(packet.packet_data()).expect("an IP packet");
                    let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!("TCP: {packet:?}") };
                    let ports = (tcp.source_port(), tcp.destination_port());
                    assert!(matches!(ports, (40_000, PORT) | (PORT, 40_000)), "{ports:?}");
                    sent.push((tcp.source_port() == PORT, tcp.sequence_number(), tcp.payload().len()));
                }
                PcapBlockOwned::NG(Block::DecryptionSecrets(block)) => secrets.extend_from_slice(&block.data[..19]),
                _ => {}
            }
            reader.consume(offset);
        }
        let end = u32::try_from(SEGMENT).expect("a number") + 2;
        let expected = [
            (false, 0, 0),
            (true, 0, 0),
            (false, 1, 0),
            (false, 1, 4),
            (true, 1, SEGMENT),
            (true, end - 1, 1),
            (true, end, 0),
            (false, 5, 0),
        ];
        assert_eq!(sent, expected);
        assert_eq!(secrets, b"CLIENT_RANDOM 00 11");
    }

    #[test]
    fn without_a_connection_there_is_no_capture() {
        assert!(capture(&[Recording::new()]).expect("no error").is_none());
    }
}
