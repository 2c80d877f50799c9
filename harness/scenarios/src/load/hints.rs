//! What to suggest in the place of a name that does not exist.

/// The known name that was most likely meant.
pub(crate) fn closest<'k>(wrong: &str, known: &'k [String]) -> Option<&'k str> {
    let best = known.iter().max_by(|a, b| similarity(wrong, a).total_cmp(&similarity(wrong, b)))?;
    (similarity(wrong, best) > 0.85).then_some(best.as_str())
}

fn similarity(wrong: &str, known: &str) -> f64 {
    strsim::jaro_winkler(&wrong.to_lowercase(), &known.to_lowercase())
}

/// How many names a message lists in full.
const LISTED: usize = 8;
/// How many it suggests where there are more.
const SUGGESTED: usize = 4;

/// `expected one of ...`: all known names if they are few, else those that are most like the wrong one, and where all
/// are listed.
pub fn some_of(wrong: &str, known: &[String], all: &str) -> String {
    if let Some(close) = closest(wrong, known) {
        return format!("did you mean `{close}`?");
    }
    if known.len() <= LISTED {
        return format!("expected one of {}", known.join(", "));
    }
    let mut nearest: Vec<_> = known.iter().collect();
    nearest.sort_by(|a, b| similarity(wrong, b).total_cmp(&similarity(wrong, a)));
    let nearest: Vec<_> = nearest.into_iter().take(SUGGESTED).map(String::as_str).collect();
    format!("expected a name such as {}; {all}", nearest.join(", "))
}
