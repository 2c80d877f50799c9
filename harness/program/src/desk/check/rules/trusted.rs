//! What Kong trusts: lua_ssl_trusted_certificate.

use openssl::x509::X509;

use super::super::catalog::Code;
use super::super::configuration::Configuration;
use super::super::fault::{Fault, Severity};
use super::super::material::{self, Named};

const KEY: &str = "lua_ssl_trusted_certificate";

/// Checks the files, which Kong loads whether it is going to verify or not, and returns the certificates in them, if
/// they are all that is trusted.
pub(super) fn check(kong: &Configuration, days: u32, faults: &mut Vec<Fault>) -> Option<Vec<X509>> {
    let setting = kong.get(KEY)?;
    let value = setting.text().filter(|value| !value.starts_with(['\'', '"']) && !value.ends_with(['\'', '"']))?;
    let mut all = Vec::new();
    let mut complete = true;
    for entry in value.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        if entry == "system" {
            complete = false;
            continue;
        }
        let named = Named { name: &setting.name, path: entry, place: &setting.place };
        match certificates(named, kong) {
            Ok(certificates) => all.extend(certificates),
            Err(fault) => {
                complete = false;
                faults.push(fault);
            }
        }
    }
    let verifies =
        kong.main.ssl && kong.main.verify || kong.read_only.as_ref().is_some_and(|other| other.ssl && other.verify);
    let named = Named { name: &setting.name, path: value, place: &setting.place };
    if !all.is_empty() {
        faults.extend(times(&all, days, named, verifies));
        if complete && verifies {
            faults.extend(anchors(&all, kong, named));
            faults.extend(depth(&all, kong));
        }
    }
    complete.then_some(all)
}

fn certificates(named: Named<'_>, kong: &Configuration) -> Result<Vec<X509>, Fault> {
    let file = kong.paths.resolve(named.path);
    if !file.exists() {
        // What is no file may be a certificate itself, also in base64.
        let decoded = openssl::base64::decode_block(named.path).unwrap_or_else(|_| named.path.into());
        if let Ok(certificates) = X509::stack_from_pem(&decoded)
            && !certificates.is_empty()
        {
            return Ok(certificates);
        }
    }
    // In a container the folder may hold certificates under names of their own.
    let bytes = material::read(named, &file, &kong.paths)?;
    material::certificates(named, &bytes)
}

/// Expired certificates; in a bundle of several roots, one that has expired is as a rule the old one.
fn times(all: &[X509], days: u32, named: Named<'_>, verifies: bool) -> Vec<Fault> {
    let valid = |certificate: &&X509| {
        material::validity(certificate, 0, named).is_none() && material::is_self_signed(certificate)
    };
    let other_roots = all.iter().filter(valid).count();
    let found = all.iter().filter_map(|certificate| material::validity(certificate, days, named));
    found
        .map(|fault| {
            let alone = if fault.code == Code::CertificateExpiring { other_roots <= 1 } else { other_roots == 0 };
            material::unless(verifies && alone, fault)
        })
        .collect()
}

/// Whether the trusted intermediates alone make a longer chain than a cosocket accepts.
fn depth(all: &[X509], kong: &Configuration) -> Option<Fault> {
    let is_intermediate =
        |certificate: &&X509| material::uses(certificate).ca && !material::is_self_signed(certificate);
    let intermediates: Vec<_> = all.iter().filter(is_intermediate).collect();
    let above =
        |certificate: &X509| intermediates.iter().copied().find(|other| material::is_issued_by(certificate, other));
    let length = |certificate: &&X509| std::iter::successors(Some(*certificate), |lower| above(lower)).take(9).count();
    let longest = intermediates.iter().map(length).max()?;
    let allowed = kong.main.depth;
    (longest > allowed as usize).then(|| {
        let what = format!("a chain of {longest} intermediates is trusted, and lua_ssl_verify_depth is {allowed}");
        Fault::new(Code::ChainTooDeep, kong.place_of("lua_ssl_verify_depth"), what).with_severity(Severity::Warning)
    })
}

/// OpenSSL's chains end in a certificate that is signed with its own key, and in no other.
fn anchors(all: &[X509], kong: &Configuration, named: Named<'_>) -> Vec<Fault> {
    let roots: Vec<_> = all.iter().filter(|certificate| material::is_self_signed(certificate)).collect();
    let Some(first) = all.first() else { return Vec::new() };
    if roots.is_empty() {
        let is_ca = all.iter().any(|certificate| material::uses(certificate).ca);
        let (code, kind) = if is_ca {
            (Code::IntermediateWithoutRoot, "intermediates without their root")
        } else {
            (Code::LeafAsCa, "no CA's certificate")
        };
        let what = format!("{} has {kind} ({}): {}", named.name, material::subject(first), named.path);
        return vec![Fault::new(code, named.place, what)];
    }
    // Of version 3, one that says that it is no CA's is an anchor for itself only.
    if roots.iter().all(|root| !material::uses(root).ca && root.version() == 2) {
        let what = format!("{} has a certificate that is no CA's ({})", named.name, material::subject(first));
        return vec![
            Fault::new(Code::LeafAsCa, named.place, what)
                .with_severity(Severity::Note)
                .with_fix("Nothing, if it is the very certificate that the server shows; its CA's otherwise."),
        ];
    }
    let level = kong.main.security_level;
    let weak: Vec<_> = roots
        .iter()
        .filter_map(|root| material::weak(root, level, named, &format!("the OpenSSL of {}", kong.profile)))
        .collect();
    if weak.len() == roots.len() {
        weak
    } else {
        weak.into_iter().map(|fault| fault.with_severity(Severity::Note)).collect()
    }
}
