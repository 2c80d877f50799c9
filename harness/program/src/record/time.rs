//! Times and durations as records have them.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// To the millisecond, in UTC.
pub(super) fn rfc3339(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    let to_the_millisecond = time.replace_millisecond(time.millisecond()).unwrap_or(time);
    to_the_millisecond.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_to_the_millisecond() {
        let time = SystemTime::UNIX_EPOCH + Duration::new(86_400, 123_456_789);
        assert_eq!(rfc3339(time), "1970-01-02T00:00:00.123Z");
    }
}
