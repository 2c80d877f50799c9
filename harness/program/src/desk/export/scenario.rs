//! A scenario of its own: the case at its point alone, with only the certificates that it needs.

use std::collections::{BTreeMap, BTreeSet};

use certificate_trees::{Artifact, Format as Encoding, Tree};
use indexmap::IndexMap;
use kong_pg_client::conf::{FILE_KEYS as KONG_FILE_KEYS, file_names, variable};
use kong_pg_client::{Edition, Stack};
use kong_pg_scenarios::format::{Documented, Hangs, Refused, ServerLog};
use kong_pg_scenarios::plan::Cell;
use kong_pg_scenarios::suite::{
    Case, Change, Content, Expectation, Expected, FileMode, KongSays, PlannedFile, Situation, Step, is_line_of_hba,
};
use kong_pg_scenarios::vocabulary::OpenConnection;
use postgres_tls_server::config::{FILE_KEYS as POSTGRES_FILE_KEYS, HOSTS_FILE, files_of_hosts};
use postgres_tls_server::{ApplyMode, Owner};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::ExportError;
use super::format::Format;

/// The scenario as its file has it.
#[derive(Serialize)]
struct Document<'a> {
    title: &'a str,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    applies_to: Option<Value>,
    #[serde(flatten)]
    setup: Setup,
    cases: [CaseDocument<'a>; 1],
}

#[derive(Serialize)]
struct CaseDocument<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    claims: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    documented: Vec<Value>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    queries: IndexMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    then: Vec<StepDocument>,
}

#[derive(Serialize)]
struct StepDocument {
    #[serde(flatten)]
    change: IndexMap<&'static str, Setup>,
    #[serde(skip_serializing_if = "ServerLog::is_silent")]
    postgres: ServerLog,
    #[serde(skip_serializing_if = "Option::is_none")]
    open_connection: Option<OpenConnection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expect: Option<Value>,
}

/// Settings; those without a value are taken away.
type Changes = IndexMap<String, Option<String>>;

/// What a step configures that the one before it does not.
#[derive(Serialize)]
struct Setup {
    #[serde(skip_serializing_if = "Option::is_none")]
    pki: Option<Value>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    files: IndexMap<String, Value>,
    postgres: ServerSetup,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    kong: Changes,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    kong_prefix: Changes,
    #[serde(skip_serializing_if = "Option::is_none")]
    kong_security_level: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relay: Option<Value>,
}

#[derive(Serialize)]
struct ServerSetup {
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    conf: Changes,
    #[serde(skip_serializing_if = "Option::is_none")]
    hba: Option<Vec<String>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hba_invalid: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ident: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<ApplyMode>,
}

pub(super) fn write(cell: &Cell) -> Result<String, ExportError> {
    let case = &*cell.case;
    let first = case.steps.first();
    let empty = Situation::default();
    let situation = first.map_or(&empty, |step| &step.situation);
    let mut setup = setup(situation, None)?;
    setup.pki = pki(case, &situation.tree)?;
    let (mut then, mut before) = (Vec::new(), situation);
    for step in case.steps.iter().skip(1) {
        then.push(step_document(step, before)?);
        // A second server does not change the first.
        if !step.change.is_of_read_only_connection() {
            before = &step.situation;
        }
    }
    let queries = first.iter().flat_map(|step| &step.queries).map(|(query, answer)| (query.as_str(), answer.as_str()));
    let expect = first.map(expected).transpose()?.flatten();
    let documented = case.documented.iter().map(|entry| compact::<Documented>(entry)).collect::<Result<_, _>>()?;
    let name = &case.name;
    let document = Document {
        title: name,
        reason: format!("Exported from {}.", cell.id),
        applies_to: (*cell.release != *"latest").then(|| json!({ "releases": [cell.release] })),
        setup,
        cases: [CaseDocument { name, claims: &case.claims, expect, documented, queries: queries.collect(), then }],
    };
    Ok(serde_yaml::to_string(&document)?)
}

fn step_document(step: &Step, before: &Situation) -> Result<StepDocument, ExportError> {
    let name = match step.change {
        Change::First | Change::Reload => "reload",
        Change::Restart => "restart",
        Change::RunningKong => "running_kong",
        Change::ReadOnly => "read_only",
        Change::FromPool => "from_pool",
    };
    Ok(StepDocument {
        change: IndexMap::from([(name, setup(&step.situation, Some(before))?)]),
        postgres: step.log.clone().unwrap_or_default(),
        open_connection: step.open_connection.clone(),
        expect: expected(step)?,
    })
}

/// A value without the fields that say nothing.
fn compact<T: Serialize>(value: &T) -> Result<Value, ExportError> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|_, field| !field.is_null());
                fields.values_mut().for_each(strip);
                fields.retain(|_, field| field.as_object().is_none_or(|fields| !fields.is_empty()));
            }
            Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(value)?;
    strip(&mut value);
    Ok(value)
}

fn setup(new: &Situation, old: Option<&Situation>) -> Result<Setup, ExportError> {
    let settings = |situation: &Situation| {
        let side = &situation.kong;
        side.settings.iter().chain(&side.environment).cloned().collect::<Vec<_>>()
    };
    let server = &new.server;
    let old_server = old.map(|old| &old.server);
    let is_new = |lines: &Vec<String>, old: Option<&Vec<String>>| {
        (old.map_or(!lines.is_empty(), |old| old != lines)).then(|| lines.clone())
    };
    let hba = is_new(&server.hba, old_server.map(|old| &old.hba));
    let by = (server.by != old_server.map(|old| old.by).unwrap_or_default()).then_some(server.by);
    let level = new.kong.security_level;
    let proxy = new.kong.proxy.as_ref().filter(|proxy| old.and_then(|old| old.kong.proxy.as_ref()) != Some(*proxy));
    let relay = new.relay.as_ref().map(|relay| {
        let before = old.and_then(|old| old.relay.as_ref()).filter(|old| old.program == relay.program);
        let before = before.map(|old| &old.settings[..]);
        (changes(&relay.settings, before), before.is_some(), relay.program)
    });
    let relay = relay.filter(|(changes, is_same, _)| !is_same || !changes.is_empty());
    Ok(Setup {
        pki: None,
        files: files(new, old)?,
        postgres: ServerSetup {
            conf: changes(&server.conf, old_server.map(|old| &old.conf[..])),
            hba_invalid: hba.iter().flatten().any(|line| !is_line_of_hba(line)),
            hba,
            ident: is_new(&server.ident, old_server.map(|old| &old.ident)),
            by,
        },
        kong: changes(&settings(new), old.map(settings).as_deref()),
        kong_prefix: changes(&new.kong.prefix, old.map(|old| &old.kong.prefix[..])),
        kong_security_level: level.filter(|_| old.is_none_or(|old| old.kong.security_level != level)),
        proxy: proxy.map(compact).transpose()?,
        relay: relay.map(|(changes, _, program)| json!({ program.to_string(): changes })),
    })
}

/// What has to be written so that earlier settings become later ones.
fn changes(new: &[(String, String)], old: Option<&[(String, String)]>) -> Changes {
    let old = old.unwrap_or_default();
    let removed = old.iter().filter(|(key, _)| new.iter().all(|(other, _)| other != key));
    let changed = new.iter().filter(|setting| !old.contains(setting));
    let changed = changed.map(|(key, value)| (key.clone(), Some(value.clone())));
    removed.map(|(key, _)| (key.clone(), None)).chain(changed).collect()
}

/// The files that do not hold what their names say, or something else than before.
fn files(new: &Situation, old: Option<&Situation>) -> Result<IndexMap<String, Value>, ExportError> {
    let (now, before) = (planned(new), old.map(planned));
    let tls = new.server.conf.iter().any(|(key, value)| key == "ssl" && value == "on");
    let mut files = IndexMap::new();
    for (name, file) in &now {
        let said = match &before {
            Some(before) => before.get(name) == Some(file),
            // A file that nothing names is there only because it is listed.
            None => is_default(name, *file) && (tls || named(new).contains(name)),
        };
        if !said {
            files.insert(name.clone(), spec(name, *file)?);
        }
    }
    Ok(files)
}

/// All files of both sides, and those that are named and are not there.
fn planned(situation: &Situation) -> BTreeMap<String, Option<&PlannedFile>> {
    let mut all: BTreeMap<_, _> = named(situation).into_iter().map(|name| (name, None)).collect();
    let of_relay = situation.relay.iter().flat_map(|relay| &relay.files);
    for (name, file) in situation.server.files.iter().chain(&situation.kong.files).chain(of_relay) {
        // A directory is there because of a file in it.
        let is_directory = file.content == Content::Artifacts(Vec::new(), Encoding::default());
        let name = name.strip_suffix("/empty").filter(|_| is_directory).unwrap_or(name);
        all.insert(name.to_owned(), Some(file));
    }
    all
}

/// The files that settings and lines of pg_hosts.conf name.
fn named(situation: &Situation) -> BTreeSet<String> {
    let conf = &situation.server.conf;
    let tls = conf.iter().any(|(key, value)| key == "ssl" && value == "on");
    let of_server = POSTGRES_FILE_KEYS.iter().filter_map(|(key, default)| {
        match (conf.iter().find(|(name, _)| name == key), default) {
            (Some((_, value)), _) => Some(value.clone()).filter(|value| !value.is_empty()),
            (None, default) => default.filter(|_| tls).map(str::to_owned),
        }
    });
    let side = &situation.kong;
    let of_kong = side.settings.iter().chain(&side.environment).chain(&side.prefix);
    let of_kong = of_kong.filter(|(key, _)| KONG_FILE_KEYS.iter().any(|known| key == known || *key == variable(known)));
    let of_kong = of_kong.flat_map(|(_, value)| file_names(value)).map(str::to_owned);
    let hosts = situation.server.files.get(HOSTS_FILE).and_then(|file| file.content.text()).unwrap_or_default();
    let of_relay = situation.relay.iter().flat_map(|relay| {
        let files = relay.settings.iter().filter(|(key, _)| relay.program.file_keys().contains(&key.as_str()));
        files.map(|(_, name)| name.clone())
    });
    of_server.chain(of_kong).chain(of_relay).chain(files_of_hosts(&hosts).map(str::to_owned)).collect()
}

/// Whether a file holds what its name says.
fn is_default(name: &str, file: Option<&PlannedFile>) -> bool {
    let owner = Owner::DatabaseUser;
    file.is_some_and(|file| {
        let content = Content::Artifacts(vec![name.to_owned()], Encoding::default());
        *file == PlannedFile { content, mode: FileMode::Octal(0o600), owner, group: owner }
    })
}

fn spec(name: &str, file: Option<&PlannedFile>) -> Result<Value, ExportError> {
    let Some(PlannedFile { content, mode, owner, group }) = file else { return Ok("absent".into()) };
    let (text, parts, behind, format) = match content {
        Content::Artifacts(parts, _) if parts.is_empty() => return Ok("directory".into()),
        Content::Artifacts(parts, format) => (None, parts, None, *format),
        Content::Between(text, parts, behind) => (Some(text), parts, Some(behind), Encoding::default()),
        Content::Own(path, _) => {
            let why = format!("{path} is a file of its own; send the folder of its scenario as it is");
            return Err(ExportError::NotPossible { format: Format::Scenario, why });
        }
    };
    let usual = *mode == FileMode::Octal(0o600) && [owner, group].iter().all(|owner| **owner == Owner::DatabaseUser);
    if usual && text.is_none() && format == Encoding::default() {
        return Ok(if let [part] = &parts[..] { json!(part) } else { json!(parts) });
    }
    let mode = match mode {
        FileMode::Octal(mode) => format!("{mode:04o}"),
        FileMode::OfRecipe => "recipe".into(),
    };
    compact(&json!({
        // What a text is followed by has to be said, also where it is nothing.
        "of": (text.is_some() || parts != &[name.to_owned()]).then_some(parts),
        "text": text.filter(|text| !text.is_empty() || parts.is_empty()),
        "text_behind": behind.filter(|text| !text.is_empty()),
        "format": (format != Encoding::default()).then_some(format),
        "mode": mode,
        "owner": owner,
        "group": group,
    }))
}

/// What must happen in a step, or that it is left open.
fn expected(step: &Step) -> Result<Option<Value>, ExportError> {
    let blank = step.blank.as_ref().map(|_| Value::Null);
    step.expect.as_ref().map(expect).transpose().map(|expect| expect.or(blank))
}

/// What must happen; both stacks in one where they are alike.
fn expect(expectation: &Expectation) -> Result<Value, ExportError> {
    let of = |edition| -> Result<Value, ExportError> {
        let [luasec, cosocket] = [Stack::Luasec, Stack::Cosocket].map(|stack| outcome(expectation.on(stack, edition)));
        let (luasec, cosocket) = (luasec?, cosocket?);
        Ok(if luasec == cosocket { luasec } else { json!({ "luasec": luasec, "cosocket": cosocket }) })
    };
    let (mut enterprise, oss) = (of(Edition::Enterprise)?, of(Edition::Oss)?);
    if enterprise != oss {
        enterprise["oss"] = oss;
    }
    Ok(enterprise)
}

fn outcome(expected: &Expected) -> Result<Value, ExportError> {
    match expected {
        Expected::Connects(connects) => Ok(json!({ "connects": compact(connects)? })),
        Expected::Refused { stage, kong, postgres, relay } => {
            let (kong, raises) = match kong {
                KongSays::Returns(text) => (Some(text.clone()), None),
                KongSays::Raises(text) => (None, Some(text.clone())),
            };
            let (postgres, relay) = (postgres.clone(), relay.clone());
            let refused = Refused { stage: *stage, kong, raises, postgres, relay };
            Ok(json!({ "refused": compact(&refused)? }))
        }
        Expected::Hangs { postgres, relay } => {
            let hangs = Hangs { postgres: postgres.clone(), relay: relay.clone() };
            Ok(json!({ "hangs": compact(&hangs)? }))
        }
    }
}

/// The certificates that a case needs, out of those of its tree.
fn pki(case: &Case, tree: &Tree) -> Result<Option<Value>, ExportError> {
    let mut needed = Needed { tree, certificates: BTreeMap::new(), crls: BTreeMap::new(), bundles: BTreeMap::new() };
    for step in &case.steps {
        let of_relay = step.situation.relay.iter().flat_map(|relay| relay.files.values());
        for file in step.situation.server.files.values().chain(step.situation.kong.files.values()).chain(of_relay) {
            let (Content::Artifacts(parts, _) | Content::Between(_, parts, _)) = &file.content else { continue };
            for part in parts {
                needed.file(part);
            }
        }
        let proxy = step.situation.kong.proxy.as_ref().and_then(|proxy| proxy.certificate.as_ref());
        if let Some(name) = proxy {
            needed.certificate(name);
        }
        let says = format!("{:?} {:?} {:?}", step.expect, step.log, case.documented);
        for file in tree.files() {
            let name = file.rsplit_once('.').map_or(&*file, |(name, _)| name);
            if says.contains(&format!(" of {name}}}")) || says.contains(&format!("certificate: Some(\"{file}\")")) {
                needed.file(&file);
            }
        }
    }
    let Needed { certificates, crls, bundles, .. } = needed;
    let pki =
        compact(&json!({ "guide": tree.recipe, "certificates": certificates, "crls": crls, "bundles": bundles }))?;
    Ok(Some(pki).filter(|pki| pki.as_object().is_some_and(|pki| !pki.is_empty())))
}

struct Needed<'t> {
    tree: &'t Tree,
    certificates: BTreeMap<String, Value>,
    crls: BTreeMap<String, Value>,
    bundles: BTreeMap<String, Vec<String>>,
}

impl Needed<'_> {
    fn file(&mut self, name: &str) {
        match self.tree.artifact(name) {
            Some(Artifact::Certificate(name) | Artifact::Key(name)) => self.certificate(name),
            Some(Artifact::Crl(name)) => {
                let Some(spec) = self.tree.crls.get(name) else { return };
                self.crls.insert(name.to_owned(), json!(spec));
                self.certificate(&spec.issuer);
                spec.revoked.iter().for_each(|revoked| self.certificate(revoked));
            }
            Some(Artifact::Bundle(parts)) => {
                self.bundles.insert(name.to_owned(), parts.to_vec());
                for part in parts {
                    self.file(part);
                }
            }
            None => {}
        }
    }

    fn certificate(&mut self, name: &str) {
        let of_recipe = self.tree.recipe.is_some_and(|recipe| recipe.certificates().contains(&name));
        let Some(spec) = self.tree.certificates.get(name).filter(|_| !of_recipe) else { return };
        if self.certificates.insert(name.to_owned(), json!(spec)).is_none() {
            spec.issuer.iter().for_each(|issuer| self.certificate(issuer));
        }
    }
}
