//! The page of a report in a real browser: what it shows, at three widths, light and dark, for everybody.
//! `UPDATE_DOCS=1` makes the pictures in docs/pictures again.

mod webdriver;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use kong_pg_tls::judge::Verdict;
use kong_pg_tls::record::{CellRecord, Results};
use serde_json::Value;

use self::webdriver::Browser;
use crate::place::Place;

/// Cells of the suite: chains, deviations, and refusals on both sides.
const CELLS: [&str; 3] = ["mtls/chain::*", "verify/ca::*", "tls/how-it*"];
/// Widths of a phone, a tablet and a computer, each with a height.
const SIZES: [(u32, u32); 3] = [(375, 800), (768, 1000), (1280, 900)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// axe-core, unless it cannot be fetched.
fn axe(folder: &Path) -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("ci/axe-core");
    let fetched = Command::new(script).arg(folder).output().expect("a shell");
    if !fetched.status.success() {
        eprintln!("axe-core cannot be fetched: not run: {}", String::from_utf8_lossy(&fetched.stderr));
        return None;
    }
    let file = String::from_utf8(fetched.stdout).expect("a path");
    Some(std::fs::read_to_string(file.trim_end()).expect("a script"))
}

/// The serious accessibility problems that axe-core finds on the page.
async fn faults(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(axe).await;
    let script = "const done = arguments[arguments.length - 1];
        axe.run(document, { resultTypes: ['violations'] }).then((found) => done(found.violations), (error) => done(String(error)));";
    let found = browser.script_to_its_end(script).await;
    let violations = found.as_array().unwrap_or_else(|| panic!("violations: {found}"));
    let serious =
        violations.iter().filter(|one| ["serious", "critical"].contains(&one["impact"].as_str().unwrap_or_default()));
    serious.map(|one| format!("{}: {} {}", one["id"], one["help"], one["nodes"][0]["html"])).collect()
}

/// A page in the browser.
struct Page<'a> {
    browser: &'a Browser,
    address: String,
}

impl Page<'_> {
    /// Shows a view of it.
    async fn show(&self, view: &str) {
        self.browser.client.goto("about:blank").await.expect("a page");
        self.browser.client.goto(&format!("{}#{view}", self.address)).await.expect("a page");
        let ready = "const done = arguments[arguments.length - 1];
            const look = () => (document.querySelector('h1') ? done(true) : setTimeout(look, 20)); look();";
        self.browser.script_to_its_end(ready).await;
    }

    /// A view of it fits into every width, has no errors, and axe-core finds nothing serious in it, light or dark.
    async fn is_for_everybody(&self, view: &str, name: &str, axe: Option<&str>) {
        for ((width, height), scheme) in SIZES.into_iter().flat_map(|size| SCHEMES.map(|scheme| (size, scheme))) {
            self.browser.looks_like(width, height, scheme).await;
            self.show(view).await;
            let wide = self.browser.script("return document.scrollingElement.scrollWidth").await;
            assert!(wide.as_u64().is_some_and(|wide| wide <= u64::from(width)), "{name} is {wide} wide on {width}");
            let facts = "return [...document.querySelectorAll('[aria-label=run], [aria-label=cell]')]
                .filter((part) => part.scrollWidth > part.clientWidth).length";
            assert_eq!(self.browser.script(facts).await, 0, "{name}: old and new are side by side on {width}");
            assert_eq!(self.browser.console().await, [""; 0], "{name}");
            if let Some(axe) = axe {
                assert_eq!(faults(self.browser, axe).await, [""; 0], "{name}, {width} wide, {scheme}");
            }
            if std::env::var_os("UPDATE_DOCS").is_some() {
                let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures");
                std::fs::create_dir_all(&pictures).expect("a folder");
                self.browser.screenshot(&pictures.join(format!("{name}-{width}-{scheme}.png"))).await;
            }
        }
    }

    async fn text(&self) -> String {
        self.browser.script("return document.body.innerText").await.as_str().expect("text").to_owned()
    }

    /// The ids of the cells that are listed.
    async fn listed(&self) -> Vec<String> {
        let script = "return [...document.querySelectorAll('td.id')].map((cell) => cell.innerText)";
        let listed = self.browser.script(script).await;
        serde_json::from_value(listed).expect("texts")
    }

    /// Sets a filter as a person does.
    async fn filter(&self, name: &str, value: &str) {
        let script = format!(
            "const filter = document.querySelector('[name={name}]'); filter.value = {}; filter.dispatchEvent(new Event('change'))",
            Value::from(value)
        );
        self.browser.script(&script).await;
    }
}

fn cell_view(cell: &CellRecord) -> String {
    let id: String = url::form_urlencoded::byte_serialize(cell.id.as_bytes()).collect();
    format!("cell={id}")
}

/// A run of some of the suite, or the one in the folder that `KONG_PG_TLS_PAGE_OF` names; its page and its results.
fn suite(place: &Place) -> (String, Results) {
    let folder = if let Some(folder) = std::env::var_os("KONG_PG_TLS_PAGE_OF") {
        PathBuf::from(folder).canonicalize().expect("a folder")
    } else {
        let output = place.run(&[&["run", "--results", "suite", "--client", "kong,rustls"], &CELLS[..]].concat());
        assert_eq!(output.status, Some(0), "{output:#?}");
        place.path().join("suite")
    };
    (format!("file://{}/report.html", folder.display()), Results::read(&folder).expect("results"))
}

#[tokio::test]
#[ignore = "needs the programs chromium and chromedriver"]
async fn a_browser_shows_a_page_that_everybody_can_use() {
    let place = Place::new();
    let failed = super::run(&place, "3.14-enterprise");
    let (address, run) = suite(&place);
    let browser = Browser::start(&place.path().join("browser")).await;
    let axe = axe(&place.path().join("axe"));
    let refused = run.cells.iter().find(|cell| {
        let chain = cell.certificates.as_ref().is_some_and(|found| found.client.links.len() > 1);
        chain && !cell.documented.is_empty() && cell.observation().is_some_and(|seen| seen.attempt.refusal().is_some())
    });
    let refused = refused.expect("a cell with a chain that is refused");
    let bad = Results::read(&failed).expect("results").cells.remove(0);
    let views = [
        (&address, String::new(), "matrix"),
        (&address, "view=cells".to_owned(), "cells"),
        (&address, "view=documents".to_owned(), "documents"),
        (&address, cell_view(refused), "cell"),
        (&format!("file://{}/report.html", failed.display()), cell_view(&bad), "failed"),
    ];
    for (address, view, name) in views {
        let page = Page { browser: &browser, address: address.clone() };
        page.is_for_everybody(&view, name, axe.as_deref()).await;
    }
    browser.end().await;
}

/// The page of two runs: groups of changes, scenarios, a changed cell, and one that only one of them has.
#[tokio::test]
#[ignore = "needs the programs chromium and chromedriver"]
async fn a_browser_shows_two_runs_in_a_page_that_everybody_can_use() {
    let place = Place::new();
    let file = place.path().join("diff.html");
    let output = super::diff(&place, &["--html", &file.to_string_lossy()]);
    assert_eq!(output.status, Some(100), "{output:#?}");
    let cell = Results::read(&place.path().join("3.14-enterprise")).expect("results").cells.remove(0);
    let browser = Browser::start(&place.path().join("browser")).await;
    let axe = axe(&place.path().join("axe"));
    let page = Page { browser: &browser, address: format!("file://{}", file.display()) };
    for (view, name) in [("", "changes"), ("view=scenarios", "scenarios"), (&cell_view(&cell), "changed")] {
        page.is_for_everybody(view, name, axe.as_deref()).await;
    }
    // It follows the scheme: the background is not the one that the other has.
    let background = "return getComputedStyle(document.body).backgroundColor";
    let mut backgrounds = Vec::new();
    for scheme in SCHEMES {
        browser.looks_like(1280, 900, scheme).await;
        page.show("").await;
        backgrounds.push(browser.script(background).await);
    }
    assert_eq!(backgrounds, ["rgb(255, 255, 255)", "rgb(13, 17, 23)"]);
    browser.end().await;
}

#[tokio::test]
#[ignore = "needs the programs chromium and chromedriver"]
async fn a_browser_filters_cells_and_opens_one_from_its_address() {
    let place = Place::new();
    let (address, run) = suite(&place);
    let browser = Browser::start(&place.path().join("browser")).await;
    browser.looks_like(1280, 900, "light").await;
    let page = Page { browser: &browser, address };
    page.show("view=cells").await;
    page.filter("stack", "luasec").await;
    page.filter("client", "kong").await;
    page.filter("text", "intermediate").await;
    let expected = run.cells.iter().filter(|cell| cell.stack.to_string() == "luasec");
    let listed = page.listed().await;
    assert!(!listed.is_empty() && listed.len() < expected.count(), "{listed:?}");
    assert!(listed.iter().all(|id| id.contains("+kong-luasec")), "{listed:?}");
    // A cell has a way back to them.
    browser.script("document.querySelector('td.id a').click()").await;
    browser.script("[...document.querySelectorAll('a')].find((link) => link.innerText.endsWith('back')).click()").await;
    assert_eq!(page.listed().await, listed);
    // The filters are in the URL, so that opening it shows the same cells.
    let there = browser.client.current_url().await.expect("an address").fragment().unwrap_or_default().to_owned();
    page.show(&there).await;
    assert_eq!(page.listed().await, listed);

    // Where another client differs from Kong, the documents are not wrong.
    page.show("view=documents").await;
    let wrong = "return [...document.querySelectorAll('main > details')].length";
    let wrong = browser.script(wrong).await.as_u64();
    let deviations = run.cells.iter().filter(|cell| cell.verdict == Verdict::KnownDeviation);
    let (documented, others): (Vec<_>, Vec<_>) = deviations.partition(|cell| cell.difference.is_none());
    let says: BTreeSet<_> = documented.iter().map(|cell| &cell.reason).collect();
    assert_eq!((wrong, others.is_empty()), (Some(says.len() as u64), false));

    let cell =
        run.cells.iter().find(|cell| cell.certificates.as_ref().is_some_and(|found| found.client.links.len() > 1));
    let cell = cell.expect("a cell with a chain");
    page.show(&cell_view(cell)).await;
    let text = page.text().await;
    let subject = &cell.certificates.as_ref().expect("certificates").all[0].subject;
    for part in [&*cell.id, subject, "issued by", "postgresql.conf", "The nearest cell that", &cell.command] {
        assert!(text.contains(part), "{part}: {text}");
    }
    browser.chromium("Browser.grantPermissions", serde_json::json!({ "permissions": ["clipboardReadWrite"] })).await;
    browser.script("document.querySelector('button.copy').click()").await;
    let copied = "const done = arguments[arguments.length - 1];
        setTimeout(() => done(document.querySelector('button.copy').innerText), 300)";
    assert_eq!(browser.script_to_its_end(copied).await, "copied");
    assert_eq!(browser.console().await, [""; 0]);
    browser.end().await;
}
