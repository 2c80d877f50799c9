//! The command that runs one cell again.

use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::vocabulary::{ClientKind, quoted};
use postgres_tls_server::RuntimeKind;

use super::options::Options;

impl Options {
    /// A command line that runs only this cell, quoted for a POSIX shell.
    #[must_use]
    pub fn command_for(&self, cell: &Cell, runtime: RuntimeKind) -> String {
        let mut words = vec!["kong-pg-tls".to_owned(), "run".into(), cell.id.to_string()];
        let mut option = |name: &str, value: String| words.extend([name.to_owned(), value]);
        if let Some(folder) = &self.cells.scenarios {
            option("--scenarios", folder.display().to_string());
        }
        option("--runtime", runtime.to_string());
        option("--postgres", cell.major.to_string());
        for (major, image) in self.runtime.images.iter().filter(|(major, _)| *major == cell.major) {
            option("--image", format!("{major}={image}"));
        }
        for file in &self.cells.release_files {
            option("--kong-release", file.display().to_string());
        }
        // Otherwise each case chooses its own.
        if !self.cells.releases.is_empty() {
            option("--kong", cell.release.to_string());
        }
        let release = cell.profile.to_string();
        let image = self.clients.kong_images.iter().find(|image| image.release.as_ref() == Some(&release));
        match (cell.client, image, &self.clients.command) {
            (ClientKind::Kong, ..) => {}
            (ClientKind::KongImage, Some(image), _) => option("--kong-image", image.to_string()),
            (ClientKind::Command, _, Some(command)) => option("--client-command", command.clone()),
            (ClientKind::Pgmoon, ..) => {
                for checkout in &self.clients.pgmoon {
                    option("--pgmoon", checkout.display().to_string());
                }
            }
            (client, ..) => option("--client", client.to_string()),
        }
        if let (ClientKind::Openresty | ClientKind::Pgmoon, Some(image)) = (cell.client, &self.clients.openresty_image)
        {
            option("--openresty-image", image.clone());
        }
        words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}
