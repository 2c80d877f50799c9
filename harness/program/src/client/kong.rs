//! Kong's driver, re-created in this program.

use async_trait::async_trait;

use super::{Attempt, Client, ClientError, Established, Open, Task};
use kong_pg_client::{Connection, Kong, Refusal};

/// In process, and so always here.
pub(super) struct EmulatedKong;

#[async_trait]
impl Client for EmulatedKong {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let kong = match Kong::start(task.settings.clone(), (*task.profile).clone(), task.stack) {
            Ok(kong) => kong,
            Err(refusal) => return Ok(Attempt::refused(refusal, 0)),
        };
        let kong_pg_client::Attempt { result, reached, certificate } = kong.connect().await;
        let result = result.map(|connection| Established::open(connection.pid, connection));
        Ok(Attempt { result, connections: Some(usize::from(reached)), certificate })
    }

    fn about(&self) -> String {
        format!("built in, with {}", openssl::version::version())
    }
}

#[async_trait]
impl Open for Connection {
    async fn ask_again(&mut self) -> Result<(), Refusal> {
        self.ask_again().await
    }

    async fn close(self: Box<Self>) {
        (*self).close().await;
    }
}
