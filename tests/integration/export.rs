//! `kong-pg-tls export`: what it writes, as the programs read it that it is for.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::runs_on::major_of_image;
use rstest::rstest;

const EXPIRED: &str = "mtls/cert::a-certificate.expired.both-1-2";
const USERS: &str = "mtls/cert::a-certificate.the-users.default";

fn verdicts(place: &Place) -> Vec<(String, serde_json::Value)> {
    let text = std::fs::read(place.path().join("target/kong-pg-tls/latest/results.json")).expect("a file");
    let results: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    let cells = results["cells"].as_array().expect("cells").iter();
    let verdict = |cell: &serde_json::Value| {
        let point = cell["id"].as_str().expect("an id").split_once('@').expect("a point").1.to_owned();
        (point, cell["verdict"].clone())
    };
    cells.map(verdict).collect()
}

#[rstest]
#[case::connects(USERS)]
#[case::deviates(EXPIRED)]
#[case::goes_on("rotation/server-certificate::signed-by-the-same-ca")]
#[case::proxy("between/answers::the-proxy-answers-n-and-closes.required.verifying")]
#[case::does_not_start("start/keys::at-the-start-a-key.of-the-database-user-0640")]
fn an_exported_scenario_has_the_verdicts_of_its_case(#[case] id: &str) {
    let place = Place::new();
    let output = place.run(&["export", id, "--as", "scenario", "--out", "report"]);
    assert_eq!((output.status, &*output.stdout), (Some(0), "report/scenario.yaml\n"), "{output:#?}");
    let original = place.run(&["run", id]);
    let expected = verdicts(&place);
    let exported = place.run(&["run", "--scenarios", "report"]);
    assert_eq!(verdicts(&place), expected, "{exported:#?}");
    assert_eq!((original.status, exported.status), (Some(0), Some(0)), "{exported:#?}");
}

#[test]
fn a_folder_has_the_certificates_that_the_document_names() {
    let place = Place::new();
    let output = place.run(&["export", USERS, "--as", "kong.conf", "--out", "out"]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let read = |file: &str| std::fs::read_to_string(place.path().join("out").join(file)).expect("a file");
    let conf = read("kong.conf");
    let folder = place.path().join("out/kong");
    assert!(conf.contains(&format!("pg_ssl_cert_key = {}/client.key\n", folder.display())), "{conf}");
    assert!(
        read("kong/client.key").contains("PRIVATE KEY") && read("postgres/files/server.key").contains("PRIVATE KEY")
    );
    assert_eq!(read("postgres/pg_hba.conf"), "hostssl all all all cert\n");
    let output = place.run(&["check", "out/kong.conf", "--hba", "out/postgres/pg_hba.conf"]);
    assert!(output.status.is_some_and(|status| status != 2) && !output.stdout.contains("error["), "{output:#?}");
    let again = place.run(&["export", USERS, "--as", "env", "--out", "out"]);
    assert_eq!(again.status, Some(2), "{again:#?}");
    assert!(again.stderr.contains("out is there already, and nothing is overwritten"), "{again:#?}");
}

#[rstest]
#[case::no_case(&["export", "nothing/here", "--as", "env"], 4, "no case is called nothing/here")]
#[case::several(&["export", "mtls/*", "--as", "env"], 2, "cases; name one of them:\n  mtls/")]
#[case::no_format(&["export", USERS, "--as", "xml"], 2, "possible values: kong.conf, env, compose, helm, cnpg, scenario")]
#[case::no_image(&["export", USERS, "--as", "compose", "--kong", "pgmoon-kong-2.2.0"], 2, "is a driver without a Kong around it")]
#[case::no_place(&["export", USERS, "--as", "env", "--out", "/proc/nothing"], 3, "cannot write /proc/nothing")]
#[case::no_such_scenarios(&["export", USERS, "--as", "env", "--scenarios", "/nonexistent"], 2, "/nonexistent")]
fn what_cannot_be_exported_is_reported(#[case] arguments: &[&str], #[case] status: i32, #[case] said: &str) {
    let place = Place::new();
    let output = place.run(arguments);
    assert_eq!(output.status, Some(status), "{output:#?}");
    assert!(output.stderr.contains(said), "{output:#?}");
    assert_eq!(place.left(), [""; 0]);
}

/// A program, run in a folder; its output if it succeeds.
fn run(program: &str, arguments: &[&str], folder: &Path) -> Result<String, String> {
    let output =
        Command::new(program).args(arguments).current_dir(folder).output().map_err(|error| error.to_string())?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// The containers of a Compose file. They go with this value.
struct Composed<'a>(&'a Path);

impl Drop for Composed<'_> {
    fn drop(&mut self) {
        let _ = run("docker-compose", &["down", "--volumes", "--timeout", "2"], self.0);
    }
}

/// The server of the Compose file is a real one, with the image of PostgreSQL that there is.
#[test]
#[ignore = "needs docker-compose, and an engine with an image of `ci/postgres-image`"]
fn the_server_of_a_compose_file_is_that_of_the_cell() {
    let place = Place::new();
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    let port = port.expect("a port").port().to_string();
    let major = major_of_image();
    let id = format!("{USERS}@pg{major}");
    let output = place.run(&["export", &id, "--as", "compose", "--out", "repro", "--port", &port]);
    assert_eq!(output.status, Some(0), "{output:#?}");
    let folder = place.path().join("repro");
    let file = folder.join("docker-compose.yml");
    run("docker-compose", &["config", "--quiet"], &folder).expect("a Compose file");
    let text = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(&file, text.replace("image: postgres:", "image: kong-pg-tls/postgres:")).expect("a file");
    let composed = Composed(&folder);
    run("docker-compose", &["up", "--detach", "postgres"], &folder).expect("a server");
    let begun = Instant::now();
    let connected = loop {
        let output =
            place.run(&["check", "repro/docker-compose.yml", "--live", "--host", "127.0.0.1", "--port", &port]);
        if output.stdout.contains("Kong connects.") || begun.elapsed() > Duration::from_secs(60) {
            break output;
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    let log = run("docker-compose", &["logs", "postgres"], &folder).expect("a log");
    assert!(connected.stdout.contains("Kong connects."), "{connected:#?}\n{log}");
    assert!(log.contains("SSL enabled"), "{log}");
    drop(composed);
}
