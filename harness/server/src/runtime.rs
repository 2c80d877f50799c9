//! Where a server runs, behind two traits: what makes servers, and the place that one server has.

use std::collections::BTreeMap;

use async_trait::async_trait;
use tokio_postgres::Client;

use crate::config::File;
use crate::control;
use crate::error::{OwnerUnavailable, RuntimeError};
use crate::log::LogBook;
use crate::words::{Major, Offer, Owner};

/// What servers run on.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// What it can run; each major once.
    fn offers(&self) -> Vec<Offer>;

    /// Makes a place for one server, with an initialised data directory. The server is not started.
    ///
    /// # Errors
    /// The major is not available, or its data directory cannot be made.
    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError>;

    /// Removes what is left of hosts that were not completed.
    async fn sweep(&self) {}
}

/// Several runtimes as one: each major is run by the first that has it.
pub struct Combined(pub Vec<Box<dyn Runtime>>);

#[async_trait]
impl Runtime for Combined {
    fn offers(&self) -> Vec<Offer> {
        let mut offers = BTreeMap::new();
        for offer in self.0.iter().flat_map(|runtime| runtime.offers()) {
            offers.entry(offer.major).or_insert(offer);
        }
        offers.into_values().collect()
    }

    async fn host(&self, major: Major) -> Result<Box<dyn Host>, RuntimeError> {
        for runtime in &self.0 {
            if runtime.offers().iter().any(|offer| offer.major == major) {
                return runtime.host(major).await;
            }
        }
        Err(RuntimeError::MajorUnavailable { major, offered: self.offers() })
    }

    async fn sweep(&self) {
        for runtime in &self.0 {
            runtime.sweep().await;
        }
    }
}

/// A place for one server. Everything in it is removed with the value.
#[async_trait]
pub trait Host: Send + Sync {
    /// Settings of postgresql.conf that the place needs.
    fn conf(&self) -> Vec<(&'static str, String)>;

    /// The line of pg_hba.conf that admits the session of [`Host::control`].
    fn hba(&self) -> String;

    /// Whether files can be given to that owner.
    ///
    /// # Errors
    /// They cannot.
    fn can_own(&self, owner: Owner) -> Result<(), OwnerUnavailable>;

    /// Puts files into the data directory, in the place of those that were put there `before`.
    ///
    /// # Errors
    /// A file cannot be written.
    async fn install(
        &mut self,
        before: &BTreeMap<String, File>,
        files: &BTreeMap<String, File>,
    ) -> Result<(), RuntimeError>;

    /// The server's log. It is open while the server runs.
    fn log(&self) -> &LogBook;

    /// Starts the server. Returns where in the log this start begins; lines before that may be of an attempt that found
    /// its port taken.
    ///
    /// # Errors
    /// The process cannot be started. That the server ends by itself is not an error: the log says so.
    async fn start(&mut self) -> Result<usize, RuntimeError>;

    /// Makes the running server read its configuration again. `control` is the superuser's session.
    ///
    /// # Errors
    /// The server cannot be reached.
    async fn reload(&self, control: &Client) -> Result<(), RuntimeError> {
        control::reload(control).await
    }

    /// Stops the server, and returns once it has ended.
    ///
    /// # Errors
    /// It does not end in time.
    async fn stop(&mut self) -> Result<(), RuntimeError>;

    /// The host and the port at which a client reaches the running server.
    fn address(&self) -> (String, u16);

    /// Opens a session of the superuser, beside those under test.
    ///
    /// # Errors
    /// The server cannot be reached.
    async fn control(&self) -> Result<Client, RuntimeError>;

    /// The data directory as the server names it in its messages.
    fn data_directory(&self) -> String;

    /// The id of the container that the server is in, if it is in one.
    fn container(&self) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::FakeRuntime;
    use crate::words::RuntimeKind;

    #[tokio::test]
    async fn each_major_is_run_by_the_first_runtime_that_has_it() {
        let of = |majors: &[u16], runtime| -> Box<dyn Runtime> {
            Box::new(FakeRuntime {
                majors: majors.iter().copied().map(Major).collect(),
                runtime,
                ..FakeRuntime::default()
            })
        };
        let both = Combined(vec![of(&[17, 13], RuntimeKind::Docker), of(&[15, 17], RuntimeKind::Local)]);
        let offers: Vec<_> = both.offers().iter().map(Offer::to_string).collect();
        assert_eq!(offers, ["13 (docker)", "15 (local)", "17 (docker)"]);
        assert!(both.host(Major(15)).await.is_ok());
        let error = both.host(Major(14)).await.err().expect("an error").to_string();
        assert_eq!(error, "PostgreSQL 14 is not available here, only 13 (docker), 15 (local), 17 (docker)");
    }
}
