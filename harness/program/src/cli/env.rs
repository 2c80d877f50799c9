//! `env`

use std::sync::Arc;

use super::{Exit, Failure};
use crate::client::{ClientOptions, survey};
use crate::runfolder::{RunFolder, abandoned};
use crate::session::{Options, with_advice};
use kong_pg_client::Profile;
use postgres_tls_server::{Docker, Local, Runtime, RuntimeError};

pub(super) async fn env() -> Result<Exit, Failure> {
    let folder = RunFolder::create().map_err(|error| Failure::environment(format!("no folder for a run: {error}")))?;
    let folder = Arc::new(folder);
    println!("runtimes");
    runtime("docker", Docker::find(Options::default().docker(&folder)).await.map(|docker| docker.offers()));
    runtime("local", Local::find(folder.path()).map(|local| local.offers()));

    println!("\nclients");
    let needs = ClientOptions { may_build: false, ..Options::default().needs(&folder) };
    for (kind, found) in survey(&needs).await {
        match found {
            Ok(about) => println!("  {:<10}  {about}", kind.as_str()),
            Err(why) => println!("  {:<10}  not usable: {why}", kind.as_str()),
        }
    }

    println!("\ncertificates");
    println!("  generated      built in");
    match std::process::Command::new("openssl").arg("version").output() {
        Ok(output) if output.status.success() => {
            println!("  the guide's    {}", String::from_utf8_lossy(&output.stdout).trim());
        }
        _ => println!("  the guide's    not usable: there is no openssl program on the PATH; install openssl"),
    }

    let releases: Vec<_> = Profile::all().iter().map(Profile::to_string).collect();
    println!("\nKong releases\n  {}", releases.join(", "));

    let left = abandoned();
    if !left.is_empty() {
        println!("\n{} interrupted runs have left something behind; `kong-pg-tls clean` removes it", left.len());
    }
    Ok(Exit::Success)
}

fn runtime(name: &str, offers: Result<Vec<postgres_tls_server::Offer>, RuntimeError>) {
    match offers {
        Ok(offers) => {
            for offer in offers {
                println!("  {name:<7} PostgreSQL {} ({})", offer.major, offer.source);
            }
        }
        Err(error) => println!("  {name:<7} not usable: {}", with_advice(&error)),
    }
}
