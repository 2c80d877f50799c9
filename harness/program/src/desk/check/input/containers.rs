//! Settings in the files of container engines: `docker inspect`, Compose, Kubernetes, Helm.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::catalog::Code;
use super::super::configuration::{Setting, Source, Value};
use super::super::fault::{Fault, Place};
use super::file::{ContentError, Kind};
use super::lines::variable;
use super::node::{Data, Node};

/// Which of the four a text looks like.
pub(super) fn detect(text: &str) -> Kind {
    let has = |name: &str| text.lines().any(|line| line.starts_with(name));
    if text.contains("\"Config\"") && text.contains("\"Env\"") {
        Kind::DockerInspect
    } else if has("services:") {
        Kind::Compose
    } else if has("kind:") && has("apiVersion:") || text.contains("\"apiVersion\"") {
        Kind::Kubernetes
    } else {
        Kind::Helm
    }
}

/// Reads all containers that have settings of Kong's.
pub(super) fn read(file: &str, documents: &[Rc<Node>], kind: Kind) -> Result<Vec<Source>, ContentError> {
    let mut reader = Reader { file, kind, config_maps: Vec::new(), sources: Vec::new(), used: Vec::new() };
    for document in documents {
        reader.find_config_maps(document);
    }
    for document in documents {
        reader.document(document);
    }
    reader.unused_config_maps();
    let mut sources = reader.sources;
    sources.retain(|source| source.settings.iter().any(|setting| is_relevant(&setting.key)));
    if sources.is_empty() {
        return Err(ContentError::NoDatabase);
    }
    Ok(sources)
}

/// Whether a setting shows that a container is a Kong with a database.
fn is_relevant(key: &str) -> bool {
    key == "database" || key.starts_with("pg_") || key.starts_with("lua_ssl_")
}

struct Reader<'a> {
    file: &'a str,
    kind: Kind,
    /// ConfigMaps and Secrets in plain text, by name.
    config_maps: Vec<(String, Rc<Node>)>,
    used: Vec<String>,
    sources: Vec<Source>,
}

impl Reader<'_> {
    fn place(&self, line: usize) -> Place {
        Place::line(self.file, line)
    }

    fn source(label: String) -> Source {
        Source { label: Some(label), of_container: true, ..Source::default() }
    }

    fn find_config_maps(&mut self, document: &Node) {
        for item in of_list(document) {
            let kind = item.get("kind").and_then(|kind| kind.text());
            let data = match kind {
                Some("ConfigMap") => item.get("data"),
                Some("Secret") => item.get("stringData"),
                _ => None,
            };
            if let (Some(name), Some(data)) = (name_of(item), data) {
                self.config_maps.push((name.to_owned(), data.clone()));
            }
        }
    }

    fn document(&mut self, document: &Rc<Node>) {
        match self.kind {
            Kind::Helm => self.helm(document, "values"),
            Kind::Compose => {
                for (name, service) in document.get("services").map(|node| node.entries()).unwrap_or_default() {
                    self.service(name, service);
                }
            }
            Kind::DockerInspect => {
                for container in of_array(document) {
                    self.inspected(container);
                }
            }
            _ => {
                for item in of_list(document) {
                    let kind = item.get("kind").and_then(|kind| kind.text()).unwrap_or("object");
                    let owner = format!("{kind} {}", name_of(item).unwrap_or("without a name"));
                    self.containers(item, &owner);
                }
            }
        }
    }

    /// Looks for containers wherever they are: a pod, a template of pods, a job in a template of jobs, a custom resource.
    fn containers(&mut self, node: &Node, owner: &str) {
        for (key, value) in node.entries() {
            if matches!(key.as_str(), "containers" | "initContainers" | "ephemeralContainers") {
                for container in value.items() {
                    let name = container.get("name").and_then(|name| name.text()).unwrap_or("without a name");
                    let mut source = Self::source(format!("container {name} of {owner}"));
                    self.env_from(container, &mut source);
                    self.env(container.get("env"), &mut source);
                    self.sources.push(source);
                }
            } else {
                self.containers(value, owner);
            }
        }
        for item in node.items() {
            self.containers(item, owner);
        }
    }

    fn env_from(&mut self, container: &Node, source: &mut Source) {
        for reference in container.get("envFrom").map(|node| node.items()).unwrap_or_default() {
            let named = ["configMapRef", "secretRef"].iter().find_map(|kind| reference.get(kind)?.get("name")?.text());
            let prefix = reference.get("prefix").and_then(|prefix| prefix.text()).unwrap_or_default();
            let Some(name) = named else { continue };
            let maps: Vec<_> = self.config_maps.iter().filter(|(known, _)| known == name).cloned().collect();
            for (name, data) in maps {
                self.used.push(name);
                for (key, value) in data.entries() {
                    self.take(&format!("{prefix}{key}"), value, source);
                }
            }
        }
    }

    /// `env`: a list of `name` and `value`, or `valueFrom`.
    fn env(&mut self, env: Option<&Rc<Node>>, source: &mut Source) {
        for entry in env.map(|node| node.items()).unwrap_or_default() {
            let Some(name) = entry.get("name").and_then(|name| name.text()) else { continue };
            match (entry.get("value"), entry.get("valueFrom")) {
                (Some(value), _) => self.take(name, value, source),
                (None, Some(from)) => {
                    let found = self.referred(from);
                    match found {
                        Some(value) => self.take(name, &value, source),
                        None => self.elsewhere(name, entry.line, source),
                    }
                }
                (None, None) => source.settings.extend(variable(name, "", self.place(entry.line))),
            }
        }
    }

    /// The value in a ConfigMap of the same file.
    fn referred(&mut self, from: &Node) -> Option<Rc<Node>> {
        let reference = from.get("configMapKeyRef").or_else(|| from.get("secretKeyRef"))?;
        let (name, key) = (reference.get("name")?.text()?, reference.get("key")?.text()?);
        let (name, data) = self.config_maps.iter().find(|(known, _)| known == name)?;
        self.used.push(name.clone());
        data.get(key).cloned()
    }

    fn elsewhere(&self, name: &str, line: usize, source: &mut Source) {
        let setting = variable(name, "", self.place(line));
        source.settings.extend(setting.map(|setting| Setting { value: Value::Elsewhere, ..setting }));
    }

    /// A value by the name of its variable.
    fn take(&self, name: &str, value: &Node, source: &mut Source) {
        let Data::Scalar { text, plain } = &value.data else {
            return self.elsewhere(name, value.line, source);
        };
        let place = self.place(value.line);
        let Some(mut setting) = variable(name, text, place.clone()) else { return };
        if *plain && self.kind == Kind::Kubernetes && is_no_string(text) {
            let what = format!("the value of {name} is no string: {text}");
            source.faults.push(Fault::new(Code::NotAString, &place, what));
        }
        if *plain && self.kind == Kind::Compose && matches!(text.as_str(), "True" | "TRUE") {
            setting.value = Value::Known("true".into());
        }
        if *plain && text.is_empty() || text.contains("${") || text.contains("$(") || text.starts_with('$') {
            setting.value = Value::Elsewhere;
        }
        source.settings.push(setting);
    }

    /// A service of a Compose file: `environment` is a list or a map.
    fn service(&mut self, name: &str, service: &Rc<Node>) {
        let mut source = Self::source(format!("service {name}"));
        let Some(environment) = service.get("environment") else { return };
        for volume in service.get("volumes").map(|node| node.items()).unwrap_or_default() {
            source.mounts.extend(self.volume(volume));
        }
        for (name, value) in environment.entries() {
            self.take(name, value, &mut source);
        }
        for entry in environment.items() {
            self.assignment(entry, &mut source);
        }
        self.sources.push(source);
    }

    /// A folder or file of this machine: `./certs:/etc/kong/certs:ro`, or the same spelled out.
    fn volume(&self, volume: &Node) -> Option<(String, PathBuf)> {
        let (here, there) = match volume.text() {
            Some(text) => {
                let mut parts = text.split(':');
                (parts.next()?, parts.next()?)
            }
            None => (volume.get("source")?.text()?, volume.get("target")?.text()?),
        };
        let folder = Path::new(self.file).parent().unwrap_or(Path::new(""));
        here.starts_with(['.', '/']).then(|| (there.to_owned(), folder.join(here)))
    }

    /// An entry like `KONG_PG_SSL=on`; without a value it is that of the shell.
    fn assignment(&self, entry: &Node, source: &mut Source) {
        let Some(text) = entry.text() else { return };
        match text.split_once('=') {
            Some((name, value)) if value.contains("${") => self.elsewhere(name, entry.line, source),
            Some((name, value)) => source.settings.extend(variable(name, value, self.place(entry.line))),
            None => self.elsewhere(text, entry.line, source),
        }
    }

    fn inspected(&mut self, container: &Rc<Node>) {
        let Some(env) = container.get("Config").and_then(|config| config.get("Env")) else { return };
        let name = container.get("Name").and_then(|name| name.text()).unwrap_or("without a name");
        let mut source = Self::source(format!("container {}", name.trim_start_matches('/')));
        for mount in container.get("Mounts").map(|node| node.items()).unwrap_or_default() {
            let text = |key: &str| mount.get(key).and_then(|node| node.text());
            if let (Some(here), Some(there)) = (text("Source"), text("Destination")) {
                source.mounts.push((there.to_owned(), PathBuf::from(here)));
            }
        }
        for entry in env.items() {
            self.assignment(entry, &mut source);
        }
        self.sources.push(source);
    }

    /// Helm values: `env` has the names of kong.conf, `customEnv` those of variables; both may be below the name of a
    /// subchart, and lists as in a manifest.
    fn helm(&mut self, node: &Rc<Node>, label: &str) {
        let (env, custom) = (node.get("env"), node.get("customEnv"));
        if env.is_some() || custom.is_some() {
            let mut source = Self::source(label.to_owned());
            for (name, value) in env.map(|env| env.entries()).unwrap_or_default() {
                let upper = name.to_uppercase();
                let name = if upper.starts_with("KONG_") { upper } else { format!("KONG_{upper}") };
                self.value(&name, value, &mut source);
            }
            for (name, value) in custom.map(|custom| custom.entries()).unwrap_or_default() {
                self.value(&name.to_uppercase(), value, &mut source);
            }
            for list in [env, custom].into_iter().flatten() {
                self.env(Some(list), &mut source);
            }
            self.sources.push(source);
        }
        for (key, value) in node.entries() {
            if !matches!(key.as_str(), "env" | "customEnv") && !value.entries().is_empty() {
                self.helm(value, &format!("{label} of {key}"));
            }
        }
    }

    /// A value of a chart, whose templates put it between quotes after YAML 1.1 has made of `on` and `yes` what they
    /// mean there.
    fn value(&self, name: &str, value: &Node, source: &mut Source) {
        let Data::Scalar { text, plain } = &value.data else {
            return self.elsewhere(name, value.line, source);
        };
        let place = self.place(value.line);
        let text = match text.as_str() {
            "on" | "On" | "ON" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "y" | "Y" if *plain => "true",
            "off" | "Off" | "OFF" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "n" | "N" if *plain => "false",
            text => text,
        };
        let setting = variable(name, text, place);
        source.settings.extend(
            setting.map(
                |setting| {
                    if text.contains("{{") { Setting { value: Value::Elsewhere, ..setting } } else { setting }
                },
            ),
        );
    }

    /// ConfigMaps that no container of this file refers to are what containers of another one get.
    fn unused_config_maps(&mut self) {
        for (name, data) in std::mem::take(&mut self.config_maps) {
            if self.used.contains(&name) {
                continue;
            }
            let mut source = Self::source(format!("ConfigMap or Secret {name}"));
            for (key, value) in data.entries() {
                self.take(key, value, &mut source);
                if key.ends_with("kong.conf") {
                    self.embedded(value, &mut source);
                }
            }
            self.sources.push(source);
        }
    }

    /// A kong.conf that stands in a ConfigMap as a block of text.
    fn embedded(&self, value: &Node, source: &mut Source) {
        let text = value.text().unwrap_or_default();
        // A block of text is where its first line is, not where its `|` is.
        let begins = value.line;
        let Ok(inner) = super::lines::kong_conf(self.file, text) else { return };
        source.settings.extend(inner.settings.into_iter().map(|setting| {
            let line = setting.place.line.map(|line| line + begins - 1);
            Setting { place: Place { line, ..setting.place }, ..setting }
        }));
    }
}

/// A document, or the items of a `kind: List`.
fn of_list(document: &Node) -> Vec<&Node> {
    match document.get("items") {
        Some(items) => items.items().iter().map(AsRef::as_ref).collect(),
        None => vec![document],
    }
}

fn of_array(document: &Rc<Node>) -> &[Rc<Node>] {
    if document.items().is_empty() { std::slice::from_ref(document) } else { document.items() }
}

fn name_of(object: &Node) -> Option<&str> {
    object.get("metadata")?.get("name")?.text()
}

/// Whether Kubernetes takes a plain value for something else than a string. Its YAML is that of 1.1.
fn is_no_string(text: &str) -> bool {
    let word = ["on", "off", "yes", "no", "true", "false", "y", "n"].iter().any(|word| text.eq_ignore_ascii_case(word));
    word || (!text.is_empty() && text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::node::parse;
    use super::*;

    fn settings(text: &str) -> Vec<(String, String, usize)> {
        let sources = read("f", &parse(text).expect("YAML"), detect(text)).expect("settings");
        let value = |setting: &Setting| match &setting.value {
            Value::Known(text) => text.clone(),
            Value::Elsewhere => "?".into(),
        };
        let all = sources.iter().flat_map(|source| &source.settings);
        all.map(|setting| (setting.name.clone(), value(setting), setting.place.line.unwrap_or_default())).collect()
    }

    #[rstest]
    #[case::compose_list(
        "services:\n  db:\n    environment:\n      - POSTGRES_USER=kong\n  kong:\n    environment:\n      - KONG_PG_SSL=on\n      - KONG_PG_PASSWORD\n",
        &[("KONG_PG_SSL", "on", 7), ("KONG_PG_PASSWORD", "?", 8)]
    )]
    #[case::compose_map_with_an_anchor(
        "x-kong: &kong\n  KONG_DATABASE: postgres\n  KONG_PG_PASSWORD: ${KONG_PG_PASSWORD:-kong}\nservices:\n  kong:\n    environment:\n      <<: *kong\n      KONG_PG_SSL: 'on'\n",
        &[("KONG_PG_SSL", "on", 8), ("KONG_DATABASE", "postgres", 2), ("KONG_PG_PASSWORD", "?", 3)]
    )]
    #[case::inspect(
        "[{\"Name\": \"/kong\",\n\"Config\": {\"Env\": [\n\"PATH=/bin\",\n\"KONG_PG_SSL=on\"]}}]",
        &[("KONG_PG_SSL", "on", 4)]
    )]
    #[case::manifest(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: kong}\nspec:\n  template:\n    spec:\n      containers:\n      - name: proxy\n        env:\n        - name: KONG_PG_SSL\n          value: \"on\"\n        - name: KONG_PG_PASSWORD\n          valueFrom: {secretKeyRef: {name: kong-pg, key: password}}\n",
        &[("KONG_PG_SSL", "on", 11), ("KONG_PG_PASSWORD", "?", 12)]
    )]
    #[case::config_map(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: env}\ndata:\n  KONG_PG_SSL: \"on\"\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: kong}\nspec:\n  containers:\n  - name: kong\n    envFrom:\n    - configMapRef: {name: env}\n",
        &[("KONG_PG_SSL", "on", 5)]
    )]
    #[case::helm(
        "image: {repository: kong}\nenv:\n  database: postgres\n  pg_ssl: on\n  pg_password:\n    valueFrom: {secretKeyRef: {name: a, key: b}}\ncustomEnv:\n  KONG_PG_SSL_VERIFY: \"on\"\n",
        &[("KONG_DATABASE", "postgres", 3), ("KONG_PG_SSL", "true", 4), ("KONG_PG_PASSWORD", "?", 6), ("KONG_PG_SSL_VERIFY", "on", 8)]
    )]
    #[case::embedded_kong_conf(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kong}\ndata:\n  kong.conf: |\n    # Kong\n    pg_ssl = yes\n",
        &[("pg_ssl", "yes", 7)]
    )]
    #[case::subchart("gateway:\n  env:\n    pg_ssl: \"on\"\n", &[("KONG_PG_SSL", "on", 3)])]
    fn settings_are_found_with_their_lines(#[case] text: &str, #[case] expected: &[(&str, &str, usize)]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, value, line)| ((*name).to_owned(), (*value).to_owned(), *line)).collect();
        assert_eq!(settings(text), expected);
    }

    #[test]
    fn a_value_of_a_manifest_that_is_no_string_is_a_fault() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: k}\nspec:\n  containers:\n  - name: k\n    env:\n    - name: KONG_PG_SSL\n      value: on\n";
        let sources = read("f", &parse(text).expect("YAML"), Kind::Kubernetes).expect("settings");
        assert_eq!(sources[0].faults[0].code, Code::NotAString);
    }

    #[test]
    fn a_file_without_kong_yields_nothing() {
        assert!(read("f", &parse("_format_version: \"3.0\"\nservices: []\n").expect("YAML"), Kind::Helm).is_err());
    }
}
