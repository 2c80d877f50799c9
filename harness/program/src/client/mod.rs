//! The clients that can run a cell, behind one trait.

mod accept_any;
mod by_hand;
mod command;
mod interface;
mod kong;
mod kong_image;
mod kong_images;
mod libpq;
mod limited;
mod openresty;
mod rustls;
mod translate;
mod unavailable;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub(crate) use self::accept_any::AcceptAny;
use kong_pg_scenarios::vocabulary::ClientKind;

pub use self::by_hand::ByHand;
pub use self::interface::{
    Attempt, Client, ClientError, ClientOptions, Connection, Established, KongConfFiles, Open, Repeater, Task, Tuning,
};
pub use self::unavailable::{ClientUnavailable, ContainerError, ProgramError, Unavailable};

use crate::leaks::Traces;

/// The clients of a run.
pub struct Clients {
    by_kind: HashMap<ClientKind, Box<dyn Client>>,
    traces: Arc<Traces>,
}

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
        Ok(Self { by_kind: clients, traces: needs.traces.clone() })
    }

    /// One of them.
    pub(crate) fn get(&self, kind: ClientKind) -> Result<&dyn Client, ClientError> {
        let client = self.by_kind.get(&kind).map(AsRef::as_ref);
        client.ok_or_else(|| ClientError::environment(format!("connect with {kind}"), "it was not prepared"))
    }

    /// The releases of the real Kongs among them, each by the name of its exact version, in the order of their images.
    #[must_use]
    pub fn releases(&self) -> Option<Vec<String>> {
        self.by_kind.values().find_map(|client| client.releases())
    }

    /// What they are, with their versions.
    #[must_use]
    pub fn about(&self) -> BTreeMap<ClientKind, String> {
        self.by_kind.iter().map(|(kind, client)| (*kind, client.about())).collect()
    }

    /// What cells use, to find what they leave behind.
    pub(crate) fn traces(&self) -> &Traces {
        &self.traces
    }

    /// Whether some of them may run in containers.
    #[must_use]
    pub fn may_be_contained(&self) -> bool {
        [ClientKind::KongImage, ClientKind::Openresty, ClientKind::Pgmoon]
            .iter()
            .any(|kind| self.by_kind.contains_key(kind))
    }

    /// Ends what they may have left running.
    pub async fn close(&self) {
        for client in self.by_kind.values() {
            client.close().await;
        }
    }
}

async fn client(kind: ClientKind, needs: &ClientOptions) -> Result<Box<dyn Client>, Unavailable> {
    Ok(match kind {
        ClientKind::Kong => Box::new(kong::EmulatedKong),
        ClientKind::Openresty => Box::new(openresty::OpenResty::find(needs).await?),
        ClientKind::Pgmoon => Box::new(openresty::OpenResty::with_pgmoon(needs).await?),
        ClientKind::Libpq => Box::new(libpq::Psql::find(needs).await?),
        ClientKind::Rustls => Box::new(rustls::RustlsClient),
        ClientKind::Command => Box::new(command::Program::probe(needs).await?),
        ClientKind::KongImage => Box::new(kong_images::Images::find(needs).await?),
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
