//! The cryptography of a mode and nothing else: its handshake in memory, with the same keys, groups and checks. No client
//! and no server can be faster.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::{
    ErrorCode, Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslOptions, SslStream, SslVerifyMode,
    SslVersion,
};
use openssl::x509::X509;
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509VerifyFlags;

use super::modes::Groups;
use kong_pg_client::{Settings, combine};
use postgres_tls_server::Configuration;

/// What the handshakes of a mode need.
pub(super) struct Bare {
    client: SslContext,
    server: SslContext,
}

/// What the parts of a handshake took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) client: Duration,
    pub(super) server: Duration,
}

impl Bare {
    /// Both sides of a mode. `folder` is where files can be written that OpenSSL wants to read itself.
    pub(super) fn new(
        settings: &Settings,
        configuration: &Configuration,
        groups: &Groups,
        folder: &Path,
    ) -> Result<Self, io::Error> {
        Ok(Self { client: client(settings, groups)?, server: server(configuration, groups, folder)? })
    }

    /// One handshake, without resumption.
    pub(super) fn handshake(&self) -> io::Result<Parts> {
        let (to_server, to_client) = (Rc::default(), Rc::default());
        let mut client = end(&self.client, &to_client, &to_server)?;
        let mut server = end(&self.server, &to_server, &to_client)?;
        let mut parts = Parts { client: Duration::ZERO, server: Duration::ZERO };
        let (mut client_done, mut server_done) = (false, false);
        // Each turn, one side reads all that the other has written; no handshake has more flights.
        for _ in 0..10 {
            let begun = Instant::now();
            client_done = client_done || is_done(client.connect())?;
            parts.client += begun.elapsed();
            let begun = Instant::now();
            server_done = server_done || is_done(server.accept())?;
            parts.server += begun.elapsed();
            if client_done && server_done {
                return Ok(parts);
            }
        }
        Err(io::Error::other("the handshake in memory does not end"))
    }
}

/// Whether a side is done; it may have to wait for the other.
fn is_done(result: Result<(), openssl::ssl::Error>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// What one side has written and the other has not read.
type Pipe = Rc<RefCell<VecDeque<u8>>>;

/// One end of a connection in memory.
struct End {
    incoming: Pipe,
    outgoing: Pipe,
}

impl Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.incoming.borrow_mut().read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for End {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn end(context: &SslContext, incoming: &Pipe, outgoing: &Pipe) -> Result<SslStream<End>, ErrorStack> {
    SslStream::new(Ssl::new(context)?, End { incoming: incoming.clone(), outgoing: outgoing.clone() })
}

/// As Kong's cosocket.
fn client(settings: &Settings, groups: &Groups) -> io::Result<SslContext> {
    let mut builder = SslContext::builder(SslMethod::tls_client())?;
    let version = if settings.protocols == "TLSv1.2" { SslVersion::TLS1_2 } else { SslVersion::TLS1_3 };
    builder.set_min_proto_version(Some(version))?;
    builder.set_max_proto_version(Some(version))?;
    if let Some(groups) = &groups.client {
        builder.set_groups_list(groups)?;
    }
    builder.set_verify(SslVerifyMode::NONE);
    if settings.ssl_verify
        && let Some(trusted) = combine(settings).map_err(|refusal| io::Error::other(refusal.text))?
    {
        builder.set_ca_file(trusted)?;
        builder.set_verify(SslVerifyMode::PEER);
    }
    if let (Some(certificate), Some(key)) = (&settings.ssl_cert, &settings.ssl_cert_key) {
        own(&mut builder, &std::fs::read(certificate)?, &std::fs::read(key)?)?;
    }
    Ok(builder.build())
}

/// As PostgreSQL: no tickets, no cache, and no other groups than those of its setting.
fn server(configuration: &Configuration, groups: &Groups, folder: &Path) -> io::Result<SslContext> {
    let named = |key: &str| configuration.conf.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let file = |name: &str| configuration.files.get(name).map(|file| &file.content[..]).unwrap_or_default();
    let mut builder = SslContext::builder(SslMethod::tls_server())?;
    builder.set_options(SslOptions::NO_TICKET | SslOptions::CIPHER_SERVER_PREFERENCE);
    builder.set_num_tickets(0)?;
    builder.set_groups_list(&groups.server)?;
    own(&mut builder, file(named("ssl_cert_file").unwrap_or("server.crt")), file("server.key"))?;
    if let Some(trusted) = named("ssl_ca_file") {
        for certificate in X509::stack_from_pem(file(trusted))? {
            builder.cert_store_mut().add_cert(certificate)?;
        }
        builder.set_verify(SslVerifyMode::PEER);
    }
    if let Some(list) = named("ssl_crl_file") {
        let path = folder.join("bare.crl");
        std::fs::write(&path, file(list))?;
        let store = builder.cert_store_mut();
        store.add_lookup(X509Lookup::file())?.load_crl_file(&path, SslFiletype::PEM)?;
        store.set_flags(X509VerifyFlags::CRL_CHECK | X509VerifyFlags::CRL_CHECK_ALL)?;
        std::fs::remove_file(&path)?;
    }
    Ok(builder.build())
}

fn own(builder: &mut SslContextBuilder, chain: &[u8], key: &[u8]) -> io::Result<()> {
    for (place, certificate) in X509::stack_from_pem(chain)?.into_iter().enumerate() {
        if place == 0 { builder.set_certificate(&certificate)? } else { builder.add_extra_chain_cert(certificate)? }
    }
    let key = PKey::private_key_from_pem(key)?;
    Ok(builder.set_private_key(&key)?)
}
