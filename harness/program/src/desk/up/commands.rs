//! What to paste to reach a server as Kong does.

use std::path::Path;

use kong_pg_client::conf::variable;
use kong_pg_client::{Settings, Trusted, TrustedEntry, combine};
use kong_pg_scenarios::vocabulary::quoted;

use super::running::Running;
use crate::client::ByHand;
use crate::desk::export::image_of;

/// Commands, each a line for a shell.
#[derive(Debug)]
pub struct Commands {
    /// Connects with libpq.
    pub psql: Option<String>,
    /// Shows the handshake.
    pub openssl: Option<String>,
    /// Kong's variables.
    pub variables: Vec<String>,
    /// An installed Kong.
    pub kong: String,
    /// Kong's image.
    pub docker: Option<String>,
    /// This program.
    pub check: String,
}

impl Commands {
    /// For a server that runs.
    #[must_use]
    pub fn of(running: &Running) -> Self {
        let Running { deployment, address, folder, settings, .. } = running;
        let profile = &deployment.cell.profile;
        let (conf, env) = (path(&folder.join("kong.conf")), path(&folder.join("kong.env")));
        let kong = deployment.kong(&folder.join("kong"), Some(address));
        // Passwords are in the files only.
        let is_shown = |(key, _): &(&String, &String)| !key.contains("password");
        let exported = |(key, value): (&String, &String)| format!("export {}={}", variable(key), quoted(value));
        let mount = path(folder);
        let settings = settings.as_ref().ok().map(with_one_trusted_file);
        let by_hand = settings.as_ref().map(|settings| ByHand { settings, profile, stack: deployment.cell.stack });
        let password = settings.as_ref().is_some_and(|settings| settings.password.is_some());
        let passfile = if password { format!("PGPASSFILE={} ", path(&folder.join("pgpass"))) } else { String::new() };
        Self {
            psql: by_hand.as_ref().map(|by_hand| passfile + &by_hand.psql()),
            openssl: by_hand.as_ref().and_then(ByHand::openssl),
            variables: kong.iter().filter(is_shown).map(exported).collect(),
            kong: format!("kong migrations list --conf {conf}"),
            // As the owner of the files, whom Kong's image does not know.
            docker: image_of(profile).map(|(repository, tag)| {
                format!(
                    "docker run --rm --network host --user \"$(id -u):$(id -g)\" --env KONG_PREFIX=/tmp/kong \
                     --env-file {env} --volume {mount}:{mount}:ro {repository}:{tag} kong migrations list"
                )
            }),
            check: format!("kong-pg-tls check {conf} --live --kong {profile}"),
        }
    }
}

fn path(path: &Path) -> String {
    quoted(&path.display().to_string())
}

/// The settings with everything that is trusted in one file, as Kong puts it together; libpq and OpenSSL take only one.
fn with_one_trusted_file(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    if let Ok(Some(file)) = combine(&settings) {
        settings.trusted = Trusted::Combined(vec![TrustedEntry::File(file)]);
    }
    settings
}
