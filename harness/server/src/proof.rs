//! What a connection is, in the server's own words.

/// What `pg_stat_ssl` shows of a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsProof {
    /// `TLSv1.3`; `None` for a connection without TLS.
    pub version: Option<String>,
    /// The cipher suite, by OpenSSL's name: `TLS_AES_256_GCM_SHA384`.
    pub cipher: Option<String>,
    /// The subject of the client certificate: `/CN=kong`. The log does not have it.
    pub client_dn: Option<String>,
}

impl TlsProof {
    /// Reads the log line of a connection that the server has authorized: `connection authorized: user=kong database=kong
    /// SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)`.
    pub(crate) fn from_log_line(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("LOG:  connection authorized: ")?;
        let Some((_, tls)) = rest.split_once(" SSL enabled (") else { return Some(Self::default()) };
        let pairs = tls.trim_end_matches(')').split(", ").filter_map(|pair| pair.split_once('='));
        let value = |name: &str| pairs.clone().find(|(key, _)| *key == name).map(|(_, value)| value.to_owned());
        Some(Self { version: value("protocol"), cipher: value("cipher"), client_dn: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_what_a_connection_is() {
        let tls = "LOG:  connection authorized: user=kong database=kong SSL enabled (protocol=TLSv1.3, cipher=TLS_AES_256_GCM_SHA384, bits=256)";
        let proof = TlsProof::from_log_line(tls).expect("a proof");
        assert_eq!(proof.version.as_deref(), Some("TLSv1.3"));
        assert_eq!(proof.cipher.as_deref(), Some("TLS_AES_256_GCM_SHA384"));
        let plain = "LOG:  connection authorized: user=kong database=kong";
        assert_eq!(TlsProof::from_log_line(plain), Some(TlsProof::default()));
        assert_eq!(TlsProof::from_log_line("LOG:  connection received: host=127.0.0.1 port=1"), None);
    }
}
