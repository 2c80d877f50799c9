//! `env`

use std::io::{self, Write};
use std::sync::Arc;

use kong_pg_client::Profile;
use kong_pg_scenarios::vocabulary::ClientKind;
use postgres_tls_server::{Docker, Local, Offer, Runtime, RuntimeError};

use super::{Exit, Failure, print};
use crate::client::{Unavailable, survey};
use crate::runfolder::{RunFolder, abandoned};
use crate::session::{ClientRequest, RuntimeRequest, with_advice};

pub(super) async fn env() -> Result<Exit, Failure> {
    let folder = RunFolder::create();
    let folder = folder.map_err(|error| Failure::environment(format!("cannot make a folder: {error}")))?;
    let folder = Arc::new(folder);
    let docker = Docker::find(RuntimeRequest::default().docker(&[], &folder)).await.map(|docker| docker.offers());
    let local = Local::find(folder.path()).map(|local| local.offers());
    let clients = survey(&ClientRequest::default().options(&folder, false)).await;
    print(|out| write_environment(out, [("docker", docker), ("local", local)], &clients))?;
    Ok(Exit::Success)
}

fn write_environment(
    out: &mut dyn Write,
    runtimes: [(&str, Result<Vec<Offer>, RuntimeError>); 2],
    clients: &[(ClientKind, Result<String, Unavailable>)],
) -> io::Result<()> {
    writeln!(out, "runtimes")?;
    for (name, offers) in runtimes {
        match offers {
            Ok(offers) => offers
                .iter()
                .try_for_each(|offer| writeln!(out, "  {name:<7} PostgreSQL {} ({})", offer.major, offer.source))?,
            Err(error) => writeln!(out, "  {name:<7} not usable: {}", with_advice(&error))?,
        }
    }
    writeln!(out, "\nclients")?;
    for (kind, found) in clients {
        let name = kind.as_str();
        match found {
            Ok(about) => writeln!(out, "  {name:<10}  {about}")?,
            Err(why) => writeln!(out, "  {name:<10}  not usable: {why}")?,
        }
    }
    writeln!(out, "\ncertificates\n  generated      built in")?;
    match std::process::Command::new("openssl").arg("version").output() {
        Ok(output) if output.status.success() => {
            writeln!(out, "  the guide's    {}", String::from_utf8_lossy(&output.stdout).trim())?;
        }
        _ => writeln!(out, "  the guide's    not usable: there is no program openssl on the PATH; install openssl")?,
    }
    let releases: Vec<_> = Profile::all().iter().map(Profile::to_string).collect();
    writeln!(out, "\nKong releases (latest is {})\n  {}", Profile::newest(), releases.join(", "))?;
    let abandoned = abandoned().len();
    if abandoned > 0 {
        writeln!(out, "\n{abandoned} interrupted runs have left something behind; `kong-pg-tls clean` removes it")?;
    }
    Ok(())
}
