//! Kong's driver, re-created in this program.

use async_trait::async_trait;

use super::{Attempt, Client, ClientError, Established, Open, Repeater, Task, Tuning};
use kong_pg_client::{Connection, Kong, Refusal, Stack};

/// In process, and so always here.
pub(super) struct EmulatedKong;

#[async_trait]
impl Client for EmulatedKong {
    async fn connect(&self, task: &Task) -> Result<Attempt, ClientError> {
        let kong =
            match Kong::start_tapped(task.settings.clone(), (*task.profile).clone(), task.stack, task.tap.clone()) {
                Ok(kong) => kong,
                Err(refusal) => return Ok(Attempt::refused(refusal, 0)),
            };
        let kong_pg_client::Attempt { result, reached, certificate } = kong.connect().await;
        let result = result.map(|connection| Established::open(connection.pid, connection));
        Ok(Attempt { result, connections: Some(usize::from(reached)), certificate })
    }

    async fn repeater(&self, task: &Task, tuning: Tuning) -> Result<Box<dyn Repeater>, ClientError> {
        if tuning.direct {
            return Err(ClientError::Unsupported("Kong's driver asks for TLS first".into()));
        }
        let mut settings = task.settings.clone();
        settings.group = tuning.group.map(str::to_owned);
        let started = Kong::start(settings, (*task.profile).clone(), task.stack);
        let kong = started.map_err(|refusal| ClientError::environment("start", refusal.as_kong_prints_it()))?;
        Ok(Box::new(Started { kong, open: None }))
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

    /// Only cosockets have a pool; Kong closes connections of LuaSocket instead of keeping them.
    async fn connect_from_pool(mut self: Box<Self>, task: &Task) -> Result<Attempt, ClientError> {
        if task.stack == Stack::Luasec || !self.is_reused_for(&task.settings) {
            (*self).close().await;
            return EmulatedKong.connect(task).await;
        }
        let result = (*self).ask_again().await;
        let result = result.map(|()| Established::open(self.pid, *self));
        Ok(Attempt { result, connections: Some(0), certificate: None })
    }
}

/// A Kong that has started.
struct Started {
    kong: Kong,
    open: Option<Connection>,
}

#[async_trait]
impl Repeater for Started {
    async fn connect(&mut self) -> Result<i32, Refusal> {
        let connection = self.kong.connect().await.result?;
        Ok(self.open.insert(connection).pid)
    }

    async fn disconnect(&mut self) -> bool {
        if let Some(connection) = self.open.take() {
            connection.close().await;
        }
        true
    }
}
