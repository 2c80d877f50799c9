//! A configuration in lines, to be shown and compared.

use kong_pg_scenarios::suite::{Change, Content, FileMode, PlannedFile, Situation};

/// What to call a step.
pub(super) fn heading(case: &str, change: Change) -> String {
    match change {
        Change::First => case.to_owned(),
        Change::Reload => "then, after a reload".into(),
        Change::Restart => "then, after a restart".into(),
        Change::RunningKong => "then, while Kong runs on".into(),
        Change::ReadOnly => "the read-only server".into(),
        Change::FromPool => "the read-only connection, from the pool".into(),
    }
}

/// A configuration, a line for each setting and each file that does not hold what its name says.
pub(super) fn lines(situation: &Situation) -> Vec<String> {
    let (server, kong) = (&situation.server, &situation.kong);
    let settings = |settings: &[(String, String)], at: &str| {
        settings.iter().map(|(key, value)| format!("{key} = {value}{at}")).collect::<Vec<_>>()
    };
    let mut lines = settings(&server.conf, "");
    lines.extend(server.hba.iter().map(|line| format!("pg_hba: {line}")));
    lines.extend(server.ident.iter().map(|line| format!("pg_ident: {line}")));
    lines.extend(settings(&kong.settings, ""));
    lines.extend(settings(&kong.environment, " (environment)"));
    lines.extend(settings(&kong.prefix, " (prefix)"));
    lines.extend(kong.security_level.map(|level| format!("Kong's OpenSSL on security level {level}")));
    lines.extend(kong.proxy.as_ref().map(|proxy| format!("proxy: {:?}", proxy.does)));
    if let Some(relay) = &situation.relay {
        lines.extend(settings(&relay.settings, &format!(" ({})", relay.program)));
    }
    let files = server.files.iter().chain(&kong.files).chain(situation.relay.iter().flat_map(|relay| &relay.files));
    lines.extend(files.filter_map(|(name, file)| describe_file(name, file)));
    lines.dedup();
    lines
}

/// A file, if it is not just the certificate or key of its own name with the usual mode.
fn describe_file(name: &str, file: &PlannedFile) -> Option<String> {
    let content = match &file.content {
        Content::Artifacts(parts, _) if *parts == [name] => None,
        Content::Artifacts(parts, _) if parts.is_empty() => Some("in a directory".to_owned()),
        Content::Artifacts(parts, _) => Some(parts.join(" + ")),
        Content::Own(path, _) => Some(path.clone()),
        Content::Between(before, parts, behind) => {
            let text = |is_there: bool| is_there.then_some("a text");
            let before = text(!before.is_empty() || (parts.is_empty() && behind.is_empty()));
            let parts = parts.iter().map(String::as_str);
            let all: Vec<_> = before.into_iter().chain(parts).chain(text(!behind.is_empty())).collect();
            Some(all.join(" + "))
        }
    };
    let mode = match file.mode {
        FileMode::Octal(0o600) => None,
        FileMode::Octal(mode) => Some(format!("mode {mode:04o}")),
        FileMode::OfRecipe => Some("the recipe's mode".to_owned()),
    };
    let all: Vec<_> = content.into_iter().chain(mode).collect();
    (!all.is_empty()).then(|| format!("{name}: {}", all.join(", ")))
}
