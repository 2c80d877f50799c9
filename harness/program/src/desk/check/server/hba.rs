//! pg_hba.conf: who may log in how.

use std::path::Path;

use super::super::fault::Place;
use super::super::input::InputError;
use super::address::Address;
use super::tokens::{self, Word};

/// Over what a line lets connections in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Transport {
    Local,
    /// TLS or not.
    Any,
    Tls,
    Plaintext,
    /// Encrypted by GSSAPI, or not: what Kong never does, and always.
    Gss,
    NotGss,
}

/// A line.
#[derive(Debug)]
pub(in super::super) struct HbaLine {
    pub(in super::super) place: Place,
    pub(in super::super) transport: Transport,
    databases: Vec<Word>,
    users: Vec<Word>,
    pub(in super::super) address: Address,
    pub(in super::super) method: String,
    pub(in super::super) options: Vec<(String, String)>,
    /// With what the server refuses it, in its own words.
    pub(in super::super) refused: Option<String>,
}

/// Methods, from PostgreSQL's documentation; `oauth` is there since 18.
const METHODS: &str = "trust reject password md5 scram-sha-256 cert gss sspi ident peer ldap radius pam bsd oauth";

/// The methods that take a map.
const MAPPED: [&str; 6] = ["ident", "peer", "gss", "sspi", "cert", "oauth"];

/// Options of all methods, from PostgreSQL's documentation. Which of them goes with which method is not looked at.
const OPTIONS: &str = "clientcert clientname map include_realm compat_realm upn_username krb_realm pamservice \
    pam_use_hostname ldapurl ldaptls ldapscheme ldapserver ldapport ldapbinddn ldapbindpasswd ldapsearchattribute \
    ldapsearchfilter ldapbasedn ldapprefix ldapsuffix radiusservers radiussecrets radiusports radiusidentifiers issuer \
    scope validator delegate_ident_mapping";

/// Whether a word is one of a list.
fn is_one_of(list: &str, word: &str) -> bool {
    list.split(' ').any(|known| known == word)
}

/// Reads pg_hba.conf.
///
/// # Errors
/// The file cannot be read.
pub(in super::super) fn read(path: &Path, major: u16) -> Result<Vec<HbaLine>, InputError> {
    Ok(tokens::read(path)?.into_iter().map(|line| HbaLine::read(line, major)).collect())
}

impl HbaLine {
    /// A line that the server has read already.
    pub(in super::super) fn of_rule(place: Place, line: &str, major: u16) -> Self {
        Self::read(tokens::Line { place, fields: tokens::fields(line) }, major)
    }
}

/// Whether a line matches a login; `None` if only the server knows.
pub(in super::super) fn and(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

impl HbaLine {
    fn read(line: tokens::Line, major: u16) -> Self {
        let mut fields = line.fields.into_iter();
        let mut next = || fields.next().unwrap_or_default();
        let kind = next();
        let kind = first(&kind);
        let (transport, mut refused) = match kind {
            "local" => (Transport::Local, None),
            "host" => (Transport::Any, None),
            "hostssl" => (Transport::Tls, None),
            "hostnossl" => (Transport::Plaintext, None),
            "hostgssenc" => (Transport::Gss, None),
            "hostnogssenc" => (Transport::NotGss, None),
            other => (Transport::Local, Some(format!("invalid connection type \"{other}\""))),
        };
        let (databases, users) = (next(), next());
        let is_local = transport == Transport::Local;
        let address = if is_local { Vec::new() } else { next() };
        let mut method = next();
        // An address without a prefix length is followed by its mask.
        let has_mask = !is_local && first(&method).parse::<std::net::IpAddr>().is_ok();
        let mask = if has_mask { std::mem::replace(&mut method, next()) } else { Vec::new() };
        let address = if is_local {
            Address::Local
        } else {
            Address::read(first(&address), mask.first().map(|word| word.text.as_str()))
        };
        let mut options = Vec::new();
        for word in fields.flatten() {
            if let Some((name, value)) = word.text.split_once('=') {
                options.push((name.to_owned(), value.to_owned()));
            } else {
                let text = format!("authentication option not in name=value format: {}", word.text);
                refused.get_or_insert(text);
            }
        }
        let mut line = Self {
            place: line.place,
            transport,
            databases,
            users,
            address,
            method: first(&method).to_owned(),
            options,
            refused,
        };
        if line.refused.is_none() {
            line.refused = line.refusal(major);
        }
        line
    }

    /// With what the server refuses the line, in its own words.
    fn refusal(&self, major: u16) -> Option<String> {
        let method = self.method.as_str();
        if method.is_empty() {
            return Some("end-of-line before authentication method".into());
        }
        if !is_one_of(METHODS, method) || method == "oauth" && major < 18 {
            return Some(format!("invalid authentication method \"{method}\""));
        }
        if method == "cert" && self.transport != Transport::Tls {
            return Some("cert authentication is only supported on hostssl connections".into());
        }
        self.options.iter().find_map(|(name, value)| self.refusal_of_option(name, value, major))
    }

    fn refusal_of_option(&self, name: &str, value: &str, major: u16) -> Option<String> {
        let method = self.method.as_str();
        match name {
            "clientcert" if self.transport != Transport::Tls => {
                Some("clientcert can only be configured for \"hostssl\" rows".into())
            }
            "clientcert" => {
                let known = match value {
                    "verify-ca" if method == "cert" && major >= 14 => {
                        return Some(
                            "clientcert only accepts \"verify-full\" when using \"cert\" authentication".into(),
                        );
                    }
                    "verify-full" | "verify-ca" => true,
                    "0" | "1" | "no-verify" => major < 14,
                    _ => false,
                };
                (!known).then(|| format!("invalid value for clientcert: \"{value}\""))
            }
            "clientname" if self.transport != Transport::Tls => {
                Some("clientname can only be configured for \"hostssl\" rows".into())
            }
            "clientname" if major < 14 => Some("unrecognized authentication option name: \"clientname\"".into()),
            "clientname" => {
                (!matches!(value, "CN" | "DN")).then(|| format!("invalid value for clientname: \"{value}\""))
            }
            "map" => (!MAPPED.contains(&method)).then(|| {
                let known = if major >= 18 {
                    "ident, peer, gssapi, sspi, cert, and oauth"
                } else {
                    "ident, peer, gssapi, sspi, and cert"
                };
                format!("authentication option \"map\" is only valid for authentication methods {known}")
            }),
            other => {
                (!is_one_of(OPTIONS, other)).then(|| format!("unrecognized authentication option name: \"{other}\""))
            }
        }
    }

    /// The value of an option.
    pub(in super::super) fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether it wants a client certificate.
    pub(in super::super) fn wants_certificate(&self) -> bool {
        self.method == "cert" || self.option("clientcert").is_some_and(|value| !matches!(value, "0" | "no-verify"))
    }

    /// Whether it compares a certificate's name with the user's.
    pub(in super::super) fn compares_names(&self) -> bool {
        self.method == "cert" || self.option("clientcert") == Some("verify-full")
    }

    /// Whether it wants a password.
    pub(in super::super) fn wants_password(&self) -> bool {
        matches!(self.method.as_str(), "password" | "md5" | "scram-sha-256" | "ldap" | "radius" | "pam")
    }

    /// Whether it is for connections in TLS, or in plaintext.
    pub(in super::super) fn is_for(&self, tls: bool) -> bool {
        match self.transport {
            Transport::Any | Transport::NotGss => true,
            Transport::Tls => tls,
            Transport::Plaintext => !tls,
            Transport::Local | Transport::Gss => false,
        }
    }

    /// Whether it is for a database and user; `None` where that depends on roles.
    pub(in super::super) fn names(&self, database: &str, user: &str) -> Option<bool> {
        and(
            any(&self.databases, |word| names_database(word, database, user)),
            any(&self.users, |word| names_user(word, user)),
        )
    }

    /// Whether each connection that it is for is one of this line's as well.
    pub(in super::super) fn covers(&self, other: &Self) -> bool {
        let transport = match (self.transport, other.transport) {
            (one, other) if one == other => true,
            (Transport::Any, Transport::Tls | Transport::Plaintext | Transport::Gss | Transport::NotGss) => true,
            _ => false,
        };
        let all = |words: &[Word], others: &[Word], special: &[&str]| {
            let is_all = words.iter().any(|word| word.text == "all" && !word.quoted);
            let covered = |other: &Word| {
                is_all && !special.contains(&other.text.as_str()) || words.iter().any(|word| word == other)
            };
            others.iter().all(covered)
        };
        transport
            && (self.address.covers(&other.address) || self.address == other.address)
            && all(&self.databases, &other.databases, &["replication"])
            && all(&self.users, &other.users, &[])
    }

    /// The line as it is written, for messages.
    pub(in super::super) fn shown(&self) -> String {
        let kind = match self.transport {
            Transport::Local => "local",
            Transport::Any => "host",
            Transport::Tls => "hostssl",
            Transport::Plaintext => "hostnossl",
            Transport::Gss => "hostgssenc",
            Transport::NotGss => "hostnogssenc",
        };
        let options = self.options.iter().filter(|(name, _)| !name.contains("secret") && !name.contains("passwd"));
        let options: String = options.map(|(name, value)| format!(" {name}={value}")).collect();
        format!("{kind} ... {}{options}", self.method)
    }
}

fn first(words: &[Word]) -> &str {
    words.first().map(|word| word.text.as_str()).unwrap_or_default()
}

fn any(words: &[Word], is: impl Fn(&Word) -> Option<bool>) -> Option<bool> {
    let mut unknown = false;
    for word in words {
        match is(word) {
            Some(true) => return Some(true),
            None => unknown = true,
            Some(false) => {}
        }
    }
    if unknown { None } else { Some(false) }
}

fn names_database(word: &Word, database: &str, user: &str) -> Option<bool> {
    match word.text.as_str() {
        "all" if !word.quoted => Some(true),
        "sameuser" if !word.quoted => Some(database == user),
        "samerole" | "samegroup" if !word.quoted => (database == user).then_some(true),
        "replication" if !word.quoted => Some(false),
        text if !word.quoted && text.starts_with('/') => matches_expression(text, database),
        text => Some(text == database),
    }
}

fn names_user(word: &Word, user: &str) -> Option<bool> {
    match word.text.as_str() {
        "all" if !word.quoted => Some(true),
        text if !word.quoted && text.starts_with('+') => (&text[1..] == user).then_some(true),
        text if !word.quoted && text.starts_with('/') => matches_expression(text, user),
        text => Some(text == user),
    }
}

fn matches_expression(text: &str, name: &str) -> Option<bool> {
    regex::Regex::new(&text[1..]).ok().map(|expression| expression.is_match(name))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn lines(text: &str, major: u16) -> Vec<HbaLine> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pg_hba.conf");
        std::fs::write(&path, text).expect("a file");
        read(&path, major).expect("lines")
    }

    #[rstest]
    #[case("hostssl all all all cert", 18, None)]
    #[case("host all all 10.0.0.0 255.0.0.0 md5", 18, None)]
    #[case("local all postgres peer map=m", 18, None)]
    #[case("host all all all cert", 18, Some("cert authentication is only supported on hostssl connections"))]
    #[case(
        "host all all all trust clientcert=verify-ca",
        18,
        Some("clientcert can only be configured for \"hostssl\" rows")
    )]
    #[case("hostssl all all all md5 clientcert=1", 18, Some("invalid value for clientcert: \"1\""))]
    #[case("hostssl all all all md5 clientcert=1", 13, None)]
    #[case(
        "hostssl all all all cert clientcert=verify-ca",
        15,
        Some("clientcert only accepts \"verify-full\" when using \"cert\" authentication")
    )]
    #[case(
        "hostssl all all all trust map=m",
        15,
        Some(
            "authentication option \"map\" is only valid for authentication methods ident, peer, gssapi, sspi, and cert"
        )
    )]
    #[case("hostsl all all all trust", 15, Some("invalid connection type \"hostsl\""))]
    #[case("hostssl all all all", 15, Some("end-of-line before authentication method"))]
    #[case("hostssl all all all verify-full", 15, Some("invalid authentication method \"verify-full\""))]
    #[case(
        "hostssl all all all trust clientcert",
        15,
        Some("authentication option not in name=value format: clientcert")
    )]
    #[case(
        "hostssl all all all trust sslmode=require",
        15,
        Some("unrecognized authentication option name: \"sslmode\"")
    )]
    fn the_server_refuses_lines_in_its_own_words(#[case] line: &str, #[case] major: u16, #[case] text: Option<&str>) {
        assert_eq!(lines(line, major)[0].refused.as_deref(), text);
    }

    #[rstest]
    #[case("host all all all md5\nhostssl kong kong 10.0.0.0/8 cert", true)]
    #[case("hostssl all all all md5\nhost all all all md5", false)]
    #[case("host all all all md5\nhost replication all all md5", false)]
    #[case("host all kong all md5\nhost all all all md5", false)]
    fn a_line_covers_another(#[case] text: &str, #[case] expected: bool) {
        let lines = lines(text, 18);
        assert_eq!(lines[0].covers(&lines[1]), expected);
    }

    #[rstest]
    #[case("host all all all md5", Some(true))]
    #[case("host \"all\" all all md5", Some(false))]
    #[case("host postgres,kong kong all md5", Some(true))]
    #[case("host sameuser all all md5", Some(true))]
    #[case("host all +kongs all md5", None)]
    #[case("host all /^ko all md5", Some(true))]
    #[case("host replication all all md5", Some(false))]
    fn a_line_names_kong(#[case] text: &str, #[case] expected: Option<bool>) {
        assert_eq!(lines(text, 18)[0].names("kong", "kong"), expected);
    }
}
