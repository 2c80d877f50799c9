//! The clients that can run a cell, behind one trait.

mod accept_any;
mod by_hand;
mod command;
mod interface;
mod kong;
mod kong_image;
mod libpq;
mod openresty;
mod rustls;
mod translate;
mod unavailable;

use std::collections::{BTreeMap, HashMap};

pub(crate) use self::accept_any::AcceptAny;
pub use self::by_hand::ByHand;
pub use self::interface::{
    Attempt, Client, ClientError, ClientOptions, Connection, Established, KongConfFiles, Open, Task,
};
pub use self::unavailable::{ClientUnavailable, ContainerError, ProgramError, Unavailable};

use crate::vocabulary::ClientKind;

/// The clients of a run.
pub struct Clients(HashMap<ClientKind, Box<dyn Client>>);

impl Clients {
    /// Prepares clients.
    ///
    /// # Errors
    /// If one of them cannot be used here.
    pub async fn ready(kinds: &[ClientKind], needs: &ClientOptions) -> Result<Self, ClientUnavailable> {
        let mut clients = HashMap::new();
        for kind in kinds {
            clients.insert(
                *kind,
                client(*kind, needs).await.map_err(|why| ClientUnavailable { kind: *kind, why: Box::new(why) })?,
            );
        }
        Ok(Self(clients))
    }

    /// One of them.
    pub(crate) fn get(&self, kind: ClientKind) -> Result<&dyn Client, ClientError> {
        let client = self.0.get(&kind).map(AsRef::as_ref);
        client.ok_or_else(|| ClientError::environment(format!("connect with {kind}"), "it was not prepared"))
    }

    /// The release of the real Kong among them.
    #[must_use]
    pub fn release(&self) -> Option<String> {
        self.0.values().find_map(|client| client.release())
    }

    /// What they are, with their versions.
    #[must_use]
    pub fn about(&self) -> BTreeMap<ClientKind, String> {
        self.0.iter().map(|(kind, client)| (*kind, client.about())).collect()
    }

    /// Ends what they may have left running.
    pub async fn close(&self) {
        for client in self.0.values() {
            client.close().await;
        }
    }
}

async fn client(kind: ClientKind, needs: &ClientOptions) -> Result<Box<dyn Client>, Unavailable> {
    Ok(match kind {
        ClientKind::Kong => Box::new(kong::EmulatedKong),
        ClientKind::Openresty => Box::new(openresty::OpenResty::find(needs).await?),
        ClientKind::Libpq => Box::new(libpq::Psql::find(&needs.run).await?),
        ClientKind::Rustls => Box::new(rustls::RustlsClient),
        ClientKind::Command => Box::new(command::Program::probe(needs.command.as_deref()).await?),
        ClientKind::KongImage => Box::new(kong_image::Image::find(needs).await?),
    })
}

/// Every client, with its description, or why it cannot be used here.
pub async fn survey(needs: &ClientOptions) -> Vec<(ClientKind, Result<String, Unavailable>)> {
    let mut found = Vec::new();
    for kind in ClientKind::ALL {
        found.push((*kind, client(*kind, needs).await.map(|client| client.about())));
    }
    found
}
